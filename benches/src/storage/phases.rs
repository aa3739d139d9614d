//! One engine's run.
//!
//! Rates are rows per second of time inside the engine; what this program does between calls does not count, but for a
//! scan, which is timed as a whole. Bytes written are counted until everything has settled, and told per byte of keys
//! and values that were put. What an engine tells of itself is of the time since it was last opened, which is that of
//! the mix and the hot phase.

use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::args::StorageSettings;
use crate::engine::{Engine, EngineName};
use crate::latency::Latencies;
use crate::metric::{Metrics, Unit};
use crate::probe::{Memory, Settled, Usage, Written, drop_cached, sync_filesystem, wait_until_quiet};

use super::rows::Rows;

/// Gets of each kind if nothing else is said, at most.
const GETS_MAX: u64 = 1_000_000;

/// What is in the page cache when an engine is opened again.
#[derive(Clone, Copy)]
enum PageCache {
    Warm,
    Cold,
}

/// A run under way.
struct Phases<'r> {
    name: EngineName,
    dir: &'r Path,
    settings: &'r StorageSettings,
    rows: Rows,
    metrics: Metrics,
}

/// All phases with an engine whose folder is empty.
pub(crate) fn measure(name: EngineName, dir: &Path, settings: &StorageSettings) -> Result<Metrics> {
    let mut phases = Phases {
        name,
        dir,
        settings,
        rows: Rows::new(&settings.workload)?,
        metrics: Metrics::default(),
    };
    phases
        .metrics
        .add("memory before", Unit::Bytes, Memory::now()?.resident as f64);
    let mut engine = name.open(dir, settings.workload.cache)?;
    phases.load(&mut *engine)?;
    phases.gets(&*engine)?;
    phases.scan_first(&mut *engine)?;
    phases.scan(&*engine, "scan warm")?;
    let mut engine = phases.scan_cold(engine)?;
    phases.mix(&mut *engine)?;
    phases.hot(&mut *engine)?;
    engine.tell(&mut phases.metrics)?;
    let engine = phases.restart(engine, "restart warm", PageCache::Warm)?;
    let engine = phases.restart(engine, "restart cold", PageCache::Cold)?;
    phases.say("check");
    phases.rows.check_all(&*engine)?;
    engine.close()?;
    let memory = Memory::now()?;
    phases.metrics.add("memory peak", Unit::Bytes, memory.peak as f64);
    Ok(phases.metrics)
}

impl Phases<'_> {
    fn say(&self, phase: &str) {
        eprintln!("  {}: {phase}", self.name.as_str());
    }

    fn load(&mut self, engine: &mut dyn Engine) -> Result<()> {
        self.say("load");
        let before = self.written()?;
        let mut puts = Latencies::new()?;
        for first in (0..self.rows.data.keys()).step_by(self.rows.batch_len() as usize) {
            puts.add(self.rows.put_from(engine, first)?)?;
        }
        let keys = self.rows.data.keys();
        self.metrics.add_rate("load rows", keys, puts.total());
        puts.tell("load batch", &mut self.metrics);
        self.settle(engine, "load", before, keys)
    }

    fn gets(&mut self, engine: &dyn Engine) -> Result<()> {
        self.say("get");
        let gets = self.settings.gets.unwrap_or(self.rows.data.keys().min(GETS_MAX));
        let mut took = Latencies::new()?;
        for _ in 0..gets {
            let number = self.rows.data.any(&mut self.rows.rng);
            took.add(self.rows.get(engine, number)?)?;
        }
        self.tell_gets("get", &took);
        took.clear();
        for _ in 0..gets {
            took.add(self.rows.get_missing(engine)?)?;
        }
        self.tell_gets("get missing", &took);
        Ok(())
    }

    fn tell_gets(&mut self, what: &str, took: &Latencies) {
        self.metrics
            .add_rate(&format!("{what} rows"), took.count(), took.total());
        took.tell(what, &mut self.metrics);
    }

    fn scan(&mut self, engine: &dyn Engine, what: &str) -> Result<()> {
        self.say(what);
        let took = self.rows.scan(engine)?;
        self.metrics
            .add_rate(&format!("{what} rows"), self.rows.data.keys(), took);
        Ok(())
    }

    /// After a scan an engine may put in order what it had to gather, and what that costs is told here.
    fn scan_first(&mut self, engine: &mut dyn Engine) -> Result<()> {
        let before = self.written()?;
        self.scan(engine, "scan first")?;
        self.settle(engine, "scan first", before, self.rows.data.keys())
    }

    /// The engine's own caches are cold because it was closed, the page cache because it was dropped after that.
    fn scan_cold(&mut self, engine: Box<dyn Engine>) -> Result<Box<dyn Engine>> {
        engine.close()?;
        let engine = self.name.open(self.dir, self.settings.workload.cache)?;
        drop_cached(self.dir)?;
        self.scan(&*engine, "scan cold")?;
        Ok(engine)
    }

    /// Batches of puts and as many gets in turn.
    fn mix(&mut self, engine: &mut dyn Engine) -> Result<()> {
        let (row_bytes, to_write) = (self.rows.data.row_bytes(), self.to_write());
        if to_write == 0 {
            return Ok(());
        }
        self.say("mix");
        let before = self.written()?;
        let (mut puts, mut gets) = (Latencies::new()?, Latencies::new()?);
        let mut put = 0;
        while put * row_bytes < to_write {
            puts.add(self.rows.put_skewed(engine)?)?;
            put += self.rows.batch_len();
            for _ in 0..self.rows.batch_len() {
                let number = self.rows.data.skewed(&mut self.rows.rng);
                gets.add(self.rows.get(engine, number)?)?;
            }
        }
        let together = puts.total() + gets.total();
        self.metrics
            .add_rate("mix operations", put + gets.count(), together);
        self.metrics.add_rate("mix puts alone", put, puts.total());
        puts.tell("mix batch", &mut self.metrics);
        gets.tell("mix get", &mut self.metrics);
        self.settle(engine, "mix", before, put)
    }

    /// Puts to a fifth of the keys alone: what is overwritten soon should cost little more than to write it once.
    fn hot(&mut self, engine: &mut dyn Engine) -> Result<()> {
        let to_write = self.to_write();
        if to_write == 0 {
            return Ok(());
        }
        self.say("hot");
        let before = self.written()?;
        let mut puts = Latencies::new()?;
        let mut put = 0;
        while put * self.rows.data.row_bytes() < to_write {
            puts.add(self.rows.put_hot(engine)?)?;
            put += self.rows.batch_len();
        }
        self.metrics.add_rate("hot puts", put, puts.total());
        puts.tell("hot batch", &mut self.metrics);
        self.settle(engine, "hot", before, put)
    }

    /// Bytes of keys and values that the mix and the hot phase put, each.
    fn to_write(&self) -> u64 {
        let all = self.rows.data.keys() * self.rows.data.row_bytes();
        self.settings.write_bytes.unwrap_or(all)
    }

    /// Lets the engine end what it does behind the scenes, and tells what all of it took.
    fn settle(&mut self, engine: &mut dyn Engine, what: &str, before: Written, put: u64) -> Result<()> {
        let begun = self.rows.clock.now();
        engine.settle()?;
        let asked = self.rows.clock.now().since(begun);
        let patience = Duration::from_secs(self.settings.settle_seconds.into());
        let Settled { took, quiet } = wait_until_quiet(&self.rows.clock, patience)?;
        let since = self.written()?.since(before);
        let (usage, memory) = (Usage::of(self.dir)?, Memory::now()?);
        let row_bytes = self.rows.data.row_bytes();
        let put_bytes = (put * row_bytes) as f64;
        let all_bytes = (self.rows.data.keys() * row_bytes) as f64;
        let metrics = &mut self.metrics;
        let mut add = |name: &str, unit, value| metrics.add_some(&format!("{what} {name}"), unit, value);
        add("settled in", Unit::Seconds, Some((asked + took).as_secs_f64()));
        add("still writing", Unit::Count, Some(f64::from(u8::from(!quiet))));
        add(
            "device writes",
            Unit::Times,
            since.device.map(|bytes| bytes as f64 / put_bytes),
        );
        add("write calls", Unit::Times, Some(since.called as f64 / put_bytes));
        add(
            "pages dirtied",
            Unit::Times,
            Some(since.dirtied as f64 / put_bytes),
        );
        add("disk apparent", Unit::Bytes, Some(usage.apparent as f64));
        add("disk allocated", Unit::Bytes, Some(usage.allocated as f64));
        add(
            "disk per data",
            Unit::Times,
            Some(usage.allocated as f64 / all_bytes),
        );
        add("memory", Unit::Bytes, Some(memory.resident as f64));
        Ok(())
    }

    /// From a database that is closed to its first row.
    fn restart(&mut self, engine: Box<dyn Engine>, what: &str, cache: PageCache) -> Result<Box<dyn Engine>> {
        self.say(what);
        let clock = self.rows.clock.clone();
        let begun = clock.now();
        engine.close()?;
        let closed = clock.now().since(begun);
        if let PageCache::Cold = cache {
            drop_cached(self.dir)?;
        }
        let number = self.rows.data.any(&mut self.rows.rng);
        let begun = clock.now();
        let engine = self.name.open(self.dir, self.settings.workload.cache)?;
        let opened = clock.now().since(begun);
        let first = opened + self.rows.get(&*engine, number)?;
        let mut add = |name: &str, took: Duration| {
            self.metrics
                .add(&format!("{what} {name}"), Unit::Seconds, took.as_secs_f64());
        };
        add("close", closed);
        add("first get", first);
        Ok(engine)
    }

    /// What was written so far, with what waits to be.
    fn written(&self) -> Result<Written> {
        sync_filesystem(self.dir)?;
        Written::now(self.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Workload;

    #[test]
    fn a_small_run_finds_every_figure() {
        let dir = tempfile::tempdir().unwrap();
        let settings = StorageSettings {
            workload: Workload {
                keys: 2_000,
                value_size: 100,
                compressible: 0,
                batch: 100,
                cache: 16 << 20,
                seed: 1,
            },
            gets: Some(500),
            settle_seconds: 5,
            write_bytes: Some(100_000),
        };
        let metrics = measure(EngineName::Atoll, dir.path(), &settings).unwrap();
        for name in [
            "load rows",
            "load batch p99.99",
            "load write calls",
            "get rows",
            "get missing rows",
            "scan first rows",
            "scan warm rows",
            "scan cold rows",
            "mix operations",
            "hot puts",
            "mix disk allocated",
            "restart warm first get",
            "restart cold first get",
            "memory peak",
        ] {
            assert!(
                metrics.get(name).is_some_and(|value| value > 0.0),
                "{name}: {metrics:?}"
            );
        }
        let user_bytes = 2_000.0 * 124.0;
        assert!(metrics.get("mix disk apparent").unwrap() >= user_bytes);
    }
}
