//! Operations as bars, processes as rows, and the order that was found as a line through them.

use std::fmt::{self, Write};

use super::focus::{Focus, Shown};
use super::layout::{Bar, LEFT, Layout, ROW, TOP};
use crate::report::html::Text;
use crate::report::words;

const BAR: f64 = 24.0;

/// Pixels between two moments that are written.
const MOMENT_DISTANCE: f64 = 92.0;

/// Pixels: what fits beside the margins of a page.
const WIDTH_MAX: f64 = 1_140.0;

/// Operations that are shown even if they do not fit.
const SHOWN_MIN: usize = 8;

/// Draws the operations of a focus.
pub(super) fn draw(out: &mut String, focus: &mut Focus<'_>) -> fmt::Result {
    let layout = fitting(focus);
    let focus = &*focus;
    let bottom = TOP + layout.rows.len() as f64 * ROW;
    let (width, height) = (layout.width, bottom + 26.0);
    out.push_str("<div class=scroll><div class=processes>");
    for (row, name) in layout.rows.iter().enumerate() {
        let y = TOP + row as f64 * ROW + ROW / 2.0 - 5.0;
        write!(out, "<span style=\"top:{y}px\">{name}</span>")?;
    }
    out.push_str("</div>");
    write!(
        out,
        "<svg class=operations width={width:.0} height={height:.0} viewBox=\"0 0 {width:.0} {height:.0}\" role=img aria-label=\"operations on the key, by process\"><defs><marker id=tip-red viewBox=\"0 0 8 8\" refX=7 refY=4 markerWidth=8 markerHeight=8 markerUnits=userSpaceOnUse orient=auto><path class=arrowhead d=\"M0 0L8 4L0 8z\"/></marker></defs>"
    )?;
    for row in 0..layout.rows.len() {
        let middle = TOP + row as f64 * ROW + ROW / 2.0 + 4.0;
        write!(out, "<path class=lane d=\"M{LEFT} {middle}H{width:.0}\"/>")?;
    }
    axis(out, &layout, bottom)?;
    order(out, focus, &layout)?;
    saw(out, focus, &layout)?;
    for (bar, shown) in layout.bars.iter().zip(&focus.shown) {
        operation(out, focus, bar, shown)?;
    }
    for (bar, shown) in layout.bars.iter().zip(&focus.shown) {
        place(out, bar, shown)?;
    }
    out.push_str("</svg></div>");
    legend(out, focus)
}

/// What matters least is left out until the drawing is no wider than a window.
fn fitting(focus: &mut Focus<'_>) -> Layout {
    loop {
        let layout = Layout::of(focus);
        if layout.width <= WIDTH_MAX || focus.shown.len() <= SHOWN_MIN {
            return layout;
        }
        focus.drop_least();
    }
}

fn y(bar: &Bar) -> f64 {
    TOP + bar.row as f64 * ROW + ROW / 2.0 - BAR / 2.0 + 4.0
}

fn axis(out: &mut String, layout: &Layout, bottom: f64) -> fmt::Result {
    let mut free = f64::MIN;
    for (x, time_ns) in &layout.moments {
        if *x >= free {
            let (seconds, part) = (time_ns / 1_000_000_000, time_ns / 100_000 % 10_000);
            write!(
                out,
                "<path class=tick d=\"M{x:.1} {TOP}V{bottom}\"/><text class=moment x={x:.1} y={}>{seconds}.{part:04} s</text>",
                bottom + 16.0
            )?;
            free = x + MOMENT_DISTANCE;
        }
    }
    for (x, silence_ns) in &layout.silences {
        write!(
            out,
            "<path class=silence d=\"M{x:.1} {TOP}V{bottom}\"/><text class=silence x={x:.1} y=14>{} later</text>",
            words::span(*silence_ns)
        )?;
    }
    Ok(())
}

/// The order that was found; dashed where it passes over operations that are not shown.
fn order(out: &mut String, focus: &Focus<'_>, layout: &Layout) -> fmt::Result {
    let mut points: Vec<(usize, f64, f64)> = layout
        .bars
        .iter()
        .zip(&focus.shown)
        .filter_map(|(bar, shown)| Some((shown.place?, bar.point?, y(bar))))
        .collect();
    points.sort_unstable_by_key(|(place, _, _)| *place);
    for ((place, x, y), (next, to_x, to_y)) in points.iter().zip(points.iter().skip(1)) {
        let class = if place + 1 == *next {
            "order"
        } else {
            "order dashed"
        };
        write!(
            out,
            "<path class=\"{class}\" d=\"M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}\"/>"
        )?;
    }
    Ok(())
}

fn operation(out: &mut String, focus: &Focus<'_>, bar: &Bar, shown: &Shown<'_>) -> fmt::Result {
    let operation = shown.operation;
    let blocked = operation.invoked == focus.blocked.invoked;
    let class = match shown.place {
        _ if blocked => "blocked",
        Some(_) => "placed",
        None => "unplaced",
    };
    let (x, top, width) = (bar.begin, y(bar), bar.end - bar.begin);
    let open = if bar.open { " open" } else { "" };
    let id = if blocked { " data-blocked" } else { "" };
    write!(
        out,
        "<g class=\"operation {class}{open}\"{id}><title>{}</title><rect x={x:.1} y={top:.1} width={width:.1} height={BAR} rx=5 /><text x={:.1} y={:.1}>{}</text>",
        Text(&title(shown)),
        x + 10.0,
        top + 16.5,
        Text(&bar.label)
    )?;
    if bar.open {
        let (end, middle) = (bar.end, top + BAR / 2.0);
        write!(
            out,
            "<path class=ongoing d=\"M{:.1} {:.1}l6 5l-6 5\"/>",
            end - 12.0,
            middle - 5.0
        )?;
    }
    if blocked {
        let wrong = if focus.placed > 0 {
            "fits nowhere"
        } else {
            "cannot be"
        };
        write!(
            out,
            "<text class=nowhere x={:.1} y={:.1}>✗ {wrong}</text>",
            x + 2.0,
            top - 6.0
        )?;
    }
    out.push_str("</g>");
    Ok(())
}

fn title(shown: &Shown<'_>) -> String {
    let operation = shown.operation;
    let ended = match operation.completed {
        Some(point) => format!("{:.4} s", point.time_ns as f64 / 1e9),
        None => "never".to_owned(),
    };
    let node = operation
        .origin
        .node
        .map_or(String::new(), |node| format!(", node {node}"));
    let place = shown
        .place
        .map_or(String::new(), |place| format!(", place {place} in the order"));
    format!(
        "process {}{node}: {}, from {:.4} s to {ended}{place}",
        operation.process,
        words::clip(&words::operation(operation), 200),
        operation.invoked.time_ns as f64 / 1e9,
    )
}

/// The place in the order, where the operation takes effect.
fn place(out: &mut String, bar: &Bar, shown: &Shown<'_>) -> fmt::Result {
    let (Some(place), Some(x)) = (shown.place, bar.point) else {
        return Ok(());
    };
    let text = place.to_string();
    let width = text.len() as f64 * 6.2 + 9.0;
    write!(
        out,
        "<g class=place><rect x={:.1} y={:.1} width={width:.1} height=15 rx=7.5 /><text x={x:.1} y={:.1}>{text}</text></g>",
        x - width / 2.0,
        y(bar) - 7.5,
        y(bar) + 4.0
    )
}

/// From the write to the operation that should not have seen it.
fn saw(out: &mut String, focus: &Focus<'_>, layout: &Layout) -> fmt::Result {
    let find = |wanted: &atoll_history::Operation| {
        let both = layout.bars.iter().zip(&focus.shown);
        both.into_iter()
            .find(|(_, shown)| shown.operation.invoked == wanted.invoked)
            .map(|(bar, _)| bar)
    };
    let (Some(from), Some(to)) = (focus.writer.and_then(find), find(focus.blocked)) else {
        return Ok(());
    };
    let down = if y(to) >= y(from) { BAR } else { 0.0 };
    let (x1, y1) = (from.begin + 18.0, y(from) + down);
    let (x2, y2) = (to.begin, y(to) + BAR / 2.0);
    let bend = ((x2 - x1).abs() / 2.0).clamp(20.0, 120.0);
    let away = if down > 0.0 { 26.0 } else { -26.0 };
    write!(
        out,
        "<path class=saw marker-end=\"url(#tip-red)\" d=\"M{x1:.1} {y1:.1}C{x1:.1} {:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}\"/>",
        y1 + away,
        x2 - bend
    )
}

fn legend(out: &mut String, focus: &Focus<'_>) -> fmt::Result {
    out.push_str("<p class=note>");
    if focus.placed > 0 {
        write!(
            out,
            "Numbers are places in the longest order found ({} of {} operations on this key), drawn where each operation may have taken effect; the line follows the order. ",
            words::count(focus.placed),
            words::count(focus.all)
        )?;
    }
    if focus.writer.is_some() {
        out.push_str("The dashed arrow leads from the write to the operation that saw it. ");
    }
    write!(
        out,
        "Shown are {} that matter most; bars are as wide as their words, only the order of their ends is to scale. A bar open to the right may take effect later.</p>",
        words::things(focus.shown.len(), "operation")
    )
}
