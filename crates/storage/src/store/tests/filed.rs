//! Values in value files, from a manifest that names them to a reader.

use std::path::Path;
use std::sync::Arc;

use atoll_env::vfs::{Crash, MemVfs, MemVfsOptions};
use atoll_types::Version;
use bytes::Bytes;

use super::process::Process;
use super::simulate;
use super::world::{DATA, GROUP, IDENTITY, Node, REPLICA, StartError, group_dir, id};
use crate::codec::Packer;
use crate::index::{FilePointer, Suffix, ValueRef, View};
use crate::journal::{Journal, ReadError, ReadValue, value_crc};
use crate::manifest::{FolderOwner, GroupFolder, Manifest, ValueFileEntry};
use crate::run::{RowValue, Run, RunIdentity, RunWriter};
use crate::store::flush::entry_of;
use crate::store::{StoreError, rows::user_key};
use crate::value_file::{Filed, ValueFileError, ValueFileId, ValueWriter};

const LEN: usize = 5_000;

fn whole() -> Vec<u8> {
    vec![7; LEN]
}

/// A group's folder with a run whose rows point into a value file: a whole value, and one that was appended to.
async fn prepare(vfs: &MemVfs) {
    let process = Process::on(vfs.clone());
    let owner = FolderOwner {
        identity: IDENTITY,
        group: GROUP,
        replica: REPLICA,
    };
    let (mut folder, _) = GroupFolder::open(&process.env, Path::new(DATA), owner).unwrap();
    let new = folder.create_value_file().await.unwrap();
    let number = new.number() as u32;
    let values = ValueFileId {
        identity: IDENTITY,
        group: GROUP,
        number,
    };
    let mut writer = ValueWriter::create(&process.env, new.file(), values, Packer::plain()).unwrap();
    let mut places = vec![];
    for key in [b"appended", b"complete"] {
        places.push(writer.add(key, Version(1), &whole()).await.unwrap());
    }
    let values = writer.finish().await.unwrap();
    let values_file = folder.publish(new).await.unwrap();
    let new = folder.create_run().await.unwrap();
    let identity = RunIdentity {
        identity: IDENTITY,
        group: GROUP,
        number: new.number(),
    };
    let mut writer = RunWriter::create(new.file(), identity, 5, 2);
    let longer = [whole(), b"more".to_vec()].concat();
    let appended = ValueRef::Filed(pointer(number, places[0]));
    let appended = appended.with_suffix(Suffix::Memory(b"more"), value_crc(b"appended", &longer));
    let complete = ValueRef::Filed(pointer(number, places[1]));
    for (key, value) in [("appended", &appended), ("complete", &complete)] {
        let row = RowValue::from(Some(value));
        writer
            .add(&user_key(key.as_bytes()), Version(1), row)
            .await
            .unwrap();
    }
    writer.finish(id(0)).await.unwrap();
    let file = folder.publish(new).await.unwrap();
    let cache = Arc::new(crate::run::BlockCache::new(0));
    let run = Run::open(file, identity, cache).unwrap();
    let manifest = Manifest {
        applied: Some(id(0)),
        last_version: Version(1),
        membership: Bytes::from_static(&[0; 8]),
        membership_id: Some(id(0)),
        runs: vec![entry_of(&run)],
        value_files: vec![ValueFileEntry {
            number,
            len: values.len,
            live_bytes: values.value_bytes,
            dead_bytes: 0,
        }],
        ..Manifest::default()
    };
    folder.commit(manifest).await.unwrap();
    drop(values_file);
    process.kill();
}

fn pointer(file: u32, place: Filed) -> FilePointer {
    FilePointer {
        file,
        offset: place.offset,
        stored_len: place.stored_len,
        len: place.len,
        codec: place.codec,
        vcrc: place.vcrc,
    }
}

fn read(view: &View, key: &[u8], journal: &Journal, wait: bool) -> Result<ReadValue, ReadError> {
    let (_, value) = view.get(key, true).unwrap().unwrap();
    view.read_value(journal, key, &value, wait)
}

async fn read_all(cold: u64) {
    let vfs = MemVfs::new(MemVfsOptions {
        cold_reads_permille: cold,
        ..MemVfsOptions::default()
    });
    prepare(&vfs).await;
    let (node, restored) = Node::open(Process::on(vfs)).await.unwrap();
    assert!(restored.is_some());
    let view = node.group.index().view();
    let longer = [whole(), b"more".to_vec()].concat();
    for (key, value) in [(&b"appended"[..], longer), (b"complete", whole())] {
        let ready = ReadValue::Ready(value.into());
        assert_eq!(read(&view, key, &node.journal, true).unwrap(), ready);
        let expected = if cold == 0 { ready } else { ReadValue::WouldBlock };
        assert_eq!(read(&view, key, &node.journal, false).unwrap(), expected);
    }
    let (_, value) = view.get(b"complete", true).unwrap().unwrap();
    let other = view.read_value(&node.journal, b"another", &value, true);
    assert!(
        matches!(other, Err(ReadError::Filed { file: 1, .. })),
        "{other:?}"
    );
    node.process.kill();
}

#[test]
fn they_are_read_whole_and_as_pieces_without_waiting_and_with() {
    simulate(async {
        read_all(0).await;
        read_all(1000).await;
    });
}

#[test]
fn one_that_is_another_file_is_refused_and_one_that_rots_is_told() {
    simulate(async {
        let vfs = MemVfs::default();
        prepare(&vfs).await;
        let path = group_dir().join("v-0000000000000001.val");
        let damage = |at| {
            let vfs = vfs.fork(0).crash(Crash::LoseAll);
            vfs.flip_bit(&path, at, 3);
            vfs
        };
        let refused = Node::open(Process::on(damage(20))).await;
        let Err(StartError::Store(StoreError::Values { file, error })) = refused else {
            panic!("it was opened")
        };
        assert_eq!(file, path);
        assert!(
            matches!(error, ValueFileError::Damaged { offset: 0, .. }),
            "{error}"
        );
        let (node, _) = Node::open(Process::on(damage(5_000))).await.unwrap();
        let rotten = read(&node.group.index().view(), b"appended", &node.journal, true);
        assert!(
            matches!(rotten, Err(ReadError::Filed { file: 1, .. })),
            "{rotten:?}"
        );
        node.process.kill();
    });
}
