//! Bits that flip under a journal that is open: every read gives what was written, or an error.

use std::io::ErrorKind;

use atoll_env::vfs::{Crash, MemVfs};
use atoll_storage::{JournalOptions, ReadError, value_crc};
use atoll_types::ReplicaId;

use crate::disk::segments;
use crate::support::*;

/// Nothing is in memory but where things stand.
const COLD: JournalOptions = JournalOptions {
    tail_bytes: 0,
    cache_bytes: 0,
    ..SMALL
};

#[test]
fn every_bit_flipped_under_an_open_journal_is_harmless_or_an_error() {
    simulate(async {
        let process = Process::on(MemVfs::default());
        let journal = process.open(COLD).await.unwrap();
        let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
        let mut given = Vec::new();
        for index in 0..3 {
            let mut entry = entry(id(1 + index / 2, index), payload(index, 40));
            entry.kind = index as u8;
            given.push(entry);
        }
        append_durably(&log, given.clone()).await;
        process.kill();
        let process = Process::on(process.vfs.crash(Crash::LoseAll));
        let journal = process.open(COLD).await.unwrap();
        let log = journal.group(group(1)).unwrap();
        let file = &segments(&process.vfs)[0];
        let bits = process.vfs.durable_bytes(file).unwrap().len() as u64 * 8;
        let (mut bad_entries, mut bad_values) = (0, 0);
        for bit in 0..bits {
            process.vfs.flip_bit(file, bit / 8, (bit % 8) as u8);
            match log.read(0, 3, usize::MAX).await {
                Ok(read) => assert_eq!(read, given, "bit {bit}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
                    bad_entries += 1;
                }
            }
            for entry in &given {
                let value = &entry.payload[10..30];
                let pointer = log.pointer(entry.id, 10, 20, value_crc(b"key", value)).unwrap();
                match journal.read_value_blocking(&pointer, b"key") {
                    Ok(read) => assert_eq!(read, value, "bit {bit}"),
                    Err(ReadError::Corrupt { .. }) => bad_values += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            process.vfs.flip_bit(file, bit / 8, (bit % 8) as u8);
        }
        assert_eq!((bad_entries, bad_values), (3 * 88 * 8, 3 * 20 * 8));
    });
}
