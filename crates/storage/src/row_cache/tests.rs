use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use atoll_types::Version;

use super::{GroupRows, RowCache};
use crate::index::{Below, GroupIndex, IndexWriter, InlineValue, NodeRows, ValueRef, View};
use crate::journal::value_crc;

const KEY: &[u8] = b"key";

fn node() -> NodeRows {
    NodeRows {
        cache: Some(Arc::new(RowCache::new(1 << 20))),
        ..NodeRows::default()
    }
}

fn text(version: Version) -> Vec<u8> {
    format!("value {version}").into_bytes()
}

fn keep(rows: &GroupRows, key: &[u8], version: u64, seen_at: u64) {
    let value = text(Version(version));
    let row = (Version(version), value_crc(key, &value), &value[..]);
    rows.keep(key, row, Version(seen_at));
}

#[test]
fn a_row_is_found_by_views_that_see_it_and_by_its_version() {
    let node = node();
    let rows = GroupRows::new(node.cache.as_ref());
    keep(&rows, KEY, 5, 7);
    assert_eq!(rows.get(KEY, Version(4)), None, "it was written later");
    for at in [5, 6, 7, 100] {
        let (version, bytes) = rows.get(KEY, Version(at)).unwrap();
        assert_eq!((version, bytes.to_vec()), (Version(5), text(version)));
    }
    assert_eq!(rows.value(KEY, Version(5)).unwrap(), text(Version(5)));
    assert_eq!(rows.value(KEY, Version(4)), None);
    assert_eq!(rows.get(b"other", Version(9)), None);
    rows.forget(KEY, Version(8));
    assert_eq!(rows.get(KEY, Version(9)), None);
    keep(&rows, KEY, 5, 7);
    assert_eq!(rows.get(KEY, Version(7)), None, "it changed since");
    keep(&rows, KEY, 8, 8);
    assert!(rows.get(KEY, Version(8)).is_some());
    let other = GroupRows::new(node.cache.as_ref());
    assert_eq!(other.get(KEY, Version(9)), None, "another state");
    GroupRows::default().forget(KEY, Version(1));
    assert_eq!(GroupRows::default().get(KEY, Version(9)), None);
}

#[test]
fn bytes_are_bounded_and_what_is_not_what_was_put_in_is_not_given() {
    let cache = Arc::new(RowCache::new(64 * 1024));
    let rows = GroupRows::new(Some(&cache));
    let name = |number: u32| number.to_le_bytes();
    for number in 0..1000 {
        keep(&rows, &name(number), 1, 1);
    }
    let kept = (0..1000).filter(|number| rows.get(&name(*number), Version(1)).is_some());
    let kept = kept.count();
    assert!(kept > 0 && kept < 1000, "{kept}");
    assert!(cache.memory_bytes() <= 64 * 1024 && cache.memory_bytes() >= kept as u64 * 7);
    assert_eq!((cache.hits(), cache.misses()), (kept as u64, 1000));
    let long = vec![0; 64 * 1024 + 1];
    rows.keep(KEY, (Version(1), value_crc(KEY, &long), &long), Version(1));
    assert_eq!(rows.get(KEY, Version(1)), None, "too long");
    rows.keep(KEY, (Version(1), value_crc(b"other", b"v"), b"v"), Version(1));
    assert_eq!(rows.get(KEY, Version(1)), None, "the sum is of another key");
}

#[test]
fn a_full_cache_takes_a_row_asked_for_twice_and_one_that_changed_at_once() {
    let cache = Arc::new(RowCache::new(64 * 1024));
    let rows = GroupRows::new(Some(&cache));
    for number in 0..2_000_u32 {
        keep(&rows, &number.to_le_bytes(), 1, 1);
    }
    keep(&rows, KEY, 1, 1);
    assert_eq!(rows.get(KEY, Version(1)), None, "it may never be asked for again");
    keep(&rows, KEY, 1, 1);
    assert!(rows.get(KEY, Version(1)).is_some());
    rows.forget(KEY, Version(2));
    assert_eq!(rows.get(KEY, Version(2)), None);
    keep(&rows, KEY, 2, 2);
    assert!(rows.get(KEY, Version(2)).is_some());
}

/// A writer and readers of one key, over the index as it is; only that rows are kept although memory has them.
struct World {
    index: GroupIndex,
    writer: IndexWriter,
    readers: [Reader; 2],
}

#[derive(Default)]
struct Reader {
    view: Option<View>,
    found: bool,
}

/// What a reader does next. Each is one hold of a lock, so steps of others come before or after it.
#[derive(Clone, Copy)]
enum Step {
    Look,
    Ask,
    Keep,
}

const WRITES: usize = 5;
const READS: [&[Step]; 2] = [
    &[Step::Look, Step::Ask, Step::Keep, Step::Look, Step::Ask],
    &[Step::Look, Step::Ask, Step::Keep],
];

fn put(writer: &mut IndexWriter, version: u64) {
    let value = text(Version(version));
    let value = InlineValue::new(&value, value_crc(KEY, &value)).unwrap();
    writer.begin(1);
    writer.put(KEY, Version(version), ValueRef::Inline(value));
}

impl World {
    fn new(node: &NodeRows) -> Self {
        let index = GroupIndex::restored(Version(0), 0, Below::default(), node);
        let mut writer = index.writer();
        put(&mut writer, 1);
        writer.publish(Version(1), 1);
        Self {
            index,
            writer,
            readers: Default::default(),
        }
    }

    fn write(&mut self, step: usize) {
        match step {
            0 => put(&mut self.writer, 2),
            1 => self.writer.publish(Version(2), 2),
            2 => drop(self.writer.freeze()),
            3 => {
                self.writer.begin(1);
                self.writer.delete(KEY, Version(3));
            }
            _ => self.writer.publish(Version(3), 3),
        }
    }

    fn rows(&self) -> GroupRows {
        self.index.layers().active.cached.clone()
    }

    fn read(&mut self, reader: usize, step: Step) {
        let rows = self.rows();
        let view = self.index.view();
        let reader = &mut self.readers[reader];
        match step {
            Step::Look => reader.view = Some(view),
            Step::Ask => {
                let view = reader.view.as_ref().unwrap();
                reader.found = check(&rows, view);
            }
            Step::Keep => {
                let view = reader.view.as_ref().unwrap();
                if !reader.found
                    && let Some((version, _)) = view.get(KEY, true).unwrap()
                {
                    keep(&rows, KEY, version.0, view.version().0);
                }
            }
        }
    }
}

/// True if the cache has the row; then it is the one that the view sees.
fn check(rows: &GroupRows, view: &View) -> bool {
    let sees = view.get(KEY, true).unwrap().map(|(version, _)| version);
    let found = rows.get(KEY, view.version());
    if let Some((version, bytes)) = &found {
        let at = view.version();
        assert_eq!(Some(*version), sees, "a stale row for a view at {at}");
        assert_eq!(bytes, &text(*version));
    }
    found.is_some()
}

/// Every order in which the steps of all three can come.
fn orders(left: [usize; 3], order: &mut Vec<usize>, each: &mut impl FnMut(&[usize])) {
    if left == [0; 3] {
        return each(order);
    }
    for actor in 0..3 {
        if left[actor] > 0 {
            let mut left = left;
            left[actor] -= 1;
            order.push(actor);
            orders(left, order, each);
            order.pop();
        }
    }
}

#[test]
fn no_order_of_steps_gives_a_view_a_row_that_it_does_not_see() {
    let node = node();
    let mut runs = 0;
    let left = [WRITES, READS[0].len(), READS[1].len()];
    orders(left, &mut Vec::new(), &mut |order| {
        let mut world = World::new(&node);
        let mut done = [0; 3];
        for actor in order {
            match actor {
                0 => world.write(done[0]),
                reader => world.read(reader - 1, READS[reader - 1][done[*reader]]),
            }
            done[*actor] += 1;
        }
        check(&world.rows(), &world.index.view());
        runs += 1;
    });
    assert_eq!(runs, 72_072);
    let hits = node.cache.unwrap().hits();
    assert!(hits > 1_000, "rows are found at all: {hits}");
}

/// The same with threads, for what is one step only because a lock is held.
#[test]
fn threads_find_no_stale_row_either() {
    const ENTRIES: u64 = 20_000;
    let node = node();
    let index = GroupIndex::restored(Version(0), 0, Below::default(), &node);
    let rows = index.layers().active.cached.clone();
    let (ended, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let read = || {
        while !ended.load(Ordering::Relaxed) {
            let view = index.view();
            if !check(&rows, &view)
                && let Some((version, _)) = view.get(KEY, true).unwrap()
            {
                keep(&rows, KEY, version.0, view.version().0);
            }
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        let mut writer = index.writer();
        for version in 1..=ENTRIES {
            put(&mut writer, version);
            writer.publish(Version(version), version);
        }
        while asked.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
        ended.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    check(&rows, &index.view());
}
