//! The deterministic key-value state machine.
//!
//! Pure and synchronous: a committed entry goes in, changes of rows and one outcome per command come
//! out, and nothing else has a say: no clock, no randomness, no I/O, no iteration over a hash
//! table. So replicas that apply the same log are equal, which [`Machine::state_hash`] lets anyone check.
//!
//! The pieces: [`Command`] is what is asked, [`Command::check`] its bounds, [`encode_entry`] and
//! [`EntryView`] the bytes in between, [`Machine`] the rules, [`StateView`] the rows it changes.
//!
//! # What always holds
//!
//! 1. A command is done as a whole or not at all, and never fails its entry.
//! 2. Versions only grow. A command gets max(leader's stamp, last + 1, what its client saw + 1); all its
//!    operations share it. Only a command that is done takes one.
//! 3. A write is looked at only if the group owns its slot at that point of the log. What was decided
//!    before a slot changed hands stays decided.
//! 4. Within a session a write is looked at once. Its outcome is told again as often as it is asked for,
//!    until the client acknowledges it, and a refusal never stands for "perhaps".
//! 5. Time is what leaders measured between entries, summed up. Without a leader none passes, so whatever
//!    expires here can only expire late.
//! 6. What a computing operation finds depends on the rows alone, and on no more of them than the index
//!    holds: applying never reads a disk. That an operation does not fit what is stored is an outcome
//!    like any other, remembered by the session.
//! 7. How far back the group can be read follows from the log alone, and never falls while history is kept (`history`). What is
//!    kept of the past is no part of the state: it changes neither outcomes nor [`Machine::state_hash`].
//! 8. An entry that is not understood in full is not applied at all: the replica stops.
//!
//! # How the tables become rows
//!
//! Sessions, ownership, the last version, group time and the fingerprint live in typed tables, because a
//! row per put in the index would double its cost. At a freeze (a flush, a snapshot, a move, a backup)
//! they are written as [`SystemRow`]s at the same applied index as the user rows, and a machine is restored
//! from those alone ([`Machine::freeze`], [`Machine::restore`]; the bytes are at the top of `checkpoint/mod.rs`).
//!
//! That is why expiry goes by (last use, client id) and not by order of arrival in memory, and why
//! every outcome is tagged with its slot: a moving slot will take its outcomes along, and the sessions they
//! belong to will be merged at the destination. The queue of expiries is derived and not written.

mod check;
mod checkpoint;
mod checksum;
mod codec;
mod command;
mod compute;
mod error;
mod fingerprint;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod history;
mod looks;
mod machine;
mod number;
#[cfg(any(test, feature = "fuzzing"))]
mod owned;
mod ownership;
mod packed;
mod session;
mod sessions;
mod state;
#[cfg(any(test, feature = "test-util", feature = "fuzzing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use check::InvalidCommand;
pub use checkpoint::{
    FreezeId, Frozen, Restoration, RestoreError, SYSTEM_VALUE_BYTES_MAX, SystemKey, SystemRow,
};
pub use checksum::{appended_crc, value_crc};
pub use codec::{
    COMMAND_ROW_BYTES, CommandView, ENTRY_HEADER_BYTES, EntryHeader, EntryView, GenesisView, GuardView,
    KindView, OpView, encode_entry,
};
pub use command::{Command, CommandKind, Guard, Op, SessionRef};
pub use error::{ApplyError, DecodeError};
pub use history::HistoryLimits;
pub use looks::Look;
pub use machine::{Applied, ELAPSED_MS_MAX, Machine};
pub use packed::PackedValue;
pub use sessions::SessionLimits;
pub use state::{StateView, Stored, ValueSlice};
