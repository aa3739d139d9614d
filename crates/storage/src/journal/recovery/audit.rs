//! One segment of a running journal, read again as recovery reads it.

use std::io;

use atoll_env::vfs::File;

use super::reader::FrameReader;
use crate::journal::Identity;
use crate::journal::format::{Align, Chain, SegmentHeader};

/// What one step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SegmentStep {
    /// So many bytes are what was written.
    Sound(u64),
    /// What stands at this offset is not what was written.
    Flaw { at: u32, what: &'static str },
    /// There is nothing more.
    End,
}

/// Looks at a segment that nothing is written to any more, a frame at a time: its frames must stand as a start would
/// want them.
pub(crate) struct SegmentAudit<'a> {
    reader: FrameReader<'a>,
    align: Align,
    at: u32,
    /// Where the segment behind this one says that this one ended; `None`: it cannot be asked.
    end: Option<u32>,
    next_seq: u64,
    /// Header sum of the frame before.
    before: u32,
}

impl<'a> SegmentAudit<'a> {
    /// Frames stand on blocks of `align`; `next` is what the segment behind says stands before it. `None`: the header is not what was written.
    pub(crate) fn begin(
        file: &'a dyn File,
        id: u32,
        identity: Identity,
        (align, next): (Align, Option<Chain>),
    ) -> io::Result<Option<Self>> {
        let Some(header) = header_of(file, align)? else {
            return Ok(None);
        };
        if header.identity != identity || header.segment != u64::from(id) {
            return Ok(None);
        }
        let next = next.filter(|chain| chain.segment == u64::from(id) && chain.end > 0);
        Ok(Some(Self {
            reader: FrameReader::new(file, &header)?,
            align,
            at: align.header_len(),
            end: next.map(|chain| chain.end),
            next_seq: header.first_seq,
            before: header.previous.crc,
        }))
    }

    /// Goes on by a frame, or over what is none.
    pub(crate) fn step(&mut self) -> io::Result<SegmentStep> {
        if self.end.is_some_and(|end| self.at >= end) {
            return Ok(SegmentStep::End);
        }
        let (at, end) = (self.at, self.end);
        let frame = self.reader.frame(at)?;
        let frame = frame.map(|frame| (frame.header, frame.crc));
        let align = self.align;
        let within = |padded| end.is_none_or(|end| at.saturating_add(padded) <= end);
        let Some((header, crc)) = frame.filter(|(header, _)| within(header.padded_len(align))) else {
            return self.skip();
        };
        let follows = header.seq == self.next_seq && header.previous_crc == self.before;
        self.at = at.saturating_add(header.padded_len(align));
        self.next_seq = header.seq.saturating_add(1);
        self.before = crc;
        if follows {
            return Ok(SegmentStep::Sound(header.padded_len(align).into()));
        }
        let what = "a frame does not follow the one before it";
        Ok(SegmentStep::Flaw { at, what })
    }

    /// There is no sound frame where one should be, if there should.
    fn skip(&mut self) -> io::Result<SegmentStep> {
        let at = self.at;
        if let Some((offset, header)) = self
            .reader
            .search(at.saturating_add(self.align.bytes()), self.next_seq)?
        {
            self.at = offset;
            self.next_seq = header.seq;
            self.before = header.previous_crc;
            let what = "a frame is not what was written, and a later one is sound";
            return Ok(SegmentStep::Flaw { at, what });
        }
        if self.end.is_none() {
            return Ok(SegmentStep::End);
        }
        // Nothing behind it can be read either: that is said once.
        self.end = Some(at);
        let what = "a frame is not what was written, and the next segment says that it was durable";
        Ok(SegmentStep::Flaw { at, what })
    }
}

/// What a segment says stands before it; `None` if its header is not what was written.
pub(crate) fn chain_before(file: &dyn File, align: Align) -> io::Result<Option<Chain>> {
    Ok(header_of(file, align)?.map(|header| header.previous))
}

fn header_of(file: &dyn File, align: Align) -> io::Result<Option<SegmentHeader>> {
    let mut block = vec![0; align.header_len() as usize];
    let read = file.read_at(&mut block, 0)?;
    block.truncate(read);
    Ok(SegmentHeader::decode(&block, align).ok())
}
