//! sled: a B-tree over a log, without a release since 2021.
//!
//! On Linux its `flush` ends with `sync_file_range`, which neither empties the disk's cache nor writes the file's new
//! length, so a power cut may take what was flushed. To promise as much as the others, its file is synced here after that.

use std::fs::File;
use std::path::Path;

use sled::{Batch, Config, Db};

use super::{Each, Engine};
use crate::Result;
use crate::dataset::Row;
use crate::metric::{Metrics, Unit};

pub(super) struct Sled {
    database: Db,
    /// The one that its rows stand in.
    file: File,
}

impl Sled {
    pub(super) fn open(dir: &Path, cache: u64) -> Result<Self> {
        let mut config = Config::new().path(dir);
        if cache > 0 {
            config = config.cache_capacity(cache);
        }
        let database = config.open()?;
        #[expect(clippy::disallowed_methods, reason = "syncs a file of another engine")]
        let file = File::open(dir.join("db"))?;
        Ok(Self { database, file })
    }

    fn flush(&self) -> Result<()> {
        self.database.flush()?;
        Ok(self.file.sync_data()?)
    }
}

impl Engine for Sled {
    fn put_batch(&mut self, rows: &[Row]) -> Result<()> {
        let mut batch = Batch::default();
        for row in rows {
            batch.insert(row.key.as_slice(), row.value.as_slice());
        }
        self.database.apply_batch(batch)?;
        self.flush()
    }

    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let found = self.database.get(key)?;
        if let Some(found) = &found {
            value.extend_from_slice(found);
        }
        Ok(found.is_some())
    }

    fn scan(&self, each: Each<'_>) -> Result<()> {
        for row in self.database.iter() {
            let (key, value) = row?;
            each(&key, &value)?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        self.flush()
    }

    fn tell(&self, metrics: &mut Metrics) -> Result<()> {
        metrics.add(
            "sled size on disk",
            Unit::Bytes,
            self.database.size_on_disk()? as f64,
        );
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.flush()
    }
}
