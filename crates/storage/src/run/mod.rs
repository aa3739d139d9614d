//! Runs: rows of one group in order, in a file that is never changed.
//!
//! A run is what becomes of an index in memory when it is flushed, and of several runs when they are merged. Its
//! rows are ordered by key and, of one key, from the newest version to the oldest. A row's key begins with
//! one byte that says its space: 0 for rows of users, 1 for rows of the system.
//!
//! From front to back a file is a header, blocks of rows, a filter over the keys, an index of the blocks, a
//! summary, and a footer ([`layout`]). [`RunWriter`] writes it in one pass. [`Run::open`] reads everything but
//! the blocks, and keeps filter and index in memory; so a point read costs at most one block, and one
//! for a key that is not there costs none, ninety-nine times in a hundred. [`RunCursor`] walks in
//! order, either way.
//!
//! Reads take `wait`: without, they look only where no disk is needed (the [`BlockCache`], the page cache)
//! and say so if that was not enough; the same call with `wait`, on a thread that may, then goes on.
//!
//! What holds here, and where it is checked:
//! - A run is valid only whole: one that lacks its end, or whose parts do not fit together without a gap, does not open
//!   (`reader`; every length and every flipped bit in `tests/damage`).
//! - Rows stand in order, each version once (`writer` refuses others).
//! - Every byte is under a sum that is seeded with the file's random salt and the place, so bytes of another file or
//!   place fail: at open for all but the blocks, and for a block whenever it comes from the file
//!   (`layout::sum`).
//! - Bytes that pass their sums are still not trusted with a panic or with memory: decoders are total and
//!   allocate no more than they were given (`tests/decode`, `fuzzing`).
//! - A writer that failed once, or whose write was abandoned, never finishes (`writer`; a fault at every
//!   operation in `tests/faults`).
//! - I4: that journal bytes a run points at are durable is for whoever publishes the run to see to; the
//!   summary names the segments and files.
//!
//! The sum that ties a value to its key travels with it and is checked by whoever reads the value, not here.

mod audit;
mod block;
#[cfg(any(test, feature = "fuzzing"))]
mod bytes_file;
mod cache;
mod cursor;
mod error;
mod filter;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod input;
mod layout;
mod reader;
mod section;
mod sparse;
mod summary;
mod value;
mod window;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use audit::{Audit, RunAudit, audit};
pub use cache::BlockCache;
pub use cursor::{Direction, RunCursor, RunRow, Step};
pub use error::RunError;
pub use reader::{Looked, Run};
pub use summary::RunSummary;
pub use value::{RowValue, RunValue};
pub use writer::RunWriter;

use atoll_types::GroupKey;
use atoll_types::limits::KEY_BYTES_MAX;

use crate::journal::Identity;

/// Whose run it is, and which. Stands in the header; another's run is never opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunIdentity {
    /// The cluster and the node.
    pub identity: Identity,
    /// The group and its incarnation.
    pub group: GroupKey,
    /// The run's number in its group; never given twice.
    pub number: u64,
}

/// First byte of the key of a row of a user.
pub(crate) const SPACE_USER: u8 = 0;
/// First byte of the key of a row of the system.
pub(crate) const SPACE_SYSTEM: u8 = 1;
/// Bytes of a row's key, its space included.
pub(crate) const ROW_KEY_MAX: usize = 1 + KEY_BYTES_MAX;
/// Bytes of a value, wherever it stands. Values of users are far shorter; rows of the system may be this long.
pub(crate) const VALUE_LEN_MAX: usize = 4 * 1024 * 1024;
