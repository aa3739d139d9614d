//! What happened to a replica, told to the simulator ([`atoll_env::trouble`]); nothing in a shipped
//! binary. All facts begin with group, generation and replica; entries are named by index, term and
//! leader.

use atoll_env::trouble;
use atoll_storage::{GroupLog, LogEntry};
use atoll_types::{GroupKey, LogId, ReplicaId, Vote};

fn tell<const N: usize>(name: &'static str, log: &GroupLog, more: [u64; N]) {
    tell_of(name, (log.key(), log.replica()), more);
}

fn tell_of<const N: usize>(name: &'static str, (key, replica): (GroupKey, ReplicaId), more: [u64; N]) {
    let who = [key.id.0, key.generation.0.into(), replica.0];
    let mut facts = [0; 8];
    for (to, from) in facts.iter_mut().zip(who.into_iter().chain(more)) {
        *to = from;
    }
    trouble::note(name, &facts);
}

const fn numbers(id: LogId) -> [u64; 3] {
    [id.index, id.term, id.leader.0]
}

/// A process has begun: what it remembers of earlier ones.
pub(crate) fn opened(log: &GroupLog) {
    if !trouble::ON {
        return;
    }
    let state = log.state();
    let end = state.last.map_or(0, |last| last.index + 1);
    tell("raft opened", log, [end, state.vote.is_some().into()]);
    let first = state.purged.map_or(0, |purged| purged.index + 1);
    if let Some(id) = state.purged {
        purged(log, id);
    }
    for id in (first..end).filter_map(|index| log.log_id_at(index)) {
        tell("raft found", log, numbers(id));
    }
    if let Some(vote) = state.vote {
        voted(log, vote);
    }
}

/// Entries were given to the journal; each with the sum of its payload.
pub(crate) fn appended(log: &GroupLog, entries: &[LogEntry]) {
    for entry in entries {
        let [index, term, leader] = numbers(entry.id);
        tell(
            "raft appended",
            log,
            [index, term, leader, entry.payload_crc.into()],
        );
    }
}

/// Everything up to an entry survives a power cut.
pub(crate) fn durable(log: &GroupLog, last: LogId) {
    tell("raft durable", log, numbers(last));
}

/// Everything after an entry was cut.
pub(crate) fn truncated(log: &GroupLog, last: Option<LogId>) {
    trouble::sometimes("a follower cut entries of a deposed leader");
    tell("raft truncated", log, [last.map_or(0, |last| last.index + 1)]);
}

/// A vote survives a power cut.
pub(crate) fn voted(log: &GroupLog, vote: Vote) {
    let committed = u64::from(vote.committed);
    tell("raft voted", log, [vote.term, vote.candidate.0, committed]);
}

/// A checkpoint has everything that the first so many entries made.
pub(crate) fn restored(log: &GroupLog, entries: u64) {
    tell("raft restored", log, [entries]);
}

/// An entry is applied.
pub(crate) fn applied(log: &GroupLog, id: LogId) {
    tell("raft applied", log, numbers(id));
}

/// The replica takes calls, having applied so many entries; so many are known to be committed.
pub(crate) fn serves(log: &GroupLog, applied: u64) {
    let committed = log.state().committed.map_or(0, |id| id.index + 1);
    tell("raft serves", log, [applied, committed]);
}

/// From this entry on the group has so many voters.
pub(crate) fn voters(log: &GroupLog, id: LogId, voters: usize) {
    tell("raft voters", log, [id.index, voters as u64]);
}

/// Everything up to an entry is gone from the front of the log.
pub(crate) fn purged(log: &GroupLog, upto: LogId) {
    trouble::sometimes("a log was purged");
    tell("raft purged", log, numbers(upto));
}

/// A replica's checkpoint up to an entry arrived at another replica, or that one has everything it has.
pub(crate) fn snapshot_sent(from: (GroupKey, ReplicaId), to: ReplicaId, id: LogId) {
    trouble::sometimes("a snapshot was sent");
    let [index, term, leader] = numbers(id);
    tell_of("raft snapshot sent", from, [to.0, index, term, leader]);
}

/// A snapshot up to an entry has replaced everything that was applied, durably.
pub(crate) fn installed(log: &GroupLog, id: LogId) {
    trouble::sometimes("a snapshot was installed");
    tell("raft installed", log, numbers(id));
}
