//! What is shown of a violation: the operations around the one that cannot be placed, in words and as a drawing.
//!
//! [`focus`] chooses the few operations of a key that matter, [`layout`] gives each its place, [`drawing`] draws them.

mod drawing;
mod focus;
mod layout;

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use atoll_history::{Operation, Outcome, Verdict, Violation};

use super::html::Text;
use super::{logs, moments, words};
use crate::record::Record;
use focus::Focus;

/// Violations that are drawn, and as many that have no operation; the others are listed.
const DRAWN_MAX: usize = 6;

/// Violations that are listed.
const LISTED_MAX: usize = 100;

/// Letters of a message or a key.
const LETTERS_MAX: usize = 1_200;

/// All violations of a run.
pub(super) fn violations(out: &mut String, record: &Record) -> fmt::Result {
    let found: Vec<&Violation> = record
        .checks
        .iter()
        .filter_map(|check| match &check.verdict {
            Verdict::Violation(found) => Some(found),
            Verdict::Ok { .. } | Verdict::Unknown(_) => None,
        })
        .flatten()
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    // Those that come with an order first: they show most.
    let mut order = found.clone();
    order.sort_by_key(|one| (one.prefix.is_empty(), one.operation.is_none()));
    write!(
        out,
        "<section class=\"card bad\" id=violations><h2>{}</h2>",
        words::things(found.len(), "violation")
    )?;
    let by_index: BTreeMap<u64, &Operation> = record
        .history
        .operations()
        .iter()
        .map(|operation| (operation.invoked.index, operation))
        .collect();
    // As many of each sort: a cluster that did not recover is not hidden by keys that are wrong.
    let (drawn, told): (Vec<_>, Vec<_>) = order.into_iter().partition(|one| one.operation.is_some());
    for one in drawn.iter().take(DRAWN_MAX).chain(told.iter().take(DRAWN_MAX)) {
        violation(out, record, &by_index, one)?;
    }
    let others = drawn.iter().skip(DRAWN_MAX).chain(told.iter().skip(DRAWN_MAX));
    let others: Vec<&Violation> = others.copied().collect();
    if !others.is_empty() {
        rest(out, &others)?;
    }
    out.push_str("</section>\n");
    Ok(())
}

fn violation(
    out: &mut String,
    record: &Record,
    by_index: &BTreeMap<u64, &Operation>,
    violation: &Violation,
) -> fmt::Result {
    write!(out, "<article class=violation><h3>{}", Text(violation.checker))?;
    if !violation.key.is_empty() {
        write!(
            out,
            ": key <code>{}</code>",
            Text(&words::clip(&violation.key, 200))
        )?;
    }
    out.push_str("</h3>");
    let Some(mut focus) = Focus::of(record, by_index, violation) else {
        return without_operation(out, record, violation);
    };
    in_words(out, &focus)?;
    drawing::draw(out, &mut focus)?;
    writeln!(
        out,
        "<details><summary>What the checker says</summary><p class=text>{}</p></details></article>",
        Text(&words::clip(&violation.message, LETTERS_MAX))
    )
}

/// There is nothing to draw: what is said, when that was, and what the nodes said last.
fn without_operation(out: &mut String, record: &Record, violation: &Violation) -> fmt::Result {
    let message = words::clip(&violation.message, LETTERS_MAX);
    write!(out, "<p class=lead><b>{}</b></p>", Text(&message))?;
    if let Some(phase) = moments::phase_of(record, violation.checker) {
        moments::around(out, record, (phase.begin_ns, phase.end_ns))?;
        logs::last_words(out, record)?;
    }
    out.push_str("</article>\n");
    Ok(())
}

/// Two or three sentences: what the operation was told, and what the others tell.
fn in_words(out: &mut String, focus: &Focus<'_>) -> fmt::Result {
    let blocked = focus.blocked;
    let node = blocked
        .origin
        .node
        .map_or(String::new(), |node| format!(" by node {node}"));
    let ended = blocked
        .completed
        .map_or("the end".to_owned(), |point| words::moment(point.time_ns));
    write!(
        out,
        "<p class=lead><b>Process {} asked <code>{}</code> and was told <code>{}</code>{node}, between {} and {ended}.</b> ",
        blocked.process,
        Text(&words::clip(&words::call(&blocked.call), 80)),
        Text(&words::clip(&words::answer(&blocked.outcome), 80)),
        words::moment(blocked.invoked.time_ns),
    )?;
    if focus.placed > 0 {
        write!(
            out,
            "An order of {} on this key that explains their answers was found, and this one fits nowhere after it. ",
            words::things(focus.placed, "operation")
        )?;
        held(out, focus)?;
    }
    if let Some(writer) = focus.writer {
        write!(
            out,
            "What it saw was written by process {} at {}. ",
            writer.process,
            words::moment(writer.invoked.time_ns)
        )?;
    }
    out.push_str("</p>");
    Ok(())
}

fn held(out: &mut String, focus: &Focus<'_>) -> fmt::Result {
    let Some(last) = focus.last_write else {
        out.push_str("At its end nothing is stored. ");
        return Ok(());
    };
    let version = match last.outcome {
        Outcome::Written {
            version: Some(version),
        } => format!(" (v{version})"),
        _ => String::new(),
    };
    let stored = last.call.stored();
    match stored.or(last.call.removes().then_some("nothing")) {
        Some(what) => write!(
            out,
            "At its end the key holds <code>{}{version}</code>, written by process {}",
            Text(&words::clip(what, 80)),
            last.process
        )?,
        // Neither a value nor its absence: an addition, or several keys at once.
        None => write!(
            out,
            "Its last write is <code>{}</code> of process {}",
            Text(&words::clip(&words::call(&last.call), 80)),
            last.process
        )?,
    }
    if last.ended() < focus.blocked.invoked.index {
        let at = last
            .completed
            .map_or(String::new(), |point| words::moment(point.time_ns));
        write!(out, " and acknowledged at {at}, before this operation began")?;
    }
    out.push_str(". ");
    Ok(())
}

fn rest(out: &mut String, rest: &[&Violation]) -> fmt::Result {
    write!(
        out,
        "<details><summary>{} more</summary><ul>",
        words::count(rest.len())
    )?;
    for one in rest.iter().take(LISTED_MAX) {
        write!(
            out,
            "<li>{}: <code>{}</code>: {}",
            Text(one.checker),
            Text(&words::clip(&one.key, 200)),
            Text(&words::clip(&one.message, LETTERS_MAX))
        )?;
    }
    out.push_str("</ul>");
    if rest.len() > LISTED_MAX {
        write!(
            out,
            "<p class=more>and {} more</p>",
            words::count(rest.len() - LISTED_MAX)
        )?;
    }
    out.push_str("</details>");
    Ok(())
}
