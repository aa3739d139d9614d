mod codec;
mod crash;
mod folder;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::net::NoNet;
use atoll_env::vfs::{Crash, MemVfs};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn, Vfs};
use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, NodeId, ReplicaId};

use super::*;
use crate::journal::Identity;

const DATA: &str = "/data";
const OWNER: FolderOwner = FolderOwner {
    identity: Identity {
        cluster: ClusterId(0xC1),
        node: NodeId(3),
    },
    group: GroupKey::new(GroupId(0x1F), GroupGen(2)),
    replica: ReplicaId(7),
};

fn env(vfs: Arc<dyn Vfs>) -> Env {
    Env {
        clock: Clock::simulated(1.0, 0),
        rng: Rng::seeded(1),
        spawn: Spawn::simulated(Scope::new(Rng::seeded(1))),
        vfs,
        net: Arc::new(NoNet),
        halt: Halt::simulated(|_| {}),
    }
}

fn open(vfs: &MemVfs) -> Result<(GroupFolder, Option<Manifest>), FolderError> {
    GroupFolder::open(&env(Arc::new(vfs.clone())), Path::new(DATA), OWNER)
}

fn dir() -> PathBuf {
    Path::new(DATA).join("groups/000000000000001f-00000002")
}

fn simulate<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(test)
}

fn id(index: u64) -> LogId {
    LogId {
        term: 1,
        leader: ReplicaId(7),
        index,
    }
}

fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

/// Writes a run of these bytes and publishes it.
async fn run(folder: &mut GroupFolder, content: &[u8]) -> std::io::Result<(Arc<GroupFile>, RunEntry)> {
    let new = folder.create_run().await?;
    let entry = RunEntry {
        number: new.number(),
        len: content.len() as u64,
        footer_crc: crc32fast::hash(content),
        ..RunEntry::default()
    };
    new.file().write_at(content, 0).await?;
    Ok((folder.publish(new).await?, entry))
}

/// The same of a value file, whose sum these tests keep among the live bytes.
async fn values(
    folder: &mut GroupFolder,
    content: &[u8],
) -> std::io::Result<(Arc<GroupFile>, ValueFileEntry)> {
    let new = folder.create_value_file().await?;
    let entry = ValueFileEntry {
        number: u32::try_from(new.number()).unwrap(),
        len: content.len() as u64,
        live_bytes: u64::from(crc32fast::hash(content)),
        dead_bytes: 0,
    };
    new.file().write_at(content, 0).await?;
    Ok((folder.publish(new).await?, entry))
}

/// Every file that the manifest names is there, whole.
fn check_files(folder: &GroupFolder) {
    let Some(manifest) = folder.manifest() else { return };
    for entry in &manifest.runs {
        let found = content(&folder.run(entry.number).unwrap());
        assert_eq!(
            (found.len() as u64, crc32fast::hash(&found)),
            (entry.len, entry.footer_crc)
        );
    }
    for entry in &manifest.value_files {
        let found = content(&folder.value_file(entry.number).unwrap());
        let sum = u64::from(crc32fast::hash(&found));
        assert_eq!((found.len() as u64, sum), (entry.len, entry.live_bytes));
    }
}

fn content(file: &GroupFile) -> Vec<u8> {
    use atoll_env::vfs::File;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Names that there should be, given a manifest: nothing else.
fn expected_names(manifest: Option<&Manifest>) -> Vec<String> {
    let Some(manifest) = manifest else { return vec![] };
    let mut names: Vec<_> = manifest.files().map(|(id, _)| id.to_string()).collect();
    names.push("MANIFEST".to_owned());
    names.sort_unstable();
    names
}

fn names(vfs: &MemVfs) -> Vec<String> {
    vfs.list(&dir()).unwrap()
}

fn after(vfs: &MemVfs, crash: Crash) -> MemVfs {
    vfs.fork(0).crash(crash)
}
