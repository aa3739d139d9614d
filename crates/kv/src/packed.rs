//! Values that an entry holds packed.

use atoll_types::Codec;
use bytes::Bytes;

/// A value in the form in which an entry holds it. What it unpacks to is known here by its length and its sum only: packing and
/// unpacking is for those above and below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedValue {
    codec: Codec,
    stored: Bytes,
    len: u32,
    vcrc: u32,
}

impl PackedValue {
    /// A value of `len` bytes that is stored in these, by this codec; `vcrc` is [`crate::value_crc`] of its key and the value
    /// itself. `None` unless the codec [admits](Codec::admits) the lengths, and packs at all.
    pub fn new(codec: Codec, stored: Bytes, len: usize, vcrc: u32) -> Option<Self> {
        let packed = codec != Codec::None && codec.admits(stored.len(), len);
        packed.then(|| Self {
            codec,
            stored,
            len: len as u32,
            vcrc,
        })
    }

    /// What unpacks it.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// What is stored.
    pub fn stored(&self) -> &Bytes {
        &self.stored
    }

    /// Bytes of the value itself.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the length of the value, which is never empty"
    )]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// The sum of key and value.
    pub fn vcrc(&self) -> u32 {
        self.vcrc
    }
}
