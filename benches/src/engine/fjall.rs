//! fjall: a log-structured merge tree with a journal.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use super::{Each, Engine};
use crate::Result;
use crate::dataset::Row;
use crate::metric::{Metrics, Unit};

/// Values above this many bytes go to blob files: the length up to which Atoll keeps values in its index.
const SEPARATED_ABOVE: u32 = 64;

pub(super) struct Fjall {
    database: Database,
    rows: Keyspace,
}

impl Fjall {
    pub(super) fn open(dir: &Path, cache: u64, separated: bool) -> Result<Self> {
        let mut builder = Database::builder(dir);
        if cache > 0 {
            builder = builder.cache_size(cache);
        }
        let database = builder.open()?;
        let options = || {
            let separation = || KvSeparationOptions::default().separation_threshold(SEPARATED_ABOVE);
            KeyspaceCreateOptions::default().with_kv_separation(separated.then(separation))
        };
        let rows = database.keyspace("rows", options)?;
        Ok(Self { database, rows })
    }
}

impl Engine for Fjall {
    fn put_batch(&mut self, rows: &[Row]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for row in rows {
            batch.insert(&self.rows, row.key, row.value.as_slice());
        }
        Ok(batch.commit()?)
    }

    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let found = self.rows.get(key)?;
        if let Some(found) = &found {
            value.extend_from_slice(found);
        }
        Ok(found.is_some())
    }

    fn scan(&self, each: Each<'_>) -> Result<()> {
        for row in self.rows.iter() {
            let (key, value) = row.into_inner()?;
            each(&key, &value)?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        // Flushes and compactions go on by themselves; the others' buffers in memory are not forced out either.
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn tell(&self, metrics: &mut Metrics) -> Result<()> {
        metrics.add(
            "fjall disk space",
            Unit::Bytes,
            self.database.disk_space()? as f64,
        );
        metrics.add(
            "fjall journals",
            Unit::Bytes,
            self.database.journal_disk_space()? as f64,
        );
        metrics.add("fjall tables", Unit::Count, self.rows.table_count() as f64);
        let compactions = self.database.compactions_completed();
        metrics.add("fjall compactions", Unit::Count, compactions as f64);
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}
