//! Lines over time as a small SVG, written by hand: no script, no style sheet, readable in any viewer.

use std::fmt::{Arguments, Write};
use std::path::Path;

use crate::{Result, bytes_text};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
/// Room for what stands beside the lines.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Points of a line, at most: about one per pixel.
const POINTS_MAX: usize = 700;
/// Ticks of an axis, about.
const TICKS: f64 = 6.0;
/// Colours that people who see few still tell apart (Okabe and Ito).
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"];

/// One line.
pub(super) struct Series {
    pub(super) name: String,
    /// Seconds and bytes, by time.
    pub(super) points: Vec<(f64, f64)>,
}

/// Bytes over time.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) series: Vec<Series>,
    /// Bytes at which a broken line is drawn, if the chart reaches so far.
    pub(super) limit: f64,
}

/// Draws into a file.
#[expect(clippy::disallowed_methods, reason = "a report for people, written once")]
pub(super) fn write(path: &Path, chart: &Chart) -> Result<()> {
    let text = chart.draw();
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// From seconds and bytes to places in the picture.
struct Scale {
    seconds: f64,
    bytes: f64,
}

impl Scale {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + seconds / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, bytes: f64) -> f64 {
        HEIGHT - BOTTOM - bytes / self.bytes * (HEIGHT - TOP - BOTTOM)
    }
}

impl Chart {
    fn draw(&self) -> String {
        let scale = self.scale();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        text(&mut svg, (WIDTH / 2.0, 22.0), "middle", &self.title);
        draw_axes(&mut svg, &scale);
        if self.limit > 0.0 && self.limit <= scale.bytes {
            let y = scale.y(self.limit);
            line(
                &mut svg,
                (LEFT, y),
                (WIDTH - RIGHT, y),
                "stroke=\"#000000\" stroke-dasharray=\"6 4\"",
            );
            text(&mut svg, (WIDTH - RIGHT - 4.0, y - 5.0), "end", "budget");
        }
        for (number, (series, colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            series.draw(&mut svg, &scale, colour);
            let (x, y) = (WIDTH - RIGHT + 10.0, TOP + 18.0 * number as f64);
            line(
                &mut svg,
                (x, y),
                (x + 24.0, y),
                &format!("stroke=\"{colour}\" stroke-width=\"3\""),
            );
            text(&mut svg, (x + 30.0, y + 4.0), "start", &series.name);
        }
        svg + "</svg>\n"
    }

    /// Everything fits, and the limit too unless the lines stay below a quarter of it.
    fn scale(&self) -> Scale {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let seconds = points().map(|(seconds, _)| *seconds).fold(1.0, f64::max);
        let bytes = points().map(|(_, bytes)| *bytes).fold(1.0, f64::max);
        let bytes = if bytes * 4.0 >= self.limit {
            bytes.max(self.limit)
        } else {
            bytes
        };
        // Some air above.
        Scale {
            seconds,
            bytes: bytes * 1.08,
        }
    }
}

impl Series {
    /// A line, and a dot where it ends: an engine that was stopped early ends early.
    fn draw(&self, svg: &mut String, scale: &Scale, colour: &str) {
        let place = |(seconds, bytes): (f64, f64)| (scale.x(seconds), scale.y(bytes));
        let mut points = String::new();
        for (x, y) in thinned(&self.points).into_iter().map(place) {
            push(&mut points, format_args!("{x:.1},{y:.1} "));
        }
        let points = points.trim_end();
        push(
            svg,
            format_args!(
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\n"
            ),
        );
        if let Some((x, y)) = self.points.last().copied().map(place) {
            push(
                svg,
                format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\n"),
            );
        }
    }
}

/// At most [`POINTS_MAX`] points: of as many as fall together, the highest, or peaks would vanish.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let together = points.len().div_ceil(POINTS_MAX).max(1);
    let chunks = points.chunks(together);
    let highest = chunks.filter_map(|chunk| chunk.iter().max_by(|a, b| a.1.total_cmp(&b.1)));
    highest.copied().collect()
}

fn draw_axes(svg: &mut String, scale: &Scale) {
    let bottom = HEIGHT - BOTTOM;
    for bytes in ticks(scale.bytes, byte_step(scale.bytes / TICKS)) {
        let y = scale.y(bytes);
        line(svg, (LEFT, y), (WIDTH - RIGHT, y), "stroke=\"#dddddd\"");
        text(svg, (LEFT - 8.0, y + 4.0), "end", &bytes_text::show(bytes));
    }
    let (unit, name) = time_unit(scale.seconds);
    for time in ticks(scale.seconds / unit, step(scale.seconds / unit / TICKS)) {
        let x = scale.x(time * unit);
        line(svg, (x, bottom), (x, bottom + 5.0), "stroke=\"#000000\"");
        text(
            svg,
            (x, bottom + 18.0),
            "middle",
            &format!("{}", (time * 1e6).round() / 1e6),
        );
    }
    line(svg, (LEFT, bottom), (WIDTH - RIGHT, bottom), "stroke=\"#000000\"");
    line(svg, (LEFT, TOP), (LEFT, bottom), "stroke=\"#000000\"");
    text(svg, ((LEFT + WIDTH - RIGHT) / 2.0, bottom + 38.0), "middle", name);
}

fn time_unit(seconds: f64) -> (f64, &'static str) {
    match seconds {
        seconds if seconds > 10_800.0 => (3_600.0, "hours"),
        seconds if seconds > 180.0 => (60.0, "minutes"),
        _ => (1.0, "seconds"),
    }
}

/// Multiples of a step from zero up.
fn ticks(end: f64, step: f64) -> impl Iterator<Item = f64> {
    let count = (end / step).floor() as u32;
    (0..=count).map(move |number| f64::from(number) * step)
}

/// The next of 1, 2, 5, 10, 20, 50 and so on.
fn step(at_least: f64) -> f64 {
    let power = 10_f64.powf(at_least.log10().floor());
    let factors = [1.0, 2.0, 5.0];
    let found = factors.into_iter().find(|factor| factor * power >= at_least);
    found.unwrap_or(10.0) * power
}

/// As [`step`], in the largest unit of bytes that is not too large.
fn byte_step(at_least: f64) -> f64 {
    let units = [1_u64 << 30, 1 << 20, 1 << 10].map(|unit| unit as f64);
    let unit = units.into_iter().find(|unit| at_least >= *unit).unwrap_or(1.0);
    step(at_least / unit) * unit
}

fn push(svg: &mut String, element: Arguments<'_>) {
    // A String takes everything.
    let _ = svg.write_fmt(element);
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), style: &str) {
    push(
        svg,
        format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {style}/>\n",
            from.0, from.1, to.0, to.1
        ),
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, what: &str) {
    let what = what
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    push(
        svg,
        format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>\n"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    fn chart(points: Vec<(f64, f64)>, limit: f64) -> Chart {
        let name = "a < b & c".to_owned();
        Chart {
            title: "title".into(),
            series: vec![Series { name, points }],
            limit,
        }
    }

    fn places(svg: &str) -> Vec<(f64, f64)> {
        let (_, points) = svg.split_once("<polyline points=\"").unwrap();
        let (points, _) = points.split_once('"').unwrap();
        let place = |point: &str| {
            let (x, y) = point.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        };
        points.split_whitespace().map(place).collect()
    }

    #[test]
    fn lines_stay_within_the_axes_and_go_the_right_way() {
        let points = (1..=1_800).map(|second| (f64::from(second), f64::from(second) * MIB));
        let svg = chart(points.collect(), 2_000.0 * MIB).draw();
        let places = places(&svg);
        assert!(places.len() <= POINTS_MAX);
        for (x, y) in &places {
            assert!((LEFT..=WIDTH - RIGHT).contains(x), "{x}");
            assert!((TOP..=HEIGHT - BOTTOM).contains(y), "{y}");
        }
        let (x, y) = places.last().unwrap();
        assert!(
            svg.contains(&format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\"")),
            "where it ends"
        );
        assert!(
            places
                .windows(2)
                .all(|two| two[0].0 < two[1].0 && two[0].1 > two[1].1)
        );
        assert!(svg.contains(">minutes<") && svg.contains(">30<") && svg.contains(">budget<"));
        assert!(svg.contains("MiB<"));
    }

    #[test]
    fn text_is_escaped_and_every_element_is_closed() {
        let svg = chart(vec![(1.0, MIB), (2.0, 3.0 * MIB)], 0.0).draw();
        assert!(svg.contains("a &lt; b &amp; c"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        assert_eq!(svg.matches('"').count() % 2, 0);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_peak_is_never_thinned_away() {
        let mut points: Vec<_> = (0..100_000).map(|second| (f64::from(second), MIB)).collect();
        points[54_321].1 = 100.0 * MIB;
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS_MAX);
        assert!(thin.contains(&(54_321.0, 100.0 * MIB)));
        assert_eq!(thinned(&points[..10]), points[..10]);
    }

    #[test]
    fn nothing_at_all_is_still_a_picture() {
        for points in [vec![], vec![(0.0, 0.0)]] {
            let svg = chart(points, 1e12).draw();
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("budget"));
        }
    }

    #[test]
    fn steps_are_round() {
        for (at_least, expected) in [
            (0.03, 0.05),
            (1.0, 1.0),
            (1.5, 2.0),
            (4.0, 5.0),
            (6.0, 10.0),
            (230.0, 500.0),
        ] {
            let found = step(at_least);
            assert!((found - expected).abs() < expected / 1e9, "{at_least}: {found}");
        }
        assert!((byte_step(300.0 * MIB) - 500.0 * MIB).abs() < 1.0);
        assert_eq!(ticks(5.0, 2.0).collect::<Vec<_>>(), [0.0, 2.0, 4.0]);
    }
}
