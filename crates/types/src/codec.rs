//! How values are packed.

use std::fmt;

use crate::limits::{INLINE_VALUE_BYTES_MAX, VALUE_BYTES_MAX};

/// What makes a value of the bytes that are stored for it. The numbers stand in entries and in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// They are the value.
    #[default]
    None,
    /// LZ4's block format.
    Lz4,
    /// One frame of Zstandard.
    Zstd,
}

impl Codec {
    /// The number in formats.
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd => 2,
        }
    }

    /// The codec of a number; `None` if this version does not know it.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Lz4),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Whether a value of `len` bytes may be stored in `stored_len` by this codec. A packed one is shorter than its value,
    /// which is longer than those that stand inside the index and no longer than any value: nobody who unpacks allocates
    /// more than that.
    pub const fn admits(self, stored_len: usize, len: usize) -> bool {
        match self {
            Self::None => stored_len == len,
            Self::Lz4 | Self::Zstd => {
                let packed = 0 < stored_len && stored_len < len;
                packed && INLINE_VALUE_BYTES_MAX < len && len <= VALUE_BYTES_MAX
            }
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_others_are_unknown() {
        for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
            assert_eq!(Codec::from_number(codec.number()), Some(codec));
        }
        assert_eq!(Codec::from_number(3), None);
    }

    #[test]
    fn a_packed_value_is_shorter_than_its_value_and_that_has_bounds() {
        assert!(Codec::None.admits(0, 0) && !Codec::None.admits(4, 5));
        for codec in [Codec::Lz4, Codec::Zstd] {
            assert!(codec.admits(64, 65) && codec.admits(1, VALUE_BYTES_MAX));
            for (stored_len, len) in [(65, 65), (0, 65), (63, 64), (1, VALUE_BYTES_MAX + 1), (66, 65)] {
                assert!(!codec.admits(stored_len, len), "{stored_len} {len}");
            }
        }
    }
}
