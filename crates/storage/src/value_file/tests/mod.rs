//! Value files: what is written is read, damage is seen and never becomes a value, and a writer keeps to its bounds.

mod damage;
mod reading;
mod refused;
mod writing;

use std::io;
use std::path::Path;
use std::sync::Arc;

use atoll_env::net::NoNet;
use atoll_env::vfs::{Crash, Fault, File, MemVfs, MemVfsOptions, OpenMode};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn, Vfs};
use atoll_types::{ClusterId, Codec, GroupGen, GroupId, GroupKey, NodeId, Version};

use super::format::{FOOTER_LEN, HEADER_LEN, RECORD_HEADER_LEN};
use super::*;
use crate::codec::Packer;
use crate::journal::{Identity, ReadError, ReadValue};

const PATH: &str = "/v";
const ID: ValueFileId = ValueFileId {
    identity: Identity {
        cluster: ClusterId(0xC1),
        node: NodeId(3),
    },
    group: GroupKey::new(GroupId(5), GroupGen(1)),
    number: 9,
};

type Row = (Vec<u8>, Version, Vec<u8>);

fn env(vfs: &MemVfs) -> Env {
    Env {
        clock: Clock::simulated(1.0, 1_700_000_000_000),
        rng: Rng::seeded(vfs.operations() + 1),
        spawn: Spawn::simulated(Scope::new(Rng::seeded(1))),
        vfs: Arc::new(vfs.clone()),
        net: Arc::new(NoNet),
        halt: Halt::simulated(|_| {}),
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(test)
}

fn writer(vfs: &MemVfs, id: ValueFileId) -> ValueWriter {
    packing_writer(vfs, id, Codec::None)
}

fn packing_writer(vfs: &MemVfs, id: ValueFileId, codec: Codec) -> ValueWriter {
    let file = vfs.open(Path::new(PATH), OpenMode::CreateNew).unwrap();
    ValueWriter::create(&env(vfs), file, id, Packer::new(codec).into()).unwrap()
}

/// Writes rows; what is not durable then is lost.
fn write(rows: &[Row]) -> (MemVfs, Vec<Filed>) {
    write_packed(rows, Codec::None)
}

fn write_packed(rows: &[Row], codec: Codec) -> (MemVfs, Vec<Filed>) {
    run(async {
        let vfs = MemVfs::default();
        let mut writer = packing_writer(&vfs, ID, codec);
        vfs.sync_dir(Path::new("/")).unwrap();
        let mut places = Vec::new();
        for (key, version, value) in rows {
            assert!(writer.fits(key.len(), value.len()));
            places.push(writer.add(key, *version, value).await.unwrap());
        }
        let len = writer.len() + FOOTER_LEN as u64;
        let finished = writer.finish().await.unwrap();
        let value_bytes = places.iter().map(|place| u64::from(place.stored_len)).sum();
        let records = rows.len() as u64;
        assert_eq!(
            finished,
            FinishedValues {
                len,
                records,
                value_bytes
            }
        );
        let vfs = vfs.crash(Crash::LoseAll);
        assert_eq!(vfs.durable_bytes(Path::new(PATH)).unwrap().len() as u64, len);
        (vfs, places)
    })
}

fn file(vfs: &MemVfs) -> Arc<dyn File> {
    vfs.open(Path::new(PATH), OpenMode::Read).unwrap()
}

fn read_all(file: &ValueFile) -> Result<Vec<FiledRecord>, ValueFileError> {
    let records: Result<Vec<_>, _> = file.records().collect();
    records
}

fn ready(value: &[u8]) -> ReadValue {
    ReadValue::Ready(value.to_vec().into())
}

fn rows() -> Vec<Row> {
    let row = |key: &str, version, len| {
        (
            key.as_bytes().to_vec(),
            Version(version),
            vec![version as u8; len],
        )
    };
    vec![
        row("", 4, 10),
        row("a", 9, 100),
        row("a", 7, 0),
        row("ab", 8, 33),
        row("b", 1, 70),
    ]
}

/// With values that are packed, by the codec and by the one that is for shorter ones.
fn longer_rows() -> Vec<Row> {
    let mut rows = rows();
    rows.extend([300, 1_500].map(|len| (b"c".to_vec(), Version(2_000 - len), vec![7; len as usize])));
    rows
}
