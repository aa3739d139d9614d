//! Everything that is drawn over time, one above the other on the same axis.

use std::fmt::{self, Write};

use super::bands::{Bands, FAULTS_DRAWN_MAX};
use super::html::Text;
use super::summary::Summary;
use super::{latency, leaders, lines, moments, words};

/// Draws the section.
pub(super) fn timeline(out: &mut String, summary: &Summary<'_>) -> fmt::Result {
    let bands = Bands::of(summary.record);
    out.push_str(
        "<section id=time><h2>Over time</h2><p class=hint data-script hidden>Drag across a chart to look closer, double-click to see everything again. <button type=button id=whole hidden>Show everything</button></p><div id=charts>",
    );
    phases(out, summary, &bands)?;
    latency::scatter(out, summary, &bands)?;
    lines::quantiles(out, summary, &bands)?;
    lines::by_ending(out, summary, &bands)?;
    lines::by_call(out, summary, &bands)?;
    leaders::timeline(out, &summary.record.leaders, &summary.frame)?;
    out.push_str("</div></section>\n");
    Ok(())
}

/// The parts of the run, and beneath them what was broken.
fn phases(out: &mut String, summary: &Summary<'_>, bands: &Bands<'_>) -> fmt::Result {
    out.push_str("<figure class=\"panel faults\"><figcaption><b>Phases and faults</b>");
    match summary.record.faults.len() {
        0 => out.push_str(" – nothing was broken on purpose"),
        more if more > FAULTS_DRAWN_MAX => {
            write!(out, " – the first {FAULTS_DRAWN_MAX} of {}", words::count(more))?;
        }

        _ => out.push_str(" – numbered as in the list below; the same colours shade the charts"),
    }
    out.push_str("</figcaption><div class=row><div class=name>phase</div><div class=\"track plot\">");
    for phase in &summary.record.phases {
        let (begin, end) = (summary.frame.x(phase.begin_ns), summary.frame.x(phase.end_ns));
        let name = Text(phase.name);
        write!(
            out,
            "<span class=\"bar phase\" style=\"--a:{begin};--b:{end}\" title=\"{name}: {} – {}\"><span>{name}</span></span>",
            words::moment(phase.begin_ns),
            words::moment(phase.end_ns)
        )?;
    }
    out.push_str("</div></div>");
    moments::row(out, summary.record, &summary.frame)?;
    bands.rows(out, &summary.frame)?;
    out.push_str("<div class=row><div class=name></div><div class=\"plot bare\">");
    latency::ticks(out, &summary.frame)?;
    out.push_str("</div></div></figure>\n");
    Ok(())
}
