//! Reads frames out of one segment with a bounded buffer.

use std::io;

use atoll_env::vfs::File;
use atoll_types::{Mutant, mutant};

use crate::journal::format::{
    Align, FRAME_HEADER_LEN, FRAME_LEN_MAX, FrameHeader, FramePlace, SegmentHeader, body_crc,
};

/// Bytes read at once, unless one frame is larger.
const CHUNK: usize = 1024 * 1024;

/// A frame whose sums are right.
pub(super) struct Frame<'a> {
    pub(super) header: FrameHeader,
    pub(super) crc: u32,
    pub(super) body: &'a [u8],
}

/// A window over one file.
pub(super) struct FrameReader<'a> {
    file: &'a dyn File,
    file_len: u64,
    salt: u64,
    segment: u64,
    align: Align,
    buffer: Vec<u8>,
    start: u64,
}

impl<'a> FrameReader<'a> {
    pub(super) fn new(file: &'a dyn File, header: &SegmentHeader) -> io::Result<Self> {
        Ok(Self {
            file,
            file_len: file.len()?,
            salt: header.salt,
            segment: header.segment,
            align: header.align,
            buffer: Vec::new(),
            start: 0,
        })
    }

    /// The frame at `offset`, if there is a sound one.
    pub(super) fn frame(&mut self, offset: u32) -> io::Result<Option<Frame<'_>>> {
        let Some((header, crc)) = self.header(offset)? else {
            return Ok(None);
        };
        let salt = self.salt;
        let Some(frame) = self.window(offset, header.padded_len(self.align) as usize)? else {
            return Ok(None);
        };
        let from = FRAME_HEADER_LEN as usize;
        let body = frame.get(from..from + header.body_len as usize);
        Ok(body
            .filter(|body| {
                body_crc(salt, header.seq, body) == header.body_crc || mutant::is(Mutant::FrameUnchecked)
            })
            .map(|body| Frame { header, crc, body }))
    }

    /// The place of the next frame header at or after `from` that is sound and later than `seq`.
    pub(super) fn search(&mut self, from: u32, seq: u64) -> io::Result<Option<(u32, FrameHeader)>> {
        let mut offset = from;
        while self.window(offset, FRAME_HEADER_LEN as usize)?.is_some() {
            match self.header(offset)? {
                Some((header, _)) if header.seq > seq => return Ok(Some((offset, header))),
                _ => {}
            }
            let Some(next) = offset.checked_add(self.align.bytes()) else {
                break;
            };
            offset = next;
        }
        Ok(None)
    }

    /// The header of a frame at `offset`, with its sum, if there is a sound one.
    pub(super) fn header(&mut self, offset: u32) -> io::Result<Option<(FrameHeader, u32)>> {
        let place = FramePlace {
            salt: self.salt,
            segment: self.segment,
            offset,
            align: self.align,
        };
        let bytes = self.window(offset, FRAME_HEADER_LEN as usize)?;
        Ok(bytes.and_then(|bytes| FrameHeader::decode(bytes, place)))
    }

    /// `len` bytes at `offset`; `None` if the file ends before.
    fn window(&mut self, offset: u32, len: usize) -> io::Result<Option<&[u8]>> {
        debug_assert!(len <= FRAME_LEN_MAX as usize);
        let offset = u64::from(offset);
        let held = self.start..=self.start + self.buffer.len() as u64;
        if !held.contains(&offset) || !held.contains(&(offset + len as u64)) {
            let left = usize::try_from(self.file_len.saturating_sub(offset)).unwrap_or(usize::MAX);
            self.buffer.resize(len.max(CHUNK).min(left), 0);
            let read = self.file.read_at(&mut self.buffer, offset)?;
            self.buffer.truncate(read);
            self.start = offset;
        }
        let at = (offset - self.start) as usize;
        Ok(self.buffer.get(at..at + len))
    }
}
