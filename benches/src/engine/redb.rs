//! redb: copy-on-write B-trees in one file.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Each, Engine};
use crate::Result;
use crate::dataset::Row;
use crate::metric::{Metrics, Unit};

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

pub(super) struct Redb(Database);

impl Redb {
    pub(super) fn open(dir: &Path, cache: u64) -> Result<Self> {
        let mut builder = Database::builder();
        if cache > 0 {
            builder.set_cache_size(cache as usize);
        }
        let database = builder.create(dir.join("rows.redb"))?;
        let made = database.begin_write()?;
        // Or reads of a database without a row would find no table.
        made.open_table(ROWS)?;
        made.commit()?;
        Ok(Self(database))
    }
}

impl Engine for Redb {
    fn put_batch(&mut self, rows: &[Row]) -> Result<()> {
        // Durable at once by default.
        let transaction = self.0.begin_write()?;
        {
            let mut table = transaction.open_table(ROWS)?;
            for row in rows {
                table.insert(row.key.as_slice(), row.value.as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
        let table = self.0.begin_read()?.open_table(ROWS)?;
        let found = table.get(key)?;
        if let Some(found) = &found {
            value.extend_from_slice(found.value());
        }
        Ok(found.is_some())
    }

    fn scan(&self, each: Each<'_>) -> Result<()> {
        let table = self.0.begin_read()?.open_table(ROWS)?;
        for row in table.iter()? {
            let (key, value) = row?;
            each(key.value(), value.value())?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        // It does nothing in the background.
        Ok(())
    }

    fn tell(&self, metrics: &mut Metrics) -> Result<()> {
        let transaction = self.0.begin_write()?;
        let stats = transaction.stats()?;
        metrics.add("redb stored", Unit::Bytes, stats.stored_bytes() as f64);
        metrics.add("redb fragmented", Unit::Bytes, stats.fragmented_bytes() as f64);
        metrics.add("redb tree height", Unit::Count, f64::from(stats.tree_height()));
        Ok(transaction.abort()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}
