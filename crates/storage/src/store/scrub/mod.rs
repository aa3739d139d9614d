//! Damage is found before it is needed.
//!
//! A disk tells of rot only to whoever reads. What nobody reads for a year may rot on one replica after the other, until
//! the day on which the last sound one is lost. So every node reads everything that it keeps, again and again: each
//! *round* looks at every segment of the journal that is not written to any more, and of every group at its manifest,
//! its runs and its value files, to the last byte.
//!
//! A round takes as long as its rate lets it, and the next begins no sooner than a *period* after it began
//! ([`ScrubOptions`]). It runs on a thread of its own, so that it may wait for the disk, holds up neither checkpoints nor
//! merges, and stands back while syncs of the journal are slow, as merges do (`super::rate`).
//!
//! What is read must come from the disk: a page that is still in memory from when it was written proves nothing. And
//! what readers have in memory must still be there afterwards. So what is in memory is let go of and read again, and what
//! was not there before does not stay ([`disk`]).
//!
//! What holds here, and where it is checked:
//! - A flipped bit of any file that a round looks at is found in that round, and the file and the place are named, unless
//!   it is in padding that nothing reads (`store/tests/scrub/bits`).
//! - What encryption keeps at the front of each file is looked at too, though no read shows it: at the next start it would be
//!   missed. With one copy of two the file can still be read, and that is told (`bits`).
//! - Nothing is called damaged that was not: a file that does not check is read a second time from its beginning, and is
//!   damaged only if it does not check then, either (`store/tests/scrub/life`). Files are pinned while they are looked at: a merge
//!   may replace them and a segment may be freed, and nothing of that looks like damage.
//! - What was found is told once, not once per round, and is forgotten when the file is found sound or is gone. All
//!   damaged files are known; of more than 256 some are only counted (`status`).
//! - The rate is kept (`store/tests/scrub/life`). Memory: a window of 1 MiB, one frame or record, filter and index of one run.
//! - Nothing is written, ever.
//!
//! A segment that rots would put every group of the node into quarantine at the next start, for the sake of what may be one
//! value. While the node runs nothing is lost yet: what the logs promise stands in memory, and again at the head of every
//! later segment. So such a segment is made to go, with all before it: checkpoints and merges empty them as if the journal
//! were too long (`plan`), each value is proved when it is moved, and what cannot be proved is given up alone. It is freed
//! as any other, once no log needs it; and no log keeps it for followers (`store/tests/scrub/leave`).
//!
//! What else a finding leads to is not decided here: whoever asked for the scrub is told ([`Scrub::findings`]).

mod disk;
mod group;
mod options;
mod round;
mod segment;
mod status;

pub use options::ScrubOptions;
pub use round::Scrub;
pub use status::{Finding, LastRound, ScrubStatus, ScrubbedFile};
