//! What a row of a tree is made of.

use atoll_types::Version;

/// The upper bits of [`Packed::len`] say what it is; values end far below.
pub(super) const KIND: u32 = 0b11 << 30;
pub(super) const INLINE: u32 = 0b01 << 30;
pub(super) const TOMBSTONE: u32 = 0b10 << 30;
pub(super) const JOINED: u32 = 0b11 << 30;

/// A [`ValueRef`](crate::index::ValueRef) or the absence of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// Segment, or place in an arena.
    pub(super) first: u32,
    /// In the segment, or place in an arena.
    pub(super) offset: u32,
    pub(super) len: u32,
    pub(super) vcrc: u32,
}

impl Packed {
    pub(super) const fn is_tombstone(self) -> bool {
        self.len & KIND == TOMBSTONE
    }

    pub(super) const fn inline_len(self) -> Option<usize> {
        if self.len & KIND == INLINE {
            Some((self.len & !KIND) as usize)
        } else {
            None
        }
    }

    pub(super) const fn is_joined(self) -> bool {
        self.len & KIND == JOINED
    }
}

/// Two halves, so that a row needs no padding beside its other fields of four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Halves([u32; 2]);

impl Halves {
    pub(super) const fn of(version: Version) -> Self {
        Self([(version.0 >> 32) as u32, version.0 as u32])
    }

    pub(super) const fn version(self) -> Version {
        let [high, low] = self.0;
        Version((high as u64) << 32 | low as u64)
    }
}
