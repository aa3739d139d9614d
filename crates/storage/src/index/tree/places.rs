//! Where in the journal packed values stand.
//!
//! A row has room for segment, offset and length of a value, and no more. If the value is packed, it also takes the stored length and
//! the codec: they stand here, and the row has the number of their place for an offset.

use atoll_types::Codec;

use super::arena::Arena;
use crate::journal::JournalPointer;

/// Set in a row's length if its offset is a number of a place here. Values end far below.
pub(super) const PLACED: u32 = 1 << 29;

#[derive(Clone, Copy)]
struct Place {
    offset: u32,
    stored_len: u32,
    codec: Codec,
}

/// The places of one tree's rows.
#[derive(Default)]
pub(super) struct Places(Arena<Place>);

impl Places {
    /// What a row has for offset and length.
    pub(super) fn lay(&mut self, pointer: &JournalPointer) -> (u32, u32) {
        let JournalPointer {
            offset,
            stored_len,
            len,
            codec,
            ..
        } = *pointer;
        debug_assert_eq!(len & PLACED, 0, "a value is far smaller");
        if codec == Codec::None {
            return (offset, len & !PLACED);
        }
        let place = Place {
            offset,
            stored_len,
            codec,
        };
        (self.0.insert(place), len | PLACED)
    }

    /// The pointer of a row in this segment, with this sum, that was given these by [`Places::lay`].
    pub(super) fn pointer(&self, segment: u32, (offset, len): (u32, u32), vcrc: u32) -> JournalPointer {
        let mut place = Place {
            offset,
            stored_len: len,
            codec: Codec::None,
        };
        if len & PLACED != 0 {
            place = *self
                .0
                .get(offset)
                .expect("a row's place lives as long as the row");
        }
        JournalPointer {
            segment,
            offset: place.offset,
            stored_len: place.stored_len,
            len: len & !PLACED,
            codec: place.codec,
            vcrc,
        }
    }

    /// The row is gone that was given these.
    pub(super) fn free(&mut self, (offset, len): (u32, u32)) {
        if len & PLACED != 0 {
            self.0.remove(offset);
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }

    /// Places in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
