//! Putting and getting checked rows, with the time inside the engine.

use std::collections::HashSet;
use std::time::Duration;

use atoll_env::Clock;
use fastrand::Rng;

use crate::Result;
use crate::args::Workload;
use crate::dataset::{Dataset, KEY_BYTES, Key, Row, Values};
use crate::engine::Engine;

/// The rows of a run and what is needed to put and get them again and again without allocating.
pub(crate) struct Rows {
    pub(crate) data: Dataset,
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    batch: Vec<Row>,
    /// Numbers in the batch: of two rows of one key in one batch nobody promises which one stays.
    numbers: HashSet<u64>,
    value: Vec<u8>,
}

impl Rows {
    /// None put yet.
    pub(crate) fn new(workload: &Workload) -> Result<Self> {
        if workload.keys < 10 * workload.batch {
            return Err("there must be at least ten times as many keys as rows in a batch".into());
        }
        let row = Row {
            key: [0; KEY_BYTES],
            value: Vec::new(),
        };
        let values = Values::new(workload.value_size, workload.compressible);
        Ok(Self {
            data: Dataset::new(workload.seed, workload.keys, values),
            rng: Rng::with_seed(workload.seed),
            clock: Clock::boot(),
            batch: vec![row; workload.batch as usize],
            numbers: HashSet::new(),
            value: Vec::new(),
        })
    }

    /// Rows of a full batch.
    pub(crate) fn batch_len(&self) -> u64 {
        self.batch.len() as u64
    }

    /// Puts the rows from this number on, as many as a batch has or there are. Their keys are in no order.
    pub(crate) fn put_from(&mut self, engine: &mut dyn Engine, first: u64) -> Result<Duration> {
        let count = (self.data.keys() - first).min(self.batch_len()) as usize;
        let rows = self.batch.get_mut(..count).unwrap_or_default();
        for (row, number) in rows.iter_mut().zip(first..) {
            self.data.next_row(number, row);
        }
        let begun = self.clock.now();
        engine.put_batch(rows)?;
        Ok(self.clock.now().since(begun))
    }

    /// Puts a batch of other keys than each other, most of them of the first fifth of all.
    pub(crate) fn put_skewed(&mut self, engine: &mut dyn Engine) -> Result<Duration> {
        self.put_chosen(engine, Dataset::skewed)
    }

    /// Puts a batch of other keys than each other, all of the first fifth of all.
    pub(crate) fn put_hot(&mut self, engine: &mut dyn Engine) -> Result<Duration> {
        self.put_chosen(engine, Dataset::hot)
    }

    fn put_chosen(
        &mut self,
        engine: &mut dyn Engine,
        choose: fn(&Dataset, &mut Rng) -> u64,
    ) -> Result<Duration> {
        self.numbers.clear();
        for row in &mut self.batch {
            let mut number = choose(&self.data, &mut self.rng);
            while !self.numbers.insert(number) {
                number = choose(&self.data, &mut self.rng);
            }
            self.data.next_row(number, row);
        }
        let begun = self.clock.now();
        engine.put_batch(&self.batch)?;
        Ok(self.clock.now().since(begun))
    }

    /// Gets a row that was put and checks it.
    pub(crate) fn get(&mut self, engine: &dyn Engine, number: u64) -> Result<Duration> {
        let key = self.data.key(number);
        self.value.clear();
        let begun = self.clock.now();
        let found = engine.get(&key, &mut self.value)?;
        let took = self.clock.now().since(begun);
        if !found {
            return Err(format!("key {number} was put and is not there").into());
        }
        self.data.check(number, &self.value)?;
        Ok(took)
    }

    /// Gets a row that was never put and checks that there is none.
    pub(crate) fn get_missing(&mut self, engine: &dyn Engine) -> Result<Duration> {
        let key = self.data.missing_key(&mut self.rng);
        self.value.clear();
        let begun = self.clock.now();
        let found = engine.get(&key, &mut self.value)?;
        let took = self.clock.now().since(begun);
        if found {
            return Err("a key that was never put is there".into());
        }
        Ok(took)
    }

    /// Scans all rows and checks their order and their number, which costs next to nothing, and not what they say.
    pub(crate) fn scan(&self, engine: &dyn Engine) -> Result<Duration> {
        let mut order = Order::default();
        let begun = self.clock.now();
        engine.scan(&mut |key, _| order.next(key))?;
        let took = self.clock.now().since(begun);
        order.check_count(self.data.keys())?;
        Ok(took)
    }

    /// Scans all rows and checks each.
    pub(crate) fn check_all(&mut self, engine: &dyn Engine) -> Result<()> {
        let mut order = Order::default();
        engine.scan(&mut |key, value| {
            order.next(key)?;
            self.data.check_row(key, value)
        })?;
        order.check_count(self.data.keys())
    }
}

/// The keys of a scan so far.
#[derive(Default)]
struct Order {
    count: u64,
    last: Option<Key>,
}

impl Order {
    fn next(&mut self, key: &[u8]) -> Result<()> {
        let key = key.first_chunk().copied();
        if key <= self.last {
            return Err("a scan is not in order".into());
        }
        self.last = key;
        self.count += 1;
        Ok(())
    }

    fn check_count(&self, keys: u64) -> Result<()> {
        if self.count == keys {
            Ok(())
        } else {
            Err(format!("a scan found {} of {keys} rows", self.count).into())
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::Each;
    use crate::metric::Metrics;

    /// An engine that is right, unless it is told not to be.
    #[derive(Default)]
    pub(crate) struct Model {
        rows: BTreeMap<Vec<u8>, Vec<u8>>,
        /// Forgets every put of a key that is there.
        stale: bool,
        /// Shows the last row twice.
        twice: bool,
    }

    impl Engine for Model {
        fn put_batch(&mut self, rows: &[Row]) -> Result<()> {
            let stale = |row: &&Row| self.stale && self.rows.contains_key(row.key.as_slice());
            let taken: Vec<&Row> = rows.iter().filter(|row| !stale(row)).collect();
            let taken = taken.into_iter().map(|row| (row.key.to_vec(), row.value.clone()));
            self.rows.extend(taken);
            Ok(())
        }

        fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool> {
            let found = self.rows.get(key);
            value.extend(found.into_iter().flatten());
            Ok(found.is_some())
        }

        fn scan(&self, each: Each<'_>) -> Result<()> {
            let twice = self.rows.last_key_value().filter(|_| self.twice);
            self.rows
                .iter()
                .chain(twice)
                .try_for_each(|(key, value)| each(key, value))
        }

        fn settle(&mut self) -> Result<()> {
            Ok(())
        }

        fn tell(&self, _: &mut Metrics) -> Result<()> {
            Ok(())
        }

        fn close(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    fn loaded(engine: &mut Model) -> Rows {
        let workload = Workload {
            keys: 1_000,
            value_size: 64,
            compressible: 0,
            batch: 30,
            cache: 0,
            seed: 1,
        };
        let mut rows = Rows::new(&workload).unwrap();
        for first in (0..1_000).step_by(30) {
            rows.put_from(engine, first).unwrap();
        }
        rows
    }

    #[test]
    fn what_is_right_passes() {
        let mut engine = Model::default();
        let mut rows = loaded(&mut engine);
        for number in 0..1_000 {
            rows.get(&engine, number).unwrap();
            rows.get_missing(&engine).unwrap();
        }
        for _ in 0..50 {
            rows.put_skewed(&mut engine).unwrap();
        }
        rows.scan(&engine).unwrap();
        rows.check_all(&engine).unwrap();
    }

    #[test]
    fn an_old_value_is_found() {
        let mut engine = Model::default();
        let mut rows = loaded(&mut engine);
        engine.stale = true;
        rows.put_skewed(&mut engine).unwrap();
        rows.scan(&engine).unwrap();
        assert!(rows.check_all(&engine).is_err());
        assert!((0..1_000).any(|number| rows.get(&engine, number).is_err()));
    }

    #[test]
    fn a_lost_row_is_found() {
        let mut engine = Model::default();
        let mut rows = loaded(&mut engine);
        let key = rows.data.key(500);
        engine.rows.remove(key.as_slice());
        assert!(rows.get(&engine, 500).is_err());
        assert!(rows.scan(&engine).is_err());
        assert!(rows.check_all(&engine).is_err());
    }

    #[test]
    fn a_row_too_many_is_found() {
        let mut engine = Model::default();
        let mut rows = loaded(&mut engine);
        engine.twice = true;
        assert!(rows.scan(&engine).is_err());
        assert!(rows.check_all(&engine).is_err());
        let first_missing = rows.data.key(1_000);
        for number in 1_000..2_000 {
            engine.rows.insert(rows.data.key(number).to_vec(), Vec::new());
        }
        assert!(engine.rows.contains_key(first_missing.as_slice()));
        assert!(rows.get_missing(&engine).is_err());
    }

    #[test]
    fn one_row_twice_does_not_make_up_for_a_lost_one() {
        let mut engine = Model::default();
        let mut rows = loaded(&mut engine);
        engine.twice = true;
        engine.rows.remove(rows.data.key(500).as_slice());
        assert!(rows.scan(&engine).is_err());
        assert!(rows.check_all(&engine).is_err());
    }

    #[test]
    fn a_batch_has_each_key_once() {
        let mut engine = Model::default();
        let mut rows = loaded(&mut engine);
        rows.put_skewed(&mut engine).unwrap();
        let keys: HashSet<_> = rows.batch.iter().map(|row| row.key).collect();
        assert_eq!(keys.len(), 30);
    }
}
