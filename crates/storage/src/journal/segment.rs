//! Segments as the running process sees them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use atoll_env::vfs::File;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::cache::ValueCache;

/// One segment. Holding the `Arc` is the pin: while anybody does, the file is not recycled.
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
        }
    }

    /// A segment found at recovery; nothing is ever appended to it.
    pub(crate) fn sealed(id: u32, file: Arc<dyn File>) -> Self {
        Self {
            id,
            limit: 0,
            file: OnceLock::from(file),
            durable_upto: AtomicU32::new(u32::MAX),
            unwritten: Mutex::default(),
        }
    }

    pub(crate) fn file(&self) -> Option<&Arc<dyn File>> {
        self.file.get()
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

/// All segments, by id. Ids follow each other without gaps from the first one kept.
pub(crate) struct SegmentTable {
    segments: RwLock<Segments>,
    /// Values read from files lately.
    pub(crate) cache: ValueCache,
}

#[derive(Default)]
struct Segments {
    first: u32,
    list: Vec<Option<Arc<Segment>>>,
}

impl SegmentTable {
    pub(crate) fn new(cache_bytes: usize) -> Self {
        Self {
            segments: RwLock::default(),
            cache: ValueCache::new(cache_bytes),
        }
    }

    /// Adds a segment; ids below that were never seen stay empty.
    pub(crate) fn push(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write();
        if segments.list.is_empty() {
            segments.first = segment.id;
        }
        let at = segment.id.saturating_sub(segments.first) as usize;
        debug_assert!(at >= segments.list.len(), "segment ids only grow");
        segments.list.resize(at, None);
        segments.list.push(Some(segment));
    }

    /// Takes the pin of a segment.
    pub(crate) fn get(&self, id: u32) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let at = id.checked_sub(segments.first)? as usize;
        segments.list.get(at).cloned().flatten()
    }

    pub(crate) fn count(&self) -> usize {
        self.segments.read().list.iter().flatten().count()
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
    }
}
