//! What range guards cost.
//!
//! A guard on a range looks, at apply, at every key in it, on every replica, while the entries behind it
//! wait. So the leader counts those keys before it proposes the write: too many are refused, and what is
//! accepted weighs as much in an entry as it takes to look at. What the range has at apply may be
//! somewhat more by then; the answer of the guard never depends on the count.

use atoll_kv::{Command, Guard};
use atoll_storage::Missed;
use atoll_types::limits::GUARD_KEYS_MAX;

use super::fetch::Miss;
use super::reply::{Failure, RETRY_AFTER_MS};
use super::rows_view::RowsView;
use super::state::ShardState;

/// What a key in a guarded range weighs in an entry, in bytes: as many as one write may have fill one.
pub(super) const GUARDED_KEY_BYTES: usize = 16;

/// What was found out of the ranges that guard a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// So many keys have to be looked at.
    Keys(usize),
    /// Some stand on a disk, which this thread must not wait for.
    Cold,
}

/// Counts keys for the writes of one batch, which together may have no more looked at than one of them:
/// the counting itself takes time.
#[derive(Default)]
pub(super) struct GuardedKeys {
    counted: usize,
}

impl GuardedKeys {
    /// How many keys stand in the ranges that guard the command. With `wait` a disk is waited for.
    pub(super) fn of(
        &mut self,
        command: &Command,
        state: &ShardState,
        wait: bool,
    ) -> Result<Counted, Failure> {
        let mut ranges = command.guards.iter().filter_map(range).peekable();
        if ranges.peek().is_none() {
            return Ok(Counted::Keys(0));
        }
        if self.counted >= GUARD_KEYS_MAX {
            return Err(overloaded(
                "too many writes that are guarded by long ranges came at once",
            ));
        }
        let view = state.view();
        let mut found = Found::default();
        for (start, end) in ranges {
            match found.count(&view, (start, end), wait) {
                Ok(()) => {}
                Err(Missed::WouldBlock) => return Ok(Counted::Cold),
                Err(missed) => return Err(Miss::from(missed).into_failure()),
            }
        }
        self.counted += found.looked_at;
        if found.keys > GUARD_KEYS_MAX {
            return Err(Failure::Invalid(format!(
                "the ranges that guard the write have more than {GUARD_KEYS_MAX} keys together; guard fewer keys"
            )));
        }
        if found.looked_at > GUARD_KEYS_MAX {
            return Err(overloaded(
                "the ranges that guard the write have many removed keys, which are still being cleaned up",
            ));
        }
        Ok(Counted::Keys(found.looked_at))
    }
}

fn overloaded(what: &'static str) -> Failure {
    Failure::Overloaded {
        what,
        retry_after_ms: RETRY_AFTER_MS,
    }
}

fn range(guard: &Guard) -> Option<(&[u8], &[u8])> {
    match guard {
        Guard::Key { .. } => None,
        Guard::Range { start, end, .. } => Some((start, end)),
    }
}

/// What stands in some ranges.
#[derive(Default)]
struct Found {
    /// Keys that exist.
    keys: usize,
    /// These, and marks of removed ones.
    looked_at: usize,
}

impl Found {
    /// Adds the keys from `start` up to `end`, but no more than about as many as are allowed.
    fn count(&mut self, view: &RowsView, (start, end): (&[u8], &[u8]), wait: bool) -> Result<(), Missed> {
        let mut from = start.to_vec();
        while self.looked_at <= GUARD_KEYS_MAX {
            let walked = view.walk_keys((&from, end), false, wait, |_, _| {
                self.keys += 1;
                true
            })?;
            self.looked_at += walked.looked_at;
            match walked.last.filter(|_| !walked.complete) {
                Some(last) => from = [last.as_bytes(), &[0]].concat(),
                None => break,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_storage::{GroupIndex, InlineValue, ValueRef};
    use atoll_types::{GroupGen, GroupId, GroupKey, ReplicaId, SlotId, Version};
    use bytes::Bytes;

    /// A group with so many keys, numbered from 0.
    fn state(keys: usize) -> ShardState {
        let state = ShardState::new(
            GroupKey::new(GroupId(1), GroupGen(1)),
            ReplicaId(1),
            GroupIndex::new(),
        );
        let mut writer = state.index.writer();
        writer.begin(keys);
        for key in 0..keys {
            let value = InlineValue::new(b"", 0).unwrap();
            writer.put(&name(key), Version(1), ValueRef::Inline(value));
        }
        writer.publish(Version(1), 1);
        state
    }

    fn name(key: usize) -> Bytes {
        format!("{{t}}{key:06}").into()
    }

    fn guarded(ranges: &[(usize, usize)]) -> Command {
        let mut command = Command::write(SlotId(0), Vec::new());
        command.guards = ranges
            .iter()
            .map(|&(first, end)| Guard::Range {
                start: name(first),
                end: name(end),
                newest: Version(9),
            })
            .collect();
        command.guards.push(Guard::Key {
            key: name(0),
            expected: Version(1),
        });
        command
    }

    #[test]
    fn a_write_guards_so_many_keys_and_not_more() {
        let state = state(GUARD_KEYS_MAX + 1);
        let of = |ranges: &[_]| GuardedKeys::default().of(&guarded(ranges), &state, false);
        assert_eq!(of(&[]), Ok(Counted::Keys(0)));
        assert_eq!(of(&[(0, 10), (300, 900)]), Ok(Counted::Keys(610)));
        assert_eq!(of(&[(0, GUARD_KEYS_MAX)]), Ok(Counted::Keys(GUARD_KEYS_MAX)));
        for ranges in [&[(0, GUARD_KEYS_MAX + 1)][..], &[(0, 40_000), (0, 40_000)]] {
            assert!(matches!(of(ranges), Err(Failure::Invalid(_))), "{ranges:?}");
        }
    }

    #[test]
    fn writes_that_come_together_are_not_counted_for_ever() {
        let state = state(40_000);
        let mut batch = GuardedKeys::default();
        let long = guarded(&[(0, 40_000)]);
        let taken = (0..100)
            .filter(|_| batch.of(&long, &state, false).is_ok())
            .count();
        assert_eq!(taken, 2);
        assert!(matches!(
            batch.of(&long, &state, false),
            Err(Failure::Overloaded { .. })
        ));
        assert_eq!(
            batch.of(&guarded(&[]), &state, false),
            Ok(Counted::Keys(0)),
            "others go on"
        );
    }
}
