//! Random entries with views coming and going, against a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Key → version and value, as a reader sees it.
type Rows = BTreeMap<Vec<u8>, (Version, Vec<u8>)>;

#[derive(Clone, Debug)]
enum Op {
    Put {
        key: u8,
        len: usize,
    },
    Delete {
        key: u8,
    },
    Append {
        key: u8,
        len: usize,
    },
    TakeView,
    DropView {
        at: usize,
    },
    /// After the entry: what is in memory becomes a layer below.
    Freeze,
}

/// Entries of up to three slices, with views coming and going at any point of them.
fn entries() -> impl Strategy<Value = Vec<Vec<Op>>> {
    let op = prop_oneof![
        12 => (any::<u8>(), 0..80_usize).prop_map(|(key, len)| Op::Put { key, len }),
        4 => any::<u8>().prop_map(|key| Op::Delete { key }),
        6 => (0..40_u8, 0..80_usize).prop_map(|(key, len)| Op::Append { key, len }),
        1 => (0..40_u8, 3000..9000_usize).prop_map(|(key, len)| Op::Append { key, len }),
        1 => Just(Op::TakeView),
        1 => (0..8_usize).prop_map(|at| Op::DropView { at }),
        1 => Just(Op::Freeze),
    ];
    let entry = prop_oneof![
        proptest::collection::vec(op.clone(), 0..20),
        proptest::collection::vec(op, 0..200)
    ];
    proptest::collection::vec(entry, 0..20)
}

fn key_of(key: u8) -> Vec<u8> {
    // Some inside the key, some on the heap, prefixes of each other.
    vec![b'a' + key % 7; 1 + usize::from(key) / 7]
}

fn check_view(view: &View, rows: &Rows) {
    let all: Vec<_> = view.scan(&[], &[], false, usize::MAX).unwrap();
    let expected: Vec<_> = rows
        .iter()
        .map(|(key, (version, value))| (key.clone(), *version, value.clone()))
        .collect();
    let plain = |rows: Vec<(Key, Version, ValueRef)>| -> Vec<_> {
        rows.into_iter()
            .map(|(key, version, value)| {
                let value = read(key.as_bytes(), &value);
                (key.as_bytes().to_vec(), version, value)
            })
            .collect()
    };
    assert_eq!(plain(all), expected);
    let (start, end) = (key_of(40), key_of(180));
    let (start, end) = if start < end { (start, end) } else { (end, start) };
    let inside = expected.iter().filter(|(key, ..)| *key >= start && *key < end);
    let mut reversed: Vec<_> = inside.cloned().collect();
    reversed.reverse();
    reversed.truncate(30);
    assert_eq!(plain(view.scan(&start, &end, true, 30).unwrap()), reversed);
    for key in (0..=255).step_by(5).map(key_of) {
        let row = view
            .get(&key, true)
            .unwrap()
            .map(|(version, value)| (version, read(&key, &value)));
        assert_eq!(row, rows.get(&key).cloned());
    }
}

struct Run {
    index: GroupIndex,
    writer: IndexWriter,
    rows: Rows,
    published: Rows,
    views: Vec<(View, Rows)>,
    version: Version,
    frozen: bool,
}

impl Run {
    fn new() -> Self {
        let index = GroupIndex::new();
        let writer = index.writer();
        let (rows, published) = (Rows::new(), Rows::new());
        Self {
            index,
            writer,
            rows,
            published,
            views: Vec::new(),
            version: Version(0),
            frozen: false,
        }
    }

    fn op(&mut self, op: &Op) {
        self.version = self.version.next();
        let version = self.version;
        match *op {
            Op::Put { key, len } => {
                let key = key_of(key);
                self.writer.put(&key, version, value_of(&key, version, len));
                self.rows.insert(key, (version, bytes_of(version, len)));
            }
            Op::Append { key, len } => self.append(key_of(key), len),
            Op::Delete { key } => {
                let key = key_of(key);
                self.writer.delete(&key, version);
                self.rows.remove(&key);
            }
            Op::TakeView => self.views.push((self.index.view(), self.published.clone())),
            Op::DropView { at } if at < self.views.len() => drop(self.views.swap_remove(at)),
            Op::DropView { .. } | Op::Freeze => {}
        }
    }

    fn append(&mut self, key: Vec<u8>, len: usize) {
        let (version, bytes) = (self.version, bytes_of(self.version, len));
        let suffix = if len <= APPEND_MEMORY_BYTES_MAX {
            Suffix::Memory(&bytes)
        } else {
            Suffix::Journal(pointer_to(&key, version, len))
        };
        let Some(old) = self.writer.value_of(&key) else {
            self.writer.put(&key, version, value_of(&key, version, len));
            self.rows.insert(key, (version, bytes));
            return;
        };
        let (before, value) = self.rows.get_mut(&key).unwrap();
        *before = version;
        value.extend_from_slice(&bytes);
        let joined = old.with_suffix(suffix, value_crc(&key, value));
        self.writer.put(&key, version, joined);
    }

    fn entry(&mut self, ops: &[Op], index: u64) {
        self.writer.begin(ops.len());
        for (number, op) in ops.iter().enumerate() {
            self.op(op);
            if number % 16 == 0 {
                self.check_writer(number as u8);
            }
            if number % 50 == 49 {
                self.check_views();
            }
        }
        self.check_views();
        self.version = self.version.next();
        self.writer.publish(self.version, index);
        self.published = self.rows.clone();
        self.check_views();
        let view = self.index.view();
        assert_eq!((view.applied_index(), view.version()), (index, self.version));
        check_view(&view, &self.published);
        if self.frozen {
            return;
        }
        assert_eq!(self.index.len(), self.rows.len());
        assert_eq!(self.index.is_empty(), self.rows.is_empty());
        if ops.iter().any(|op| matches!(op, Op::Freeze)) {
            self.writer.freeze();
            self.frozen = true;
            self.check_views();
            check_view(&self.index.view(), &self.published);
        }
    }

    fn check_writer(&mut self, key: u8) {
        let key = key_of(key);
        assert_eq!(
            self.writer.version_of(&key),
            self.rows.get(&key).map(|(version, _)| *version)
        );
        let newest = self
            .rows
            .range(key.clone()..)
            .map(|(_, (version, _))| *version)
            .max();
        assert_eq!(self.writer.newest_in(&key, &[]), newest);
        let value = self.writer.value_of(&key).map(|value| read(&key, &value));
        assert_eq!(value.as_ref(), self.rows.get(&key).map(|(_, value)| value));
        let end = key_of(200);
        for limit in [0, 1, 3, 4096] {
            let keys = self.writer.keys_in(&key, &end, limit);
            let inside = self.rows.range(key.clone()..).map(|(key, _)| key);
            let expected = inside.take_while(|key| **key < end).take(limit);
            assert!(keys.iter().map(Key::as_bytes).eq(expected.map(Vec::as_slice)));
        }
    }

    fn check_views(&self) {
        for (view, rows) in &self.views {
            check_view(view, rows);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_view_sees_its_point_and_nothing_is_kept_without_one(entries in entries()) {
        let mut run = Run::new();
        for (index, ops) in entries.iter().enumerate() {
            run.entry(ops, index as u64);
        }
        run.views.clear();
        // What the last views held goes a few rows at a time.
        for index in 0..20 {
            run.writer.publish(run.version, entries.len() as u64 + index);
        }
        if run.frozen {
            let kept = run.index.layers().active.tree.read().held()[1];
            prop_assert_eq!(kept, 0);
            return Ok(());
        }
        let (mut inline, mut joined, mut joined_bytes) = (0, 0, 0);
        for (_, _, value) in run.index.view().scan(&[], &[], false, usize::MAX).unwrap() {
            match value {
                ValueRef::Inline(_) => inline += 1,
                ValueRef::Journal(_) | ValueRef::Filed(_) => {}
                ValueRef::Joined(value) => (joined, joined_bytes) = (joined + 1, joined_bytes + value.memory_bytes()),
            }
        }
        let layers = run.index.layers();
        let tree = layers.active.tree.read();
        prop_assert_eq!(tree.held(), [run.rows.len(), 0, inline, joined, 0]);
        prop_assert_eq!(tree.joined_bytes(), joined_bytes);
    }
}
