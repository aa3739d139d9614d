//! Writes on their way to the proposer: what can be refused is refused here, before anything is
//! queued, so that a refusal always means that nothing happened.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Clock, Instant};
use atoll_kv::{Command, CommandKind};
use atoll_types::limits::VERSION_AHEAD_MS_MAX;
use atoll_types::{Epoch, Version};
use parking_lot::Mutex;

use super::Shard;
use super::guarded::{Counted, GUARDED_KEY_BYTES, GuardedKeys};
use super::ownership::Ownership;
use super::reply::{Failure, RETRY_AFTER_MS, Reply, ReplySlot, answer_all};

/// About what a deletion by name takes in an entry.
const REMOVAL_BYTES: usize = 64;

/// One write waiting for its outcome.
pub(crate) struct WriteItem {
    pub(crate) command: Command,
    /// Not proposed any more after this.
    pub(crate) deadline: Instant,
    pub(crate) reply: ReplySlot,
    /// Bytes of the command in an entry.
    bytes: usize,
    /// How many keys its ranges may remove.
    removals: usize,
    /// How many keys stand in the ranges that guard it.
    guarded: usize,
}

impl WriteItem {
    /// A write with its patience and the place its reply goes to, where it counts for its bytes.
    pub(crate) fn new(command: Command, deadline: Instant, reply: ReplySlot) -> Self {
        let bytes = command.encoded_len();
        let removals = command.removals_max();
        Self {
            command,
            deadline,
            reply: reply.costing(bytes),
            bytes,
            removals,
            guarded: 0,
        }
    }

    /// How much of an entry the write takes up, in bytes: what a range removes counts as if every key
    /// were named, because applying it takes as long; and what a range guards counts because all of it is
    /// looked at.
    pub(crate) fn weight(&self) -> usize {
        self.bytes + self.removals * REMOVAL_BYTES + self.guarded * GUARDED_KEY_BYTES
    }

    /// Its values may have been packed: what it takes in an entry from now on. What it was admitted for stays.
    pub(super) fn measure(&mut self) {
        self.bytes = self.command.encoded_len();
    }

    /// Bytes the write takes in an entry.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if the command acts on one slot's rows, and not on the group.
    fn is_on_a_slot(&self) -> bool {
        matches!(self.command.kind, CommandKind::Write)
    }
}

impl Shard {
    /// Queues writes for the group's next entry, or answers them at once. Every item gets exactly one
    /// reply. Checks leadership, ownership, limits and room once more than the client did; the state
    /// machine checks ownership again at apply, where it counts.
    pub(crate) fn submit_writes(self: &Arc<Self>, items: Vec<WriteItem>) {
        if let Some(failure) = self.refuses_writes() {
            refuse_all(items, &failure);
            return;
        }
        let admission = Admission {
            ownership: &self.state.ownerships.newest(),
            now: self.env.clock.now(),
            journal_bytes: self.journal.used_bytes(),
            memory: self.memory_room.refuses(self.store.row_memory()),
            newest_after: newest_after(&self.env.clock, self.state.version()),
        };
        let mut admitted = Vec::with_capacity(items.len());
        let mut refused = Vec::new();
        let mut guarded = GuardedKeys::default();
        for mut item in items {
            let keys = self
                .admit(&item, &admission)
                .and_then(|()| guarded.of(&item.command, &self.state, false));
            match keys {
                Ok(Counted::Keys(keys)) => {
                    item.guarded = keys;
                    admitted.push(item);
                }
                Ok(Counted::Cold) => self.count_on_pool(item),
                Err(failure) => refused.push((item.reply, Reply::Failed(failure))),
            }
        }
        answer_all(refused.into_iter());
        self.pack_and_propose(admitted);
    }

    /// Counts what guards a write where that may wait for a disk, and goes on from there.
    fn count_on_pool(self: &Arc<Self>, item: WriteItem) {
        // Whoever gets the job also gets the write; dropped with the job, it answers.
        let handed = Arc::new(Mutex::new(Some(item)));
        let (shard, taken) = (self.clone(), handed.clone());
        let job = Box::new(move || {
            if let Some(item) = taken.lock().take() {
                shard.count_and_propose(item);
            }
        });
        if self.pool.submit(job).is_err()
            && let Some(item) = handed.lock().take()
        {
            let what = "too many reads wait for the disk";
            refuse_all(
                vec![item],
                &Failure::Overloaded {
                    what,
                    retry_after_ms: RETRY_AFTER_MS,
                },
            );
        }
    }

    fn count_and_propose(&self, mut item: WriteItem) {
        match GuardedKeys::default().of(&item.command, &self.state, true) {
            Ok(Counted::Keys(keys)) => {
                item.guarded = keys;
                let mut items = vec![item];
                self.pack(&mut items);
                self.propose(items);
            }
            Ok(Counted::Cold) => {
                let what = "a blocking count did not count".into();
                refuse_all(vec![item], &Failure::Internal(what));
            }
            Err(failure) => refuse_all(vec![item], &failure),
        }
    }

    pub(super) fn propose(&self, mut admitted: Vec<WriteItem>) {
        if admitted.is_empty() {
            return;
        }
        for item in &mut admitted {
            item.reply.set_proposed(true);
        }
        if let Err(items) = self.proposer.submit(admitted) {
            let what = "the group's queue of writes is full";
            refuse_all(
                items,
                &Failure::Overloaded {
                    what,
                    retry_after_ms: RETRY_AFTER_MS,
                },
            );
        }
    }

    /// Why the group may not skip to a version that a reader names, if it is one of the future.
    pub(super) fn refuses_version(&self, version: Version) -> Option<Failure> {
        let newest = newest_after(&self.env.clock, self.state.version());
        (version > newest).then(|| far_ahead(version))
    }

    fn refuses_writes(&self) -> Option<Failure> {
        let leader = *self.leader.borrow();
        if leader != Some(self.state.replica) {
            let group = self.state.key;
            return Some(Failure::NotLeader { group, leader });
        }
        None
    }

    fn admit(&self, item: &WriteItem, admission: &Admission<'_>) -> Result<(), Failure> {
        if item.deadline <= admission.now {
            return Err(Failure::Deadline);
        }
        let slot = item.command.slot;
        if item.is_on_a_slot() {
            self.state.check_owner(admission.ownership, slot, Epoch(0))?;
        }
        if let Some(failure) = &admission.memory {
            return Err(failure.clone());
        }
        let removes = item.command.only_removes();
        if let Some(failure) = self.room.refuses(admission.journal_bytes, removes) {
            return Err(failure);
        }
        let seen = seen_by_client(&item.command);
        if seen > admission.newest_after {
            return Err(far_ahead(seen));
        }
        item.command
            .check()
            .map_err(|error| Failure::Invalid(error.to_string()))
    }
}

/// A version beyond what this replica knows to have been given out. It may be genuine all the same: a
/// leader does not know when it has been deposed, and its successor's clock may run far ahead; nor does a
/// fresh one that has not applied everything yet. So waiting may help.
fn far_ahead(seen: Version) -> Failure {
    Failure::Unavailable(format!(
        "the request names version {seen}, more than {} s ahead of this node's clock and of every version that it \
         knows of: if another node gave it out, this one has to catch up; else a clock or the request is wrong",
        VERSION_AHEAD_MS_MAX / 1000,
    ))
}

/// The highest version the client claims to have seen.
fn seen_by_client(command: &Command) -> Version {
    match command.kind {
        CommandKind::OpenSession { version } => version.max(command.after),
        _ => command.after,
    }
}

/// What admission compares with, looked up once per batch.
struct Admission<'a> {
    ownership: &'a Ownership,
    now: Instant,
    journal_bytes: u64,
    /// Why rows in memory allow no write.
    memory: Option<Failure>,
    newest_after: Version,
}

/// The highest `after` a client may name (D4): one bad clock must not poison versions.
/// What the group itself gave out is genuine, also if an earlier leader's clock ran ahead.
fn newest_after(clock: &Clock, given_out: Version) -> Version {
    Version::from_millis(clock.wall_ms().max(given_out.millis()) + VERSION_AHEAD_MS_MAX)
}

/// Answers all with the same failure; none of them happened.
fn refuse_all(items: Vec<WriteItem>, failure: &Failure) {
    answer_all(items.into_iter().map(|mut item| {
        item.reply.set_proposed(false);
        (item.reply, Reply::Failed(failure.clone()))
    }));
}

/// When an operation that names no deadline gives up.
pub(crate) const DEADLINE_DEFAULT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_kv::Op;

    #[tokio::test(start_paused = true)]
    async fn what_the_group_gave_out_itself_is_never_too_far_ahead() {
        let clock = Clock::simulated(1.0, 1_000_000);
        let ahead = |ms: u64| Version::from_millis(ms + VERSION_AHEAD_MS_MAX);
        assert_eq!(newest_after(&clock, Version::from_millis(5)), ahead(1_000_000));
        // An earlier leader's clock ran ten minutes ahead; its versions are on every client's lips.
        let given_out = Version::from_millis(1_600_000);
        assert_eq!(newest_after(&clock, given_out), ahead(1_600_000));
    }

    #[test]
    fn a_version_from_nowhere_known_may_still_be_genuine() {
        // A deposed leader does not know what its successor, whose clock runs ahead, has given out.
        let refusal = far_ahead(Version(9));
        assert!(matches!(refusal, Failure::Unavailable(_)), "{refusal:?}");
    }

    #[test]
    fn deleting_a_range_weighs_as_much_as_naming_its_keys() {
        let weight = |ops| {
            let command = Command::write(atoll_types::SlotId(0), ops);
            let item = WriteItem::new(command, Instant::default(), ReplySlot::ignored());
            assert_eq!(item.bytes(), item.command.encoded_len(), "what a pipe counts");
            item.weight()
        };
        let key = |number: u32| bytes::Bytes::from(format!("a key of common length {number:04}"));
        let named = (0..1000).map(|number| Op::Delete { key: key(number) });
        let range = Op::DeleteRange {
            start: key(0),
            end: key(1000),
            limit: 1000,
        };
        let (named, range) = (weight(named.collect()), weight(vec![range]));
        assert!(named.abs_diff(range) < named / 2, "{named} {range}");
    }

    #[test]
    fn an_opening_counts_with_the_version_it_was_given() {
        let client = atoll_types::ClientId(1);
        assert_eq!(
            seen_by_client(&Command::open_session(client, Version(9))),
            Version(9)
        );
        let mut tick = Command::tick();
        tick.after = Version(3);
        assert_eq!(seen_by_client(&tick), Version(3));
    }
}
