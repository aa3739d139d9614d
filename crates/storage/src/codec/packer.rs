//! Who packs what.

#[cfg(test)]
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use atoll_types::Codec;
use bytes::Bytes;

use super::pack;

/// So many values in a row that do not pack, and the next ones most likely do not either.
const MISSES_MAX: u32 = 64;
/// Then one of so many is tried.
const TRIED: u32 = 16;

/// How a node packs values. It reads all, however it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all; what others have packed it stores in entries as they made it, and unpacked in value files.
    Off,
    /// All by lz4.
    Lz4,
    /// Entries by lz4, value files by zstd.
    #[default]
    Zstd,
}

impl Compression {
    /// By which codec a leader packs the values of entries.
    pub fn of_entries(self) -> Codec {
        match self {
            Self::Off => Codec::None,
            Self::Lz4 | Self::Zstd => Codec::Lz4,
        }
    }

    /// By which codec the values in value files are packed.
    pub fn of_files(self) -> Codec {
        match self {
            Self::Off => Codec::None,
            Self::Lz4 => Codec::Lz4,
            Self::Zstd => Codec::Zstd,
        }
    }
}

/// A value in fewer bytes than it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// What unpacks it.
    pub codec: Codec,
    /// What is to be stored.
    pub stored: Bytes,
}

/// Packs values by one codec, and leaves most of them alone while they turn out not to pack. For any number of threads.
#[derive(Debug, Default)]
pub struct Packer {
    codec: Codec,
    /// Values in a row that were tried or passed over in vain.
    misses: AtomicU32,
    before: AtomicU64,
    after: AtomicU64,
}

impl Packer {
    /// By this codec, or by a faster one for values that are too short for it. [`Codec::None`] packs nothing.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            ..Self::default()
        }
    }

    /// One that packs nothing.
    #[cfg(test)]
    pub(crate) fn plain() -> Arc<Self> {
        Arc::default()
    }

    /// False if nothing is ever packed.
    pub fn packs(&self) -> bool {
        self.codec != Codec::None
    }

    /// The value in fewer bytes; `None` if it is to be stored as it is.
    pub fn pack(&self, value: &[u8]) -> Option<Packed> {
        let packed = self.try_pack(value);
        let stored = packed.as_ref().map_or(value.len(), |packed| packed.stored.len());
        self.before.fetch_add(value.len() as u64, Ordering::Relaxed);
        self.after.fetch_add(stored as u64, Ordering::Relaxed);
        packed
    }

    fn try_pack(&self, value: &[u8]) -> Option<Packed> {
        if !self.packs() || value.len() < atoll_types::limits::PACKED_VALUE_BYTES_MIN {
            return None;
        }
        // Who counts at the same time may be passed over: no value depends on it.
        let misses = self.misses.load(Ordering::Relaxed);
        let packed = if misses < MISSES_MAX || misses.is_multiple_of(TRIED) {
            pack(self.codec, value)
        } else {
            None
        };
        let misses = if packed.is_some() {
            0
        } else {
            misses.wrapping_add(1)
        };
        self.misses.store(misses, Ordering::Relaxed);
        let (codec, stored) = packed?;
        let stored = Bytes::from(stored);
        Some(Packed { codec, stored })
    }

    /// Bytes of all values that came, and of what is stored for them.
    pub fn bytes(&self) -> (u64, u64) {
        (
            self.before.load(Ordering::Relaxed),
            self.after.load(Ordering::Relaxed),
        )
    }
}
