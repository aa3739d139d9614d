//! What went wrong without an operation to show for it: lines of logs, recovery, demands that were not met. Each has a mark
//! on the axis of time, if it has a moment, and a sentence about what was broken then.

use std::fmt::{self, Write};

use atoll_history::Verdict;

use super::frame::Frame;
use super::html::Text;
use super::words;
use crate::record::{Fault, Phase, Record};

/// Marks on the axis; what is wrong more often is wrong all the time.
const MARKS_MAX: usize = 200;

/// Faults that a sentence names.
const NAMED_MAX: usize = 6;

/// A part of the run in which something was wrong.
struct Mark {
    span_ns: (u64, u64),
    title: String,
    /// Where on the page it is told.
    anchor: &'static str,
}

/// A row of marks, if there are any.
pub(super) fn row(out: &mut String, record: &Record, frame: &Frame) -> fmt::Result {
    let marks = marks(record);
    if marks.is_empty() {
        return Ok(());
    }
    out.push_str("<div class=row><div class=name>went wrong</div><div class=\"track plot\">");
    for mark in marks {
        let (begin, end) = (frame.x(mark.span_ns.0), frame.x(mark.span_ns.1));
        write!(
            out,
            "<a class=\"bar wrong\" href=\"#{}\" style=\"--a:{begin};--b:{end}\" title=\"{}: {}\"><span>✗</span></a>",
            mark.anchor,
            span(mark.span_ns),
            Text(&words::clip(&mark.title, 200)),
        )?;
    }
    out.push_str("</div></div>\n");
    Ok(())
}

fn marks(record: &Record) -> Vec<Mark> {
    let demands = record
        .gate
        .iter()
        .filter(|demand| !demand.met())
        .filter_map(|demand| {
            let span_ns = demand.span_ns?;
            let title = format!("{}: {}", demand.what, words::number(demand.was));
            Some(Mark {
                span_ns,
                title,
                anchor: "gate",
            })
        });
    let checks = record.checks.iter().filter_map(|check| {
        let Verdict::Violation(found) = &check.verdict else {
            return None;
        };
        let (first, phase) = (found.first()?, phase_of(record, &check.name)?);
        let span_ns = (phase.begin_ns, phase.end_ns);
        let title = format!("{}: {}", check.name, first.message);
        Some(Mark {
            span_ns,
            title,
            anchor: "violations",
        })
    });
    let logs = record.log_findings.iter().filter_map(|found| {
        let time_ns = found.time_ns?;
        let title = found.to_string();
        Some(Mark {
            span_ns: (time_ns, time_ns),
            title,
            anchor: "logs",
        })
    });
    demands.chain(checks).chain(logs).take(MARKS_MAX).collect()
}

/// The phase that a check is about: one of the same name.
pub(super) fn phase_of<'a>(record: &'a Record, check: &str) -> Option<&'a Phase> {
    record.phases.iter().find(|phase| phase.name == check)
}

/// `at 12.3 s`, or `between 12.3 s and 14.5 s`.
pub(super) fn span((begin_ns, end_ns): (u64, u64)) -> String {
    if begin_ns == end_ns {
        return format!("at {}", words::moment(begin_ns));
    }
    format!(
        "between {} and {}",
        words::moment(begin_ns),
        words::moment(end_ns)
    )
}

/// When it was, and which faults were in place then or had been the last.
pub(super) fn around(out: &mut String, record: &Record, (begin_ns, end_ns): (u64, u64)) -> fmt::Result {
    write!(out, "<p class=note>It was {}", span((begin_ns, end_ns)))?;
    let phase = |phase: &&Phase| phase.begin_ns <= begin_ns && begin_ns <= phase.end_ns;
    if let Some(phase) = record.phases.iter().rev().find(phase) {
        write!(out, " (phase: {})", Text(phase.name))?;
    }
    out.push_str(". ");
    let numbered = || record.faults.iter().zip(1..);
    let then: Vec<(&Fault, usize)> = numbered()
        .filter(|(fault, _)| fault.begin_ns <= end_ns && fault.end_ns >= begin_ns)
        .collect();
    if then.is_empty() {
        let earlier = numbered().filter(|(fault, _)| fault.end_ns < begin_ns);
        return match earlier.max_by_key(|(fault, _)| fault.end_ns) {
            Some((fault, number)) => {
                let ago = words::span(begin_ns - fault.end_ns);
                write!(out, "Nothing was broken then; the last fault, ")?;
                named(out, fault, number)?;
                write!(out, ", had been mended {ago} before.</p>")
            }
            None => write!(out, "Nothing had been broken by then.</p>"),
        };
    }
    out.push_str("In place then: ");
    for (place, (fault, number)) in then.iter().take(NAMED_MAX).enumerate() {
        out.push_str(if place > 0 { "; " } else { "" });
        named(out, fault, *number)?;
    }
    if then.len() > NAMED_MAX {
        write!(out, "; and {} more", words::count(then.len() - NAMED_MAX))?;
    }
    out.push_str(".</p>");
    Ok(())
}

fn named(out: &mut String, fault: &Fault, number: usize) -> fmt::Result {
    let what = words::clip(&fault.what, 200);
    write!(
        out,
        "<a href=\"#fault-{number}\">{number}</a> {} ({})",
        Text(&fault.name),
        Text(&what)
    )
}
