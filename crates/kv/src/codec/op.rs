//! One change of a write, read in place.

use super::layout::{OP_APPEND, OP_DELETE, OP_DELETE_RANGE, OP_INCREMENT, OP_MAX, OP_MIN};
use super::rows::OpRow;
use crate::ValueSlice;

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpView<'a> {
    /// Sets a key.
    Put {
        /// The key.
        key: &'a [u8],
        /// The value and where it stands.
        value: ValueSlice<'a>,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Adds to a number.
    Increment {
        /// The key.
        key: &'a [u8],
        /// What is added.
        by: i64,
    },
    /// Puts bytes behind a value.
    Append {
        /// The key.
        key: &'a [u8],
        /// The suffix and where it stands; its sum is that of key and suffix.
        suffix: ValueSlice<'a>,
    },
    /// Stores a number unless a lower one is there.
    Min {
        /// The key.
        key: &'a [u8],
        /// The number.
        number: i64,
    },
    /// Stores a number unless a higher one is there.
    Max {
        /// The key.
        key: &'a [u8],
        /// The number.
        number: i64,
    },
    /// Removes the first keys of a range.
    DeleteRange {
        /// First key.
        start: &'a [u8],
        /// End, not included; not empty.
        end: &'a [u8],
        /// How many, at most; not checked.
        limit: u32,
    },
}

impl<'a> OpView<'a> {
    /// An op of a write, whose lengths were checked.
    pub(super) fn of(row: &OpRow<'a>, value: ValueSlice<'a>) -> Option<Self> {
        let key = row.key;
        let number = || Some(i64::from_le_bytes(value.bytes.try_into().ok()?));
        Some(match row.op {
            OP_DELETE => Self::Delete { key },
            OP_APPEND => Self::Append { key, suffix: value },
            OP_INCREMENT => Self::Increment { key, by: number()? },
            OP_MIN => Self::Min {
                key,
                number: number()?,
            },
            OP_MAX => Self::Max {
                key,
                number: number()?,
            },
            OP_DELETE_RANGE => {
                let (limit, end) = value.bytes.split_first_chunk()?;
                let limit = u32::from_le_bytes(*limit);
                let start = key;
                Self::DeleteRange { start, end, limit }
            }
            _ => Self::Put { key, value },
        })
    }
}
