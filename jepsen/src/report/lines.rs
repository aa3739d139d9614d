//! Lines over time: operations per second, and quantiles of latency.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::bands::Bands;
use super::html::Text;
use super::latency::{LogAxis, close_chart, open_chart};
use super::outcome::Ending;
use super::summary::{Summary, quantile};
use super::words;

const HEIGHT: u32 = 150;

/// Colours that the style knows for lines of calls.
const COLOURS: usize = 10;

/// Fewer answers in a bucket make no quantile.
const ANSWERS_MIN: usize = 5;

/// The quantiles drawn, in percent.
const PERCENTS: [u32; 3] = [50, 95, 99];

/// A named line: a value per bucket, or a gap.
struct Line {
    name: String,
    class: String,
    values: Vec<Option<f64>>,
}

/// Operations per second by ending.
pub(super) fn by_ending(out: &mut String, summary: &Summary<'_>, bands: &Bands<'_>) -> fmt::Result {
    let buckets = summary.frame.buckets();
    let mut counts: BTreeMap<Ending, Vec<u64>> = BTreeMap::new();
    for dot in &summary.dots {
        let line = counts.entry(dot.ending).or_insert_with(|| vec![0; buckets]);
        count(line, summary.frame.bucket(dot.end_ns));
    }
    let lines: Vec<Line> = counts
        .into_iter()
        .map(|(ending, counts)| line(summary, ending.name(), ending.name().to_owned(), &counts))
        .collect();
    rates(
        out,
        summary,
        bands,
        ("Throughput", "operations that ended, per second"),
        &lines,
    )
}

/// Answers per second by kind of call.
pub(super) fn by_call(out: &mut String, summary: &Summary<'_>, bands: &Bands<'_>) -> fmt::Result {
    let buckets = summary.frame.buckets();
    let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let operations = summary.record.history.operations();
    for (dot, operation) in summary.dots.iter().zip(operations) {
        if dot.ending.is_answer() {
            let line = counts
                .entry(words::kind(&operation.call))
                .or_insert_with(|| vec![0; buckets]);
            count(line, summary.frame.bucket(dot.end_ns));
        }
    }
    let lines: Vec<Line> = counts
        .into_iter()
        .enumerate()
        .map(|(number, (name, counts))| line(summary, &name, format!("c{}", number % COLOURS), &counts))
        .collect();
    rates(out, summary, bands, ("Answers by call", "per second"), &lines)
}

fn count(line: &mut [u64], bucket: usize) {
    if let Some(count) = line.get_mut(bucket) {
        *count += 1;
    }
}

fn line(summary: &Summary<'_>, name: &str, class: String, counts: &[u64]) -> Line {
    let per_second = 1e9 / summary.frame.bucket_ns() as f64;
    Line {
        name: name.to_owned(),
        class,
        values: counts
            .iter()
            .map(|count| Some(*count as f64 * per_second))
            .collect(),
    }
}

fn rates(
    out: &mut String,
    summary: &Summary<'_>,
    bands: &Bands<'_>,
    (title, about): (&str, &str),
    lines: &[Line],
) -> fmt::Result {
    let most = lines
        .iter()
        .flat_map(|line| &line.values)
        .flatten()
        .fold(0.0, |a: f64, b| a.max(*b));
    let (top, step) = round_axis(most);
    let y = |value: f64| f64::from(HEIGHT) * (1.0 - value / top);
    let marks: Vec<(f64, String)> = (0..=12_u32)
        .map(|number| f64::from(number) * step)
        .take_while(|value| *value < top + step / 2.0)
        .map(|value| (y(value), words::axis(value)))
        .collect();
    caption(out, title, about, lines)?;
    chart(out, summary, bands, &marks, lines, &y)
}

/// The end of an axis that holds `most`, and the distance of its marks: a few, and round.
fn round_axis(most: f64) -> (f64, f64) {
    let rough = most.max(1.0) / 3.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(power * 10.0);
    ((most.max(1.0) / step).ceil() * step, step)
}

/// Quantiles of latency of answers.
pub(super) fn quantiles(out: &mut String, summary: &Summary<'_>, bands: &Bands<'_>) -> fmt::Result {
    let mut buckets: Vec<Vec<u64>> = vec![Vec::new(); summary.frame.buckets()];
    for dot in summary.dots.iter().filter(|dot| dot.ending.is_answer()) {
        if let Some(bucket) = buckets.get_mut(summary.frame.bucket(dot.end_ns)) {
            bucket.push(dot.latency_ns());
        }
    }
    for bucket in &mut buckets {
        bucket.sort_unstable();
    }
    let at = |percent: u32| {
        let enough = buckets.iter().map(move |bucket| {
            let enough = bucket.len() >= ANSWERS_MIN;
            quantile(bucket, percent).filter(|_| enough)
        });
        enough.collect::<Vec<Option<u64>>>()
    };
    let values: Vec<Vec<Option<u64>>> = PERCENTS.into_iter().map(at).collect();
    let axis = LogAxis::of(values.iter().flatten().flatten().copied(), HEIGHT);
    let line = |(percent, values): (u32, &Vec<Option<u64>>)| Line {
        name: format!("p{percent}"),
        class: format!("p{percent}"),
        values: values.iter().map(|value| value.map(|ns| ns as f64)).collect(),
    };
    let lines: Vec<Line> = PERCENTS.into_iter().zip(&values).map(line).collect();
    let width = words::span(summary.frame.bucket_ns());
    let about = format!("of answers, each over {width}");
    caption(out, "Latency quantiles", &about, &lines)?;
    chart(out, summary, bands, &axis.marks(), &lines, &|ns| axis.y_of(ns))
}

fn caption(out: &mut String, title: &str, about: &str, lines: &[Line]) -> fmt::Result {
    write!(
        out,
        "<figure class=panel><figcaption><b>{title}</b> {about}<span class=legend>"
    )?;
    for line in lines {
        let (class, name) = (&line.class, Text(&line.name));
        write!(
            out,
            "<span><svg class=key width=18 height=10 viewBox=\"0 0 18 10\"><path class=\"line {class}\" d=\"M0 5H18\"/></svg>{name}</span>"
        )?;
    }
    out.push_str("</span></figcaption>");
    Ok(())
}

fn chart(
    out: &mut String,
    summary: &Summary<'_>,
    bands: &Bands<'_>,
    marks: &[(f64, String)],
    lines: &[Line],
    y: &dyn Fn(f64) -> f64,
) -> fmt::Result {
    open_chart(out, &summary.frame, HEIGHT, marks)?;
    bands.behind(out, &summary.frame, HEIGHT)?;
    for line in lines {
        write!(out, "<path class=\"line {}\" d=\"", line.class)?;
        path(out, summary, &line.values, y)?;
        out.push_str("\"/>");
    }
    close_chart(out, &summary.frame)?;
    out.push_str("</figure>\n");
    Ok(())
}

/// From the middle of bucket to the middle of bucket, with gaps where nothing is known.
fn path(
    out: &mut String,
    summary: &Summary<'_>,
    values: &[Option<f64>],
    y: &dyn Fn(f64) -> f64,
) -> fmt::Result {
    let width = summary.frame.bucket_ns();
    let mut drawing = false;
    for (bucket, value) in values.iter().enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let x = summary.frame.x(bucket as u64 * width + width / 2);
        let command = if drawing { 'L' } else { 'M' };
        // A lone value is a point: a line of no length that still shows its cap.
        let dot = if drawing { "" } else { "h0" };
        write!(out, "{command}{x} {:.1}{dot}", y(*value))?;
        drawing = true;
    }
    Ok(())
}
