//! The place of each operation in the drawing.
//!
//! Only the order of events counts for a checker, and real distances would make most bars invisible. So events stand as close as
//! the words in the bars allow; a longer silence is a step that is marked.

use std::collections::{BTreeMap, BTreeSet};

use super::focus::{Focus, Shown};
use crate::report::words;

/// Pixels.
pub(super) const ROW: f64 = 50.0;
pub(super) const TOP: f64 = 26.0;
pub(super) const LEFT: f64 = 92.0;
const LETTER: f64 = 7.3;
const STEP: f64 = 14.0;
const SILENCE_STEP: f64 = 70.0;

/// Nothing happened for so long, and for much of what is shown: worth a mark.
const SILENCE_NS: u64 = 50_000_000;

/// Letters in a bar.
const LETTERS_MAX: usize = 30;

/// All places.
pub(super) struct Layout {
    /// As the operations of the focus.
    pub(super) bars: Vec<Bar>,
    /// The names of rows.
    pub(super) rows: Vec<String>,
    /// Moments to write beneath: x and nanoseconds.
    pub(super) moments: Vec<(f64, u64)>,
    /// Where nothing happened for long: x and nanoseconds.
    pub(super) silences: Vec<(f64, u64)>,
    pub(super) width: f64,
}

/// The place of an operation.
pub(super) struct Bar {
    pub(super) row: usize,
    pub(super) begin: f64,
    /// The right end; of an operation that never ends, that of the drawing.
    pub(super) end: f64,
    pub(super) open: bool,
    pub(super) label: String,
    /// Where the order that was found lets it take effect.
    pub(super) point: Option<f64>,
}

/// An operation begins or ends.
struct Moment {
    index: u64,
    time_ns: u64,
    bar: usize,
    ends: bool,
}

impl Layout {
    /// Places everything.
    pub(super) fn of(focus: &Focus<'_>) -> Self {
        let mut layout = Self {
            bars: focus.shown.iter().map(bar).collect(),
            rows: Vec::new(),
            moments: Vec::new(),
            silences: Vec::new(),
            width: 0.0,
        };
        let moments = moments(&focus.shown);
        let positions = layout.place(&moments);
        for bar in layout.bars.iter_mut().filter(|bar| bar.open) {
            bar.end = layout.width - 6.0;
        }
        layout.rows(focus);
        layout.points(focus, &positions);
        layout
    }

    /// From left to right. Returns where each event is.
    fn place(&mut self, moments: &[Moment]) -> BTreeMap<u64, f64> {
        let mut positions = BTreeMap::new();
        let mut x = LEFT;
        let mut last_ns = moments.first().map_or(0, |moment| moment.time_ns);
        let length_ns = moments.last().map_or(0, |moment| moment.time_ns) - last_ns;
        let long_ns = SILENCE_NS.max(length_ns / 6);
        for moment in moments {
            let silence = moment.time_ns - last_ns;
            last_ns = moment.time_ns;
            if silence > long_ns {
                self.silences
                    .push((x + f64::midpoint(STEP, SILENCE_STEP), silence));
                x += SILENCE_STEP;
            }
            let Some(bar) = self.bars.get_mut(moment.bar) else {
                continue;
            };
            x += STEP;
            if moment.ends {
                x = x.max(bar.begin + width(&bar.label));
                bar.end = x;
            } else {
                bar.begin = x;
                bar.end = x + width(&bar.label);
            }
            self.moments.push((x, moment.time_ns));
            positions.insert(moment.index, x);
        }
        let right = self.bars.iter().map(|bar| bar.end).fold(x, f64::max);
        self.width = right + 30.0;
        positions
    }

    /// A row for each process, and one more for each of its operations that never ended while it went on.
    fn rows(&mut self, focus: &Focus<'_>) {
        let mut free_from: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        let mut places: Vec<(u32, usize)> = Vec::new();
        for (bar, shown) in self.bars.iter().zip(&focus.shown) {
            let process = shown.operation.process;
            let lanes = free_from.entry(process).or_default();
            let lane = lanes
                .iter()
                .position(|free| *free <= bar.begin)
                .unwrap_or(lanes.len());
            let end = if bar.open { f64::INFINITY } else { bar.end };
            match lanes.get_mut(lane) {
                Some(free) => *free = end,
                None => lanes.push(end),
            }
            places.push((process, lane));
        }
        let rows: BTreeSet<(u32, usize)> = places.iter().copied().collect();
        for (bar, place) in self.bars.iter_mut().zip(&places) {
            bar.row = rows.range(..place).count();
        }
        self.rows = rows
            .iter()
            .map(|(process, _)| format!("process {process}"))
            .collect();
    }

    /// In the order that was found each operation takes effect when it and all before it have begun.
    fn points(&mut self, focus: &Focus<'_>, positions: &BTreeMap<u64, f64>) {
        let mut placed: Vec<(usize, usize)> = focus
            .shown
            .iter()
            .enumerate()
            .filter_map(|(number, shown)| Some((shown.place?, number)))
            .collect();
        placed.sort_unstable();
        let (mut index, mut x) = (0, 0.0_f64);
        for (_, number) in placed {
            let (Some(shown), Some(bar)) = (focus.shown.get(number), self.bars.get_mut(number)) else {
                continue;
            };
            index = index.max(shown.operation.invoked.index);
            let begun = positions.range(..=index).next_back().map_or(LEFT, |(_, x)| *x);
            x = begun.max(bar.begin).max(x) + 16.0;
            x = x.min(bar.end - 10.0);
            bar.point = Some(x);
        }
    }
}

fn bar(shown: &Shown<'_>) -> Bar {
    let operation = shown.operation;
    let text = if operation.call.is_write()
        && !matches!(operation.outcome, atoll_history::Outcome::Conflict { .. })
    {
        words::call(&operation.call)
    } else {
        words::operation(operation)
    };
    Bar {
        row: 0,
        begin: 0.0,
        end: 0.0,
        open: operation.ended() == u64::MAX,
        label: words::clip(&words::short_versions(&text), LETTERS_MAX),
        point: None,
    }
}

fn width(label: &str) -> f64 {
    label.chars().count() as f64 * LETTER + 20.0
}

fn moments(shown: &[Shown<'_>]) -> Vec<Moment> {
    let mut moments = Vec::new();
    for (bar, shown) in shown.iter().enumerate() {
        let operation = shown.operation;
        moments.push(Moment {
            index: operation.invoked.index,
            time_ns: operation.invoked.time_ns,
            bar,
            ends: false,
        });
        if let Some(point) = operation
            .completed
            .filter(|point| point.index == operation.ended())
        {
            moments.push(Moment {
                index: point.index,
                time_ns: point.time_ns,
                bar,
                ends: true,
            });
        }
    }
    moments.sort_unstable_by_key(|moment| moment.index);
    moments
}
