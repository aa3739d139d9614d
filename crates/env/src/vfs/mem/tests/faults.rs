//! Operations that fail, a disk that is full, and bytes that rot.

use std::io::ErrorKind;

use super::*;

#[test]
fn a_failed_sync_loses_the_bytes_for_good() {
    let vfs = disk(1);
    let file = durable(&vfs, "a", b"old");
    now(file.write_at(b"new", 0)).unwrap();
    vfs.fail_next(Fault::Sync, "a");
    assert!(now(file.sync()).is_err());
    assert_eq!(contents(&vfs, "a").unwrap(), b"new", "it still reads back");
    now(file.write_at(b"!", 3)).unwrap();
    now(file.sync()).expect("a later sync says that all is well");
    file.forget_cached().unwrap();
    assert_eq!(contents(&vfs, "a").unwrap(), b"old!", "as the disk has it");
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a").unwrap(), b"old!", "though it is not");
}

#[test]
fn faults_hit_the_named_file_once_each() {
    let vfs = disk(1);
    let a = durable(&vfs, "a", b"0123456789");
    let b = durable(&vfs, "b", b"x");
    vfs.fail_next(Fault::Read, "/d/a");
    vfs.fail_next(Fault::Write, "/d/a");
    let mut buffer = [0; 1];
    assert!(b.read_at(&mut buffer, 0).is_ok());
    assert!(now(b.write_at(b"y", 0)).is_ok());
    assert!(a.read_at(&mut buffer, 0).is_err());
    assert!(a.read_at(&mut buffer, 0).is_ok());
    assert!(now(a.write_at(b"abcdefghij", 0)).is_err());
    let half = contents(&vfs, "a").unwrap();
    let done = half.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    assert_eq!(&half[done..], &b"0123456789"[done..], "a prefix was written");
    assert!(now(a.write_at(b"abcdefghij", 0)).is_ok());
}

#[test]
fn a_full_disk_takes_what_fits() {
    let vfs = disk(1);
    let file = durable(&vfs, "a", b"1234");
    vfs.set_free_bytes(3);
    assert_eq!(vfs.free_bytes(Path::new(DIR)).unwrap(), 3);
    now(file.write_at(b"4321", 0)).expect("overwriting needs no room");
    assert_eq!(
        now(file.write_at(b"56789", 4)).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(contents(&vfs, "a").unwrap(), b"4321567");
    assert_eq!(file.allocate(8).unwrap_err().kind(), ErrorKind::StorageFull);
    vfs.set_free_bytes(10);
    file.allocate(17).unwrap();
    assert_eq!(vfs.free_bytes(Path::new(DIR)).unwrap(), 0);
    vfs.remove(&path("a")).unwrap();
    vfs.sync_dir(Path::new(DIR)).unwrap();
    assert_eq!(vfs.free_bytes(Path::new(DIR)).unwrap(), 0, "somebody has it open");
    drop(file);
    vfs.sync_dir(Path::new(DIR)).unwrap();
    assert_eq!(vfs.free_bytes(Path::new(DIR)).unwrap(), 17);
}

#[test]
fn damage_at_rest_is_there_before_and_after_a_crash() {
    let vfs = disk(1);
    durable(&vfs, "a", b"abc");
    vfs.flip_bit(&path("a"), 1, 0);
    assert_eq!(contents(&vfs, "a").unwrap(), b"acc");
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a").unwrap(), b"acc");
    vfs.truncate(&path("a"), 1);
    let vfs = vfs.crash(Crash::LoseAll);
    assert_eq!(contents(&vfs, "a").unwrap(), b"a");
}

#[test]
fn a_bad_disk_fails_and_spoils_as_often_as_asked_and_counts_it() {
    let vfs = disk(1);
    let file = durable(&vfs, "a", &vec![b'o'; 64 * 4096]);
    let often = DiskTrouble {
        read_errors: 300_000,
        write_errors: 300_000,
        sync_errors: 300_000,
        ..DiskTrouble::default()
    };
    vfs.set_trouble(often);
    let failures = |work: &mut dyn FnMut() -> bool| (0..1000).filter(|_| work()).count() as u64;
    let reads = failures(&mut || file.read_at(&mut [0; 1], 0).is_err());
    let writes = failures(&mut || now(file.write_at(b"oo", 0)).is_err());
    let syncs = failures(&mut || now(file.sync()).is_err());
    let faults = vfs.faults();
    assert_eq!(
        (reads, writes, syncs),
        (faults.read_errors, faults.write_errors, faults.sync_errors)
    );
    for count in [reads, writes, syncs] {
        assert!((200..400).contains(&count), "{count} of 1000");
    }
    vfs.set_trouble(DiskTrouble {
        misdirected: 1_000_000,
        ..DiskTrouble::default()
    });
    now(file.write_at(&[b'n'; 4096], 0)).unwrap();
    vfs.set_trouble(DiskTrouble::default());
    now(file.sync()).unwrap();
    let vfs = vfs.crash(Crash::LoseAll);
    let after = contents(&vfs, "a").unwrap();
    let hit: Vec<usize> = (0..64)
        .filter(|block| after[block * 4096..][..4096] == [b'n'; 4096])
        .collect();
    assert_eq!((hit.len(), after.len()), (1, 64 * 4096), "{hit:?}");
    assert_eq!(vfs.flip_somewhere("/nowhere/"), None);
    let (path, offset) = vfs.flip_somewhere("/d/").expect("there are bytes");
    let flipped = contents(&vfs, "a").unwrap();
    assert_eq!(path, self::path("a"));
    assert_eq!(
        (flipped[offset as usize] ^ after[offset as usize]).count_ones(),
        1
    );
    assert_eq!(
        (vfs.faults().damages(), vfs.faults().errors()),
        (2, reads + writes + syncs)
    );
}
