//! Rot that a merge comes across: it ends no merges, holds no segment, and never becomes a sound value.

use std::path::Path;
use std::time::Duration;

use atoll_env::vfs::{Crash, MemVfs};

use super::super::disk::{GROUP, IDENTITY, data, env};
use bytes::BytesMut;

use super::super::process::Process;
use super::*;
use crate::check::{self, CheckOptions, Damage, Dump, FileKind, FileState, Space};
use crate::index::{ReadAhead, View};
use crate::journal::{ReadError, ReadValue};

/// A node with values of 2,000 bytes for the first keys, in a run, all still in the journal.
async fn node_with_values(veil: &Veil, options: StoreOptions) -> (Node, History) {
    Node::filled(veil.process(), options, 0..20, 2_000).await
}

fn read(view: &View, node: &Node, number: u16) -> Result<Vec<u8>, ReadError> {
    let key = key(number);
    let (_, value) = view.get(&key, true).unwrap().unwrap();
    match view.read_value(&node.journal, &key, &value, true)? {
        ReadValue::Ready(bytes) => Ok(bytes.to_vec()),
        ReadValue::WouldBlock => panic!("it may wait"),
    }
}

/// The same as a scan reads it.
fn read_ahead(view: &View, node: &Node, number: u16, ahead: &mut ReadAhead) -> Result<Vec<u8>, ReadError> {
    let (key, mut out) = (key(number), BytesMut::new());
    let (version, value) = view.get(&key, true).unwrap().unwrap();
    assert!(view.append_value(&node.journal, (&key, version, &value), true, ahead, &mut out)?);
    Ok(out.to_vec())
}

/// How many of the first keys read as they should; the others are errors.
fn sound(node: &Node) -> usize {
    let view = node.group.index().view();
    let mut ahead = ReadAhead::default();
    let read = (0..20).filter(|number| match read(&view, node, *number) {
        Ok(bytes) => {
            assert_eq!(bytes, node.model.rows[&key(*number)].1, "key {number}");
            assert_eq!(read_ahead(&view, node, *number, &mut ahead).unwrap(), bytes);
            true
        }
        Err(error) if read_ahead(&view, node, *number, &mut ahead).is_ok() => {
            panic!("a scan reads key {number}, and a get does not: {error}")
        }
        Err(error) => {
            let told = matches!(
                error,
                ReadError::Corrupt { .. } | ReadError::Filed { .. } | ReadError::Joined | ReadError::Io(_)
            );
            assert!(told, "{error}");
            false
        }
    });
    read.count()
}

async fn go_on(node: &mut Node, history: &mut History, rounds: u16) {
    for round in 0..rounds {
        node.write_durably(&[Op::put(100 + round, 15_000)], history).await;
        assert!(node.begin_checkpoint());
        node.sleep(Duration::from_secs(70)).await;
        assert!(node.settle().await, "round {round}: {:?}", node.store.progress());
    }
}

#[test]
fn a_value_that_rots_in_the_journal_is_lost_alone_and_its_segment_goes() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_values(&veil, TIGHT).await;
        let appended = Op::Append { key: 3, len: 30 };
        node.write(&[appended], &mut history).await.unwrap();
        // Keys 2 and 3: a whole value and a piece.
        for number in [2_u16, 3] {
            let segment = Path::new("/data/journal").join("0000000000000001.jnl");
            let bytes = veil.inner.durable_bytes(&segment).unwrap();
            let value = super::super::model::value(u64::from(number) + 1, 0, 2_000);
            let at = bytes.windows(2_000).position(|some| some == value).unwrap();
            veil.inner.flip_bit(&segment, at as u64 + 700, 2);
        }
        go_on(&mut node, &mut history, 6).await;
        let low = node.store.low_water();
        assert!(low.is_none_or(|low| low > 1), "{low:?}");
        node.veil(&veil);
        assert_eq!(sound(&node), 18);
        // What is appended to what is lost is lost with it.
        node.write(&[Op::Append { key: 2, len: 400 }], &mut history)
            .await
            .unwrap();
        go_on(&mut node, &mut history, 5).await;
        node.veil(&veil);
        assert_eq!(sound(&node), 18);
        let view = node.group.index().view();
        let (_, value) = view.get(&key(2), true).unwrap().unwrap();
        let lost = view.read_value(&node.journal, &key(2), &value, true);
        assert!(
            matches!(lost, Err(ReadError::Corrupt { segment: 0, .. })),
            "{lost:?}"
        );
        node.process.kill();
        check_told(&veil.inner.crash(Crash::LoseAll));
    });
}

/// Whoever looks at the disk is told of the values of keys 2 and 3, and of no others.
fn check_told(vfs: &MemVfs) {
    for deep in [false, true] {
        let options = CheckOptions { deep };
        let report = check::check(&env(vfs), data(), IDENTITY, options, &mut |_, _| {}).unwrap();
        let damages = report.files.iter().filter_map(|file| match &file.state {
            FileState::Damaged(damages) if file.kind == FileKind::Run => Some(&damages.first),
            _ => None,
        });
        let damages: Vec<_> = damages.flatten().collect();
        assert!(!damages.is_empty(), "{report:#?}");
        for number in [2, 3] {
            let name = format!("key '{}'", key(number).escape_ascii());
            assert!(damages.iter().any(|damage| damage.what.contains(&name)));
        }
        let lost = |number| format!("key '{}'", key(number).escape_ascii());
        let told = |damage: &&Damage| {
            let of = [2, 3].iter().any(|number| damage.what.contains(&lost(*number)));
            of && damage.what.contains("found rotten when it was to be moved")
        };
        assert!(
            damages.iter().copied().all(|damage| told(&damage)),
            "{damages:#?}"
        );
    }
    let mut dump = Dump::open(&env(vfs), data(), IDENTITY, false).unwrap();
    let rows = dump.rows(GROUP, Space::Users, Some(&key(1)), 1).unwrap();
    let value = rows[0].value.as_ref().unwrap();
    assert_eq!((&rows[0].key[..], &*value.place), (&key(2)[..], "nowhere"));
    assert!(value.bytes.as_ref().unwrap_err().contains("found rotten"));
}

/// A disk that refuses to read is no rot: nothing is given up, merges go on, and the next start tries again.
#[test]
fn what_the_disk_refuses_to_read_stays_where_it_is() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_values(&veil, TIGHT).await;
        veil.refuse(1);
        go_on(&mut node, &mut history, 8).await;
        assert_eq!(node.store.low_water(), Some(1));
        assert!(
            node.group.index().layers().below.runs().len() < 4,
            "merges went on"
        );
        let read = sound(&node);
        assert!((1..20).contains(&read), "{read}");
        veil.refuse(0);
        assert_eq!(sound(&node), 20, "nothing was given up");
        node.process.kill();

        let veil = Veil::over(veil.inner.crash(Crash::LoseAll));
        let node = Node::start_with(veil.process(), TIGHT, &history).await;
        let mut node = node.unwrap();
        go_on(&mut node, &mut history, 2).await;
        assert!(node.store.low_water().is_none_or(|low| low > 1));
        node.veil(&veil);
        assert_eq!(sound(&node), 20);
        // The same of a value file.
        let file = node.value_numbers()[0];
        veil.refuse_values(file);
        // Most of what is in the file dies, and the rest is to leave it.
        for number in 0..12 {
            node.write(&[Op::put(number, 2_000)], &mut history).await.unwrap();
        }
        go_on(&mut node, &mut history, 8).await;
        assert!(node.value_numbers().contains(&file), "{:?}", node.value_numbers());
        assert!(sound(&node) < 20);
        veil.refuse_values(0);
        assert_eq!(sound(&node), 20);
        assert!(
            node.group.index().layers().below.runs().len() < 4,
            "merges went on"
        );
        node.process.kill();
    });
}

/// A disk that reads again is believed again without a restart.
#[test]
fn what_the_disk_refused_for_a_while_leaves_when_it_can_be_read() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_values(&veil, TIGHT).await;
        veil.refuse(1);
        go_on(&mut node, &mut history, 4).await;
        assert_eq!(node.store.low_water(), Some(1));
        veil.refuse(0);
        node.sleep(Duration::from_secs(600)).await;
        go_on(&mut node, &mut history, 2).await;
        assert!(node.store.low_water().is_none_or(|low| low > 1));
        node.veil(&veil);
        assert_eq!(sound(&node), 20);
        node.process.kill();
    });
}

/// Memory may be wrong where the disk is right.
#[test]
fn what_is_wrong_in_memory_only_is_read_again_before_it_is_given_up() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_values(&veil, TIGHT).await;
        veil.spoil_memory();
        assert_eq!(sound(&node), 0, "readers are told");
        go_on(&mut node, &mut history, 6).await;
        assert!(node.store.low_water().is_none_or(|low| low > 1));
        node.veil(&veil);
        let view = node.group.index().view();
        for number in 0..20 {
            let (_, value) = view.get(&key(number), true).unwrap().unwrap();
            let place = format!("{value:?}");
            assert!(
                !place.contains("segment: 0"),
                "key {number} was given up: {place}"
            );
        }
        node.process.kill();
    });
}

/// With one bit flipped: how many values read as they should; `None` if the group was not opened.
async fn sound_after(vfs: &MemVfs, (path, offset): (&Path, u64), model: &Model) -> Option<usize> {
    let damaged = vfs.fork(0);
    damaged.flip_bit(path, offset, (offset % 8) as u8);
    let process = Process::on(damaged.crash(Crash::LoseAll));
    let (mut node, _) = Node::open_with(process, TIGHT).await.ok()?;
    node.model = model.clone();
    let sound = sound(&node);
    node.process.kill();
    Some(sound)
}

#[test]
fn every_damage_to_a_value_file_is_told_and_no_other_value_is_ever_read() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_values(&veil, TIGHT).await;
        go_on(&mut node, &mut history, 6).await;
        node.process.kill();
        let model = node.model.clone();
        let names = node.files_of("val");
        let vfs = veil.inner.crash(Crash::LoseAll);
        assert!(!names.is_empty());
        let (mut refused, mut partly) = (0, 0);
        for name in &names {
            let path = group_dir().join(name);
            let len = vfs.durable_bytes(&path).unwrap().len() as u64;
            for offset in (0..len).step_by(997) {
                match sound_after(&vfs, (&path, offset), &model).await {
                    None => refused += 1,
                    Some(sound) => partly += usize::from(sound < 20),
                }
            }
        }
        assert!(refused > 3 && partly > 3, "{refused} refused, {partly} partly");
    });
}
