//! One engine's soak.

use std::path::Path;
use std::time::Duration;

use atoll_env::Instant;
use serde::{Deserialize, Serialize};

use crate::args::SoakSettings;
use crate::engine::{Engine, EngineName};
use crate::latency::{Latencies, micros};
use crate::probe::{Memory, Usage, pause};
use crate::storage::Rows;
use crate::{Result, bytes_text};

use super::samples::{Sample, SampleFile};

const SECOND: Duration = Duration::from_secs(1);
/// The longest rest between two batches when the rate is reached.
const REST_MAX: Duration = Duration::from_millis(100);

/// How it ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Soaked {
    seconds: f64,
    /// Rows overwritten.
    rows: u64,
    /// The most that the directory had allocated at the end of a second.
    allocated_most: u64,
    /// Why it ended early.
    pub(crate) stopped: Option<String>,
}

impl Soaked {
    /// A line for people.
    pub(crate) fn describe(&self, engine: EngineName) -> String {
        let stopped = self.stopped.as_ref().map(|why| format!(", stopped: {why}"));
        format!(
            "{}: {} rows in {:.0} s, directory at most {}{}",
            engine.as_str(),
            self.rows,
            self.seconds,
            bytes_text::show(self.allocated_most as f64),
            stopped.unwrap_or_default(),
        )
    }
}

/// Loads, overwrites and samples into `csv`.
pub(crate) fn overwrite(name: EngineName, dir: &Path, csv: &Path, settings: &SoakSettings) -> Result<Soaked> {
    let mut rows = Rows::new(&settings.workload)?;
    let mut engine = name.open(dir, settings.workload.cache)?;
    for first in (0..rows.data.keys()).step_by(rows.batch_len() as usize) {
        rows.put_from(&mut *engine, first)?;
    }
    let begun = rows.clock.now();
    let mut soak = Soak {
        name,
        dir,
        settings,
        file: SampleFile::create(csv)?,
        begun,
        rows,
        sampled: begun,
        sampled_rows: 0,
        puts: Latencies::new()?,
        soaked: Soaked {
            seconds: 0.0,
            rows: 0,
            allocated_most: 0,
            stopped: None,
        },
    };
    soak.run(&mut *engine)?;
    soak.rows.check_all(&*engine)?;
    engine.close()?;
    Ok(soak.soaked)
}

struct Soak<'s> {
    name: EngineName,
    dir: &'s Path,
    settings: &'s SoakSettings,
    file: SampleFile,
    rows: Rows,
    begun: Instant,
    soaked: Soaked,
    /// When the last sample was taken, and how many rows were overwritten by then.
    sampled: Instant,
    sampled_rows: u64,
    /// Since then.
    puts: Latencies,
}

impl Soak<'_> {
    fn run(&mut self, engine: &mut dyn Engine) -> Result<()> {
        let length = Duration::from_secs_f64(self.settings.minutes * 60.0);
        while self.soaked.stopped.is_none() && self.elapsed() < length {
            self.puts.add(self.rows.put_skewed(engine)?)?;
            self.soaked.rows += self.rows.batch_len();
            let number = self.rows.data.any(&mut self.rows.rng);
            self.rows.get(engine, number)?;
            if self.rows.clock.now().since(self.sampled) >= SECOND {
                self.sample()?;
            }
            self.rest();
        }
        if self.puts.count() > 0 {
            self.sample()?;
        }
        self.soaked.seconds = self.elapsed().as_secs_f64();
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        self.rows.clock.now().since(self.begun)
    }

    /// Waits if the next batch is not due yet.
    fn rest(&self) {
        if self.settings.rate == 0 {
            return;
        }
        let due = Duration::from_secs_f64(self.soaked.rows as f64 / f64::from(self.settings.rate));
        loop {
            let early = due.saturating_sub(self.elapsed());
            if early.is_zero() {
                return;
            }
            pause(early.min(REST_MAX));
        }
    }

    /// Adds a sample of the time since the one before.
    fn sample(&mut self) -> Result<()> {
        let (now, elapsed) = (self.rows.clock.now(), self.elapsed());
        let rows = self.soaked.rows - self.sampled_rows;
        let usage = Usage::of(self.dir)?;
        let sample = Sample {
            seconds: elapsed.as_secs_f64(),
            allocated: usage.allocated,
            apparent: usage.apparent,
            resident: Memory::now()?.resident,
            rows_per_second: rows as f64 / now.since(self.sampled).as_secs_f64(),
            put_p50_us: micros(self.puts.quantile(0.5)),
            put_p99_us: micros(self.puts.quantile(0.99)),
            put_max_us: micros(self.puts.max()),
        };
        self.file.add(&sample)?;
        self.puts.clear();
        (self.sampled, self.sampled_rows) = (now, self.soaked.rows);
        self.soaked.allocated_most = self.soaked.allocated_most.max(usage.allocated);
        if usage.allocated > self.settings.budget {
            self.soaked.stopped = Some(format!(
                "the directory of {} outgrew {} after {:.0} s",
                self.name.as_str(),
                bytes_text::show(self.settings.budget as f64),
                elapsed.as_secs_f64(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::Samples;
    use super::*;
    use crate::args::Workload;

    fn settings(minutes: f64, budget: u64, rate: u32) -> SoakSettings {
        SoakSettings {
            workload: Workload {
                keys: 2_000,
                value_size: 100,
                compressible: 0,
                batch: 100,
                cache: 16 << 20,
                seed: 1,
            },
            minutes,
            budget,
            rate,
        }
    }

    #[test]
    fn a_rate_is_kept_and_seconds_are_sampled() {
        let dir = tempfile::tempdir().unwrap();
        let csv = dir.path().join("soak.csv");
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let soaked = overwrite(EngineName::Redb, &data, &csv, &settings(0.05, 1 << 40, 1_000)).unwrap();
        assert!(soaked.stopped.is_none());
        assert!((100..=3_200).contains(&soaked.rows), "{soaked:?}");
        let points = Samples::read(&csv).unwrap().allocated_by_second();
        assert!((1..=4).contains(&points.len()), "{points:?}");
        assert!(points.iter().all(|(_, bytes)| *bytes > 0.0));
    }

    #[test]
    fn a_directory_over_its_budget_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let csv = dir.path().join("soak.csv");
        let soaked = overwrite(EngineName::Redb, dir.path(), &csv, &settings(1.0, 1, 1_000)).unwrap();
        assert!(soaked.stopped.unwrap().contains("redb outgrew 1 B"));
        assert!(soaked.seconds < 30.0);
        assert!(soaked.allocated_most > 1);
    }
}
