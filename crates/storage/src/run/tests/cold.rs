//! Reads that must not wait.

use std::collections::BTreeSet;
use std::io;

use atoll_env::BoxFuture;
use atoll_env::vfs::File;
use parking_lot::Mutex;

use super::*;

/// A file of which nothing is in memory until somebody has waited for it, nor always then.
pub(super) struct ColdFile {
    file: BytesFile,
    warm: Mutex<BTreeSet<u64>>,
    rng: Mutex<fastrand::Rng>,
}

impl ColdFile {
    pub(super) fn of(bytes: Vec<u8>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            file: BytesFile(bytes),
            warm: Mutex::default(),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
        })
    }
}

impl File for ColdFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.warm.lock().insert(offset);
        self.file.read_at(buffer, offset)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let mut warm = self.warm.lock();
        if !warm.contains(&offset) {
            return Ok(None);
        }
        if self.rng.lock().u8(..8) == 0 {
            warm.remove(&offset);
        }
        self.file.try_read_at(buffer, offset)
    }

    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        self.file.sync()
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.file.forget_cached()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

fn some_rows() -> Rows {
    let key = |number: u32| (format!("\0key/{number:05}").into_bytes(), Reverse(Version(3)));
    (0..3_000)
        .map(|number| (key(number), inline(number.to_string())))
        .collect()
}

fn open_cold(cache: usize) -> (Arc<Run>, Arc<BlockCache>) {
    let (bytes, _) = bytes_of(&some_rows());
    let cache = Arc::new(BlockCache::new(cache));
    let run = Run::open(ColdFile::of(bytes, 1), IDENTITY, cache.clone()).unwrap();
    (Arc::new(run), cache)
}

#[test]
fn what_was_waited_for_is_then_in_the_cache() {
    let (run, cache) = open_cold(1 << 20);
    let key = b"\0key/01234";
    assert_eq!(run.get(key, Version(9), false).unwrap(), Looked::WouldBlock);
    assert_eq!(
        run.get(b"\0absent", Version(9), false).unwrap(),
        Looked::Absent,
        "by the filter"
    );
    let row = Looked::Row(Version(3), inline("1234"));
    assert_eq!(run.get(key, Version(9), true).unwrap(), row);
    assert_eq!((cache.hits(), cache.misses()), (0, 2));
    for _ in 0..50 {
        assert_eq!(run.get(key, Version(9), false).unwrap(), row);
    }
    assert_eq!((cache.hits(), cache.misses()), (50, 2));
}

/// A step that waits, on a thread that may.
fn step_elsewhere(cursor: &mut RunCursor) -> Step {
    let step = || cursor.step(true).unwrap();
    std::thread::scope(|scope| scope.spawn(step).join().unwrap())
}

#[test]
fn a_walk_that_would_block_goes_on_where_it_stood_on_another_thread() {
    for direction in [Direction::Forward, Direction::Backward] {
        let (run, cache) = open_cold(0);
        let mut cursor = RunCursor::new(run, (b"", b""), direction);
        let (mut found, mut blocked) = (Vec::new(), 0);
        loop {
            let mut step = cursor.step(false).unwrap();
            if step == Step::WouldBlock {
                blocked += 1;
                assert_eq!(cursor.step(false).unwrap(), Step::WouldBlock);
                assert_eq!(row(&cursor).unwrap().as_ref(), found.last(), "it has not moved");
                step = step_elsewhere(&mut cursor);
            }
            if step == Step::End {
                break;
            }
            found.extend(row(&cursor).unwrap());
        }
        if direction == Direction::Backward {
            found.reverse();
        }
        assert_eq!(found, listed(&some_rows()));
        assert!(blocked > 3, "each block once: {blocked}");
        assert_eq!((cache.hits(), cache.misses()), (0, 0), "there is none");
    }
}

#[test]
fn a_walk_without_caching_leaves_the_cache_alone() {
    let (run, cache) = open_cold(1 << 20);
    let whole = (&b""[..], &b""[..]);
    // Between the two walks the read itself leaves one block, not the one that is read at the end.
    for (caches, key) in [(false, b"\0key/00001"), (true, b"\0key/02999")] {
        let mut cursor = RunCursor::new(run.clone(), whole, Direction::Forward);
        if !caches {
            cursor = cursor.without_caching();
        }
        assert_eq!(walk(&mut cursor).unwrap().len(), 3_000);
        let before = cache.hits();
        run.get(key, Version(9), true).unwrap();
        assert_eq!(cache.hits() > before, caches);
    }
}
