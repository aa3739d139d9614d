//! Windows over one file whose reads are counted. Whether values come out right is tested with every scan of the store's tests.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_env::BoxFuture;
use atoll_types::Codec;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;

impl Window {
    fn read_at(&mut self, place: Place, wait: bool) -> Option<&[u8]> {
        if self.bytes_at(place).is_none() {
            self.fill(place, wait)?;
        }
        self.bytes_at(place)
    }
}

/// Bytes, some of which only a read that waits can have, once.
struct Counted {
    bytes: Vec<u8>,
    /// Every page from here on is cold until it is waited for.
    cold_from: u64,
    waited_for: Mutex<BTreeSet<u64>>,
    /// Reads, and those that waited.
    reads: AtomicUsize,
    waits: AtomicUsize,
}

/// Pages that bytes stand in.
fn pages(offset: u64, len: usize) -> std::ops::Range<u64> {
    offset / 4096..(offset + len as u64).div_ceil(4096)
}

impl File for Counted {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut waited_for = self.waited_for.lock();
        let before = waited_for.len();
        waited_for.extend(pages(offset, buffer.len()));
        let waited = waited_for.len() > before;
        self.waits.fetch_add(usize::from(waited), Ordering::Relaxed);
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let mut pages = pages(offset, buffer.len()).filter(|page| (page + 1) * 4096 > self.cold_from);
        let waited_for = self.waited_for.lock();
        if pages.any(|page| !waited_for.contains(&page)) {
            return Ok(None);
        }
        drop(waited_for);
        self.read_at(buffer, offset).map(Some)
    }

    fn write_at<'a>(&'a self, _: &'a [u8], _: u64) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }
}

const SEGMENT: u32 = 4;

fn counted(len: usize, cold_from: u64) -> (Arc<Counted>, Window) {
    let mut rng = fastrand::Rng::with_seed(len as u64);
    let file = Arc::new(Counted {
        bytes: std::iter::repeat_with(|| rng.u8(..)).take(len).collect(),
        cold_from,
        waited_for: Mutex::default(),
        reads: AtomicUsize::new(0),
        waits: AtomicUsize::new(0),
    });
    let segment = Segment::sealed(SEGMENT, file.clone(), len as u64);
    let window = Window {
        source: Source::Segment(Arc::new(segment)),
        start: u64::MAX,
        bytes: Vec::new(),
        span: 0,
        cold: 0,
    };
    (file, window)
}

fn place(offset: u64, len: usize) -> Place {
    Place {
        filed: false,
        number: SEGMENT,
        offset,
        len,
        codec: Codec::None,
        value_len: len,
        vcrc: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_are_those_at_the_place_whatever_was_read_before(
        places in proptest::collection::vec((0_u64..6_000, 0_usize..700, any::<bool>()), 1..60),
        steps in proptest::collection::vec((0_u64..30, any::<bool>()), 0..60),
        cold_from in 0_u64..12_000,
    ) {
        let (file, mut window) = counted(6_000, cold_from);
        // Here and there, and then along.
        let mut at = 0;
        let along = steps.into_iter().map(|(gap, wait)| {
            at += 90 + gap;
            (at, 90, wait)
        });
        let along: Vec<_> = along.collect();
        let back = along.iter().rev().copied();
        for (offset, len, wait) in places.into_iter().chain(along.clone()).chain(back) {
            let end = offset as usize + len;
            let expected = file.bytes.get(offset as usize..end);
            let found = window.read_at(place(offset, len), wait);
            match found {
                Some(found) => prop_assert_eq!(Some(found), expected),
                None => prop_assert!(expected.is_none() || !wait, "{} bytes at {}", len, offset),
            }
            prop_assert!(window.bytes.len() <= SPAN_MAX);
        }
    }
}

#[test]
fn neighbours_are_read_together_in_either_direction_and_others_alone() {
    const LEN: usize = 4 << 20;
    let count = LEN / 280;
    let reads = |offsets: &mut dyn Iterator<Item = usize>| {
        let (file, mut window) = counted(LEN, u64::MAX);
        for offset in offsets {
            let found = window.read_at(place(offset as u64, 256), true).unwrap();
            assert_eq!(found, &file.bytes[offset..offset + 256]);
        }
        (file.reads.load(Ordering::Relaxed), window.bytes.capacity())
    };
    let few = LEN / SPAN_MAX + 10;
    let (onwards, _) = reads(&mut (0..count).map(|value| value * 280));
    assert!(onwards <= few, "{onwards} reads");
    let (back, _) = reads(&mut (0..count).rev().map(|value| value * 280));
    assert!(back <= few, "{back} reads");
    // One of ten, near enough to each other.
    let (sparse, _) = reads(&mut (0..count / 10).map(|value| value * 2_800));
    assert!(sparse <= few, "{sparse} reads");
    let (scattered, held) = reads(&mut (0..count).map(|value| value * 7_919 % count * 280));
    assert_eq!((scattered, held), (count, 256), "each alone, and nothing in vain");
}

#[test]
fn what_is_cold_here_and_there_is_soon_read_with_what_stands_around_it() {
    const LEN: usize = 4 << 20;
    let count = LEN / 280;
    let read = |values: usize| {
        let (file, mut window) = counted(LEN, 0);
        for value in 0..values {
            let offset = value * 7_919 % count * 280;
            let found = window.read_at(place(offset as u64, 256), true).unwrap();
            assert_eq!(found, &file.bytes[offset..offset + 256]);
            assert!(window.bytes.len() <= SPAN_MAX);
        }
        let pages = file.waited_for.lock().len();
        (file.waits.load(Ordering::Relaxed), pages)
    };
    let (waits, pages) = read(COLD_ALONE);
    assert!(pages <= 2 * waits, "{pages} pages for a few values");
    // Until spans are longest, then each part of the file once, and what stands across two parts.
    let most = 5 * COLD_ALONE + 2 * LEN / SPAN_MAX;
    let (waits, _) = read(count);
    assert!(waits <= most, "{waits} waits");
}

#[test]
fn what_is_not_durable_or_not_there_is_not_read() {
    let (_, mut window) = counted(1_000, u64::MAX);
    assert!(window.read_at(place(990, 20), true).is_none(), "behind the end");
    assert!(window.read_at(place(980, 20), true).is_some());
    assert!(window.read_at(place(u64::MAX - 3, 20), true).is_none());
    window.bytes.clear();
    window.source = Source::Segment(Arc::new(Segment::fresh(SEGMENT, 1_000)));
    assert!(
        window.read_at(place(10, 20), true).is_none(),
        "it has no file yet"
    );
}
