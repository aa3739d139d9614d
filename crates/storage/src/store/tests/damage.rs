//! Bits that flip in runs and in the manifest: an error that says where, never another answer.

use atoll_env::vfs::{Fault, MemVfs};

use super::model::{History, KEYS, key};
use super::process::Process;
use super::world::{StartError, group_dir};
use super::{Model, Node, Op, simulate};
use crate::index::{GroupIndex, Missed};
use crate::journal::ReadError;
use crate::manifest::FolderError;
use crate::store::StoreError;

/// A disk with one checkpoint of many rows, and what is in it.
async fn disk() -> (MemVfs, History, Model) {
    let mut history = History::default();
    let mut node = Node::start(MemVfs::default(), &history).await.unwrap();
    let ops = [
        Op::Put {
            first: 0,
            count: KEYS,
            len: 50,
        },
        Op::Delete { first: 50, count: 10 },
        Op::System {
            key: 1,
            len: Some(100),
        },
    ];
    node.write(&ops, &mut history).await.unwrap();
    assert!(node.checkpoint().await);
    node.process.kill();
    let vfs = node.process.vfs.crash(atoll_env::vfs::Crash::Process);
    (vfs, history, node.model)
}

/// Reads every key: how many are right, and how many cannot be read. Nothing else is there.
fn read_all(index: &GroupIndex, model: &Model) -> (usize, usize) {
    let view = index.view();
    let (mut right, mut unread) = (0, 0);
    for number in 0..KEYS {
        let key = key(number);
        match view.get(&key, true) {
            Ok(seen) => {
                let seen = seen.map(|(version, value)| {
                    let bytes = value.inline_checked(&key).unwrap().unwrap();
                    (version, bytes.to_vec())
                });
                assert_eq!(seen.as_ref(), model.rows.get(&key), "key {number}");
                right += 1;
            }
            Err(Missed::Failed(ReadError::Run { run: 1, .. })) => unread += 1,
            Err(other) => panic!("{other}"),
        }
    }
    (right, unread)
}

async fn open(vfs: MemVfs) -> Result<Node, StartError> {
    Node::open(Process::on(vfs)).await.map(|(node, _)| node)
}

#[test]
fn a_flipped_bit_of_a_run_is_an_error_that_names_it() {
    simulate(async {
        let (vfs, _, model) = disk().await;
        let path = group_dir().join("r-0000000000000001.run");
        let len = vfs.durable_bytes(&path).unwrap().len() as u64;
        let (mut refused, mut partly) = (0, 0);
        for offset in (0..len).step_by(211).chain(len - 400..len) {
            let vfs = vfs.fork(0);
            vfs.flip_bit(&path, offset, (offset % 8) as u8);
            match open(vfs).await {
                Ok(mut node) => {
                    let (right, unread) = read_all(node.group.index(), &model);
                    assert!(
                        right > 0 && unread > 0,
                        "offset {offset}: {right} right, {unread} unread"
                    );
                    assert!(node.writer.keys_in(&key(0), &[], 1000).len() < model.rows.len());
                    assert!(
                        node.writer.take_trouble().is_some(),
                        "whoever applies must hear of it"
                    );
                    partly += 1;
                    node.process.kill();
                }
                // The rows of the system are read at the start.
                Err(StartError::Store(StoreError::Rows(Missed::Failed(ReadError::Run {
                    run: 1, ..
                })))) => {}
                Err(StartError::Store(error @ StoreError::Run { .. })) => {
                    assert!(error.to_string().contains("r-0000000000000001.run"), "{error}");
                    assert!(!error.may_pass(), "{error}");
                    refused += 1;
                }
                Err(other) => panic!("offset {offset}: {other:?}"),
            }
        }
        assert!(
            refused > 100 && partly > 50,
            "{refused} refused, {partly} in part"
        );
    });
}

/// A disk that refuses a read says nothing of what stands on it.
#[test]
fn what_could_not_be_read_once_is_no_damage() {
    simulate(async {
        let (vfs, _, model) = disk().await;
        for file in ["MANIFEST", ".run"] {
            let vfs = vfs.fork(0);
            vfs.fail_next(Fault::Read, file);
            let Err(StartError::Store(error)) = open(vfs.clone()).await else {
                panic!("{file} was not read");
            };
            assert!(error.may_pass(), "{error}");
            let mut node = open(vfs).await.unwrap();
            node.model = model.clone();
            node.check();
            node.process.kill();
        }
    });
}

#[test]
fn a_flipped_bit_of_the_manifest_is_an_error_that_names_it() {
    simulate(async {
        let (vfs, ..) = disk().await;
        let path = group_dir().join("MANIFEST");
        let len = vfs.durable_bytes(&path).unwrap().len() as u64;
        for offset in 0..len {
            let vfs = vfs.fork(0);
            vfs.flip_bit(&path, offset, (offset % 8) as u8);
            let Err(StartError::Store(StoreError::Folder(error))) = open(vfs).await else {
                panic!("offset {offset}");
            };
            let typed = matches!(
                error,
                FolderError::Damaged { .. } | FolderError::Unsupported { .. }
            );
            assert!(typed && error.to_string().contains("MANIFEST"), "{error}");
        }
    });
}

/// A run that cannot be read cannot be merged. The others are, and checkpoints go on: memory is bounded.
#[test]
fn a_rotten_run_does_not_end_checkpoints() {
    simulate(async {
        let (vfs, mut history, model) = disk().await;
        let path = group_dir().join("r-0000000000000001.run");
        vfs.flip_bit(&path, 36_000, 1);
        let mut node = open(vfs).await.unwrap();
        node.model = model;
        node.frozen_at = node.model.applied;
        for round in 0..40_u16 {
            let put = Op::Put {
                first: round * 7,
                count: 150,
                len: 40,
            };
            node.write(&[put], &mut history).await.unwrap();
            assert!(node.begin_checkpoint(), "round {round}");
            node.process
                .env
                .clock
                .sleep(std::time::Duration::from_secs(120))
                .await;
            assert!(node.settle().await, "round {round}");
            let runs = node.group.index().layers().below.runs().len();
            assert!(runs < 13, "{runs} runs after round {round}");
        }
        assert!(node.files_of("new").is_empty());
        let view = node.group.index().view();
        let read = (0..KEYS).filter(|number| view.get(&key(*number), true).is_ok());
        let read = read.count();
        assert!(
            (usize::from(KEYS) / 2..usize::from(KEYS)).contains(&read),
            "{read} of {KEYS}"
        );
        node.process.kill();
    });
}
