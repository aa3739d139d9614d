//! What became of one command when its entry was applied.

use crate::{Epoch, SlotId, Version};

/// The result of one command. Equal on every replica, because apply is deterministic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Applied; every operation of the command got this version.
    Done {
        /// The version given to the command.
        version: Version,
    },
    /// Applied as well, and exactly one operation of the command computed something.
    Computed {
        /// The version given to the command.
        version: Version,
        /// The number stored now (increment, min, max), the bytes stored now (append), or how many keys
        /// were removed (delete of a range).
        number: i64,
    },
    /// A guard did not hold; nothing was changed.
    GuardFailed {
        /// Position of the first guard that did not hold.
        guard: u16,
        /// The version found instead; `None` when the key or range is absent.
        actual: Option<Version>,
    },
    /// An operation does not fit what is stored; nothing was changed.
    Misfit {
        /// Position of the first operation that does not fit.
        op: u16,
        /// Why.
        misfit: Misfit,
    },
    /// Not looked at: nothing was read or changed and nothing is remembered of it.
    Refused(Refusal),
}

impl Outcome {
    /// The version given to the command, if it was applied.
    pub fn version(&self) -> Option<Version> {
        match *self {
            Self::Done { version } | Self::Computed { version, .. } => Some(version),
            Self::GuardFailed { .. } | Self::Misfit { .. } | Self::Refused(_) => None,
        }
    }
}

// There is one per number that a client has not acknowledged.
const _: () = assert!(size_of::<Outcome>() <= 24);

/// Why an operation that computes cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The stored value is not the decimal text of a number of 64 bits.
    NotANumber,
    /// The sum does not fit into 64 bits.
    Overflow,
    /// The value would be longer than a value may be.
    TooLong,
}

/// Why a command was refused at apply. A refusal is definite: the command did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The session is unknown or expired: whether an earlier sending of this command was applied
    /// can no longer be told.
    SessionExpired,
    /// The sequence number is below what the client acknowledged as finished.
    Stale,
    /// The client has too many open sequence numbers.
    TooManyOpen,
    /// The version given to open a session is below the group's session horizon.
    BelowHorizon,
    /// The group does not own the slot.
    NotOwner {
        /// The slot.
        slot: SlotId,
        /// The newest ownership epoch this group knows of the slot.
        epoch: Epoch,
    },
    /// The group has not been given its slots yet.
    NoGenesis,
    /// The command's kind has no meaning here yet.
    Unsupported,
}
