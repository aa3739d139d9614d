//! The file system by itself, and under the engine.

mod damage;
mod keys;
mod model;
mod nonces;
mod rotation;

use std::path::Path;
use std::sync::Arc;

use atoll_env::vfs::{File, MemVfs, OpenMode};
use atoll_env::{Rng, Vfs};

use super::{KeyRing, SealedVfs};

const DATA: &str = "/data";
/// Where most tests keep their file.
const FILE: &str = "/data/journal/file";

/// A ring of keys, each made of one number.
fn ring(numbers: &[u8]) -> Arc<KeyRing> {
    let line = |number: &u8| format!("{number:02x}{}\n", "ab".repeat(31));
    let text: String = numbers.iter().map(line).collect();
    Arc::new(KeyRing::parse(text.as_bytes()).unwrap())
}

fn disk() -> MemVfs {
    let vfs = MemVfs::default();
    vfs.create_dir_all(Path::new("/data/journal")).unwrap();
    vfs
}

fn sealed(below: &MemVfs, keys: &Arc<KeyRing>) -> SealedVfs {
    let rng = Rng::seeded(below.operations());
    SealedVfs::new(Arc::new(below.clone()), Path::new(DATA), keys.clone(), rng)
}

fn simulate<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(test)
}

/// Makes a durable file.
async fn make(vfs: &dyn Vfs, path: &str, bytes: &[u8]) {
    let file = vfs.open(Path::new(path), OpenMode::CreateNew).unwrap();
    file.write_at(bytes, 0).await.unwrap();
    file.sync().await.unwrap();
    vfs.sync_dir(Path::new(path).parent().unwrap()).unwrap();
}

/// Bytes that are neither zeros nor what an unreadable page shows.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 97) as u8 + 1).collect()
}

fn read(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn read_all(vfs: &dyn Vfs, path: &str) -> Vec<u8> {
    read(&*vfs.open(Path::new(path), OpenMode::Read).unwrap())
}
