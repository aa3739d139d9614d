//! What is applied, kept: the folders of all groups of a node, and the one thread that writes to them.
//!
//! Whoever applies a group's log ends it now and then with a *checkpoint* ([`GroupStore::checkpoint`]): the rows in memory
//! are frozen, and with them comes everything else that the state machine knows at that entry, as rows of the system.
//! The maintenance thread writes both into one run and commits a manifest that names it (`flush`). That is all: a
//! restart begins from the manifest and applies only what the log has behind it. Nothing is ever both in a
//! checkpoint and missing from the rows beside it.
//!
//! Runs are merged when they get many (`plan`): of each key the newest row stays, and a deletion only while an
//! older run may have the key. Views hold on to the layers they began with, so neither flush nor merge takes
//! anything from a reader.
//!
//! What holds here, and where it is checked:
//! - I4: a run is published only when the journal bytes it points at are durable (`flush` waits for the
//!   journal first), and a manifest names only what is synced (`manifest`).
//! - I7: a deletion or an older version is dropped only where nothing older can come back (`flush`: a deletion goes only
//!   with the oldest run).
//! - I8: a merge changes places, never a key, a version or a value.
//! - A checkpoint that could not be written is tried again with the same rows; nothing newer is frozen meanwhile.
//!   What the failed try began is removed at once, or it would fill the disk. If a change of names failed, nobody knows what
//!   the disk holds, and the process halts (`maintenance`; a fault at every operation in `tests/faults`).
//! - A run with a block that is not what was written is never merged, and those above it still are: checkpoints go on, and
//!   only reads of that block fail (`merge`; `tests/damage`).
//! - A group is open once, until the last write of it has ended (`maintenance`; `tests/closing`).
//! - Between entries a writer holds on to no memory that is in a run, and to no run that was merged (`index::writer`).
//!
//! One thread does all of it, a step at a time, so a group never waits for more than one other group's flush or merge.

mod flush;
mod group;
mod maintenance;
mod merge;
mod plan;
mod rows;
#[cfg(test)]
mod tests;

pub use group::{Checkpoint, GroupStore, Restored, StoreError, SystemRow};
pub use maintenance::{Store, StoreOptions};
