//! The engines, as the workloads see them.
//!
//! What every implementation must do alike, or the figures would compare different things:
//! - [`Engine::put_batch`] returns when the rows survive a power cut, and all rows of a batch are put or none. Every
//!   batch costs at least one `fdatasync` or `fsync`, which `strace -f -c` of a run shows.
//! - [`Engine::get`] answers from the newest state and copies the value out once.
//! - [`Engine::scan`] walks all rows in key order with their values.
//! - Options are the defaults, but for the size of the cache, which is the same for all, and what an engine's name says.

mod atoll;
mod fjall;
mod redb;
mod sled;

use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::dataset::Row;
use crate::metric::Metrics;

/// Called for every row of a scan.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<()>;

/// A database that is open.
pub(crate) trait Engine {
    /// Puts rows, durably on return.
    fn put_batch(&mut self, rows: &[Row]) -> Result<()>;

    /// Writes the value of a key to `value`, which is empty; false if there is none.
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool>;

    /// Calls `each` with all rows in key order.
    fn scan(&self, each: Each<'_>) -> Result<()>;

    /// Ends what the engine does in the background as far as it can be asked to. The caller then waits until nothing
    /// is written any more.
    fn settle(&mut self) -> Result<()>;

    /// What the engine tells of itself.
    fn tell(&self, metrics: &mut Metrics) -> Result<()>;

    /// Ends it in good order, so that its folder can be opened again.
    fn close(self: Box<Self>) -> Result<()>;
}

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EngineName {
    Atoll,
    AtollPlain,
    AtollSealed,
    AtollHistory,
    Fjall,
    FjallKv,
    Redb,
    Sled,
}

impl EngineName {
    /// As on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Atoll => "atoll",
            Self::AtollPlain => "atoll-plain",
            Self::AtollSealed => "atoll-sealed",
            Self::AtollHistory => "atoll-history",
            Self::Fjall => "fjall",
            Self::FjallKv => "fjall-kv",
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }

    /// The name of its crate.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::Atoll | Self::AtollPlain | Self::AtollSealed | Self::AtollHistory => "atoll-storage",
            Self::Fjall | Self::FjallKv => "fjall",
            Self::Redb => "redb",
            Self::Sled => "sled",
        }
    }

    /// Opens or creates the engine's database in a folder that exists. `cache` is in bytes; 0: the engine's default.
    pub(crate) fn open(self, dir: &Path, cache: u64) -> Result<Box<dyn Engine>> {
        Ok(match self {
            Self::Atoll => Box::new(atoll::Atoll::open(dir, cache, atoll::Kind::Default)?),
            Self::AtollPlain => Box::new(atoll::Atoll::open(dir, cache, atoll::Kind::Plain)?),
            Self::AtollSealed => Box::new(atoll::Atoll::open(dir, cache, atoll::Kind::Sealed)?),
            Self::AtollHistory => Box::new(atoll::Atoll::open(dir, cache, atoll::Kind::History)?),
            Self::Fjall => Box::new(fjall::Fjall::open(dir, cache, false)?),
            Self::FjallKv => Box::new(fjall::Fjall::open(dir, cache, true)?),
            Self::Redb => Box::new(redb::Redb::open(dir, cache)?),
            Self::Sled => Box::new(sled::Sled::open(dir, cache)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Dataset, KEY_BYTES, Values};

    const ALL: [EngineName; 8] = [
        EngineName::Atoll,
        EngineName::AtollPlain,
        EngineName::AtollSealed,
        EngineName::AtollHistory,
        EngineName::Fjall,
        EngineName::FjallKv,
        EngineName::Redb,
        EngineName::Sled,
    ];

    fn check_all(engine: &dyn Engine, data: &mut Dataset) {
        for number in 0..data.keys() {
            let mut value = Vec::new();
            assert!(engine.get(&data.key(number), &mut value).unwrap());
            data.check(number, &value).unwrap();
        }
        let (mut keys, mut last) = (0, Vec::new());
        let mut each = |key: &[u8], value: &[u8]| {
            assert!(last.as_slice() < key, "in order");
            last = key.to_vec();
            keys += 1;
            data.check_row(key, value)
        };
        engine.scan(&mut each).unwrap();
        assert_eq!(keys, data.keys());
        let mut value = Vec::new();
        assert!(!engine.get(&data.key(data.keys()), &mut value).unwrap());
    }

    fn load(engine: &mut dyn Engine, data: &mut Dataset) {
        let row = Row {
            key: [0; KEY_BYTES],
            value: Vec::new(),
        };
        let mut rows = vec![row; 50];
        // Half of them twice.
        for first in (0..1_000).step_by(50).chain((0..500).step_by(50)) {
            for (row, number) in rows.iter_mut().zip(first..) {
                data.next_row(number, row);
            }
            engine.put_batch(&rows).unwrap();
        }
    }

    /// With short values too, which some engines keep elsewhere than long ones.
    #[test]
    fn every_engine_keeps_the_newest_of_every_row() {
        let values = [Values::new(20, 0), Values::new(300, 0), Values::new(300, 60)];
        for (name, values) in ALL
            .into_iter()
            .flat_map(|name| values.map(|values| (name, values)))
        {
            let dir = tempfile::tempdir().unwrap();
            let mut data = Dataset::new(1, 1_000, values);
            let mut engine = name.open(dir.path(), 16 << 20).unwrap();
            load(&mut *engine, &mut data);
            check_all(&*engine, &mut data);
            engine.settle().unwrap();
            engine.close().unwrap();
            let engine = name.open(dir.path(), 16 << 20).unwrap();
            check_all(&*engine, &mut data);
            engine.tell(&mut Metrics::default()).unwrap();
            engine.close().unwrap();
        }
    }
}
