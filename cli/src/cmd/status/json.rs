//! The survey for programs. 64-bit numbers are strings.

use atoll_proto::v1::{Counters, DiskStatus, MemoryStatus, ScrubStatus};
use serde_json::{Value, json};

use super::problems;
use super::tables::cluster_id;
use crate::survey::{GroupView, Survey, Surveyed};

/// Everything.
pub(super) fn to_json(survey: &Survey) -> Value {
    json!({
        "cluster_id": cluster_id(survey),
        "nodes": survey.nodes.iter().map(node_json).collect::<Vec<_>>(),
        "problems": problems::find(survey).iter().map(|problem| json!({
            "what": problem.what, "next": problem.next,
        })).collect::<Vec<_>>(),
        "groups": survey.groups().iter().map(group_json).collect::<Vec<_>>(),
    })
}

fn node_json(seen: &Surveyed) -> Value {
    match &seen.answer {
        Err(error) => json!({
            "node": seen.node.to_string(), "address": seen.address,
            "zone": seen.zone, "reachable": false, "error": error,
        }),
        Ok(reply) => json!({
            "node": seen.node.to_string(),
            "address": seen.address,
            "reachable": true,
            "zone": seen.zone,
            "state": reply.state,
            "version": reply.version,
            "map_epoch": reply.map_epoch.to_string(),
            "uptime_ms": reply.uptime_ms.to_string(),
            "clock_offset_ms": reply.clock_offset_ms.map(|ms| ms.to_string()),
            "disk": reply.disk.map(disk_json),
            "memory": reply.memory.map(memory_json),
            "scrub": reply.scrub.as_ref().map(scrub_json),
            "counters": counters_json(&reply.counters.unwrap_or_default()),
        }),
    }
}

fn disk_json(disk: DiskStatus) -> Value {
    json!({
        "used_bytes": disk.used_bytes.to_string(),
        "quota_bytes": disk.quota_bytes.to_string(),
        "free_bytes": disk.free_bytes.map(|bytes| bytes.to_string()),
        "keep_free_bytes": disk.keep_free_bytes.to_string(),
        "refuses_writes": disk.refuses_writes,
        "journal_bytes": disk.journal_bytes.to_string(),
        "merges_lag": disk.merges_lag,
    })
}

fn scrub_json(scrub: &ScrubStatus) -> Value {
    let damaged = scrub.damaged.iter().map(|file| {
        json!({
            "path": file.path,
            "offset": file.offset.to_string(),
            "what": file.what,
            "group": file.group.map(|group| group.to_string()),
            "found_ms": file.found_ms.to_string(),
        })
    });
    json!({
        "bytes_per_second": scrub.bytes_per_second.to_string(),
        "running": scrub.running,
        "done_bytes": scrub.done_bytes.to_string(),
        "total_bytes": scrub.total_bytes.to_string(),
        "last_ended_ms": scrub.last_ended_ms.map(|ms| ms.to_string()),
        "unread": scrub.unread.to_string(),
        "more_damaged": scrub.more_damaged.to_string(),
        "damaged": damaged.collect::<Vec<_>>(),
    })
}

fn memory_json(memory: MemoryStatus) -> Value {
    json!({
        "limit_bytes": memory.limit_bytes.to_string(),
        "row_bytes": memory.row_bytes.to_string(),
        "row_limit_bytes": memory.row_limit_bytes.to_string(),
        "tail_bytes": memory.tail_bytes.to_string(),
        "block_cache_bytes": memory.block_cache_bytes.to_string(),
        "row_cache_bytes": memory.row_cache_bytes.to_string(),
        "refuses_writes": memory.refuses_writes,
    })
}

fn counters_json(counters: &Counters) -> Value {
    json!({
        "entries": counters.entries.to_string(),
        "commands": counters.commands.to_string(),
        "syncs": counters.syncs.to_string(),
        "entries_synced": counters.entries_synced.to_string(),
        "bytes_synced": counters.bytes_synced.to_string(),
        "peer_frames": counters.peer_frames.to_string(),
        "peer_messages": counters.peer_messages.to_string(),
        "read_rounds": counters.read_rounds.to_string(),
        "reads": counters.reads.to_string(),
        "follower_reads": counters.follower_reads.to_string(),
        "forwarded": counters.forwarded.to_string(),
        "redirected": counters.redirected.to_string(),
        "overloaded": counters.overloaded.to_string(),
        "block_cache_hits": counters.block_cache_hits.to_string(),
        "block_cache_misses": counters.block_cache_misses.to_string(),
        "row_cache_hits": counters.row_cache_hits.to_string(),
        "row_cache_misses": counters.row_cache_misses.to_string(),
        "cpu_us": counters.cpu_us.to_string(),
        "resident_bytes": counters.resident_bytes.to_string(),
        "commands_per_entry_p50": counters.commands_per_entry_p50.to_string(),
        "entries_per_sync_p50": counters.entries_per_sync_p50.to_string(),
    })
}

fn group_json(view: &GroupView) -> Value {
    let replicas = view.placed.iter().map(|(node, replica)| {
        let applied = view.applied.get(node);
        let checkpoint = view.checkpoints.get(node);
        json!({
            "node": node.to_string(),
            "replica": replica.to_string(),
            "applied_index": applied.map(ToString::to_string),
            "age_ms": view.ages.get(node).map(ToString::to_string),
            "checkpoint_index": checkpoint.map(|kept| kept.index.to_string()),
            "runs": checkpoint.map(|kept| kept.runs),
            "run_bytes": checkpoint.map(|kept| kept.bytes.to_string()),
        })
    });
    json!({
        "group": view.group.to_string(),
        "slots": view.slots,
        "leader": (view.leader != 0).then(|| view.leader.to_string()),
        "term": view.term.to_string(),
        "last_index": view.last_index.to_string(),
        "committed_index": view.committed_index.to_string(),
        "lag": view.lag().to_string(),
        "keys": view.keys.to_string(),
        "sessions": view.sessions.to_string(),
        "replicas": replicas.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::survey;
    use super::*;

    #[test]
    fn numbers_of_64_bits_are_strings() {
        let json = to_json(&survey(1));
        assert_eq!(json["groups"][0]["leader"], "1");
        assert_eq!(json["groups"][0]["lag"], "2");
        assert_eq!(json["groups"][0]["term"], "2");
        assert_eq!(json["groups"][0]["replicas"][0]["age_ms"], "4");
        assert_eq!(json["groups"][0]["replicas"][1]["applied_index"], Value::Null);
        assert_eq!(json["nodes"][1]["reachable"], false);
        assert_eq!(json["nodes"][0]["counters"]["cpu_us"], "0");
        assert_eq!(to_json(&survey(0))["groups"][0]["leader"], Value::Null);
        let what = json["problems"][0]["what"].as_str().unwrap();
        assert!(what.contains("node 2"), "{what}");
    }
}
