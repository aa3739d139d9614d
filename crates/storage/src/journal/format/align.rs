//! What frames are aligned to.

use std::path::Path;

use atoll_env::Vfs;
use atoll_env::vfs::BLOCK_BYTES;

/// Frames start and end on multiples of this, and the segment's header takes the first: one block of the file as it reaches the
/// disk. 4,096 bytes; fewer where files are sealed, because then a block holds more than its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Align(u32);

impl Align {
    /// Of files that reach the disk as they are.
    pub(crate) const CLEAR: Self = Self(BLOCK_BYTES);

    /// Of the files in a folder.
    pub(crate) fn of(vfs: &dyn Vfs, dir: &Path) -> Self {
        let align = Self(vfs.block_bytes(dir));
        debug_assert!((512..=BLOCK_BYTES).contains(&align.0), "a block holds a header");
        align
    }

    /// Bytes of a block.
    pub(crate) const fn bytes(self) -> u32 {
        self.0
    }

    /// Bytes of a segment's header: where its first frame begins.
    pub(crate) const fn header_len(self) -> u32 {
        self.0
    }

    /// Rounds up to whole blocks.
    pub(crate) const fn padded(self, len: u32) -> u32 {
        len.next_multiple_of(self.0)
    }
}
