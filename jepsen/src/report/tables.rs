//! The parts of a page that are lists.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use atoll_history::Verdict;

use super::bands::Bands;
use super::html::Text;
use super::outcome::Ending;
use super::summary::Summary;
use super::{moments, words};
use crate::record::{Bound, Check, Demand, Record};

/// Rows of a table; the page says how many more there are.
const ROWS_MAX: usize = 1_500;

/// Letters of a text in a table.
const LETTERS_MAX: usize = 400;

/// Lines about one demand.
const DETAILS_MAX: usize = 20;

/// Keys named for a checker that could not decide.
const KEYS_MAX: usize = 5;

/// The numbers at the top.
pub(super) fn tiles(out: &mut String, summary: &Summary<'_>) -> fmt::Result {
    let total = &summary.total;
    out.push_str("<section class=tiles>");
    tile(out, &words::count(total.all()), "operations", "")?;
    for ending in Ending::ALL {
        let count = words::count(total.count(ending));
        tile(out, &count, ending.name(), ending.about())?;
    }
    for percent in [50, 99] {
        let value = total.quantile_ns(percent).map_or("–".to_owned(), words::span);
        tile(
            out,
            &value,
            &format!("p{percent} latency"),
            "of operations that were answered",
        )?;
    }
    let faults = words::count(summary.record.faults.len());
    let about = format!("of {}", words::things(summary.faults.len(), "kind"));
    tile(out, &faults, "faults", &about)?;
    out.push_str("</section>\n");
    Ok(())
}

fn tile(out: &mut String, value: &str, name: &str, about: &str) -> fmt::Result {
    write!(
        out,
        "<div class=tile title=\"{}\"><b>{value}</b><span>{name}</span></div>",
        Text(about)
    )
}

/// The checkers and what they said.
pub(super) fn checks(out: &mut String, checks: &[Check]) -> fmt::Result {
    out.push_str("<section class=card id=checks><h2>Checks</h2>");
    if checks.is_empty() {
        out.push_str("<p>No checker looked at this run.</p></section>");
        return Ok(());
    }
    out.push_str("<table class=stack><thead><tr><th>checker<th>is about<th>verdict</thead><tbody>");
    for check in checks {
        let (class, verdict) = verdict(&check.verdict);
        write!(
            out,
            "<tr><td><b>{}</b><td>{}<td class={class}>{}",
            Text(&check.name),
            Text(check.about),
            Text(&verdict)
        )?;
    }
    out.push_str("</tbody></table></section>\n");
    Ok(())
}

fn verdict(verdict: &Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Ok { judged: 0 } => ("none", "nothing to judge".to_owned()),
        Verdict::Ok { judged } => ("met", format!("✓ {} judged", words::count(*judged))),
        Verdict::Violation(found) => ("unmet", format!("✗ {}", words::things(found.len(), "violation"))),
        Verdict::Unknown(open) => {
            let keys = open.iter().take(KEYS_MAX).map(|one| {
                let (key, reason) = (words::clip(&one.key, 40), words::clip(&one.reason, 200));
                format!("{key}: {reason}")
            });
            let text = keys.collect::<Vec<_>>().join("; ");
            let rest = if open.len() > KEYS_MAX { "; …" } else { "" };
            let count = words::things(open.len(), "key");
            ("open", format!("? undecided for {count} ({text}{rest})"))
        }
    }
}

/// Whether the run was a test.
pub(super) fn gate(out: &mut String, record: &Record) -> fmt::Result {
    out.push_str("<section class=card id=gate><h2>Was it a test?</h2>");
    if record.gate.is_empty() {
        out.push_str("<p>Nothing was demanded of this run.</p></section>");
        return Ok(());
    }
    out.push_str(
        "<table><thead><tr><th>demand<th class=number>wanted<th class=number>was<th></thead><tbody>",
    );
    for demand in &record.gate {
        let bound = match demand.bound {
            Bound::AtLeast => "≥",
            Bound::AtMost => "≤",
        };
        let (class, sign) = if demand.met() {
            ("met", "✓")
        } else {
            ("unmet", "✗ not met")
        };
        write!(
            out,
            "<tr><td>{}<td class=number>{bound} {}<td class=number>{}<td class={class}>{sign}",
            Text(&demand.what),
            words::number(demand.wanted),
            words::number(demand.was)
        )?;
    }
    out.push_str("</tbody></table>");
    for demand in record.gate.iter().filter(|demand| !demand.met()) {
        unmet(out, record, demand)?;
    }
    out.push_str("</section>\n");
    Ok(())
}

/// What is known of a demand that was not met.
fn unmet(out: &mut String, record: &Record, demand: &Demand) -> fmt::Result {
    if demand.span_ns.is_none() && demand.details.is_empty() {
        return Ok(());
    }
    write!(out, "<h3>Not met: {}</h3>", Text(&demand.what))?;
    if let Some(span_ns) = demand.span_ns {
        moments::around(out, record, span_ns)?;
    }
    if demand.details.is_empty() {
        return Ok(());
    }
    out.push_str("<ul>");
    for detail in demand.details.iter().take(DETAILS_MAX) {
        write!(out, "<li>{}", Text(&words::clip(detail, LETTERS_MAX)))?;
    }
    out.push_str("</ul>");
    if demand.details.len() > DETAILS_MAX {
        let rest = words::count(demand.details.len() - DETAILS_MAX);
        write!(out, "<p class=more>and {rest} more</p>")?;
    }
    Ok(())
}

/// Operations by kind of call, and errors.
pub(super) fn operations(out: &mut String, summary: &Summary<'_>) -> fmt::Result {
    out.push_str(
        "<section class=card id=operations><h2>Operations</h2><div class=wide><table><thead><tr><th>call",
    );
    for ending in Ending::ALL {
        write!(
            out,
            "<th class=number title=\"{}\">{}",
            ending.about(),
            ending.name()
        )?;
    }
    out.push_str(
        "<th class=number>p50<th class=number>p95<th class=number>p99<th class=number>max</thead><tbody>",
    );
    let all = ("all".to_owned(), &summary.total);
    let calls = summary.calls.iter().map(|(kind, tally)| (kind.clone(), tally));
    for (kind, tally) in calls.chain([all]) {
        write!(out, "<tr><td>{}", Text(&kind))?;
        for ending in Ending::ALL {
            write!(out, "<td class=number>{}", words::count(tally.count(ending)))?;
        }
        let quantiles = [50, 95, 99].map(|percent| tally.quantile_ns(percent));
        for value in quantiles.into_iter().chain([tally.max_ns()]) {
            write!(
                out,
                "<td class=number>{}",
                value.map_or("–".to_owned(), words::span)
            )?;
        }
    }
    out.push_str("</tbody></table></div>");
    errors(out, summary)?;
    out.push_str("</section>\n");
    Ok(())
}

fn errors(out: &mut String, summary: &Summary<'_>) -> fmt::Result {
    if summary.errors.is_empty() {
        return Ok(());
    }
    let mut errors: Vec<_> = summary.errors.iter().collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    out.push_str("<details open><summary>Errors that clients were told</summary><table><thead><tr><th class=number>times<th>ending<th>error</thead><tbody>");
    for ((ending, text), count) in errors.iter().take(12) {
        let count = words::count(**count);
        write!(
            out,
            "<tr><td class=number>{count}<td>{}<td class=text>{}",
            ending.name(),
            Text(text)
        )?;
    }
    out.push_str("</tbody></table>");
    if errors.len() > 12 {
        write!(
            out,
            "<p class=more>and {} other texts, see history.jsonl</p>",
            errors.len() - 12
        )?;
    }
    out.push_str("</details>");
    Ok(())
}

/// All faults, with their numbers.
pub(super) fn faults(out: &mut String, summary: &Summary<'_>) -> fmt::Result {
    let record = summary.record;
    write!(
        out,
        "<section class=card id=faults><h2>Faults <small>{}</small></h2>",
        words::count(record.faults.len())
    )?;
    let bands = Bands::of(record);
    out.push_str("<ul class=counts>");
    for (name, tally) in &summary.faults {
        let (colour, count, total) = (bands.colour(name), tally.count, words::span(tally.total_ns));
        write!(
            out,
            "<li><i class=\"swatch f{colour}\"></i>{} <b>{count}×</b> <small>{total}</small>",
            Text(name)
        )?;
    }
    out.push_str("</ul>");
    if !record.faults.is_empty() {
        out.push_str("<details open><summary>Every fault</summary><table class=stack><thead><tr><th class=number>#<th>fault<th>what<th>nodes<th class=number>from<th class=number>for</thead><tbody>");
        for (number, fault) in record.faults.iter().enumerate().take(ROWS_MAX) {
            let nodes: Vec<String> = fault.nodes.iter().map(u16::to_string).collect();
            write!(
                out,
                "<tr id=\"fault-{0}\"><td class=number>{0}<td><i class=\"swatch f{1}\"></i>{2}<td>{3}<td>{4}<td class=number>{5}<td class=number>{6}",
                number + 1,
                bands.colour(&fault.name),
                Text(&fault.name),
                Text(&words::clip(&fault.what, LETTERS_MAX)),
                nodes.join(", "),
                words::moment(fault.begin_ns),
                words::span(fault.end_ns.saturating_sub(fault.begin_ns)),
            )?;
        }
        out.push_str("</tbody></table>");
        more(out, record.faults.len())?;
        out.push_str("</details>");
    }
    out.push_str("</section>\n");
    Ok(())
}

/// Nodes that need not have recovered and had not.
pub(super) fn spared(out: &mut String, record: &Record) -> fmt::Result {
    if record.spared.is_empty() {
        return Ok(());
    }
    out.push_str(
        "<section class=card id=spared><h2>Not judged: nodes whose disks were damaged for good</h2><ul>",
    );
    for line in record.spared.iter().take(ROWS_MAX) {
        write!(out, "<li>{}", Text(&words::clip(line, LETTERS_MAX)))?;
    }
    out.push_str("</ul></section>\n");
    Ok(())
}

/// What was asked for and could not be injected.
pub(super) fn not_injected(out: &mut String, record: &Record) -> fmt::Result {
    out.push_str("<section class=card id=missing><h2>What was not injected</h2>");
    if record.not_injected.is_empty() {
        out.push_str("<p>Everything that was asked for could be injected.</p></section>");
        return Ok(());
    }
    // The same reason often holds for many: it is written once.
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &record.not_injected {
        *counts.entry(line).or_default() += 1;
    }
    out.push_str("<ul>");
    for (line, count) in counts.iter().take(ROWS_MAX) {
        write!(out, "<li>{}", Text(&words::clip(line, LETTERS_MAX)))?;
        if *count > 1 {
            write!(out, " <small>{count}×</small>")?;
        }
    }
    out.push_str("</ul>");
    more(out, counts.len())?;
    out.push_str("</section>\n");
    Ok(())
}

fn more(out: &mut String, all: usize) -> fmt::Result {
    if all > ROWS_MAX {
        write!(out, "<p class=more>and {} more</p>", words::count(all - ROWS_MAX))?;
    }
    Ok(())
}
