//! What a group must hold: entries, what they mean, and a model that applies them to plain maps.

use std::collections::BTreeMap;

use atoll_types::{Codec, Version};
use bytes::Bytes;

use crate::codec::pack;

/// Keys that there may be: more than two pages of them.
pub(super) const KEYS: u16 = 600;

/// A part of an entry.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Values of this length for so many keys from the first on.
    Put { first: u16, count: u16, len: usize },
    /// Deletes so many keys, whether or not they are there.
    Delete { first: u16, count: u16 },
    /// Deletes the keys that are there, at most so many.
    Clear { first: u16, count: u16, limit: usize },
    /// Appends to a key that is there.
    Append { key: u16, len: usize },
    /// Sets or removes a row of the system.
    System { key: u8, len: Option<usize> },
}

impl Op {
    /// One value for one key.
    pub(super) fn put(key: u16, len: usize) -> Self {
        Self::Put {
            first: key,
            count: 1,
            len,
        }
    }
}

pub(super) fn key(number: u16) -> Vec<u8> {
    format!("key-{number:05}").into_bytes()
}

pub(super) fn system_key(number: u8) -> Bytes {
    vec![b's', number].into()
}

/// Bytes that no other place of any entry has. Those of one length in four pack well, if they are long enough.
pub(super) fn value(index: u64, part: usize, len: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(index << 20 | part as u64);
    if len % 4 == 3 {
        let word: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(32).collect();
        return word.iter().copied().cycle().take(len).collect();
    }
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

pub(super) fn len_of(op: &Op) -> usize {
    match op {
        Op::Put { len, .. } | Op::Append { len, .. } => *len,
        Op::System { len, .. } => len.unwrap_or(0),
        Op::Delete { .. } | Op::Clear { .. } => 0,
    }
}

/// What an entry has of an operation's value: what is put is packed if it can be.
pub(super) fn stored(op: &Op, value: Vec<u8>) -> (Codec, Vec<u8>) {
    let packed = match op {
        Op::Put { .. } => pack(Codec::Lz4, &value),
        _ => None,
    };
    packed.unwrap_or((Codec::None, value))
}

/// The values of an entry as they are stored, one part after the other.
pub(super) fn payload(index: u64, ops: &[Op]) -> Vec<u8> {
    let parts = ops.iter().enumerate();
    parts
        .flat_map(|(part, op)| stored(op, value(index, part, len_of(op))).1)
        .collect()
}

/// The keys `first..first + count` of those there may be.
pub(super) fn numbers(first: u16, count: u16) -> std::ops::Range<u16> {
    first.min(KEYS)..first.saturating_add(count).min(KEYS)
}

/// What there is after some entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) applied: u64,
    pub(super) version: u64,
    pub(super) rows: BTreeMap<Vec<u8>, (Version, Vec<u8>)>,
    pub(super) system: BTreeMap<Bytes, Bytes>,
}

impl Model {
    pub(super) fn apply(&mut self, index: u64, ops: &[Op]) {
        assert_eq!(index, self.applied + 1);
        self.applied = index;
        for (part, op) in ops.iter().enumerate() {
            self.apply_op(op, value(index, part, len_of(op)));
        }
    }

    fn apply_op(&mut self, op: &Op, value: Vec<u8>) {
        match op {
            Op::Put { first, count, .. } => {
                for number in numbers(*first, *count) {
                    let version = self.next();
                    self.rows.insert(key(number), (version, value.clone()));
                }
            }
            Op::Delete { first, count } => {
                for number in numbers(*first, *count) {
                    self.next();
                    self.rows.remove(&key(number));
                }
            }
            Op::Clear { first, count, limit } => {
                let range = key(*first)..key(first.saturating_add(*count));
                let gone: Vec<_> = self.rows.range(range).map(|(key, _)| key.clone()).collect();
                for key in gone.into_iter().take(*limit) {
                    self.next();
                    self.rows.remove(&key);
                }
            }
            Op::Append { key: number, .. } => {
                let version = Version(self.version + 1);
                if let Some(row) = self.rows.get_mut(&key(*number)) {
                    row.0 = version;
                    row.1.extend_from_slice(&value);
                    self.version += 1;
                }
            }
            Op::System { key, len: None } => drop(self.system.remove(&system_key(*key))),
            Op::System { key, len: Some(_) } => {
                self.system.insert(system_key(*key), value.into());
            }
        }
    }

    fn next(&mut self) -> Version {
        self.version += 1;
        Version(self.version)
    }
}

/// The entries ever appended and the model after each; 0 is before the first.
#[derive(Clone)]
pub(super) struct History {
    pub(super) entries: Vec<Vec<Op>>,
    pub(super) models: Vec<Model>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            entries: vec![vec![]],
            models: vec![Model::default()],
        }
    }
}

impl History {
    /// An entry behind those that `model` knows; what the log had behind it was lost with the power.
    pub(super) fn push(&mut self, model: &Model, ops: &[Op]) {
        self.entries.truncate(model.applied as usize + 1);
        self.models.truncate(model.applied as usize + 1);
        let mut model = model.clone();
        model.apply(model.applied + 1, ops);
        self.entries.push(ops.to_vec());
        self.models.push(model);
    }
}
