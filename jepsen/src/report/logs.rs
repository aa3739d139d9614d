//! Lines of nodes' logs: those that must not be there, with what is around them, and last words.

use std::fmt::{self, Write};

use super::html::Text;
use super::{moments, words};
use crate::record::{LogFinding, Record};

/// Findings that are shown with what is around them; of others there is only the line.
const WHOLE_MAX: usize = 20;

/// Findings that are listed.
const LISTED_MAX: usize = 400;

/// Letters of a line.
const LETTERS_MAX: usize = 400;

/// What must not be in the logs of nodes.
pub(super) fn findings(out: &mut String, record: &Record) -> fmt::Result {
    let found = &record.log_findings;
    if found.is_empty() {
        return Ok(());
    }
    let count = words::things(found.len(), "line");
    write!(
        out,
        "<section class=\"card bad\" id=logs><h2>Logs of nodes hold {count} that must not be there</h2><ul class=log>"
    )?;
    for (one, place) in found.iter().zip(0..LISTED_MAX) {
        write!(out, "<li>{}", Text(&words::clip(&one.to_string(), LETTERS_MAX)))?;
        if place < WHOLE_MAX {
            whole(out, record, one)?;
        }
    }
    out.push_str("</ul>");
    if found.len() > LISTED_MAX {
        write!(
            out,
            "<p class=more>and {} more</p>",
            words::count(found.len() - LISTED_MAX)
        )?;
    }
    out.push_str("</section>\n");
    Ok(())
}

fn whole(out: &mut String, record: &Record, found: &LogFinding) -> fmt::Result {
    match found.time_ns {
        Some(time_ns) => moments::around(out, record, (time_ns, time_ns))?,
        None => out.push_str("<p class=note>Nothing in the log tells when.</p>"),
    }
    if found.before.is_empty() && found.after.is_empty() {
        return Ok(());
    }
    let node = found.node;
    write!(
        out,
        "<details><summary>Around it in <a href=\"node-{node}.log\">node-{node}.log</a></summary>"
    )?;
    let own = std::iter::once((&found.line, true));
    let other = |line| (line, false);
    lines(
        out,
        found
            .before
            .iter()
            .map(other)
            .chain(own)
            .chain(found.after.iter().map(other)),
    )?;
    out.push_str("</details>");
    Ok(())
}

/// What each node said last, when the cluster did not recover.
pub(super) fn last_words(out: &mut String, record: &Record) -> fmt::Result {
    for (node, last) in &record.last_words {
        write!(
            out,
            "<details><summary>The last that <a href=\"node-{node}.log\">node {node}</a> said by then</summary>"
        )?;
        lines(out, last.iter().map(|line| (line, false)))?;
        out.push_str("</details>");
    }
    Ok(())
}

/// Lines as they stand in a log; those that matter are marked.
fn lines<'a>(out: &mut String, lines: impl Iterator<Item = (&'a String, bool)>) -> fmt::Result {
    out.push_str("<pre class=lines>");
    for (line, matters) in lines {
        let text = words::clip(line, LETTERS_MAX);
        if matters {
            writeln!(out, "<b>{}</b>", Text(&text))?;
        } else {
            writeln!(out, "{}", Text(&text))?;
        }
    }
    out.push_str("</pre>");
    Ok(())
}
