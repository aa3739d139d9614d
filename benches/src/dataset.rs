//! The rows: what they are is computed from a seed, so that any of them can be checked at any time.
//!
//! A key is made from its number, a value from its key's number and its *generation*, which is how often the key was
//! put before. The dataset remembers the generation of every key, and with that what an engine must answer.

use fastrand::Rng;

use crate::Result;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 24;
/// A value begins with its number and its generation.
pub(crate) const VALUE_BYTES_MIN: usize = 12;

/// Of a skewed choice, how many of a hundred go to the first fifth of the keys.
const HOT_PERCENT: u32 = 80;

/// A key.
pub(crate) type Key = [u8; KEY_BYTES];

/// What values look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values {
    bytes: usize,
    /// Of these, the last, which say the same over and over.
    repeating: usize,
}

impl Values {
    /// Values of so many bytes, of which so many percent repeat.
    pub(crate) fn new(bytes: u32, compressible: u32) -> Self {
        let bytes = (bytes as usize).max(VALUE_BYTES_MIN);
        let repeating = bytes * compressible.min(100) as usize / 100;
        Self {
            bytes,
            repeating: repeating.min(bytes - VALUE_BYTES_MIN),
        }
    }

    /// Writes the value of a generation of a key.
    fn write(self, seed: u64, (number, generation): (u64, u32), value: &mut Vec<u8>) {
        value.clear();
        value.reserve(self.bytes + 8);
        value.extend_from_slice(&number.to_le_bytes());
        value.extend_from_slice(&generation.to_le_bytes());
        let mut state = mix(seed ^ number.rotate_left(32) ^ u64::from(generation));
        let mut next = || {
            state = state.wrapping_add(STEP);
            mix(state).to_le_bytes()
        };
        while value.len() < self.bytes - self.repeating {
            value.extend_from_slice(&next());
        }
        let word = next();
        while value.len() < self.bytes {
            value.extend_from_slice(&word);
        }
        value.truncate(self.bytes);
    }
}

/// A row to put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) value: Vec<u8>,
}

/// All rows of a run.
pub(crate) struct Dataset {
    seed: u64,
    values: Values,
    /// Of each key, the generation that an engine must have; `None`: not put yet.
    generations: Vec<Option<u32>>,
    /// Of the last check.
    expected: Vec<u8>,
}

impl Dataset {
    /// Rows of which none is put.
    pub(crate) fn new(seed: u64, keys: u32, values: Values) -> Self {
        Self {
            seed: mix(seed),
            values,
            generations: vec![None; keys as usize],
            expected: Vec::new(),
        }
    }

    /// Keys, put or not.
    pub(crate) fn keys(&self) -> u64 {
        self.generations.len() as u64
    }

    /// Bytes of one row as a user counts them.
    pub(crate) fn row_bytes(&self) -> u64 {
        (KEY_BYTES + self.values.bytes) as u64
    }

    /// The key of this number. Different numbers have different keys.
    pub(crate) fn key(&self, number: u64) -> Key {
        let mut key = [0; KEY_BYTES];
        for (place, word) in key.chunks_exact_mut(8).zip(0_u64..) {
            // The first eight bytes alone tell keys apart: all three steps of it are bijections.
            let salt = self.seed.wrapping_add(word.wrapping_mul(STEP));
            place.copy_from_slice(&mix(number ^ salt).to_le_bytes());
        }
        key
    }

    /// A key that is never put.
    pub(crate) fn missing_key(&self, rng: &mut Rng) -> Key {
        self.key(self.keys() + rng.u64(..self.keys()))
    }

    /// Makes the next generation of a key the one that an engine must have, and writes its row to `row`.
    pub(crate) fn next_row(&mut self, number: u64, row: &mut Row) {
        let Some(generation) = self.generations.get_mut(number as usize) else {
            return;
        };
        let next = generation.map_or(0, |last| last.wrapping_add(1));
        *generation = Some(next);
        row.key = self.key(number);
        self.values.write(self.seed, (number, next), &mut row.value);
    }

    /// Checks that this is the value that the key of this number must have.
    pub(crate) fn check(&mut self, number: u64, value: &[u8]) -> Result<()> {
        let generation = self.generations.get(number as usize).copied().flatten();
        let Some(generation) = generation else {
            return Err(format!("key {number} was never put, and there is a value").into());
        };
        self.values
            .write(self.seed, (number, generation), &mut self.expected);
        if value != self.expected {
            let found = number_of(value);
            return Err(
                format!("key {number} has another value than generation {generation}: {found:?}").into(),
            );
        }
        Ok(())
    }

    /// Checks a row whose number only its value tells.
    pub(crate) fn check_row(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let number = number_of(value).ok_or("a value is too short")?;
        if self.key(number) != key {
            return Err(format!("the value of key {number} stands at another key").into());
        }
        self.check(number, value)
    }

    /// A number of any key, all alike.
    pub(crate) fn any(&self, rng: &mut Rng) -> u64 {
        rng.u64(..self.keys())
    }

    /// A number of any key, four times out of five of the first fifth. Keys are random, so those are spread over all.
    pub(crate) fn skewed(&self, rng: &mut Rng) -> u64 {
        if rng.u32(..100) < HOT_PERCENT {
            self.hot(rng)
        } else {
            rng.u64(self.hot_keys()..self.keys())
        }
    }

    /// A number of any key of the first fifth.
    pub(crate) fn hot(&self, rng: &mut Rng) -> u64 {
        rng.u64(..self.hot_keys())
    }

    fn hot_keys(&self) -> u64 {
        self.keys() / 5
    }
}

/// The number that a value says it belongs to.
fn number_of(value: &[u8]) -> Option<u64> {
    value.first_chunk().map(|number| u64::from_le_bytes(*number))
}

/// The step of splitmix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of splitmix64, a bijection.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ROW: Row = Row {
        key: [0; KEY_BYTES],
        value: Vec::new(),
    };

    #[test]
    fn keys_differ_and_repeat_by_seed() {
        let data = Dataset::new(1, 10_000, Values::new(100, 0));
        let mut rng = Rng::with_seed(1);
        let mut keys: BTreeSet<Key> = (0..10_000).map(|number| data.key(number)).collect();
        assert_eq!(keys.len(), 10_000);
        for _ in 0..1_000 {
            assert!(!keys.contains(&data.missing_key(&mut rng)));
        }
        keys.extend((0..10_000).map(|number| Dataset::new(1, 10_000, Values::new(7, 0)).key(number)));
        assert_eq!(keys.len(), 10_000, "the same seed, the same keys");
        keys.extend((0..10_000).map(|number| Dataset::new(2, 10_000, Values::new(7, 0)).key(number)));
        assert_eq!(keys.len(), 20_000, "another seed, other keys");
    }

    #[test]
    fn keys_are_spread() {
        let data = Dataset::new(3, 100, Values::new(100, 0));
        let mut firsts = [0_u32; 256];
        for number in 0..25_600 {
            firsts[usize::from(data.key(number)[0])] += 1;
        }
        assert!(firsts.iter().all(|count| (50..200).contains(count)), "{firsts:?}");
    }

    #[test]
    fn every_generation_has_a_value_of_its_own() {
        let mut data = Dataset::new(1, 10, Values::new(256, 0));
        let (mut row, mut values) = (ROW, BTreeSet::new());
        for _ in 0..100 {
            for number in 0..10 {
                data.next_row(number, &mut row);
                assert_eq!(row.value.len(), 256);
                assert_eq!(row.key, data.key(number));
                data.check(number, &row.value).unwrap();
                data.check_row(&row.key, &row.value).unwrap();
                values.insert(row.value.clone());
            }
        }
        assert_eq!(values.len(), 1_000);
    }

    #[test]
    fn as_much_repeats_as_is_asked_for() {
        for (compressible, distinct) in [(0, 32), (50, 17), (100, 3)] {
            let mut data = Dataset::new(1, 10, Values::new(256, compressible));
            let mut row = ROW;
            data.next_row(3, &mut row);
            data.check(3, &row.value).unwrap();
            let words: BTreeSet<&[u8]> = row.value.chunks(8).collect();
            assert!(
                words.len().abs_diff(distinct) <= 1,
                "{compressible}: {}",
                words.len()
            );
        }
    }

    #[test]
    fn what_is_wrong_is_found() {
        let mut data = Dataset::new(1, 10, Values::new(64, 0));
        let (mut old, mut new, mut other) = (ROW, ROW, ROW);
        assert!(data.check(3, &[0; 64]).is_err(), "never put");
        data.next_row(3, &mut old);
        data.next_row(3, &mut new);
        data.next_row(4, &mut other);
        assert!(data.check(3, &old.value).is_err(), "a value from before");
        assert!(data.check(3, &other.value).is_err(), "another key's");
        assert!(data.check_row(&new.key, &other.value).is_err(), "another key's");
        assert!(data.check(3, &new.value[..63]).is_err(), "cut");
        assert!(data.check_row(&new.key, b"short").is_err());
        for bit in 0..64 * 8 {
            let mut flipped = new.value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(data.check(3, &flipped).is_err(), "bit {bit}");
            assert!(data.check_row(&new.key, &flipped).is_err(), "bit {bit}");
        }
        data.check_row(&new.key, &new.value).unwrap();
    }

    #[test]
    fn a_fifth_of_the_keys_gets_four_fifths() {
        let (data, mut rng) = (Dataset::new(1, 1_000, Values::new(64, 0)), Rng::with_seed(1));
        let chosen: Vec<u64> = (0..100_000).map(|_| data.skewed(&mut rng)).collect();
        assert!(chosen.iter().all(|number| *number < 1_000));
        let hot = chosen.iter().filter(|number| **number < 200).count();
        assert!((79_000..81_000).contains(&hot), "{hot}");
        let distinct: BTreeSet<u64> = chosen.into_iter().collect();
        assert_eq!(distinct.len(), 1_000, "every key is chosen now and then");
    }
}
