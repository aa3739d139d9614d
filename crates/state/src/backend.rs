//! The apply side.

use std::sync::Arc;

use atoll_env::BoxFuture;
use atoll_kv::Machine;
use atoll_storage::{Checkpoint, GroupLog, Restored, StagedSnapshot};
use atoll_types::{LogId, Outcome, Version};

use crate::Reader;

/// One committed entry.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its place in the log.
    pub id: LogId,
    /// What was proposed, in the encoding of `kv`.
    pub payload: &'a [u8],
    /// Where the bytes stand, for pointers to them.
    pub log: &'a GroupLog,
}

/// Why nothing more may be applied: the rows here would not be those of the other replicas. For people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Stop(pub String);

/// The live rows of one group, as its apply task changes them. There is one per replica.
///
/// Per committed entry, in log order: [`Backend::begin`], [`Backend::apply`] if the entry has commands,
/// [`Backend::publish`]. The rest is called between two entries. After a [`Stop`] nothing is called any more: what the rows
/// hold is not known then, and the replica must be opened again.
pub trait Backend: Send + Sync {
    /// Starts an entry.
    fn begin(&mut self);

    /// Has the state machine apply the entry to the rows, which nobody else sees yet. One outcome per command is pushed.
    fn apply(
        &mut self,
        entry: &Entry<'_>,
        machine: &mut Machine,
        outcomes: Option<&mut Vec<Outcome>>,
    ) -> Result<(), Stop>;

    /// Says what of older versions is kept from now on: every one that is seen at `horizon` or above; `None`: none. The storage
    /// engine's files and its index keep them, whatever holds the rows of now. To be said before the first entry, after
    /// [`Backend::ingest`], and before every [`Backend::publish`] of an entry that changed it. A horizon never goes down.
    fn keep_history(&mut self, horizon: Option<Version>);

    /// Makes the entry visible, all of it at once. `version` is the group's last, which may be the same as before.
    fn publish(&mut self, version: Version, applied_index: u64) -> Result<(), Stop>;

    /// Counts an entry of so many bytes that was applied; true if it is time for a checkpoint.
    fn note_applied(&mut self, payload_bytes: usize) -> bool;

    /// Freezes what is applied and has it made durable in the background, in the storage engine's files. One at a time: only
    /// when [`Backend::note_applied`] or [`atoll_storage::GroupStore::may_checkpoint`] said so.
    fn checkpoint(&mut self, checkpoint: Checkpoint);

    /// Makes a snapshot the group's state, durably. Views made before go on seeing what was there, every later one sees the
    /// snapshot and nothing else. If this is given up, nothing must be applied before the group is opened again.
    fn ingest(&mut self, staged: StagedSnapshot) -> BoxFuture<'_, Result<Restored, Stop>>;

    /// Gives out views, to any number of threads.
    fn reader(&self) -> Arc<dyn Reader>;
}
