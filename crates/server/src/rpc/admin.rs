//! Init, Status, GetMap, TransferLeader.

use std::time::Duration;

use atoll_env::net::{Code, Status};
use atoll_placement::ShardMap;
use atoll_proto::v1;
use atoll_raft::Group;
use atoll_storage::{Finding, RowCache};
use atoll_types::{GroupId, NodeId, ReplicaId};

use super::map::{map_to_wire, members_to_wire, replicas_to_wire};
use super::router::{not_in_a_cluster, unavailable};
use crate::identity::Member;
use crate::membership::{Initiator, Standing};
use crate::node::Core;
use crate::process;
use crate::running::Running;
use crate::shard::HistogramCounts;

pub(super) async fn init(
    core: &Core,
    request: v1::InitRequest,
    deadline: Option<Duration>,
) -> Result<v1::InitReply, Status> {
    let initiator = Initiator::new(
        &core.env,
        core.membership.clone(),
        core.peers.clone(),
        &core.config.join,
    );
    let made = initiator.run(request.addresses, request.groups, deadline).await?;
    Ok(v1::InitReply {
        cluster_id: made.cluster.to_string(),
        nodes: members_to_wire(&made.members),
        already: made.already,
    })
}

pub(super) fn get_map(core: &Core, request: v1::GetMapRequest) -> Result<v1::GetMapReply, Status> {
    let running = core.running().ok_or_else(|| not_in_a_cluster(core))?;
    let map = running.directory().map();
    if map.epoch.0 == 0 {
        return Err(unavailable("this node has no shard map yet"));
    }
    let newer = map.epoch.0 > request.known_epoch;
    Ok(v1::GetMapReply {
        map: newer.then(|| map_to_wire(&map, |group| leader_of(&running, group))),
    })
}

/// Who leads a group that has a replica here, as far as that knows.
fn leader_of(running: &Running, group: GroupId) -> Option<NodeId> {
    let leader = running.host().group(group)?.leader()?;
    running.directory().node_of(group, leader)
}

pub(super) async fn transfer_leader(
    core: &Core,
    request: v1::TransferLeaderRequest,
) -> Result<v1::TransferLeaderReply, Status> {
    let running = core.running().ok_or_else(|| not_in_a_cluster(core))?;
    let (id, to) = (GroupId(request.group), NodeId(request.to_node));
    let missing = || Status::new(Code::NotFound, format!("group {id} has no replica on this node"));
    let group = running.host().group(id).ok_or_else(missing)?;
    let status = group.status();
    if !status.is_leader {
        return Err(not_the_leader(&running, id));
    }
    let directory = running.directory();
    let target = status
        .voters
        .into_iter()
        .find(|replica| directory.node_of(id, *replica) == Some(to));
    let nowhere = || Status::new(Code::NotFound, format!("group {id} has no replica on node {to}"));
    let target = target.ok_or_else(nowhere)?;
    if target != group.replica() {
        group
            .transfer_leader(target)
            .await
            .map_err(|error| Status::new(Code::Unavailable, error.to_string()))?;
    }
    Ok(v1::TransferLeaderReply {})
}

fn not_the_leader(running: &Running, group: GroupId) -> Status {
    let leader = leader_of(running, group);
    let address = leader.and_then(|node| running.directory().address(node));
    let reason = match (leader, address) {
        (Some(node), Some(address)) => format!("node {node} at {address} leads group {group}: ask it"),
        _ => format!("group {group} has no leader that this node knows"),
    };
    Status::new(Code::FailedPrecondition, reason)
}

pub(super) fn status(core: &Core) -> v1::StatusReply {
    let running = core.running();
    let map = running.as_ref().map(|running| running.directory().map());
    let (cluster, node, initial) = match core.membership.standing() {
        Standing::Fresh => (String::new(), 0, Vec::new()),
        Standing::Claimed(claim) => (String::new(), 0, claim.members),
        Standing::Joining(ident) => (ident.cluster.to_string(), 0, Vec::new()),
        Standing::Admitted(ident, claim) => (
            ident.cluster.to_string(),
            ident.node.0,
            claim.map_or_else(Vec::new, |claim| claim.members),
        ),
    };
    v1::StatusReply {
        cluster_id: cluster,
        node,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        map_epoch: map.as_ref().map_or(0, |map| map.epoch.0),
        nodes: nodes(core, map.as_deref(), &initial),
        groups: match (&running, &map) {
            (Some(running), Some(map)) => groups(running, map),
            _ => Vec::new(),
        },
        uptime_ms: core.env.clock.now().since(core.started).as_millis() as u64,
        state: core.state().to_owned(),
        counters: Some(counters(core, running.as_deref())),
        disk: running.as_deref().map(disk),
        memory: running.as_deref().map(memory),
        scrub: running.as_deref().map(scrub),
        clock_offset_ms: core.membership.clocks().own_offset_ms(core.env.clock.now()),
    }
}

fn disk(running: &Running) -> v1::DiskStatus {
    let (room, journal_bytes) = (running.room(), running.journal().used_bytes());
    v1::DiskStatus {
        used_bytes: room.used_bytes(journal_bytes),
        quota_bytes: room.quota_bytes().unwrap_or(0),
        free_bytes: room.free_bytes(),
        keep_free_bytes: room.keep_free_bytes(),
        refuses_writes: room.is_full(journal_bytes, false).is_some(),
        journal_bytes,
        merges_lag: room.journal().refuses(journal_bytes).is_some(),
    }
}

fn memory(running: &Running) -> v1::MemoryStatus {
    let (store, rows) = (running.store(), running.store().row_memory());
    v1::MemoryStatus {
        limit_bytes: running.memory_bytes(),
        row_bytes: rows.bytes as u64,
        row_limit_bytes: rows.limit as u64,
        tail_bytes: running.journal().tail_bytes() as u64,
        block_cache_bytes: store.block_cache().memory_bytes(),
        row_cache_bytes: store.row_cache().map_or(0, RowCache::memory_bytes),
        refuses_writes: running.memory_room().refuses(rows).is_some(),
    }
}

fn scrub(running: &Running) -> v1::ScrubStatus {
    let status = running.scrub().status();
    let damaged = |finding: Finding| v1::DamagedFile {
        path: finding.path.display().to_string(),
        offset: finding.offset,
        group: finding.file.group().map(|group| group.id.0),
        what: finding.what,
        found_ms: finding.found_ms,
    };
    v1::ScrubStatus {
        bytes_per_second: status.bytes_per_second,
        running: status.running,
        done_bytes: status.done,
        total_bytes: status.total,
        last_ended_ms: status.last.map(|last| last.ended_ms),
        damaged: status.findings.into_iter().map(damaged).collect(),
        unread: running.store().avoided() as u64,
        more_damaged: status.more,
    }
}

/// The map's nodes, or the initial set before there is a map, each where it was last seen.
fn nodes(core: &Core, map: Option<&ShardMap>, initial: &[Member]) -> Vec<v1::NodeStatus> {
    let book = core.membership.book();
    let own = core.membership.dir().uuid();
    let now = core.env.clock.now();
    let mapped = map
        .into_iter()
        .flat_map(|map| &map.nodes)
        .map(|(&node, entry)| Member {
            node,
            uuid: entry.uuid,
            address: entry.address.clone(),
            zone: entry.zone.clone(),
        });
    let mut members: Vec<Member> = mapped.collect();
    if members.is_empty() {
        members = initial.to_vec();
    }
    let status = |mut member: Member| {
        let here = member.uuid == own;
        let seen = if here {
            Some(core.membership.address().to_owned())
        } else {
            book.address(member.node)
        };
        member.address = seen.unwrap_or(member.address);
        let reachable = here || book.reachable(member.node, now);
        v1::NodeStatus {
            info: members_to_wire(&[member]).pop(),
            reachable,
        }
    };
    members.into_iter().map(status).collect()
}

fn groups(running: &Running, map: &ShardMap) -> Vec<v1::GroupStatus> {
    let loads = map.slots.loads();
    let row = |(&id, entry): (&GroupId, &atoll_placement::GroupEntry)| {
        let mut row = v1::GroupStatus {
            group: id.0,
            generation: entry.generation.0,
            slots: loads.get(&id).copied().map_or(0, u32::from),
            replicas: replicas_to_wire(&entry.replicas),
            ..v1::GroupStatus::default()
        };
        if let Some(group) = running.host().group(id) {
            add_local(&mut row, running, &group);
        }
        row
    };
    map.groups.iter().map(row).collect()
}

fn add_local(row: &mut v1::GroupStatus, running: &Running, group: &Group) {
    let status = group.status();
    row.hosted = true;
    row.leader_node = leader_of(running, group.key().id).map_or(0, |node| node.0);
    row.term = status.term;
    row.last_index = status.last_index;
    row.committed_index = status.committed_index;
    row.applied_index = status.applied_index;
    let directory = running.directory();
    let trouble = |(replica, why): &(ReplicaId, String)| match directory.node_of(group.key().id, *replica) {
        Some(node) => format!("replica {replica} on node {node}: {why}"),
        None => format!("replica {replica}: {why}"),
    };
    row.snapshot_troubles = status.snapshot_troubles.iter().map(trouble).collect();
    if let Some(shard) = running.registry().get(group.key().id) {
        let info = shard.info();
        row.keys = info.keys;
        row.sessions = info.sessions;
        row.age_ms = info.age_ms;
        row.checkpoint_index = info.checkpoint_index;
        (row.runs, row.run_bytes) = (info.runs.0 as u32, info.runs.1);
    }
}

fn counters(core: &Core, running: Option<&Running>) -> v1::Counters {
    let (cpu_us, resident_bytes) = process::usage(&*core.env.vfs);
    let mut counters = v1::Counters {
        cpu_us,
        resident_bytes,
        ..v1::Counters::default()
    };
    let Some(running) = running else { return counters };
    let (journal, transport) = (running.journal().stats(), running.host().stats());
    counters.syncs = journal.syncs;
    counters.entries_synced = journal.entries_synced;
    counters.bytes_synced = journal.bytes;
    counters.entries_per_sync_p50 = journal.entries_per_sync_p50;
    counters.peer_frames = transport.frames;
    counters.peer_messages = transport.messages;
    let store = running.store();
    counters.block_cache_hits = store.block_cache().hits();
    counters.block_cache_misses = store.block_cache().misses();
    counters.row_cache_hits = store.row_cache().map_or(0, RowCache::hits);
    counters.row_cache_misses = store.row_cache().map_or(0, RowCache::misses);
    let mut packed = HistogramCounts::default();
    for shard in running.registry().all() {
        let info = shard.info();
        counters.entries += info.entries;
        counters.commands += info.commands;
        counters.reads += info.reads;
        counters.follower_reads += info.follower_reads;
        counters.read_rounds += info.read_rounds;
        packed.add(&info.commands_per_entry);
    }
    counters.commands_per_entry_p50 = packed.p50();
    let traffic = running.kv().traffic();
    counters.forwarded = traffic.forwarded();
    counters.redirected = traffic.redirected();
    counters.overloaded = traffic.overloaded();
    counters
}
