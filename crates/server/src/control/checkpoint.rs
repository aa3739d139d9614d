//! Group 0's state as a system row, for a checkpoint.
//!
//! The state is small, so every freeze writes all of it: one row of kind [`SystemKey::CONTROL`], in the envelope of
//! every system row (`crates/kv/src/checkpoint/mod.rs`: format version, fields, sum over key and content).
//!
//! Fields, little-endian, at format version 1: cluster u128, epoch u64, wanted groups u32, next group u64, next replica
//! u64, next node u64, initial nodes u64; node count u32, per node (node u64, uuid u128, address u16 + UTF-8, zone in
//! the same form); group count u32, per group (group u64, generation u32, replica count u32, per replica (replica u64,
//! node u64)); run count u32, per run of slots with one owner (first u16, last u16, group u64, epoch u64). Everything
//! ascends, and there are as few runs as can be: one state has one form, and any other form is refused.

use std::collections::BTreeSet;

use atoll_kv::{SYSTEM_VALUE_BYTES_MAX, SystemKey, SystemRow};
use atoll_placement::{GroupEntry, NodeEntry, ShardMap, SlotOwner, SlotRun, Slots};
use atoll_types::limits::{GROUPS_PER_NODE_MAX, SLOTS};
use atoll_types::{ClusterId, Epoch, GroupGen, GroupId, NodeId, NodeUuid, ReplicaId, SlotId};

use super::ControlState;
use super::plan::REPLICAS;
use crate::codec::{Malformed, Reader, Writer};
use crate::identity::{ADDRESS_BYTES_MAX, MEMBERS_MAX, ZONE_BYTES_MAX};

const FORMAT: u8 = 1;
/// Bytes of a node without its texts' contents.
const NODE_BYTES: usize = 8 + 16 + 2 + 2;
/// Bytes of a group without replicas.
const GROUP_BYTES: usize = 8 + 4 + 4;
const REPLICA_BYTES: usize = 8 + 8;
const RUN_BYTES: usize = 2 + 2 + 8 + 8;

// The largest cluster there may be fits into a row, and the same once more.
const _: () = {
    let nodes = MEMBERS_MAX * (NODE_BYTES + ADDRESS_BYTES_MAX + ZONE_BYTES_MAX);
    let groups = GROUPS_PER_NODE_MAX * (GROUP_BYTES + REPLICAS * REPLICA_BYTES);
    let runs = SLOTS as usize * RUN_BYTES;
    assert!(2 * (nodes + groups + runs) < SYSTEM_VALUE_BYTES_MAX);
};

/// The row of a state.
pub(super) fn encode(state: &ControlState) -> SystemRow {
    let map = &state.map;
    let mut out = Writer::default();
    out.u8(FORMAT);
    out.u128(map.cluster.0);
    out.u64(map.epoch.0);
    out.u32(state.wanted_groups);
    out.u64(state.next_group);
    out.u64(state.next_replica);
    out.u64(state.next_node);
    out.u64(state.initial_nodes);
    out.u32(map.nodes.len() as u32);
    for (node, entry) in &map.nodes {
        out.u64(node.0);
        out.u128(entry.uuid.0);
        out.text(&entry.address);
        out.text(&entry.zone);
    }
    out.u32(map.groups.len() as u32);
    for (group, entry) in &map.groups {
        out.u64(group.0);
        encode_group(entry, &mut out);
    }
    let runs = map.runs();
    out.u32(runs.len() as u32);
    for run in &runs {
        out.u16(run.first.0);
        out.u16(run.last.0);
        out.u64(run.owner.group.0);
        out.u64(run.owner.epoch.0);
    }
    let key = SystemKey::group_wide(SystemKey::CONTROL, &[]).encode();
    SystemRow::sealed(key, out.finish())
}

fn encode_group(entry: &GroupEntry, out: &mut Writer) {
    out.u32(entry.generation.0);
    out.u32(entry.replicas.len() as u32);
    for (replica, node) in &entry.replicas {
        out.u64(replica.0);
        out.u64(node.0);
    }
}

/// The state of a row. Fails on anything that [`encode`] would not have written.
pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<ControlState, Malformed> {
    if key != SystemKey::group_wide(SystemKey::CONTROL, &[]).encode().as_bytes() {
        return Err(Malformed::new(
            "a system row that is none of the control plane's, or unknown to this program",
        ));
    }
    let (format, fields) = SystemRow::unseal(key, value)
        .ok_or_else(|| Malformed::new("the control plane's checkpoint is damaged"))?;
    if format != FORMAT {
        return Err(Malformed::new(format!(
            "the control plane's checkpoint has version {format}; this program knows {FORMAT}"
        )));
    }
    let mut input = Reader::new(fields);
    let state = read(&mut input)?;
    input.end()?;
    check(&state)?;
    // Whatever was read twice, out of order or in too many pieces.
    if encode(&state).value.as_deref() != Some(value) {
        return Err(Malformed::new(
            "the control plane's checkpoint is not in the form that a state has",
        ));
    }
    Ok(state)
}

/// The state in the one row of a checkpoint of this cluster.
pub(super) fn decode_rows<'a>(
    rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    own: ClusterId,
) -> Result<ControlState, Malformed> {
    let mut rows = rows.into_iter();
    let (Some((key, value)), None) = (rows.next(), rows.next()) else {
        return Err(Malformed::new("the control plane's checkpoint is not one row"));
    };
    let state = decode(key, value)?;
    let found = state.map.cluster;
    if state.bootstrapped() && found != own {
        return Err(Malformed::new(format!(
            "the checkpoint is of cluster {found}, this node of {own}"
        )));
    }
    Ok(state)
}

fn read(input: &mut Reader<'_>) -> Result<ControlState, Malformed> {
    let mut map = ShardMap {
        cluster: ClusterId(input.u128()?),
        epoch: Epoch(input.u64()?),
        ..ShardMap::default()
    };
    let wanted_groups = input.u32()?;
    let [next_group, next_replica, next_node, initial_nodes] =
        [input.u64()?, input.u64()?, input.u64()?, input.u64()?];
    for _ in 0..input.count(NODE_BYTES)? {
        let node = NodeId(input.u64()?);
        let entry = NodeEntry {
            uuid: NodeUuid(input.u128()?),
            address: input.text()?,
            zone: input.text()?,
        };
        map.nodes.insert(node, entry);
    }
    for _ in 0..input.count(GROUP_BYTES)? {
        let group = GroupId(input.u64()?);
        map.groups.insert(group, read_group(input)?);
    }
    map.slots = read_slots(input)?;
    Ok(ControlState {
        map,
        wanted_groups,
        next_group,
        next_replica,
        next_node,
        initial_nodes,
    })
}

fn read_group(input: &mut Reader<'_>) -> Result<GroupEntry, Malformed> {
    let generation = GroupGen(input.u32()?);
    let count = input.count(REPLICA_BYTES)?;
    let replicas: Result<_, Malformed> = (0..count)
        .map(|_| Ok((ReplicaId(input.u64()?), NodeId(input.u64()?))))
        .collect();
    Ok(GroupEntry {
        generation,
        replicas: replicas?,
    })
}

fn read_slots(input: &mut Reader<'_>) -> Result<Slots, Malformed> {
    let count = input.count(RUN_BYTES)?;
    let runs: Result<Vec<_>, Malformed> = (0..count)
        .map(|_| {
            Ok(SlotRun {
                first: SlotId(input.u16()?),
                last: SlotId(input.u16()?),
                owner: SlotOwner {
                    group: GroupId(input.u64()?),
                    epoch: Epoch(input.u64()?),
                },
            })
        })
        .collect();
    Slots::from_runs(runs?).map_err(|error| Malformed::new(error.to_string()))
}

/// The invariants of [`ControlState`].
fn check(state: &ControlState) -> Result<(), Malformed> {
    let map = &state.map;
    map.validate()
        .map_err(|error| Malformed::new(error.to_string()))?;
    if !state.bootstrapped() && *state != ControlState::default() {
        return Err(Malformed::new(
            "the control plane's state is there before its cluster",
        ));
    }
    let mut replicas = map.groups.values().flat_map(|group| group.replicas.keys());
    let given = map.nodes.keys().all(|node| node.0 < state.next_node)
        && map.groups.keys().all(|group| group.0 < state.next_group)
        && replicas.all(|replica| replica.0 < state.next_replica);
    if !given {
        return Err(Malformed::new("an id is in use that was never given out"));
    }
    let uuids: BTreeSet<_> = map.nodes.values().map(|node| node.uuid).collect();
    if uuids.len() != map.nodes.len() {
        return Err(Malformed::new("two nodes have one uuid"));
    }
    Ok(())
}
