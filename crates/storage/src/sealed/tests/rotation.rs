//! Files come under a new key whatever happens, and stay readable at every step.

use std::path::Path;

use atoll_env::vfs::{Crash, MemVfs, OpenMode};
use atoll_env::{Rng, Vfs};

use super::super::page::PAGE;
use super::super::{keys_in_use, rotate};
use super::{DATA, bytes, disk, make, read_all, ring, sealed, simulate};

const FILES: [(&str, usize); 4] = [
    ("/data/journal/one.jnl", 3_000),
    ("/data/journal/two.spare", 9_000),
    ("/data/groups/000000000000001f-00000002/MANIFEST", 100),
    ("/data/groups/000000000000001f-00000002/r-1.run", 20_000),
];

async fn directory() -> MemVfs {
    let below = disk();
    below
        .create_dir_all(Path::new("/data/groups/000000000000001f-00000002"))
        .unwrap();
    let vfs = sealed(&below, &ring(&[1]));
    for (path, len) in FILES {
        make(&vfs, path, &bytes(len)).await;
    }
    // What rotation has to leave alone.
    make(&below, "/data/journal/notes", b"of somebody else").await;
    make(&below, "/data/journal/LOCK", b"12").await;
    drop(
        vfs.open(Path::new("/data/journal/x.new"), OpenMode::CreateNew)
            .unwrap(),
    );
    below
}

fn check(vfs: &MemVfs, keys: &[u8]) {
    let sealed = sealed(vfs, &ring(keys));
    for (path, len) in FILES {
        assert_eq!(read_all(&sealed, path), bytes(len), "{path}");
    }
}

async fn turn(vfs: &MemVfs, keys: &[u8]) -> std::io::Result<u64> {
    let rng = Rng::seeded(vfs.operations());
    rotate(vfs, Path::new(DATA), &ring(keys), &rng).await
}

#[test]
fn after_a_rotation_the_older_key_is_not_needed() {
    simulate(async {
        let vfs = directory().await;
        let in_use = || keys_in_use(&vfs, Path::new(DATA)).unwrap().keys;
        assert_eq!(in_use(), [(ring(&[1]).newest(), 4)].into());
        assert_eq!(turn(&vfs, &[1, 2]).await.unwrap(), 0, "nothing to be done");
        assert_eq!(turn(&vfs, &[2, 1]).await.unwrap(), 4);
        assert_eq!(in_use(), [(ring(&[2]).newest(), 4)].into());
        let vfs = vfs.crash(Crash::LoseAll);
        check(&vfs, &[2]);
        assert_eq!(turn(&vfs, &[2]).await.unwrap(), 0);
        assert_eq!(
            vfs.read_small(Path::new("/data/journal/notes"), 99).unwrap(),
            b"of somebody else"
        );
    });
}

#[test]
fn a_stop_at_any_operation_leaves_every_file_readable() {
    simulate(async {
        let vfs = directory().await;
        let (mut operations, mut finished) = (0, false);
        while !finished {
            operations += 1;
            for (seed, crash) in [
                (0, Crash::LoseAll),
                (0, Crash::Process),
                (1, Crash::Random),
                (2, Crash::Random),
                (3, Crash::Random),
                (4, Crash::Random),
            ] {
                let vfs = vfs.fork(seed);
                vfs.freeze_at(vfs.operations() + operations);
                finished = turn(&vfs, &[2, 1]).await.is_ok();
                let vfs = vfs.crash(crash);
                check(&vfs, &[2, 1]);
                turn(&vfs, &[2, 1]).await.unwrap();
                check(&vfs.crash(Crash::LoseAll), &[2]);
            }
        }
        // Five for each file: a sync, and twice a write and a sync.
        assert_eq!(operations, 5 * 4 + 1);
    });
}

/// A copy of a header that rotted is made good, and never by way of the one that is left.
#[test]
fn a_damaged_copy_is_made_good_from_the_other_one() {
    simulate(async {
        for copy in [0, PAGE as u64] {
            let vfs = directory().await;
            vfs.flip_bit(Path::new(FILES[0].0), copy + 50, 3);
            let halves = keys_in_use(&vfs, Path::new(DATA)).unwrap().halves;
            assert_eq!(halves, [Path::new(FILES[0].0)]);
            for operations in 1..=6 {
                let vfs = vfs.fork(operations);
                vfs.freeze_at(vfs.operations() + operations);
                let finished = turn(&vfs, &[1]).await;
                let vfs = vfs.crash(Crash::Random);
                check(&vfs, &[1]);
                assert_eq!(finished.ok(), (operations == 6).then_some(1));
            }
            assert_eq!(turn(&vfs, &[1]).await.unwrap(), 1);
            vfs.flip_bit(Path::new(FILES[0].0), PAGE as u64 - copy + 50, 3);
            check(&vfs, &[1]);
        }
    });
}

#[test]
fn a_file_under_a_key_that_is_not_given_is_named() {
    simulate(async {
        let vfs = directory().await;
        let error = turn(&vfs, &[2, 3]).await.unwrap_err().to_string();
        assert!(error.contains(&ring(&[1]).newest().to_string()), "{error}");
        check(&vfs, &[1]);
    });
}
