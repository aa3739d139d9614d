//! Segments as the running process sees them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use atoll_env::vfs::File;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::cache::ValueCache;

/// One segment. Holding the `Arc` is the pin: while anybody does, its bytes stay what they are, also after
/// the segment was freed.
pub(crate) struct Segment {
    pub(crate) id: u32,
    /// Where the next segment takes over, unless one record alone needs more.
    pub(crate) limit: u32,
    /// Set by the writer before the first frame is written.
    file: OnceLock<Arc<dyn File>>,
    /// Everything before is in the file, synced.
    durable_upto: AtomicU32,
    /// Payloads beyond `durable_upto`, by the offset they will have: a pointer to an entry that is
    /// not synced yet resolves here.
    unwritten: Mutex<BTreeMap<u32, Bytes>>,
    /// What it takes on disk, once nothing is written to it any more.
    sealed_bytes: AtomicU64,
}

/// Where a read finds its bytes.
pub(crate) enum Place {
    Memory(Bytes),
    File(Arc<dyn File>),
}

impl Segment {
    /// A segment whose file is still to be made.
    pub(crate) fn fresh(id: u32, limit: u32) -> Self {
        Self {
            id,
            limit,
            file: OnceLock::new(),
            durable_upto: AtomicU32::new(0),
            unwritten: Mutex::default(),
            sealed_bytes: AtomicU64::new(0),
        }
    }

    /// A segment found at recovery; nothing is ever appended to it.
    pub(crate) fn sealed(id: u32, file: Arc<dyn File>, bytes: u64) -> Self {
        Self {
            id,
            limit: 0,
            file: OnceLock::from(file),
            durable_upto: AtomicU32::new(u32::MAX),
            unwritten: Mutex::default(),
            sealed_bytes: AtomicU64::new(bytes),
        }
    }

    pub(crate) fn file(&self) -> Option<&Arc<dyn File>> {
        self.file.get()
    }

    /// Its file, once it has one, and where the bytes end that are synced.
    pub(crate) fn durable_file(&self) -> Option<(&Arc<dyn File>, u64)> {
        let durable = self.durable_upto.load(Ordering::Acquire);
        self.file.get().map(|file| (file, durable.into()))
    }

    /// Its file, for whoever is the only one to have the segment.
    pub(crate) fn file_mut(&mut self) -> Option<&mut Arc<dyn File>> {
        self.file.get_mut()
    }

    pub(crate) fn set_file(&self, file: Arc<dyn File>) {
        let fresh = self.file.set(file).is_ok();
        debug_assert!(fresh, "a segment gets its file once");
    }

    /// Keeps a payload readable until it is durable.
    pub(crate) fn hold(&self, offset: u32, payload: Bytes) {
        self.unwritten.lock().insert(offset, payload);
    }

    /// Everything before `end` is synced. The mark moves before the bytes leave memory, so that a
    /// reader who finds nothing in memory finds it in the file.
    pub(crate) fn set_durable(&self, end: u32) {
        debug_assert!(
            self.durable_upto.load(Ordering::Relaxed) <= end,
            "durability only grows"
        );
        self.durable_upto.store(end, Ordering::Release);
        let mut unwritten = self.unwritten.lock();
        let rest = unwritten.split_off(&end);
        let freed = std::mem::replace(&mut *unwritten, rest);
        drop(unwritten);
        drop(freed);
    }

    /// Finds `len` bytes at `offset`. `None` if no such bytes were ever given to this segment.
    pub(crate) fn find(&self, offset: u32, len: u32) -> Option<Place> {
        let end = offset.checked_add(len)?;
        if end > self.durable_upto.load(Ordering::Acquire)
            && let Some(bytes) = self.find_unwritten(offset, len as usize)
        {
            return Some(Place::Memory(bytes));
        }
        // Either durable all along or since the first look.
        (end <= self.durable_upto.load(Ordering::Acquire)).then(|| self.file().cloned().map(Place::File))?
    }

    fn find_unwritten(&self, offset: u32, len: usize) -> Option<Bytes> {
        let unwritten = self.unwritten.lock();
        let (start, payload) = unwritten
            .range((Bound::Unbounded, Bound::Included(offset)))
            .next_back()?;
        let from = (offset - start) as usize;
        (from + len <= payload.len()).then(|| payload.slice(from..from + len))
    }
}

/// All segments, by id. Ids follow each other from the first one kept, with gaps only where segments were lost.
pub(crate) struct SegmentTable {
    segments: RwLock<Segments>,
    /// What the files take that nothing is written to any more.
    sealed_bytes: AtomicU64,
    freed: AtomicU64,
    /// Values read from files lately.
    pub(crate) cache: ValueCache,
}

/// The oldest and the newest segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) oldest: u32,
    pub(crate) newest: u32,
}

/// Ids ascend. There is an entry for each segment and none for a gap: a stray file of a huge number must not cost memory.
#[derive(Default)]
struct Segments(VecDeque<Arc<Segment>>);

impl Segments {
    fn get(&self, id: u32) -> Option<&Arc<Segment>> {
        let first = self.0.front()?.id;
        let at = id.checked_sub(first)? as usize;
        // Its place if there are no gaps.
        let there = self.0.get(at).filter(|found| found.id == id);
        there.or_else(|| {
            let at = self.0.binary_search_by_key(&id, |segment| segment.id).ok()?;
            self.0.get(at)
        })
    }
}

impl SegmentTable {
    pub(crate) fn new(cache_bytes: usize) -> Self {
        Self {
            segments: RwLock::default(),
            sealed_bytes: AtomicU64::new(0),
            freed: AtomicU64::new(0),
            cache: ValueCache::new(cache_bytes),
        }
    }

    /// Adds a segment behind all others.
    pub(crate) fn push(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write();
        let newest = segments.0.back().map(|newest| newest.id);
        debug_assert!(newest < Some(segment.id), "segment ids only grow");
        self.sealed_bytes
            .fetch_add(segment.sealed_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        segments.0.push_back(segment);
    }

    /// Nothing is written to this segment any more.
    pub(crate) fn seal(&self, segment: &Segment, bytes: u64) {
        segment.sealed_bytes.store(bytes, Ordering::Relaxed);
        self.sealed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What the files take that nothing is written to any more.
    pub(crate) fn sealed_bytes(&self) -> u64 {
        self.sealed_bytes.load(Ordering::Relaxed)
    }

    /// What the segments from this one on and before that one take, as far as nothing is written to them any more.
    pub(crate) fn bytes_of(&self, ids: Range<u32>) -> u64 {
        let segments = self.segments.read();
        let some = segments.0.iter().filter(|segment| ids.contains(&segment.id));
        some.map(|segment| segment.sealed_bytes.load(Ordering::Relaxed))
            .sum()
    }

    /// Takes the oldest segment out if it is older than `below`: from now on nobody finds it.
    pub(crate) fn take_oldest(&self, below: u32) -> Option<Arc<Segment>> {
        let mut segments = self.segments.write();
        if segments.0.len() < 2 || segments.0.front()?.id >= below {
            return None;
        }
        let taken = segments.0.pop_front()?;
        self.sealed_bytes
            .fetch_sub(taken.sealed_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        self.freed.fetch_add(1, Ordering::Relaxed);
        Some(taken)
    }

    /// Puts back what [`SegmentTable::take_oldest`] gave: its file could not be let go of.
    pub(crate) fn put_back(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write();
        let oldest = segments.0.front().map_or(u32::MAX, |oldest| oldest.id);
        debug_assert!(segment.id < oldest, "it was the oldest");
        self.sealed_bytes
            .fetch_add(segment.sealed_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        self.freed.fetch_sub(1, Ordering::Relaxed);
        segments.0.push_front(segment);
    }

    /// Segments taken out for good.
    pub(crate) fn freed(&self) -> u64 {
        self.freed.load(Ordering::Relaxed)
    }

    /// The oldest and the newest; none before the first.
    pub(crate) fn ends(&self) -> Option<Ends> {
        let segments = self.segments.read();
        Some(Ends {
            oldest: segments.0.front()?.id,
            newest: segments.0.back()?.id,
        })
    }

    /// Takes the pin of a segment.
    pub(crate) fn get(&self, id: u32) -> Option<Arc<Segment>> {
        self.segments.read().get(id).cloned()
    }

    pub(crate) fn count(&self) -> usize {
        self.segments.read().0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_not_yet_durable_are_found_in_memory_only_while_whole() {
        let segment = Segment::fresh(1, 1 << 20);
        segment.hold(4208, Bytes::from_static(b"hello"));
        let found = |offset, len| match segment.find(offset, len) {
            Some(Place::Memory(bytes)) => Some(bytes),
            _ => None,
        };
        assert_eq!(found(4208, 5), Some(Bytes::from_static(b"hello")));
        assert_eq!(found(4209, 3), Some(Bytes::from_static(b"ell")));
        assert_eq!(found(4210, 5), None);
        assert_eq!(found(4207, 1), None);
        assert_eq!(found(u32::MAX, 5), None);
        segment.set_durable(8192);
        assert_eq!(found(4208, 5), None);
    }

    #[test]
    fn the_table_knows_gaps() {
        let table = SegmentTable::new(0);
        assert!(table.get(0).is_none());
        table.push(Arc::new(Segment::fresh(3, 0)));
        table.push(Arc::new(Segment::fresh(5, 0)));
        assert_eq!(table.get(3).map(|found| found.id), Some(3));
        assert!(table.get(2).is_none() && table.get(4).is_none() && table.get(6).is_none());
        assert_eq!(table.get(5).map(|found| found.id), Some(5));
        assert_eq!(table.count(), 2);
        // As many entries as segments: a table of four thousand million would be the end.
        table.push(Arc::new(Segment::fresh(u32::MAX, 0)));
        assert_eq!(
            (table.count(), table.get(u32::MAX).map(|found| found.id)),
            (3, Some(u32::MAX))
        );
        assert!(table.get(u32::MAX - 1).is_none());
    }

    #[test]
    fn the_oldest_goes_and_comes_back_and_the_newest_stays() {
        let table = SegmentTable::new(0);
        for id in [3, 5, 6, 7] {
            let segment = Arc::new(Segment::fresh(id, 0));
            table.push(segment.clone());
            table.seal(&segment, u64::from(id) * 100);
        }
        let ends = |oldest, newest| Some(Ends { oldest, newest });
        assert_eq!((table.ends(), table.sealed_bytes()), (ends(3, 7), 2100));
        assert_eq!(
            (table.bytes_of(0..6), table.bytes_of(4..8), table.bytes_of(8..9)),
            (800, 1800, 0)
        );
        assert!(table.take_oldest(3).is_none());
        let taken = table.take_oldest(7).unwrap();
        assert_eq!((taken.id, table.ends(), table.freed()), (3, ends(5, 7), 1));
        assert!(table.get(3).is_none() && table.get(5).is_some());
        table.put_back(taken);
        assert_eq!(
            (table.ends(), table.sealed_bytes(), table.freed()),
            (ends(3, 7), 2100, 0)
        );
        for id in [3, 5, 6] {
            assert_eq!(table.take_oldest(9).map(|taken| taken.id), Some(id));
        }
        assert!(table.take_oldest(9).is_none(), "the newest stays");
        assert_eq!((table.ends(), table.sealed_bytes()), (ends(7, 7), 700));
        assert_eq!((table.get(7).map(|found| found.id), table.freed()), (Some(7), 3));
        table.put_back(Arc::new(Segment::fresh(4, 0)));
        assert!(table.get(4).is_some() && table.get(5).is_none() && table.get(7).is_some());
    }
}
