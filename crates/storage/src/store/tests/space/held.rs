//! Who keeps a segment or a value file: a writer in the middle of an entry, a view, rows in memory, a group that is
//! closed or cannot be opened.

use std::time::Duration;

use atoll_env::vfs::{DiskTrouble, MemVfs, MemVfsOptions};

use super::super::look::check_rows;
use super::super::world::{DATA, GROUP, REPLICA, id};
use super::*;
use crate::index::{Below, FilePointer, Layers, Suffix, ValueRef};
use crate::journal::{ReadValue, value_crc};
use crate::store::WorkKind;
use crate::store::merging::accounts::count_references;
use crate::store::merging::rate::Rate;
use atoll_types::Version;
use atoll_types::{GroupGen, GroupId, GroupKey};
use std::path::Path;

/// A node whose first values stand in the first segment and in runs, and nothing else does.
async fn node_with_old_values(veil: &Veil) -> (Node, History) {
    let mut history = History::default();
    let node = Node::start_with(veil.process(), TIGHT, &history).await;
    let mut node = node.unwrap();
    let first = Op::put(0, 2_000);
    node.write(&[first], &mut history).await.unwrap();
    assert!(node.checkpoint().await);
    // What comes behind it in the first segment is in a run too. Nothing moves yet: the journal is small.
    let rest = Op::put(9, 26_000);
    node.write(&[rest], &mut history).await.unwrap();
    assert!(node.checkpoint().await);
    node.journal.mark().await.unwrap();
    assert_eq!(node.value_numbers(), []);
    (node, history)
}

async fn fill_journal(node: &mut Node, history: &mut History) {
    for _ in 0..12 {
        node.write_durably(&[Op::put(9, 20_000)], history).await;
    }
}

async fn wait(node: &Node, seconds: u64) {
    node.sleep(Duration::from_secs(seconds)).await;
    assert!(node.settle().await);
}

fn put_longer(node: &mut Node, old: &ValueRef) -> ValueRef {
    let (bytes, version) = (b"more", node.model.version + 1);
    let mut vcrc = crc32fast::Hasher::new_with_initial(old.vcrc());
    vcrc.update(bytes);
    let longer = old.with_suffix(Suffix::Memory(bytes), vcrc.finalize());
    node.writer.put(&key(0), Version(version), longer.clone());
    longer
}

/// Apply looks a row up, a merge moves what it points at, and only then apply puts a row with the old pointer.
#[test]
fn an_entry_that_is_being_applied_keeps_what_it_has_looked_up() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_old_values(&veil).await;
        let old = node.writer.value_of(&key(0)).unwrap();
        assert!(matches!(old, ValueRef::Journal(_)));
        fill_journal(&mut node, &mut history).await;
        let first = node.store.low_water().unwrap();
        assert_eq!(first, node.journal.ends().unwrap().oldest);
        let in_memory = node.group.index().layers().active.tree.read().reach().segment;
        assert!(in_memory > Some(first), "only the run keeps it");

        node.writer.begin(1);
        let old = node.writer.value_of(&key(0)).unwrap();
        assert!(matches!(&old, ValueRef::Journal(pointer) if pointer.segment == first));
        wait(&node, 3).await;
        let moved = node.group.index().view().get(&key(0), true).unwrap().unwrap().1;
        assert!(matches!(moved, ValueRef::Filed(_)), "{moved:?}");
        assert_eq!(node.store.low_water(), Some(first), "the writer may put it back");

        let longer = put_longer(&mut node, &old);
        node.writer
            .publish(Version(node.model.version + 1), node.model.applied + 1);
        assert_eq!(
            node.store.low_water(),
            Some(first),
            "a row in memory points there"
        );
        node.veil(&veil);
        let whole = [history.models[1].rows[&key(0)].1.clone(), b"more".to_vec()].concat();
        let view = node.group.index().view();
        let read = view.read_value(&node.journal, &key(0), &longer, true).unwrap();
        assert_eq!(read, ReadValue::Ready(whole.into()));
        assert_eq!(
            longer.vcrc(),
            value_crc(
                &key(0),
                &[history.models[1].rows[&key(0)].1.as_slice(), b"more"].concat()
            )
        );
        node.process.kill();
    });
}

/// The same of a value file: it stays named, or the next checkpoint could not name it again.
#[test]
fn a_value_file_stays_while_rows_in_memory_point_into_it() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_old_values(&veil).await;
        fill_journal(&mut node, &mut history).await;
        wait(&node, 3).await;
        let (first, (_, value)) = (
            node.value_numbers(),
            node.group.index().view().get(&key(0), true).unwrap().unwrap(),
        );
        let ValueRef::Filed(FilePointer { file, .. }) = value else {
            panic!("{value:?}")
        };

        // In memory: an old piece and a new one. The rest of what is in the file dies.
        let append = Op::Append { key: 0, len: 40 };
        node.write(&[append], &mut history).await.unwrap();
        let layers = node.group.index().layers();
        assert!(layers.active.tree.read().reach().files.contains(&file));
        drop(layers);
        let work = node.group.work(node.store.0.need()).await;
        assert!(work.is_none(), "nothing is to be done");
        // As if merges had dropped every row that points there: only the one in memory is left.
        {
            let mut folder = node.group.0.folder.lock().await;
            let mut manifest = folder.manifest().unwrap().clone();
            manifest.runs.clear();
            count_references(&mut manifest, &[]);
            folder.commit(manifest).await.unwrap();
            node.group.index().replace(|layers| Layers {
                active: layers.active.clone(),
                frozen: None,
                below: Below::new(vec![], layers.below.values().clone(), Version::ZERO),
            });
        }
        assert_eq!(node.group.drop_value_files().await.unwrap(), first.len() - 1);
        assert_eq!(node.value_numbers(), [file]);
        assert!(
            node.checkpoint().await,
            "its run points into a file that is named"
        );
        assert_eq!(node.value_numbers(), [file]);
        let view = node.group.index().view();
        let (_, value) = view.get(&key(0), true).unwrap().unwrap();
        let read = view.read_value(&node.journal, &key(0), &value, true).unwrap();
        let whole = node.model.rows[&key(0)].1.clone();
        assert_eq!(read, ReadValue::Ready(whole.into()));
        node.process.kill();
    });
}

#[test]
fn a_view_keeps_what_it_sees_and_lets_go_of_it() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_old_values(&veil).await;
        let first = node.store.low_water().unwrap();
        let (view, model) = (node.group.index().view(), node.model.clone());
        fill_journal(&mut node, &mut history).await;
        assert!(node.checkpoint().await);
        wait(&node, 3).await;
        assert_eq!(node.store.low_water(), Some(first));
        node.veil(&veil);
        check_rows(&view, &model, &node.journal);
        drop(view);
        assert!(node.store.low_water().is_none_or(|low| low > first));
        node.veil(&veil);
        assert!(veil.hidden() > first);
        node.check_rows();
        node.process.kill();
    });
}

/// Bytes of the group's files and of the journal's full segments.
fn used(node: &Node) -> u64 {
    let vfs = &node.process.vfs;
    let len = |name: &String| vfs.durable_bytes(&group_dir().join(name)).unwrap().len() as u64;
    node.files().iter().map(len).sum::<u64>() + node.journal.bytes_of(0..u32::MAX)
}

/// Whoever sends it slowly may keep more than a follower is worth.
#[test]
fn a_snapshot_says_what_would_go_without_it() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_old_values(&veil).await;
        let reader = node.group.snapshot().unwrap();
        assert_eq!(reader.held_back(), 0, "all of it is in force");
        fill_journal(&mut node, &mut history).await;
        assert!(node.checkpoint().await);
        wait(&node, 3).await;
        assert!(reader.held_back() > 0, "runs were merged");
        node.log.purge(id(node.group.flushed_index())).await.unwrap();
        node.journal.mark().await.unwrap();
        let oldest = node.store.reclaim().await.unwrap();
        let (held, before) = (reader.held_back(), used(&node));
        drop(reader);
        wait(&node, 3).await;
        assert!(
            node.store.reclaim().await.unwrap() > oldest,
            "segments go that only it kept"
        );
        assert_eq!(before - used(&node), held);
        node.process.kill();
    });
}

/// As a snapshot does, also where others read beside it.
#[test]
fn a_view_says_what_would_go_without_it_and_others() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_old_values(&veil).await;
        let view = node.group.index().view();
        assert_eq!(node.group.held_back_by_view(&view), 0, "all of it is in force");
        fill_journal(&mut node, &mut history).await;
        assert!(node.checkpoint().await);
        wait(&node, 3).await;
        node.log.purge(id(node.group.flushed_index())).await.unwrap();
        node.journal.mark().await.unwrap();
        let oldest = node.store.reclaim().await.unwrap();
        let held = node.group.held_back_by_view(&view);
        assert!(held > 0, "runs were merged");
        let fresh = node.group.index().view();
        assert_eq!(node.group.held_back_by_view(&fresh), 0);
        let other = view.at_version(view.version()).unwrap();
        assert_eq!(node.group.held_back_by_view(&other), held);
        assert_eq!(
            node.group.held_back_by_view(&view),
            held,
            "none excuses the other"
        );
        let before = used(&node);
        drop((view, fresh, other));
        wait(&node, 3).await;
        assert!(
            node.store.reclaim().await.unwrap() > oldest,
            "segments go that only they kept"
        );
        assert_eq!(before - used(&node), held);
        node.process.kill();
    });
}

/// Rows of an idle group that no checkpoint has keep the oldest segment. That is said, until there is one.
#[test]
fn a_group_that_holds_the_journal_back_wants_a_checkpoint() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (mut node, mut history) = node_with_old_values(&veil).await;
        // Nothing of the log needs to be applied again, so nothing is held.
        wait(&node, 2).await;
        assert!(!node.group.note_applied(&node.writer, 100));
        fill_journal(&mut node, &mut history).await;
        let oldest = node.journal.ends().unwrap().oldest;
        wait(&node, 2).await;
        assert!(node.group.wants_checkpoint_for_space());
        assert!(node.group.note_applied(&node.writer, 100));
        assert!(node.begin_checkpoint());
        assert!(!node.group.wants_checkpoint_for_space());
        wait(&node, 2).await;
        assert!(!node.group.wants_checkpoint_for_space());
        assert!(node.store.low_water().is_none_or(|low| low > oldest));
        // What was noted first after the checkpoint is young, however old the group is.
        assert!(!node.group.note_applied(&node.writer, 100));
        wait(&node, 2).await;
        assert!(!node.group.wants_checkpoint_for_space());
        node.process.kill();
    });
}

#[test]
fn a_closed_group_keeps_what_its_manifest_needs_and_one_without_a_readable_manifest_all() {
    simulate(async {
        let veil = Veil::over(MemVfs::default());
        let (node, _) = node_with_old_values(&veil).await;
        let first = node.store.low_water().unwrap();
        assert_eq!(first, 1);
        let Node {
            store,
            group,
            writer,
            process,
            ..
        } = node;
        assert_eq!(group.oldest_segment(), Some(first));
        drop((group, writer));
        assert_eq!(store.low_water(), Some(first));
        let again = store.open_group(GROUP, REPLICA).unwrap();
        assert_eq!(store.low_water(), Some(first));
        drop(again);

        let other = GroupKey::new(GroupId(0x20), GroupGen(1));
        let opened = store.open_group(other, REPLICA).unwrap();
        assert_eq!(store.low_water(), Some(first), "an empty group needs nothing");
        drop(opened);
        let foreign = Path::new(DATA).join("groups/0000000000000021-00000001/MANIFEST");
        process.env.vfs.create_dir_all(foreign.parent().unwrap()).unwrap();
        let mode = atoll_env::vfs::OpenMode::CreateNew;
        let file = process.env.vfs.open(&foreign, mode).unwrap();
        file.write_at(b"no manifest", 0).await.unwrap();
        let damaged = GroupKey::new(GroupId(0x21), GroupGen(1));
        assert!(store.open_group(damaged, REPLICA).is_err());
        assert_eq!(store.low_water(), Some(0), "nobody knows what it needs");
        process.env.vfs.remove(&foreign).unwrap();
        drop(store.open_group(damaged, REPLICA).unwrap());
        assert_eq!(store.low_water(), Some(first));

        // One whose files do not open keeps what its manifest tells.
        let names = process.env.vfs.list(&group_dir()).unwrap();
        let run = names.iter().find(|name| name.starts_with("r-")).unwrap();
        let path = group_dir().join(run);
        let len = process.vfs.durable_bytes(&path).unwrap().len() as u64;
        process.vfs.flip_bit(&path, len - 1, 1);
        assert!(store.open_group(GROUP, REPLICA).is_err());
        assert_eq!(store.low_water(), Some(first));
        process.vfs.truncate(&path, len - 1);
        assert!(store.open_group(GROUP, REPLICA).is_err());
        assert_eq!(store.low_water(), Some(first));
        process.vfs.flip_bit(&group_dir().join("MANIFEST"), 40, 1);
        assert!(store.open_group(GROUP, REPLICA).is_err());
        assert_eq!(store.low_water(), Some(0), "nobody knows what it needs");
        process.kill();
    });
}

/// What users write comes first: a merge stands back when the journal waits long for the disk.
#[test]
fn a_merge_leaves_the_disk_to_the_journal() {
    simulate(async {
        let clock = atoll_env::Clock::simulated(1.0, 0);
        let veil = Veil::over(slow_disk(clock.clone(), &MemVfsOptions::default()));
        let history = History::default();
        let node = Node::start_with(veil.process(), TIGHT, &history).await;
        let node = node.unwrap();
        let mut rate = Rate::new(
            &clock,
            OPTIONS.maintenance_rate,
            &node.store.0.backlog,
            &node.journal,
        );
        let begun = clock.now();
        for _ in 0..10 {
            rate.take(1 << 20, &node.journal).await;
        }
        assert_eq!(clock.now(), begun, "nothing to wait for");
        veil.inner.set_trouble(DiskTrouble {
            stalls: 1_000_000,
            stall: Duration::from_millis(200)..Duration::from_millis(300),
            ..DiskTrouble::default()
        });
        node.journal.mark().await.unwrap();
        assert!(node.journal.stats().slow_syncs > 0);
        let begun = clock.now();
        rate.take(1 << 20, &node.journal).await;
        assert!(clock.now().since(begun) >= Duration::from_millis(250));
        node.process.kill();
    });
}

/// A merge goes slowly, a checkpoint of the same group is written beside it, and both are told of.
#[test]
fn a_checkpoint_does_not_wait_for_a_merge() {
    simulate(async {
        let slow = StoreOptions {
            maintenance_rate: 20 * 1024,
            // Less than half of what is written: then it would not go slowly.
            journal_budget: 768 * 1024,
            ..TIGHT
        };
        let mut history = History::default();
        let veil = Veil::over(MemVfs::default());
        let node = Node::start_with(veil.process(), slow, &history).await;
        let mut node = node.unwrap();
        for round in 0..100 {
            node.write(&[Op::put(round * 4, 9_000)], &mut history)
                .await
                .unwrap();
        }
        assert!(node.begin_checkpoint());
        let clock = node.process.env.clock.clone();
        clock.sleep(Duration::from_secs(3)).await;
        assert!(!node.is_busy());
        let under_way = node.store.progress();
        let [evacuation] = &under_way[..] else {
            panic!("{under_way:?}")
        };
        assert_eq!((evacuation.kind, evacuation.group), (WorkKind::Evacuate, GROUP));
        assert!(
            evacuation.done > 0 && evacuation.done < evacuation.total,
            "{evacuation:?}"
        );

        node.write(&[all(20)], &mut history).await.unwrap();
        assert!(node.begin_checkpoint());
        clock.sleep(Duration::from_millis(900)).await;
        assert!(!node.is_busy(), "the checkpoint was written");
        assert_eq!(
            node.store.progress()[0].kind,
            WorkKind::Evacuate,
            "and the merge goes on"
        );
        assert_eq!(node.group.index().layers().below.runs().len(), 2);
        let mut settled = false;
        for _ in 0..200 {
            settled = settled || node.settle().await;
        }
        assert!(settled && node.store.progress().is_empty());
        node.veil(&veil);
        node.check();
        node.process.kill();
    });
}
