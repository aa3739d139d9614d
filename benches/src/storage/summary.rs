//! Several runs as medians and ranges.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Run;
use crate::engine::EngineName;
use crate::metric::Unit;

/// One figure of one engine over all runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
    pub(crate) runs: usize,
}

impl Spread {
    /// `None` if there are no values. Of an even number the median is between the two in the middle.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.get((values.len() - 1) / 2..=values.len() / 2)?;
        let median = middle.iter().sum::<f64>() / middle.len() as f64;
        let runs = values.len();
        Some(Self {
            min,
            median,
            max,
            runs,
        })
    }
}

/// One figure of all engines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    /// By the engine's name; engines that do not have it are not there.
    pub(crate) engines: BTreeMap<&'static str, Spread>,
}

/// All figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// In the order in which they first ran.
    pub(crate) engines: Vec<&'static str>,
    /// In the order of the phases; what engines tell of themselves comes last.
    pub(crate) lines: Vec<Line>,
}

impl Summary {
    /// Of these runs.
    pub(crate) fn of(runs: &[Run]) -> Self {
        let engines = first_of_each(runs.iter().map(|run| run.engine));
        let metrics = runs.iter().flat_map(|run| run.metrics.iter());
        let mut names = first_of_each(metrics.map(|metric| (metric.name.as_str(), metric.unit)));
        let own = |name: &str| engines.iter().any(|engine| is_own(name, *engine));
        names.sort_by_key(|(name, _)| own(name));
        let lines = names.iter().map(|(name, unit)| Line {
            name: (*name).to_owned(),
            unit: *unit,
            engines: engines
                .iter()
                .filter_map(|engine| Some((engine.as_str(), spread(runs, *engine, name)?)))
                .collect(),
        });
        Self {
            lines: lines.collect(),
            engines: engines.iter().map(|engine| engine.as_str()).collect(),
        }
    }
}

/// What there is, each once, in the order in which it first came.
fn first_of_each<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut found, next| {
        if !found.contains(&next) {
            found.push(next);
        }
        found
    })
}

/// True for what an engine tells of itself.
fn is_own(name: &str, engine: EngineName) -> bool {
    let first = engine.as_str().split('-').next();
    name.split(' ').next() == first
}

fn spread(runs: &[Run], engine: EngineName, name: &str) -> Option<Spread> {
    let runs = runs.iter().filter(|run| run.engine == engine);
    Spread::of(runs.filter_map(|run| run.metrics.get(name)).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::metric::Metrics;

    pub(crate) fn run(engine: EngineName, round: u32, figures: &[(&str, f64)]) -> Run {
        let mut metrics = Metrics::default();
        for (name, value) in figures {
            metrics.add(name, Unit::Count, *value);
        }
        Run {
            engine,
            round,
            metrics,
        }
    }

    #[test]
    fn medians() {
        let median = |values: &[f64]| Spread::of(values.to_vec()).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 3.0, 5.0]), Some(4.0));
        let spread = Spread::of(vec![9.0, 1.0, 3.0]).unwrap();
        assert_eq!((spread.min, spread.max, spread.runs), (1.0, 9.0, 3));
    }

    #[test]
    fn figures_are_put_together_by_engine() {
        let runs = [
            run(
                EngineName::Atoll,
                1,
                &[("load", 1.0), ("atoll runs", 7.0), ("peak", 5.0)],
            ),
            run(
                EngineName::FjallKv,
                1,
                &[("load", 2.0), ("fjall tables", 8.0), ("peak", 6.0)],
            ),
            run(EngineName::Atoll, 2, &[("load", 3.0)]),
        ];
        let summary = Summary::of(&runs);
        assert_eq!(summary.engines, ["atoll", "fjall-kv"]);
        let names: Vec<_> = summary.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["load", "peak", "atoll runs", "fjall tables"]);
        let load = &summary.lines[0].engines;
        assert_eq!(
            load["atoll"],
            Spread {
                min: 1.0,
                median: 2.0,
                max: 3.0,
                runs: 2
            }
        );
        assert_eq!(Some(load["fjall-kv"]), Spread::of(vec![2.0]));
        assert_eq!(summary.lines[2].engines.len(), 1);
    }
}
