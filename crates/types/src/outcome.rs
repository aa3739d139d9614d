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
    /// A guard did not hold; nothing was changed.
    GuardFailed {
        /// Position of the first guard that did not hold.
        guard: u16,
        /// The version found instead; `None` when the key or range is absent.
        actual: Option<Version>,
    },
    /// Not looked at: nothing was read or changed and nothing is remembered of it.
    Refused(Refusal),
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
