//! One system row: its key and the envelope of its value.

use std::fmt;

use atoll_types::Key;
use bytes::Bytes;

use crate::value_crc;

/// Bytes of a system row's value, at most.
pub const SYSTEM_VALUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The format version.
const VERSION_BYTES: usize = 1;
/// Bytes of a value's sum.
const SUM_BYTES: usize = 4;
/// Bytes of a key before its id.
const KEY_HEAD_BYTES: usize = 3;

/// A piece of what a state machine knows besides its user rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemRow {
    /// Made by [`SystemKey::encode`]; at most 64 bytes.
    pub key: Key,
    /// At most [`SYSTEM_VALUE_BYTES_MAX`] bytes; `None`: the row is gone.
    pub value: Option<Bytes>,
}

impl SystemRow {
    /// A row with a value. `value` begins with its format version; the sum is put behind it.
    pub fn sealed(key: Key, mut value: Vec<u8>) -> Self {
        let sum = value_crc(key.as_bytes(), &value);
        value.extend_from_slice(&sum.to_le_bytes());
        let value = Some(value.into());
        Self { key, value }
    }

    /// A row that is gone.
    pub fn removed(key: Key) -> Self {
        Self { key, value: None }
    }

    /// Format version and fields of a value; `None` if these are not the bytes that were sealed under this key.
    pub fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Option<(u8, &'a [u8])> {
        if value.len() > SYSTEM_VALUE_BYTES_MAX {
            return None;
        }
        let (content, sum) = value.split_last_chunk::<SUM_BYTES>()?;
        let (&[version], fields) = content.split_first_chunk::<VERSION_BYTES>()?;
        (u32::from_le_bytes(*sum) == value_crc(key, content)).then_some((version, fields))
    }
}

/// What a system row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemKey<'a> {
    /// The slot it goes along with, or [`Self::GROUP_WIDE`].
    pub slot: u16,
    /// What it is, by the table at the top of this folder.
    pub kind: u8,
    /// Which one of its kind.
    pub id: &'a [u8],
}

impl<'a> SystemKey<'a> {
    /// In place of a slot: of the whole group.
    pub const GROUP_WIDE: u16 = 0xFFFF;
    /// [`Self::kind`] of the one row that holds the control plane's state.
    pub const CONTROL: u8 = 16;
    pub(crate) const GROUP: u8 = 1;
    pub(crate) const OWNERSHIP: u8 = 2;
    pub(crate) const HISTORY: u8 = 4;
    /// [`Self::kind`] of the row of a session; its id is the client's, the highest byte first.
    pub const SESSION: u8 = 3;

    /// A key of the whole group.
    pub const fn group_wide(kind: u8, id: &'a [u8]) -> Self {
        let slot = Self::GROUP_WIDE;
        Self { slot, kind, id }
    }

    /// Its bytes.
    pub fn encode(&self) -> Key {
        let [high, low] = self.slot.to_be_bytes();
        Key::from_unchecked(&[&[high, low, self.kind], self.id].concat())
    }

    /// `None` if the bytes are too short for a key.
    pub fn parse(key: &'a [u8]) -> Option<Self> {
        let (&[high, low, kind], id) = key.split_first_chunk::<KEY_HEAD_BYTES>()?;
        let slot = u16::from_be_bytes([high, low]);
        Some(Self { slot, kind, id })
    }
}

/// For people: `session 0000…002a`.
impl fmt::Display for SystemKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Self::GROUP => write!(f, "group")?,
            Self::OWNERSHIP => write!(f, "ownership")?,
            Self::SESSION => write!(f, "session")?,
            Self::HISTORY => write!(f, "history")?,
            Self::CONTROL => write!(f, "control")?,
            other => write!(f, "kind {other}")?,
        }
        if self.slot != Self::GROUP_WIDE {
            write!(f, " of slot {}", self.slot)?;
        }
        if !self.id.is_empty() {
            write!(f, " ")?;
        }
        self.id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_in_words() {
        let session = SystemKey::group_wide(SystemKey::SESSION, &[0, 42]);
        assert_eq!(session.to_string(), "session 002a");
        assert_eq!(SystemKey::group_wide(SystemKey::GROUP, &[]).to_string(), "group");
        let other = SystemKey {
            slot: 7,
            kind: 99,
            id: &[],
        };
        assert_eq!(other.to_string(), "kind 99 of slot 7");
    }
}
