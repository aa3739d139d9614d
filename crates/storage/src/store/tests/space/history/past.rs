//! Every version that there ever was, in plain maps.

use std::collections::BTreeMap;

use atoll_types::Version;

use super::super::super::look::{Rows, found_by, walk};
use super::super::super::model::{History, KEYS, Op, key, len_of, numbers, value};
use super::super::super::world::Node;
use crate::index::{NotKept, View};

/// Of each key its versions, deletions as `None`.
#[derive(Default)]
pub(super) struct Past {
    keys: BTreeMap<Vec<u8>, BTreeMap<u64, Option<Vec<u8>>>>,
    version: u64,
}

impl Past {
    /// After the entry of this index.
    pub(super) fn of(history: &History, applied: u64) -> Self {
        let mut past = Self::default();
        for (ops, index) in history.entries.iter().zip(0..=applied) {
            for (part, op) in ops.iter().enumerate() {
                past.apply(op, &value(index, part, len_of(op)));
            }
        }
        past
    }

    fn now(&self, key: &[u8]) -> Option<&Vec<u8>> {
        self.keys.get(key)?.last_key_value()?.1.as_ref()
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.version += 1;
        self.keys.entry(key).or_default().insert(self.version, value);
    }

    fn apply(&mut self, op: &Op, value: &[u8]) {
        match op {
            Op::Put { first, count, .. } => {
                for number in numbers(*first, *count) {
                    self.set(key(number), Some(value.to_vec()));
                }
            }
            Op::Delete { first, count } => {
                for number in numbers(*first, *count) {
                    self.set(key(number), None);
                }
            }
            Op::Clear { first, count, limit } => {
                let range = key(*first)..key(first.saturating_add(*count));
                let there = self.keys.range(range).map(|(key, _)| key.clone());
                let there: Vec<_> = there.filter(|key| self.now(key).is_some()).collect();
                for key in there.into_iter().take(*limit) {
                    self.set(key, None);
                }
            }
            Op::Append { key: number, .. } => {
                if let Some(old) = self.now(&key(*number)) {
                    let joined = [old, value].concat();
                    self.set(key(*number), Some(joined));
                }
            }
            Op::System { .. } => {}
        }
    }

    /// All rows as they were at a version.
    fn at(&self, version: u64) -> Rows {
        let rows = self.keys.iter().filter_map(|(key, versions)| {
            let (version, value) = versions.range(..=version).next_back()?;
            Some((key.clone(), Version(*version), value.clone()?))
        });
        rows.collect()
    }

    /// Reads at versions of all of the past: what can be read is right, the rest is refused by name.
    pub(super) fn check(&self, node: &Node, view: &View, random: &mut fastrand::Rng) {
        let (horizon, last) = (view.horizon().0, view.version().0);
        assert!(horizon <= last);
        for ahead in [last + 1, u64::MAX] {
            let newest = Version(last);
            assert_eq!(
                view.at_version(Version(ahead)).err(),
                Some(NotKept::Ahead { newest })
            );
        }
        let mut versions = vec![0, horizon.saturating_sub(1), horizon, last];
        versions.extend((0..3).map(|_| random.u64(0..=last)));
        versions.extend((0..3).map(|_| random.u64(horizon..=last)));
        self.check_at(node, view, versions, random);
    }

    /// The same at these versions.
    pub(super) fn check_at(&self, node: &Node, view: &View, versions: Vec<u64>, random: &mut fastrand::Rng) {
        let horizon = view.horizon().0;
        for version in versions {
            let at = view.at_version(Version(version));
            if version < horizon {
                let oldest = Version(horizon);
                assert_eq!(at.err(), Some(NotKept::Compacted { oldest }));
            } else {
                self.check_rows(node, &at.unwrap(), version, random);
            }
        }
    }

    fn check_rows(&self, node: &Node, at: &View, version: u64, random: &mut fastrand::Rng) {
        let mut expected = self.at(version);
        let all = walk(at, (&[], &[]), (false, true), &node.journal);
        assert!(all == expected, "all rows at {version}");
        for _ in 0..20 {
            let key = key(random.u16(..KEYS));
            let row = expected.iter().find(|row| row.0 == key);
            let row = row.map(|(_, version, value)| (*version, value.clone()));
            assert_eq!(found_by(at, &key, &node.journal), row, "at {version}");
        }
        let (start, end) = (key(random.u16(..KEYS)), key(random.u16(..KEYS)));
        expected.retain(|row| row.0 >= start && row.0 < end);
        expected.reverse();
        let reverse = walk(at, (&start, &end), (true, false), &node.journal);
        assert!(reverse == expected, "backward at {version}");
    }
}
