//! Deliberate bugs, to prove that the tests would find them.
//!
//! Each [`Mutant`] is one mistake that somebody could make, planted at the place where it would be made
//! and asleep: [`is`] is false unless the simulator wakes it, and without the feature `mutants` it is a
//! constant, so that nothing of it is compiled. No crate enables the feature by itself; the binary
//! refuses to be built with it, except as a fault build (feature `faults`), where one can be woken for
//! the whole process.

/// One deliberate bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// A leader answers reads without asking a quorum whether it still leads.
    LeaderReadWithoutQuorum,
    /// A follower answers reads from what it has, without asking the leader.
    FollowerReadWithoutLeader,
    /// A read runs at the read index although the replica has not applied that far.
    ReadBeforeApply,
    /// A read joins a round that was sent before the read came.
    ReadJoinsSentRound,
    /// Entries are reported durable before their sync.
    AcknowledgeBeforeSync,
    /// A vote is answered before it is durable.
    VoteNotSynced,
    /// A failed sync is taken for a good one.
    SyncErrorIgnored,
    /// A new segment's name is not made durable.
    SegmentNameNotSynced,
    /// A leader that restarts goes on leading in its old term.
    LeaderRestored,
    /// A replica grants every vote it is asked for.
    VoteForAnybody,
    /// A follower that cannot be reached counts as having stored what it was sent.
    CommitWithoutQuorum,
    /// A conflicting end of the log is not cut off.
    ConflictKept,
    /// The commit mark on disk says the whole log is committed.
    CommitMarkTooHigh,
    /// A restarted replica serves before it has applied what was committed.
    ServeBeforeReplay,
    /// Rot in the middle of the journal is taken for its end.
    RotTruncated,
    /// Values are not compared with their checksums.
    ValueUnchecked,
    /// Frames and the entries in them are not compared with their checksums.
    FrameUnchecked,
    /// A repeated write is done again.
    RepeatApplied,
    /// Of a session only the last outcome is remembered, and everything up to it counts as a repeat.
    LastSequenceOnly,
    /// Sessions live by the wall clock in the entries instead of by group time.
    ExpiryByWallClock,
    /// A group takes requests for slots that it does not own.
    OwnerUnchecked,
    /// A guard is not looked at when the write is applied.
    GuardIgnored,
    /// A write's version may be below what its client has seen.
    AfterIgnored,
    /// A write's version comes from the leader's clock alone.
    VersionFromClockOnly,
    /// Some replicas skip an entry now and then.
    EntrySkipped,
    /// The replies to two neighbouring operations of one entry are swapped.
    RepliesSwapped,
    /// The client sends a write without a session again although it may have been done.
    UnsafeRetry,
    /// The client reports an unknown outcome as one that certainly did nothing.
    UnknownAsFailure,
    /// The client takes a new session for a write that may have been done under the lost one.
    RetryUnderNewSession,
    /// A sequence number counts as finished while a sending of its write may still be on the way.
    AckTooEarly,
    /// A bounded read is answered whatever the age of the state.
    BoundedAtAnyAge,
    /// A state's age counts from the answer of a round instead of from its sending.
    AgeFromAnswer,
    /// A session read does not wait for what its session has seen.
    TokenIgnored,
    /// The last of several operations of a command is not done.
    BatchTorn,
    /// What is computed starts from what was stored before the entry, not from what the entry made of it.
    ComputedFromOld,
    /// A page of a scan lacks its first row.
    ScanRowLost,
    /// A checkpoint is committed before the journal bytes that it points at are durable.
    CheckpointBeforeSync,
    /// A checkpoint has the sessions of clients, but not what they were told.
    CheckpointWithoutRecords,
    /// A merge drops deletions although older runs may have the keys.
    DeletionDroppedEarly,
    /// A restart takes a checkpoint to be one entry further than it is.
    CheckpointTooFar,
    /// The log is purged up to what is applied, which no durable checkpoint has yet.
    PurgeBeforeFlush,
    /// A replica that was replaced by a snapshot goes by the membership it had before.
    SnapshotWithoutMembership,
    /// A log is not purged when a snapshot has replaced what was made of it.
    InstallKeepsOldLog,
    /// A segment is let go although runs still point into it: only logs are asked.
    SegmentFreedEarly,
    /// A value file is let go although some of it is alive.
    ValueFileDroppedEarly,
    /// A manifest names value files that were not synced.
    ValuesNotSynced,
    /// A manifest names runs that were not synced, those of a snapshot too.
    RunNotSynced,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 47] = [
        Self::LeaderReadWithoutQuorum,
        Self::FollowerReadWithoutLeader,
        Self::ReadBeforeApply,
        Self::ReadJoinsSentRound,
        Self::AcknowledgeBeforeSync,
        Self::VoteNotSynced,
        Self::SyncErrorIgnored,
        Self::SegmentNameNotSynced,
        Self::LeaderRestored,
        Self::VoteForAnybody,
        Self::CommitWithoutQuorum,
        Self::ConflictKept,
        Self::CommitMarkTooHigh,
        Self::ServeBeforeReplay,
        Self::RotTruncated,
        Self::ValueUnchecked,
        Self::FrameUnchecked,
        Self::RepeatApplied,
        Self::LastSequenceOnly,
        Self::ExpiryByWallClock,
        Self::OwnerUnchecked,
        Self::GuardIgnored,
        Self::AfterIgnored,
        Self::VersionFromClockOnly,
        Self::EntrySkipped,
        Self::RepliesSwapped,
        Self::UnsafeRetry,
        Self::UnknownAsFailure,
        Self::RetryUnderNewSession,
        Self::AckTooEarly,
        Self::BoundedAtAnyAge,
        Self::AgeFromAnswer,
        Self::TokenIgnored,
        Self::BatchTorn,
        Self::ComputedFromOld,
        Self::ScanRowLost,
        Self::CheckpointBeforeSync,
        Self::CheckpointWithoutRecords,
        Self::DeletionDroppedEarly,
        Self::CheckpointTooFar,
        Self::PurgeBeforeFlush,
        Self::SnapshotWithoutMembership,
        Self::InstallKeepsOldLog,
        Self::SegmentFreedEarly,
        Self::ValueFileDroppedEarly,
        Self::ValuesNotSynced,
        Self::RunNotSynced,
    ];

    /// The one of this name, as it is written in the source.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| format!("{mutant:?}") == name)
    }
}

/// Whether this build contains deliberate bugs.
pub const COMPILED_IN: bool = cfg!(feature = "mutants");

#[cfg(feature = "mutants")]
mod planted {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static AWAKE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Wakes one mutant on this thread, or none.
    pub fn wake(mutant: Option<Mutant>) {
        AWAKE.set(mutant);
    }

    /// True if this is the one that is awake on this thread, or in the process.
    pub fn is(mutant: Mutant) -> bool {
        #[cfg(feature = "faults")]
        if super::process::is(mutant) {
            return true;
        }
        AWAKE.get() == Some(mutant)
    }
}

#[cfg(feature = "faults")]
mod process {
    use super::Mutant;
    use std::sync::atomic::{AtomicU8, Ordering};

    const NONE: u8 = u8::MAX;
    static AWAKE: AtomicU8 = AtomicU8::new(NONE);

    /// Wakes one mutant in the whole process, or none.
    pub fn wake_everywhere(mutant: Option<Mutant>) {
        AWAKE.store(mutant.map_or(NONE, |mutant| mutant as u8), Ordering::Relaxed);
    }

    pub(super) fn is(mutant: Mutant) -> bool {
        AWAKE.load(Ordering::Relaxed) == mutant as u8
    }
}

#[cfg(feature = "mutants")]
pub use planted::{is, wake};
#[cfg(feature = "faults")]
pub use process::wake_everywhere;

/// False: this build contains no deliberate bugs.
#[cfg(not(feature = "mutants"))]
#[inline]
pub const fn is(_mutant: Mutant) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_is_found_by_its_name() {
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::named(&format!("{mutant:?}")), Some(mutant));
        }
        assert_eq!(Mutant::named("NoSuchBug"), None);
    }

    #[cfg(feature = "faults")]
    #[test]
    fn one_can_be_awake_in_all_threads() {
        wake_everywhere(Some(Mutant::EntrySkipped));
        let seen = std::thread::scope(|scope| {
            let look = || (is(Mutant::EntrySkipped), is(Mutant::BatchTorn));
            scope.spawn(look).join().unwrap()
        });
        wake_everywhere(None);
        assert_eq!(seen, (true, false));
        assert!(!is(Mutant::EntrySkipped));
    }
}
