//! Group 0 restored from its row, against itself.

use std::path::Path;
use std::sync::Arc;

use atoll_env::net::NoNet;
use atoll_env::vfs::MemVfs;
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn, watch};
use atoll_kv::{SystemKey, SystemRow};
use atoll_types::{ClusterId, Epoch, GroupId, NodeId, NodeUuid, Outcome, ReplicaId};
use bytes::Bytes;

use super::checkpoint::{decode, encode};
use super::{Change, ControlCommand, ControlMachine, ControlState};
use crate::directory::Directory;
use crate::identity::{DataDir, Ident, Member};
use crate::membership::Membership;

const CLUSTER: ClusterId = ClusterId(42);

/// A machine on a node of its own, and what the node sees of it.
struct Replica {
    machine: ControlMachine,
    watched: watch::Receiver<Arc<ControlState>>,
    directory: Arc<Directory>,
}

impl Replica {
    async fn of(cluster: ClusterId) -> Self {
        let rng = Rng::seeded(1);
        let env = Env {
            clock: Clock::simulated(1.0, 0),
            rng: rng.clone(),
            spawn: Spawn::simulated(Scope::new(rng)),
            vfs: Arc::new(MemVfs::default()),
            net: Arc::new(NoNet),
            halt: Halt::simulated(|reason| panic!("{reason}")),
        };
        let dir = DataDir::open(&env, Path::new("/data")).await.unwrap();
        let membership = Membership::open(&env, dir).await.unwrap();
        let node = NodeId(1);
        let directory = Arc::new(Directory::new(Ident { cluster, node }, membership));
        let (machine, watched) = ControlMachine::new(directory.clone());
        Self {
            machine,
            watched,
            directory,
        }
    }

    fn row(&self) -> Bytes {
        let rows = self.machine.freeze();
        assert_eq!(rows.len(), 1);
        rows[0].value.clone().unwrap()
    }

    /// What a machine makes of this one's rows on another node.
    async fn restored(&self) -> Self {
        let mut replica = Self::of(CLUSTER).await;
        let key = key();
        let (row, mut before) = (self.row(), replica.watched.clone());
        replica.machine.restore([(key.as_bytes(), &row[..])]).unwrap();
        assert!(before.borrow_and_update().clone() == replica.state());
        replica
    }

    fn state(&self) -> Arc<ControlState> {
        self.watched.borrow().clone()
    }

    fn is_like(&self, other: &Self) {
        assert_eq!(self.state(), other.state());
        assert_eq!(self.directory.map(), other.directory.map());
        assert_eq!(*self.directory.map(), self.state().map);
        assert_eq!(self.machine.freeze(), other.machine.freeze());
    }
}

fn key() -> atoll_types::Key {
    SystemKey::group_wide(SystemKey::CONTROL, &[]).encode()
}

fn member(n: u64) -> Member {
    Member {
        node: NodeId(n),
        uuid: NodeUuid(u128::from(n) * 7919),
        address: format!("127.0.0.1:{}", 7000 + n),
        zone: if n.is_multiple_of(2) {
            String::new()
        } else {
            format!("z{n}")
        },
    }
}

/// The beginning of a cluster, and then commands of every kind, sensible ones and others.
fn commands(rng: &Rng) -> Vec<Change> {
    let nodes = 1 + rng.below(4);
    let mut changes = vec![
        Change::Bootstrap {
            cluster: CLUSTER,
            groups: 2,
            nodes: (1..=nodes).map(member).collect(),
            control: (1..=nodes).map(|n| (ReplicaId(n), NodeId(n))).collect(),
        },
        Change::CreateGroup {
            group: GroupId(1),
            nodes: vec![NodeId(1)],
        },
    ];
    for _ in 0..rng.below(12) {
        let node = NodeId(1 + rng.below(nodes + 2));
        let group = GroupId(1 + rng.below(4));
        changes.push(match rng.below(6) {
            0 => Change::CreateGroup {
                group,
                nodes: vec![node, NodeId(1)],
            },
            1 => Change::SetSlots {
                runs: vec![(0, 99, GroupId(1)), (100, 16_383, group)],
            },
            2 => Change::SetNodeAddress {
                node,
                address: format!("10.0.0.{}:1", rng.below(9)),
            },
            3 => Change::SetNodeZone {
                node,
                zone: format!("z{}", rng.below(3)),
            },
            _ => Change::AddNode {
                uuid: NodeUuid(u128::from(rng.below(40))),
                address: "new:1".to_owned(),
                zone: String::new(),
            },
        });
    }
    changes
}

/// The entries of a log in which some commands come too late.
fn log(rng: &Rng) -> Vec<Bytes> {
    let mut state = ControlState::default();
    let mut log = Vec::new();
    for change in commands(rng) {
        let late = u64::from(rng.below(8) == 0);
        let base = Epoch(state.map.epoch.0.saturating_sub(late));
        let command = ControlCommand { base, change };
        let _ = state.apply(&command);
        log.push(command.encode().into());
    }
    log
}

#[tokio::test]
async fn a_restored_machine_goes_on_as_if_it_had_never_stopped() {
    for seed in 0..60 {
        restarts_anywhere(&Rng::seeded(seed)).await;
    }
}

async fn restarts_anywhere(rng: &Rng) {
    let mut steady = Replica::of(CLUSTER).await;
    let mut mortal = Replica::of(CLUSTER).await;
    for payload in log(rng) {
        if rng.below(3) == 0 {
            mortal = mortal.restored().await;
            mortal.is_like(&steady);
        }
        let outcome: Outcome = steady.machine.apply_bytes(&payload).unwrap();
        assert_eq!(mortal.machine.apply_bytes(&payload).unwrap(), outcome);
        mortal.is_like(&steady);
    }
    assert!(steady.state().map.epoch >= Epoch(2));
}

#[tokio::test]
async fn a_state_shipped_to_a_replica_that_is_behind_replaces_its_own() {
    let log = log(&Rng::seeded(3));
    let (mut ahead, mut behind) = (Replica::of(CLUSTER).await, Replica::of(CLUSTER).await);
    for payload in &log {
        ahead.machine.apply_bytes(payload).unwrap();
    }
    behind.machine.apply_bytes(&log[0]).unwrap();
    let mut watcher = behind.directory.watch();
    watcher.borrow_and_update();
    let key = key();
    let row = ahead.row();
    behind.machine.restore([(key.as_bytes(), &row[..])]).unwrap();
    behind.is_like(&ahead);
    assert!(watcher.has_changed().unwrap(), "who follows the map hears of it");
}

fn full() -> ControlState {
    let mut state = ControlState::default();
    let changes = [
        Change::Bootstrap {
            cluster: CLUSTER,
            groups: 2,
            nodes: vec![member(1), member(2)],
            control: vec![(ReplicaId(1), NodeId(1)), (ReplicaId(2), NodeId(2))],
        },
        Change::CreateGroup {
            group: GroupId(1),
            nodes: vec![NodeId(2), NodeId(1)],
        },
        Change::CreateGroup {
            group: GroupId(2),
            nodes: vec![NodeId(1)],
        },
        Change::SetSlots {
            runs: vec![(0, 8_000, GroupId(2)), (8_001, 16_383, GroupId(1))],
        },
        Change::AddNode {
            uuid: NodeUuid(5),
            address: "new:1".to_owned(),
            zone: "z".to_owned(),
        },
    ];
    for change in changes {
        let base = state.map.epoch;
        state.apply(&ControlCommand { base, change }).unwrap();
    }
    state
}

fn sealed(content: &[u8]) -> Bytes {
    SystemRow::sealed(key(), content.to_vec()).value.unwrap()
}

#[test]
fn bytes_that_are_no_checkpoint_are_refused() {
    let key = key();
    let value = encode(&full()).value.unwrap();
    assert_eq!(decode(key.as_bytes(), &value).unwrap(), full());
    for bit in 0..value.len() * 8 {
        let mut flipped = value.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(key.as_bytes(), &flipped).is_err(), "bit {bit}");
    }
    for len in 0..value.len() {
        assert!(decode(key.as_bytes(), &value[..len]).is_err());
    }
    let group = SystemKey::group_wide(1, &[]).encode();
    assert!(decode(group.as_bytes(), &value).is_err());
    let mut later = value[..value.len() - 4].to_vec();
    later[0] = 2;
    let error = decode(key.as_bytes(), &sealed(&later)).unwrap_err();
    assert!(error.0.contains("version 2"), "{error}");
}

/// Bytes whose sum is right are a state that could be, in its only form, or refused.
#[test]
fn what_is_understood_is_written_again_as_it_was() {
    let key = key();
    let value = encode(&full()).value.unwrap();
    let content = &value[..value.len() - 4];
    let mut understood = 0;
    let mut try_out = |content: &[u8]| {
        let changed = sealed(content);
        if let Ok(state) = decode(key.as_bytes(), &changed) {
            assert_eq!(encode(&state).value.unwrap(), changed);
            assert_eq!(state.map.validate(), Ok(()));
            assert!(state.map.nodes.keys().all(|node| node.0 < state.next_node));
            assert!(state.map.groups.keys().all(|group| group.0 < state.next_group));
            understood += 1;
        }
    };
    for at in 0..content.len() {
        for byte in [0, 0xFF, content[at] ^ 1, content[at].wrapping_add(1)] {
            let mut changed = content.to_vec();
            changed[at] = byte;
            try_out(&changed);
        }
        try_out(&content[..at]);
        try_out(&[&content[..at], &content[at + 1..]].concat());
        try_out(&[&content[..at], &[0], &content[at..]].concat());
    }
    assert!(understood > 100, "{understood}");
}

#[test]
fn states_that_break_an_invariant_are_refused() {
    let broken: [fn(&mut ControlState); 7] = [
        |state| state.next_node = 3,
        |state| state.next_group = 2,
        |state| state.next_replica = 5,
        |state| state.map.nodes.get_mut(&NodeId(3)).unwrap().uuid = member(1).uuid,
        |state| state.map.nodes.remove(&NodeId(2)).map_or((), drop),
        |state| state.map.groups.remove(&GroupId(2)).map_or((), drop),
        |state| state.map.epoch = Epoch(0),
    ];
    let key = key();
    for (number, breaks) in broken.into_iter().enumerate() {
        let mut state = full();
        breaks(&mut state);
        let value = encode(&state).value.unwrap();
        assert!(decode(key.as_bytes(), &value).is_err(), "{number}");
    }
}

#[tokio::test]
async fn a_checkpoint_of_elsewhere_changes_nothing() {
    let key = key();
    let value = encode(&full()).value.unwrap();
    let mut replica = Replica::of(ClusterId(7)).await;
    let before = replica.state();
    let row = (key.as_bytes(), &value[..]);
    let error = replica.machine.restore([row]).unwrap_err();
    assert!(error.0.contains("of cluster"), "{error}");
    let mut ours = Replica::of(CLUSTER).await;
    assert!(ours.machine.restore([]).is_err());
    assert!(ours.machine.restore([row, row]).is_err());
    assert!(ours.machine.restore([(key.as_bytes(), &value[1..])]).is_err());
    for replica in [&replica, &ours] {
        assert_eq!(replica.state(), before);
        assert_eq!(replica.directory.map().epoch, Epoch(0));
    }
}
