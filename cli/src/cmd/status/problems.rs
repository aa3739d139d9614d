//! What needs attention, in plain words.

use std::collections::BTreeSet;

use crate::survey::{GroupView, Survey, Surveyed};
use crate::units::{bytes, count};

/// Entries a replica may be behind before it is worth a word: more than what a busy group has under way.
const LAG_MAX: u64 = 10_000;
/// From here on a node leaves leading to others.
const CLOCK_MS_MAX: u64 = 500;

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// What is wrong.
    pub(super) what: String,
    /// What to do.
    pub(super) next: String,
    /// Something is not served; else it only might become so.
    pub(super) grave: bool,
}

/// All that is wrong, the gravest first.
pub(super) fn find(survey: &Survey) -> Vec<Problem> {
    let groups = survey.groups();
    let mut problems: Vec<Problem> = groups.iter().filter_map(leaderless).collect();
    problems.extend(survey.nodes.iter().filter_map(node));
    problems.extend(groups.iter().filter_map(|view| thin(view, survey)));
    problems.extend(groups.iter().flat_map(behind));
    problems.extend(survey.nodes.iter().filter_map(disk));
    problems.extend(survey.nodes.iter().filter_map(memory));
    problems.extend(survey.nodes.iter().filter_map(lag));
    problems.extend(survey.nodes.iter().filter_map(clock));
    problems.extend(survey.nodes.iter().filter_map(damage));
    problems.extend(survey.nodes.iter().filter_map(unread));
    problems.extend(survey.nodes.iter().filter_map(unsent));
    problems.extend(versions(survey));
    problems.sort_by_key(|problem| !problem.grave);
    problems
}

fn problem(grave: bool, what: String, next: impl Into<String>) -> Problem {
    Problem {
        what,
        next: next.into(),
        grave,
    }
}

fn leaderless(view: &GroupView) -> Option<Problem> {
    let answering = view.applied.len();
    let placed = view.placed.len();
    (view.leader == 0).then(|| {
        let what = format!("group {} has no leader: its keys cannot be written", view.group);
        let next = if answering * 2 > placed {
            "an election takes about 2 seconds; if it lasts, see the logs of its nodes".to_owned()
        } else {
            format!("{answering} of its {placed} replicas run: start the missing nodes again")
        };
        problem(true, what, next)
    })
}

fn node(seen: &Surveyed) -> Option<Problem> {
    let name = match seen.node {
        0 => format!("the node at {}", seen.address),
        node => format!("node {node} ({})", seen.address),
    };
    match &seen.answer {
        Err(error) => {
            // The address stands in the name already.
            let reason = error
                .rsplit(&format!("{}: ", seen.address))
                .next()
                .unwrap_or(error);
            let next = "start it again with its own data directory, or see its log";
            Some(problem(false, format!("{name} does not answer: {reason}"), next))
        }
        Ok(reply) => match &reply.state[..] {
            "serving" => None,
            "waiting for init" => {
                let next = "make a cluster with `atoll init`, or start it with --join to be part of one";
                Some(problem(false, format!("{name} belongs to no cluster yet"), next))
            }
            state => {
                let next = "wait; a node reads its journal before it serves. Its log tells how far it is";
                Some(problem(false, format!("{name} is not ready: {state}"), next))
            }
        },
    }
}

/// A group that one more failure would stop.
fn thin(view: &GroupView, survey: &Survey) -> Option<Problem> {
    let (running, placed) = (view.applied.len(), view.placed.len());
    if view.leader == 0 || placed < 3 || running > placed / 2 + 1 || running == placed {
        return None;
    }
    let missing: Vec<_> = view
        .placed
        .keys()
        .filter(|node| !view.applied.contains_key(node))
        .copied()
        .collect();
    let silent = |node: &u64| {
        let mut nodes = survey.nodes.iter();
        nodes.any(|seen| seen.node == *node && seen.answer.is_err())
    };
    // A node that does not answer is a problem of its own; one line is enough.
    if missing.iter().all(silent) {
        return None;
    }
    let what = format!("group {} runs {running} of {placed} replicas", view.group);
    let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let next = format!(
        "see the log of node {}: one more failure stops the group",
        names.join(", ")
    );
    Some(problem(false, what, next))
}

/// Files that scrubbing has found damaged.
fn damage(seen: &Surveyed) -> Option<Problem> {
    let scrub = seen.answer.as_ref().ok()?.scrub.as_ref()?;
    let first = scrub.damaged.first()?;
    let files = match scrub.damaged.len() as u64 + scrub.more_damaged {
        1 => "a damaged file".to_owned(),
        some => format!("{some} damaged files"),
    };
    let what = format!(
        "node {} has {files} on its disk: {} at offset {}: {}",
        seen.node, first.path, first.offset, first.what
    );
    let next = "what is read from there is read from other replicas; look at the disk, and see docs/operations.md, \"When a file is damaged\"";
    Some(problem(false, what, next))
}

/// Writes that come faster than merges can move values.
fn lag(seen: &Surveyed) -> Option<Problem> {
    let disk = seen.answer.as_ref().ok()?.disk?;
    let what = format!(
        "the journal of node {} has {}, far more than it should, and merges have not caught up: groups led there take no \
         writes but removals",
        seen.node,
        bytes(disk.journal_bytes)
    );
    let next = "it clears by itself; if it comes often, write more slowly or give the node a faster disk";
    disk.merges_lag.then(|| problem(true, what, next))
}

/// Replicas that a leader cannot bring up.
fn unsent(seen: &Surveyed) -> Option<Problem> {
    let groups = seen.answer.as_ref().ok()?.groups.iter();
    let troubled = groups.filter_map(|group| Some((group.group, group.snapshot_troubles.first()?)));
    let (group, first) = troubled.clone().next()?;
    let what = match troubled.count() {
        1 => format!("group {group} cannot bring a replica up: {first}"),
        some => format!("{some} groups cannot bring a replica up; of group {group}, {first}"),
    };
    let next = "it is tried again by itself, after five minutes at the latest; make room if there is none";
    Some(problem(false, what, next))
}

/// Space that does not come back because the disk does not read what stands there.
fn unread(seen: &Surveyed) -> Option<Problem> {
    let scrub = seen.answer.as_ref().ok()?.scrub.as_ref()?;
    let what = format!(
        "node {} cannot read what should leave {} of its files, so their space does not come back",
        seen.node, scrub.unread
    );
    let next = "it is tried again every ten minutes; if it lasts, the disk fails: see the node's log";
    (scrub.unread > 0).then(|| problem(false, what, next))
}

fn behind(view: &GroupView) -> Vec<Problem> {
    let late = view.applied.iter().filter_map(|(node, &applied)| {
        let lag = view.last_index.saturating_sub(applied);
        (lag > LAG_MAX).then(|| {
            let what = format!(
                "group {} on node {node} is {} entries behind",
                view.group,
                count(lag)
            );
            problem(
                false,
                what,
                "if the number does not fall, the node's disk or network is too slow",
            )
        })
    });
    late.collect()
}

fn disk(seen: &Surveyed) -> Option<Problem> {
    let disk = seen
        .answer
        .as_ref()
        .ok()?
        .disk
        .filter(|disk| disk.refuses_writes)?;
    let over_quota = disk.free_bytes.is_none_or(|free| free >= disk.keep_free_bytes);
    let (what, next) = if over_quota {
        let (used, quota) = (bytes(disk.used_bytes), bytes(disk.quota_bytes));
        let what = format!("node {} has used up its disk quota: {used} of {quota}", seen.node);
        (what, "remove rows, or start it with a larger --disk-quota-mib")
    } else {
        let (free, needed) = (bytes(disk.free_bytes.unwrap_or(0)), bytes(disk.keep_free_bytes));
        let what = format!(
            "the disk of node {} is almost full: {free} free, {needed} needed",
            seen.node
        );
        (what, "make room on its disk; it goes on by itself")
    };
    Some(problem(
        true,
        format!("{what}: groups that it leads refuse writes"),
        next,
    ))
}

fn memory(seen: &Surveyed) -> Option<Problem> {
    let memory = seen.answer.as_ref().ok()?.memory;
    let memory = memory.filter(|memory| memory.refuses_writes)?;
    let (waiting, limit) = (bytes(memory.row_bytes), bytes(memory.row_limit_bytes));
    let what = format!(
        "rows in memory of node {} wait for its disk: {waiting}, {limit} would be enough: groups that it leads refuse writes",
        seen.node
    );
    let next = "see its log: the disk is too slow or fails; it goes on by itself";
    Some(problem(true, what, next))
}

fn clock(seen: &Surveyed) -> Option<Problem> {
    let offset = seen.answer.as_ref().ok()?.clock_offset_ms?;
    (offset.unsigned_abs() > CLOCK_MS_MAX).then(|| {
        let what = format!(
            "the clock of node {} is {offset:+} ms off, so it does not lead",
            seen.node
        );
        problem(false, what, "set it right (chrony, systemd-timesyncd)")
    })
}

fn versions(survey: &Survey) -> Option<Problem> {
    let versions: BTreeSet<_> = survey.answers().map(|reply| &reply.version[..]).collect();
    (versions.len() > 1).then(|| {
        let names: Vec<_> = versions.into_iter().collect();
        let what = format!("nodes run different versions: {}", names.join(", "));
        problem(
            false,
            what,
            "fine during an upgrade; else bring all to the same one",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::survey;
    use super::*;
    use atoll_proto::v1::{DamagedFile, DiskStatus, MemoryStatus, ScrubStatus};

    fn all(survey: &Survey) -> String {
        let problems = find(survey);
        let lines = problems
            .iter()
            .map(|problem| format!("{} -> {}\n", problem.what, problem.next));
        lines.collect()
    }

    #[test]
    fn a_silent_node_is_told_once_and_a_lost_leader_first() {
        let told = all(&survey(1));
        assert_eq!(told.lines().count(), 2, "{told}");
        assert!(
            told.starts_with("node 2 (b:1) does not answer: refused ->"),
            "{told}"
        );
        let told = all(&survey(0));
        assert!(told.starts_with("group 1 has no leader"), "{told}");
        assert!(told.contains("1 of its 3 replicas run"), "{told}");
    }

    #[test]
    fn every_other_trouble_has_its_words() {
        let mut ill = survey(1);
        ill.nodes.truncate(1);
        let reply = ill.nodes[0].answer.as_mut().unwrap();
        reply.clock_offset_ms = Some(-900);
        reply.state = "starting".to_owned();
        reply.disk = Some(DiskStatus {
            used_bytes: 950 << 20,
            quota_bytes: 1000 << 20,
            refuses_writes: true,
            journal_bytes: 3 << 30,
            merges_lag: true,
            ..DiskStatus::default()
        });
        reply.memory = Some(MemoryStatus {
            row_bytes: 200 << 20,
            row_limit_bytes: 64 << 20,
            refuses_writes: true,
            ..MemoryStatus::default()
        });
        reply.groups[0].last_index = 1_000_000;
        reply.groups[0].snapshot_troubles = vec!["replica 12 on node 2: no room".to_owned()];
        reply.scrub = Some(ScrubStatus {
            damaged: vec![DamagedFile {
                path: "journal/1.jnl".to_owned(),
                offset: 4096,
                what: "a frame is not what was written".to_owned(),
                ..DamagedFile::default()
            }],
            unread: 3,
            more_damaged: 8,
            ..ScrubStatus::default()
        });
        let mut other = survey(1).nodes.remove(0);
        other.node = 9;
        let reply = other.answer.as_mut().unwrap();
        reply.node = 9;
        reply.version = "9.9".to_owned();
        reply.disk = Some(DiskStatus {
            free_bytes: Some(500 << 20),
            keep_free_bytes: 1 << 30,
            refuses_writes: true,
            ..DiskStatus::default()
        });
        ill.nodes.push(other);
        let told = all(&ill);
        for part in [
            "node 1 (a:1) is not ready: starting",
            "node 1 has used up its disk quota: 950.0 MiB of 1000.0 MiB",
            "the disk of node 9 is almost full: 500.0 MiB free, 1.0 GiB needed",
            "the journal of node 1 has 3.0 GiB, far more than it should",
            "rows in memory of node 1 wait for its disk: 200.0 MiB, 64.0 MiB would be enough",
            "-900 ms off",
            "node 1 has 9 damaged files on its disk: journal/1.jnl at offset 4096: a frame is not what was written",
            "node 1 cannot read what should leave 3 of its files",
            "group 1 cannot bring a replica up: replica 12 on node 2: no room",
            "group 1 on node 1 is 999,993 entries behind",
            "different versions: , 9.9",
            "group 1 runs 2 of 3 replicas -> see the log of node 2, 3",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }

    #[test]
    fn before_init_it_says_what_to_do() {
        let mut fresh = survey(0);
        fresh.nodes.truncate(1);
        let reply = fresh.nodes[0].answer.as_mut().unwrap();
        reply.state = "waiting for init".to_owned();
        reply.groups.clear();
        assert!(all(&fresh).contains("atoll init"));
    }
}
