//! Makes one log entry of the writes that wait, and hands their outcomes back.

use std::sync::Arc;

use atoll_env::{Clock, Instant};
use atoll_kv::{CommandKind, EntryHeader, encode_entry};
use atoll_raft::{Pack, ProposeError};
use atoll_types::{Mutant, Outcome, Version, mutant};
use bytes::Bytes;

use super::counters::Counters;
use super::reply::{Failure, Reply, answer_all};
use super::state::ShardState;
use super::tick::LastEntry;
use super::write::WriteItem;

/// The group's packer; lives on its proposer task.
pub(crate) struct EntryPacker {
    pub(crate) clock: Clock,
    pub(crate) state: Arc<ShardState>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) last_entry: Arc<LastEntry>,
}

impl EntryPacker {
    /// The leader's hybrid clock reading. Apply raises it above the group's last version, so entries
    /// packed while earlier ones are not applied yet need no counting here.
    fn stamp(&self) -> Version {
        Version::from_millis(self.clock.wall_ms()).max(self.state.version())
    }

    fn replies(&self, items: Vec<WriteItem>, outcomes: &[Outcome]) {
        let swapped = mutant::is(Mutant::RepliesSwapped).then(|| swap_first_two(outcomes));
        let outcomes = swapped.as_deref().unwrap_or(outcomes);
        let ownership = self.state.ownerships.newest();
        let (applied_index, version) = (self.state.applied_index(), self.state.version());
        let mut outcomes = outcomes.iter();
        answer_all(items.into_iter().map(|item| {
            let epoch = ownership.epoch(item.command.slot).unwrap_or_default();
            let proof = self.state.proof(applied_index, version, epoch);
            let opens = matches!(item.command.kind, CommandKind::OpenSession { .. });
            let reply = match outcomes.next() {
                Some(outcome) => Reply::of_outcome(outcome, opens, proof),
                None => Reply::Failed(Failure::Unknown(
                    "the entry was applied without an outcome for it".into(),
                )),
            };
            (item.reply, reply)
        }));
    }
}

fn swap_first_two(outcomes: &[Outcome]) -> Vec<Outcome> {
    let mut swapped = outcomes.to_vec();
    if swapped.len() > 1 {
        swapped.swap(0, 1);
    }
    swapped
}

impl Pack for EntryPacker {
    type Item = WriteItem;

    fn weight(&self, item: &WriteItem) -> (usize, usize) {
        (1, item.weight())
    }

    fn expired(&self, item: &WriteItem, now: Instant) -> bool {
        item.deadline <= now
    }

    fn pack(&mut self, items: &[WriteItem], elapsed_ms: u32) -> Bytes {
        Counters::add(&self.counters.entries, 1);
        Counters::add(&self.counters.commands, items.len());
        self.counters.commands_per_entry.record(items.len());
        self.last_entry.touch(self.clock.now());
        encode_entry(
            EntryHeader {
                stamp: self.stamp(),
                elapsed_ms,
            },
            items.iter().map(|item| &item.command),
        )
    }

    fn done(&mut self, items: Vec<WriteItem>, result: Result<&[Outcome], ProposeError>) {
        match result {
            Ok(outcomes) => self.replies(items, outcomes),
            Err(error) => {
                let failure = Failure::of_propose(self.state.key, &error);
                answer_all(
                    items
                        .into_iter()
                        .map(|item| (item.reply, Reply::Failed(failure.clone()))),
                );
            }
        }
    }
}
