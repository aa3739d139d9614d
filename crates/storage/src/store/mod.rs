//! What is applied, kept: the folders of all groups of a node, and the one thread that writes to them.
//!
//! Whoever applies a group's log ends it now and then with a *checkpoint* ([`GroupStore::checkpoint`]): the rows in memory
//! are frozen, and with them comes everything else that the state machine knows at that entry, as rows of the system.
//! The maintenance thread writes both into one run and commits a manifest that names it (`flush`). That is all: a
//! restart begins from the manifest and applies only what the log has behind it. Nothing is ever both in a
//! checkpoint and missing from the rows beside it.
//!
//! Runs are merged when they get many (`planner`): of each key the newest row stays, and a deletion only while an
//! older run may have the key; of history what somebody may still read at. Views hold on to the layers they began with, so neither flush nor merge takes
//! anything from a reader.
//!
//! Space comes back in merges, and only there: values leave segments of the journal that are to go, and value files with
//! much in them that is dead, for new value files (`merging`). Nothing is ever put back into the index; why, says ADR 8. What is to be
//! moved when, `planner` decides; who still needs what, `space` finds out, and what one reader alone keeps, `space/held`. Three things may go:
//! - A segment of the journal, by whoever owns the journal, if no log needs it and it is below [`Store::low_water`]: no row
//!   of any group that can be read, now or later, points into it. A row that can be read stands in a memory or below one
//!   that lives, and an entry being applied holds on to the layers that it has looked rows up in, so that a pointer that
//!   a merge has replaced meanwhile is still counted when the entry puts it into memory (`index::living`; `tests/space/held`).
//! - A name of a value file, by a manifest without it, if no run of that manifest and nothing that lives points into it. If
//!   only a row in memory did, the checkpoint that writes this row could not name the file any more.
//! - A file, when no manifest names it and nobody has it open (`manifest`).
//!
//! What holds here, and where it is checked:
//! - I4: a run is published only when the journal bytes it points at are durable (`flush` waits for the
//!   journal first), and a manifest names only what is synced (`manifest`).
//! - I7: a deletion or an older version is dropped only where nothing older can come back (`flush`: a deletion goes only
//!   with the oldest run), and only below the horizon. A manifest's horizon is never below what its runs lack, and never goes
//!   down, whatever is restarted or installed (`tests/history`).
//! - I8: a merge changes places, never a key, a version or a value. A value is proved before it is moved and keeps the sum of
//!   its row; one that is rotten is given up where it is found and never becomes sound (`evacuate`; `tests/space/rot`).
//! - With every segment below the low-water mark taken away, everything is still read, by every view, at every moment, and
//!   after a crash at every operation (`tests/space/model`, `crash`, `faults`).
//! - A checkpoint that could not be written is tried again with the same rows; nothing newer is frozen meanwhile.
//!   What the failed try began is removed at once, or it would fill the disk. If a change of names failed, nobody knows what
//!   the disk holds, and the process halts (`thread`; a fault at every operation in `tests/faults`).
//! - A run with a block that is not what was written is not merged (it is tried again every ten minutes), and those above it are: checkpoints go on, and
//!   only reads of that block fail (`merge`; `tests/damage`).
//! - A merge commits only if what it began with is still in force, one run after the other (`merge`).
//! - A group is open once, until the last write of it has ended (`maintenance`; `tests/closing`).
//! - Rows of all groups together take no more memory than they may, as long as the disk takes them: the group with the most
//!   checkpoints first (`relief`; `tests/memory`). A disk that does not is told to whoever takes writes ([`Store::row_memory`]).
//! - Between entries a writer holds on to no memory that is in a run, and to no run that was merged (`index::writer`).
//!
//! What is on the disk is read again and again to find damage before it is needed (`scrub`).
//!
//! One thread does all of it (`thread`): flushes one after the other, and beside them one merge at a time, which gives way to
//! them and goes no faster than it may, unless writes outrun merges (`merging/rate`, `space/backlog`). With hardly any room a merge is done in parts (`merging/work`). So a group waits for other groups' flushes, and for
//! no merge. A flush that failed waits for its own next attempt, and no other group waits with it (`thread`).

mod files;
mod flush;
mod group;
mod install;
mod maintenance;
mod merging;
mod options;
mod planner;
mod progress;
mod relief;
mod rows;
mod scrub;
mod space;
#[cfg(test)]
pub(crate) mod tests;
mod thread;

pub(crate) use files::NewRun;
pub(crate) use group::system_rows;
pub use group::{Checkpoint, GroupStore, Restored, StoreError, SystemRow};
pub use maintenance::Store;
pub(crate) use merging::filing::{Filing, PublishedValues};
pub use options::StoreOptions;
pub use progress::{Progress, WorkKind, Written};
pub use relief::RowMemory;
pub use scrub::{Finding, LastRound, Scrub, ScrubOptions, ScrubStatus, ScrubbedFile};
pub use space::backlog::JournalLoad;
