//! Parts of a run that are read whole when it opens: content in pieces, each with its sum.
//!
//! Pieces bound what is allocated by a length that nothing vouches for yet: memory grows by pieces that
//! were read and are sound.

use atoll_env::vfs::File;

use super::RunError;
use super::layout::{Section, sum};

/// Bytes of content in every piece but the last.
pub(super) const PIECE_LEN: usize = 1024 * 1024;
/// Bytes of a piece's sum, behind it.
pub(super) const PIECE_SUM_LEN: usize = 4;

impl Section {
    /// Where it ends in the file; `None` if that is beyond any file.
    pub(super) fn end(&self) -> Option<u64> {
        let pieces = self.len.div_ceil(PIECE_LEN as u64);
        let stored = self.len.checked_add(pieces.checked_mul(PIECE_SUM_LEN as u64)?)?;
        self.offset.checked_add(stored)
    }

    /// Reads the content and gives it, piece by piece, checked, to `each`. The section must lie in the file.
    pub(super) fn read(
        &self,
        file: &dyn File,
        salt: u64,
        part: &'static str,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), RunError> {
        let mut buffer = Vec::new();
        let (mut offset, mut left) = (self.offset, self.len);
        let mut sums = crc32fast::Hasher::new();
        while left > 0 {
            let len = left.min(PIECE_LEN as u64);
            buffer.resize(len as usize + PIECE_SUM_LEN, 0);
            file.read_exact_at(&mut buffer, offset)?;
            let sound = buffer
                .split_last_chunk::<PIECE_SUM_LEN>()
                .filter(|(piece, own)| sum(salt, offset, piece) == u32::from_le_bytes(**own));
            let Some((piece, own)) = sound else {
                return Err(RunError::Damaged { part, offset });
            };
            sums.update(own);
            each(piece);
            offset += buffer.len() as u64;
            left -= len;
        }
        if sums.finalize() == self.sums {
            Ok(())
        } else {
            Err(RunError::Damaged {
                part,
                offset: self.offset,
            })
        }
    }
}
