//! The disk in memory: what a crash leaves, faults, damage, and programs that rely on it.

mod crashes;
mod faults;
mod latency;
mod programs;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::{Crash, DiskTrouble, Fault, MemLatency, MemVfs, MemVfsOptions};
use crate::vfs::{File, OpenMode, Vfs};
use crate::{BoxFuture, Clock, Spawn};

const DIR: &str = "/d";

fn disk(seed: u64) -> MemVfs {
    let vfs = MemVfs::new(MemVfsOptions {
        seed,
        ..MemVfsOptions::default()
    });
    vfs.create_dir_all(Path::new(DIR)).unwrap();
    vfs
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(DIR).join(name)
}

/// Nothing here waits, without latencies.
fn now<T>(work: BoxFuture<'_, T>) -> T {
    futures_util::FutureExt::now_or_never(work).expect("ready at once")
}

fn create(vfs: &MemVfs, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = vfs.open(&path(name), OpenMode::CreateNew).unwrap();
    now(file.write_at(bytes, 0)).unwrap();
    file
}

fn durable(vfs: &MemVfs, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = create(vfs, name, bytes);
    now(file.sync()).unwrap();
    vfs.sync_dir(Path::new(DIR)).unwrap();
    file
}

fn contents(vfs: &MemVfs, name: &str) -> Option<Vec<u8>> {
    vfs.exists(&path(name))
        .unwrap()
        .then(|| vfs.read_small(&path(name), 1 << 30).unwrap())
}
