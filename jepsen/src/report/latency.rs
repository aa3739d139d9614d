//! The scatter of latencies: every operation is a dot where it began, as high as it took long.
//!
//! Dots of one ending are one path: `M x y h0` has no length, so all that is seen of it is the cap of its line, whose width does
//! not stretch with the chart; bars are short upright lines, thin or thick, for the same reason. What a dot is about is in a list beside, for whoever points at it.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use atoll_history::Phase;
use serde_json::{Value, json};

use super::bands::Bands;
use super::frame::Frame;
use super::html::{self, Text};
use super::outcome::{Dot, Ending};
use super::sample::{POINTS_MAX, thin};
use super::summary::Summary;
use super::words;

const HEIGHT: u32 = 300;

/// A logarithmic axis over whole powers of ten, in pixels from above.
pub(super) struct LogAxis {
    low: i32,
    high: i32,
    height: u32,
}

impl LogAxis {
    /// One on which all these nanoseconds have their place.
    pub(super) fn of(values_ns: impl Iterator<Item = u64> + Clone, height: u32) -> Self {
        let least = values_ns.clone().min().unwrap_or(100_000).max(10_000);
        let most = values_ns.max().unwrap_or(1_000_000_000).max(least);
        let low = (least as f64).log10().floor() as i32;
        let high = (most as f64).log10().ceil() as i32;
        Self {
            low,
            high: high.max(low + 1),
            height,
        }
    }

    /// The height of a value.
    pub(super) fn y(&self, ns: u64) -> f64 {
        self.y_of(ns as f64)
    }

    /// See [`LogAxis::y`].
    pub(super) fn y_of(&self, ns: f64) -> f64 {
        let share = (ns.max(1.0).log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        f64::from(self.height) * (1.0 - share.clamp(0.0, 1.0))
    }

    /// A mark at each power of ten.
    pub(super) fn marks(&self) -> Vec<(f64, String)> {
        (self.low..=self.high)
            .map(|power| 10_u64.pow(power.unsigned_abs()))
            .map(|ns| (self.y(ns), words::span(ns)))
            .collect()
    }
}

/// Draws the scatter.
pub(super) fn scatter(out: &mut String, summary: &Summary<'_>, bands: &Bands<'_>) -> fmt::Result {
    let dots = thin(&summary.dots, &summary.frame, POINTS_MAX);
    let axis = LogAxis::of(summary.dots.iter().map(Dot::latency_ns), HEIGHT);
    out.push_str(
        "<figure class=panel id=latency><figcaption><b>Latency</b> of every operation, drawn where it began",
    );
    if dots.len() < summary.dots.len() {
        let (drawn, all) = (words::count(dots.len()), words::count(summary.dots.len()));
        write!(
            out,
            " <em class=thinned>thinned: {drawn} of {all} operations are drawn; answered ones were left out first, never the slowest</em>"
        )?;
    }
    legend(out, summary)?;
    out.push_str("</figcaption>");
    open_chart(out, &summary.frame, HEIGHT, &axis.marks())?;
    bands.behind(out, &summary.frame, HEIGHT)?;
    for ending in Ending::ALL {
        paths(out, &dots, ending, &summary.frame, &axis)?;
    }
    close_chart(out, &summary.frame)?;
    out.push_str("</figure>\n");
    data(out, summary, &dots, &axis)
}

fn legend(out: &mut String, summary: &Summary<'_>) -> fmt::Result {
    out.push_str("<span class=legend>");
    for ending in Ending::ALL {
        let (name, about) = (ending.name(), ending.about());
        let count = words::count(summary.total.count(ending));
        write!(
            out,
            "<span title=\"{about}\"><svg class=key viewBox=\"0 0 14 14\" width=14 height=14>"
        )?;
        for (layer, d) in shape(ending, 7.0, 7.0).into_iter().enumerate() {
            write!(out, "<path class=\"dot {name} l{layer}\" d=\"{d}\"/>")?;
        }
        write!(out, "</svg>{name} <small>{count}</small></span>")?;
    }
    out.push_str("</span>");
    Ok(())
}

/// The shapes that make a dot: a disc, a dash, a square, or a cross of two bars.
fn shape(ending: Ending, x: f64, y: f64) -> Vec<String> {
    match ending {
        Ending::Ok | Ending::Fail => vec![format!("M{x} {y:.1}h0")],
        Ending::Conflict => vec![format!("M{x} {:.1}v2", y - 1.0)],
        Ending::Unknown => vec![format!("M{x} {:.1}v8", y - 4.0), format!("M{x} {:.1}v2", y - 1.0)],
    }
}

fn paths(out: &mut String, dots: &[Dot], ending: Ending, frame: &Frame, axis: &LogAxis) -> fmt::Result {
    let mut layers: Vec<String> = Vec::new();
    for dot in dots.iter().filter(|dot| dot.ending == ending) {
        let shapes = shape(ending, frame.x(dot.at_ns) as f64, axis.y(dot.latency_ns()));
        layers.resize(shapes.len(), String::new());
        for (layer, one) in layers.iter_mut().zip(shapes) {
            layer.push_str(&one);
        }
    }
    for (number, d) in layers.iter().enumerate() {
        write!(out, "<path class=\"dot {} l{number}\" d=\"{d}\"/>", ending.name())?;
    }
    Ok(())
}

/// What each dot is about: x, y, latency, ending, process, node, key, words, error.
fn data(out: &mut String, summary: &Summary<'_>, dots: &[Dot], axis: &LogAxis) -> fmt::Result {
    let errors = errors(summary);
    let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
    let mut texts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rows = Vec::with_capacity(dots.len());
    for dot in dots {
        let Some(operation) = summary.record.history.operations().get(dot.position) else {
            continue;
        };
        let next = keys.len();
        let key = *keys.entry(&operation.key).or_insert(next);
        let error = errors.get(&dot.position).map(|text| {
            let next = texts.len();
            *texts.entry(text).or_insert(next)
        });
        rows.push(json!([
            summary.frame.x(dot.at_ns),
            axis.y(dot.latency_ns()).round(),
            words::span(dot.latency_ns()),
            dot.ending as u8,
            operation.process,
            operation.origin.node,
            key,
            words::clip(&words::operation(operation), 80),
            error,
        ]));
    }
    let json = json!({
        "length_ns": summary.frame.length_ns(),
        "endings": Ending::ALL.map(Ending::name),
        "keys": in_order(&keys),
        "errors": in_order(&texts),
        "dots": rows,
    });
    let json = html::json_in_script(&json.to_string());
    writeln!(out, "<script type=\"application/json\" id=dots>{json}</script>")
}

fn in_order(numbers: &BTreeMap<&str, usize>) -> Vec<Value> {
    let mut texts: Vec<(usize, &str)> = numbers.iter().map(|(text, number)| (*number, *text)).collect();
    texts.sort_unstable();
    texts
        .into_iter()
        .map(|(_, text)| words::clip(text, 160).into())
        .collect()
}

/// The error of each operation that has one, by its position.
fn errors<'a>(summary: &Summary<'a>) -> BTreeMap<usize, &'a str> {
    let mut open: BTreeMap<u32, usize> = BTreeMap::new();
    let mut errors = BTreeMap::new();
    let mut invoked = 0;
    for event in summary.record.history.events() {
        if event.phase == Phase::Invoke {
            open.insert(event.process, invoked);
            invoked += 1;
        } else if let (Some(position), Some(error)) = (open.remove(&event.process), &event.error) {
            errors.insert(position, error.as_str());
        }
    }
    errors
}

/// Opens a chart: marks of the vertical axis, then a drawing that is stretched to the width.
pub(super) fn open_chart(
    out: &mut String,
    frame: &Frame,
    height: u32,
    marks: &[(f64, String)],
) -> fmt::Result {
    write!(
        out,
        "<div class=row style=\"--height:{height}px\"><div class=marks>"
    )?;
    for (y, text) in marks {
        write!(out, "<span style=\"top:{y:.1}px\">{}</span>", Text(text))?;
    }
    write!(
        out,
        "</div><div class=plot><svg class=chart viewBox=\"0 0 {} {height}\" preserveAspectRatio=none aria-hidden=true>",
        super::frame::UNITS
    )?;
    for (y, _) in marks {
        write!(out, "<path class=grid d=\"M0 {y:.1}H{}\"/>", super::frame::UNITS)?;
    }
    for (x, _) in frame.ticks() {
        write!(out, "<path class=grid d=\"M{x} 0V{height}\"/>")?;
    }
    Ok(())
}

/// Closes a chart, and writes the moments beneath.
pub(super) fn close_chart(out: &mut String, frame: &Frame) -> fmt::Result {
    out.push_str("</svg>");
    ticks(out, frame)?;
    out.push_str("</div></div>\n");
    Ok(())
}

/// The moments beneath a chart.
pub(super) fn ticks(out: &mut String, frame: &Frame) -> fmt::Result {
    out.push_str("<div class=ticks>");
    for (x, seconds) in frame.ticks() {
        write!(out, "<span style=\"--a:{x}\">{seconds} s</span>")?;
    }
    out.push_str("</div>");
    Ok(())
}
