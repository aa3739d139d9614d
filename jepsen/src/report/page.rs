//! The whole page, from top to bottom.

use std::fmt::{self, Write};

use super::html::Text;
use super::summary::Summary;
use super::{logs, results, tables, timeline, violation, words};
use crate::record::{Conclusion, Record};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The text of report.html.
pub(super) fn page(record: &Record) -> Result<String, fmt::Error> {
    let summary = Summary::of(record);
    let mut out = String::new();
    head(&mut out, &summary)?;
    out.push_str("<div class=pair>");
    tables::checks(&mut out, &record.checks)?;
    tables::gate(&mut out, record)?;
    out.push_str("</div>");
    logs::findings(&mut out, record)?;
    violation::violations(&mut out, record)?;
    timeline::timeline(&mut out, &summary)?;
    tables::operations(&mut out, &summary)?;
    tables::faults(&mut out, &summary)?;
    tables::spared(&mut out, record)?;
    tables::not_injected(&mut out, record)?;
    files(&mut out, record)?;
    writeln!(
        out,
        "</main><div id=tip hidden></div><script>{SCRIPT}</script></body></html>"
    )?;
    Ok(out)
}

fn head(out: &mut String, summary: &Summary<'_>) -> fmt::Result {
    let record = summary.record;
    let word = results::conclusion(record.conclusion());
    let (sign, title) = match record.conclusion() {
        Conclusion::Pass => ("✓", "Pass"),
        Conclusion::Violation => ("✗", "Violation"),
        Conclusion::Unknown => ("?", "Unknown"),
    };
    let workloads = record.workloads.join(", ");
    write!(
        out,
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\"><meta name=color-scheme content=\"light dark\"><title>{title}: {} · seed {}</title><style>{STYLE}</style></head><body class={word}><main>",
        Text(&workloads),
        record.seed
    )?;
    writeln!(
        out,
        "<header><div class=verdict><span class=sign aria-hidden=true>{sign}</span><div><p class=eyebrow>Atoll partition test</p><h1>{title}</h1><p class=sentence>{}</p></div></div>",
        Text(&summary.sentence())
    )?;
    facts(out, summary)?;
    write!(
        out,
        "<div class=command><span>Repeat with</span><code id=command>{}</code><button type=button id=copy hidden>Copy</button></div></header>",
        Text(&record.command)
    )?;
    tables::tiles(out, summary)
}

fn facts(out: &mut String, summary: &Summary<'_>) -> fmt::Result {
    let record = summary.record;
    let nemeses = match record.nemeses.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    let facts = [
        ("seed", record.seed.to_string()),
        ("workloads", record.workloads.join(", ")),
        ("nemeses", nemeses),
        ("cluster", {
            let (nodes, groups) = (usize::from(record.nodes), record.groups as usize);
            format!(
                "{}, {}",
                words::things(nodes, "node"),
                words::things(groups, "data group")
            )
        }),
        ("program", record.program.clone()),
        ("began", words::utc(record.began_unix_ms)),
        ("length", words::span(summary.frame.length_ns())),
    ];
    out.push_str("<dl class=facts>");
    for (name, value) in facts {
        write!(out, "<div><dt>{name}<dd>{}</div>", Text(&value))?;
    }
    out.push_str("</dl>");
    Ok(())
}

/// What else is in the folder, and how to read the page.
fn files(out: &mut String, record: &Record) -> fmt::Result {
    out.push_str(
        "<section class=card id=files><h2>Beside this page</h2><ul class=files>\
        <li><a href=\"history.jsonl\">history.jsonl</a> every operation, complete\
        <li><a href=\"history.edn\">history.edn</a> the same, as Jepsen writes it\
        <li><a href=\"results.json\">results.json</a> verdict and numbers, for programs\
        <li><a href=\"faults.json\">faults.json</a> the faults\
        <li>logs of nodes: ",
    );
    for node in 1..=record.nodes {
        write!(out, "<a href=\"node-{node}.log\">{node}</a> ")?;
    }
    out.push_str(
        "</ul><p class=note>Times are seconds since the run began. An operation that failed certainly did not happen; one of unknown outcome may take effect at \
        any time after it was asked for, or never, and no checker counts it as lost. The same seed gives the same faults in the same order, but real processes \
        answer in their own time, so the history differs from run to run.</p></section>\n",
    );
    Ok(())
}
