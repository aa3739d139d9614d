//! Whatever an earlier process left, sled begins with nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use std::fs;
use std::path::Path;

use atoll_backend_sled::{SledBackend, SledHome};
use atoll_env::{Rng, Scope, Spawn};
use atoll_state::testing::{Bench, Make, at_slot, put, simulate};
use atoll_state::{Backend, NativeBackend};

fn spawn() -> Spawn {
    Spawn::simulated(Scope::new(Rng::seeded(1)))
}

/// A directory in which sled had some rows.
fn used(dir: &Path) {
    let home = SledHome::open(dir, 1 << 20).unwrap();
    let make = |native: NativeBackend| -> Box<dyn Backend> {
        Box::new(SledBackend::new(native, &home, spawn()).unwrap())
    };
    simulate(async {
        let mut bench = Bench::new(&make).await;
        bench
            .commit(&[at_slot([put("k", "v"), put("long", vec![7; 9000])])])
            .await;
        bench.check();
    });
}

/// A group of its own works in the directory.
fn works(dir: &Path) {
    let home = SledHome::open(dir, 1 << 20).unwrap();
    let make = |native: NativeBackend| -> Box<dyn Backend> {
        Box::new(SledBackend::new(native, &home, spawn()).unwrap())
    };
    let make: Make<'_> = &make;
    simulate(async {
        let mut bench = Bench::new(make).await;
        bench.commit(&[at_slot([put("fresh", "row")])]).await;
        bench.check();
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "files that sled made, outside of the seam"
)]
#[test]
fn what_was_left_is_thrown_away_whatever_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("sled");
    used(&dir);
    works(&dir);
    // What is known to make sled refuse or panic, and what it never made.
    fs::write(dir.join("snap.0000000000000001.generating"), b"half").unwrap();
    fs::write(dir.join("snap.0000000000000002"), b"").unwrap();
    works(&dir);
    let db = dir.join("db");
    let mut bytes = fs::read(&db).unwrap();
    bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x10);
    fs::write(&db, bytes).unwrap();
    fs::write(dir.join("conf"), b"not a configuration").unwrap();
    works(&dir);
    fs::remove_file(&db).unwrap();
    fs::create_dir_all(db.join("a folder")).unwrap();
    works(&dir);
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
#[test]
fn a_directory_that_cannot_be_made_is_told_by_name() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, b"").unwrap();
    let told = SledHome::open(&file.join("sled"), 1 << 20)
        .err()
        .unwrap()
        .to_string();
    assert!(told.contains("file/sled"), "{told}");
    assert!(file.exists());
}
