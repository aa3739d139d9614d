//! Reads by place: of what was written, from a disk that makes them wait, or that slips.

use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_env::BoxFuture;
use proptest::prelude::*;

use super::*;
use crate::codec::UNPACKED_AT_ONCE_MAX;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read(
        rows in proptest::collection::btree_map(
            (proptest::collection::vec(0_u8..4, 0..6), any::<u64>()), (any::<u8>(), 0_usize..3_000), 0..60,
        ),
        large in proptest::option::of(0_usize..1 << 20),
        codec in 0_u8..3,
    ) {
        let codec = Codec::from_number(codec).unwrap();
        // Ascending keys, descending versions.
        let mut rows: Vec<Row> = rows.into_iter()
            .map(|((key, version), (byte, len))| (key, Version(u64::MAX - version), vec![byte; len])).collect();
        if let Some(len) = large {
            rows.push((vec![9; 4096], Version(3), vec![1; len]));
        }
        let (vfs, places) = write_packed(&rows, codec);
        let file = ValueFile::open(file(&vfs), ID).unwrap();
        let mut expected = Vec::new();
        for ((key, version, value), place) in rows.iter().zip(&places) {
            let read = |wait| file.read(place, key, wait).unwrap();
            // Long ones take long to unpack.
            let long = place.codec != Codec::None && value.len() > UNPACKED_AT_ONCE_MAX;
            prop_assert_eq!(read(false), if long { ReadValue::WouldBlock } else { ready(value) });
            prop_assert_eq!(read(true), ready(value));
            let other = [key, &b"x"[..]].concat();
            let refused = matches!(file.read(place, &other, true), Err(ReadError::Filed { file: 9, .. }));
            prop_assert!(refused);
            expected.push(FiledRecord {
                key: key.clone().into(), version: *version, value: value.clone().into(), place: *place,
            });
        }
        prop_assert_eq!(read_all(&file).unwrap(), expected);
    }
}

#[test]
fn reads_that_may_not_wait_say_so() {
    let (vfs, places) = write(&rows());
    let bytes = vfs.durable_bytes(Path::new(PATH)).unwrap();
    let cold = MemVfs::new(MemVfsOptions {
        cold_reads_permille: 1000,
        ..MemVfsOptions::default()
    });
    let open = cold.open(Path::new(PATH), OpenMode::CreateNew).unwrap();
    run(open.write_at(&bytes, 0)).unwrap();
    let file = ValueFile::open(file(&cold), ID).unwrap();
    for ((key, _, value), place) in rows().iter().zip(&places) {
        assert_eq!(file.read(place, key, false).unwrap(), ReadValue::WouldBlock);
        assert_eq!(file.read(place, key, true).unwrap(), ready(value));
    }
}

#[test]
fn pointers_that_cannot_be_are_errors_without_room_for_them() {
    let (vfs, places) = write(&rows());
    let file = ValueFile::open(file(&vfs), ID).unwrap();
    let place = places[1];
    let wrong = [
        Filed {
            offset: u32::MAX,
            ..place
        },
        Filed {
            stored_len: u32::MAX,
            len: u32::MAX,
            ..place
        },
        Filed {
            stored_len: 99,
            ..place
        },
        Filed {
            vcrc: !place.vcrc,
            ..place
        },
    ];
    for place in wrong {
        assert!(
            matches!(file.read(&place, b"a", true), Err(ReadError::Filed { .. })),
            "{place:?}"
        );
    }
}

/// Gives other bytes so many times.
struct Slips(Arc<dyn File>, AtomicUsize);

impl File for Slips {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.0.read_at(buffer, offset)?;
        let slip = |left: usize| left.checked_sub(1);
        if self
            .1
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, slip)
            .is_ok()
        {
            buffer[0] ^= 1;
        }
        Ok(read)
    }
    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buffer, offset).map(Some)
    }
    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        self.0.write_at(bytes, offset)
    }
    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        self.0.sync()
    }
    fn forget_cached(&self) -> io::Result<()> {
        self.0.forget_cached()
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

#[test]
fn a_disk_may_slip_once() {
    let (vfs, places) = write(&rows());
    let slips = Arc::new(Slips(file(&vfs), AtomicUsize::new(0)));
    let file = ValueFile::open(slips.clone(), ID).unwrap();
    slips.1.store(1, Ordering::Relaxed);
    assert_eq!(file.read(&places[1], b"a", false).unwrap(), ready(&[9; 100]));
    slips.1.store(2, Ordering::Relaxed);
    assert!(file.read(&places[1], b"a", false).is_err());
}
