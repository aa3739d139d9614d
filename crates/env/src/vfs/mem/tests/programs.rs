//! A careful program survives a crash at every operation, and a careless one is found out.

use super::*;
use crate::vfs::replace_file;

/// A program that is careful in the right way: at every point of its trace, a crash leaves either
/// the old contents or the new.
#[test]
fn replacing_a_file_is_atomic_at_every_operation() {
    let run = |vfs: &MemVfs| {
        let work = replace_file(vfs, Path::new("/d/file"), &[b'n'; 2000]);
        now(Box::pin(work))
    };
    let prepare = |seed| {
        let vfs = disk(seed);
        durable(&vfs, "file", &[b'o'; 1500]);
        vfs
    };
    let vfs = prepare(0);
    let before = vfs.operations();
    run(&vfs).unwrap();
    let operations = before + 1..=vfs.operations();
    assert_eq!(
        operations.clone().count(),
        5,
        "create, write, sync, rename, sync of the folder"
    );
    let mut seen = BTreeSet::new();
    for operation in operations {
        for seed in 0..40 {
            let vfs = prepare(seed);
            vfs.freeze_at(operation);
            assert!(run(&vfs).is_err());
            assert!(vfs.is_frozen());
            assert!(vfs.exists(&path("file")).is_err(), "everything fails now");
            let vfs = vfs.crash(Crash::Random);
            let file = contents(&vfs, "file").expect("there is always a file");
            assert!(
                file == [b'o'; 1500] || file == [b'n'; 2000],
                "operation {operation}, seed {seed}"
            );
            seen.insert((operation - before, file[0]));
            run(&vfs).expect("a new process can go on");
            assert_eq!(
                contents(&vfs.crash(Crash::LoseAll), "file").unwrap(),
                [b'n'; 2000]
            );
        }
    }
    let expected = [
        (1, b'o'),
        (2, b'o'),
        (3, b'o'),
        (4, b'n'),
        (4, b'o'),
        (5, b'n'),
        (5, b'o'),
    ];
    assert_eq!(seen, BTreeSet::from(expected));
}

/// The same program without its sync: the crash test must find that.
#[test]
fn a_missing_sync_is_found() {
    let careless = |seed| {
        let vfs = disk(seed);
        durable(&vfs, "file", b"old");
        create(&vfs, "file.new", b"new");
        vfs.rename(&path("file.new"), &path("file")).unwrap();
        vfs.sync_dir(Path::new(DIR)).unwrap();
        contents(&vfs.crash(Crash::Random), "file").unwrap()
    };
    assert!((0..40).map(careless).any(|file| file != b"old" && file != b"new"));
}
