//! Values of rows that come in order, read ahead.
//!
//! Rows that are neighbours by key often have their values side by side in a file: always those that one merge has
//! written to a value file, and those in the journal if they were put in order. A walk that reads them one by one makes a
//! system call for each, or worse, has the disk seek. So where a value stands close behind (or, on the way back, before) the one
//! read last from the same file, some more of the file is read with it, twice as much each time, up to
//! [`SPAN_MAX`]; where it does not, just its own bytes are, and nothing is read in vain.
//!
//! A disk takes as long for a page as for many. So where a walk has waited for the disk for one value after the other of the same file, though
//! they do not stand side by side, it reads what stands around them too: a walk that has met so many of them will meet more.
//!
//! Nothing is trusted for having been read ahead: every value is proved by its sum over key and value when it is
//! taken. What does not prove itself here, and whatever else is unusual, is read again by [`Reader`] as if there were no window, and it is
//! that read which says what is wrong.

use std::io;
use std::sync::Arc;

use atoll_env::vfs::File;
use atoll_types::Codec;
use bytes::BytesMut;

use super::read::Reader;
use super::value::{Mismatch, ValueRef};
use crate::codec::{UNPACKED_AT_ONCE_MAX, unpack};
use crate::journal::{ReadError, ReadValue, Segment, value_crc};
use crate::value_file::ValueFile;

/// Files that are read from at the same time. Rows of one range stand in about as many as there are runs.
const WINDOWS_MAX: usize = 16;
/// Bytes read at once, at most. A longer value is read alone.
const SPAN_MAX: usize = 128 * 1024;
/// And where it was just found out that values stand side by side.
const SPAN_MIN: usize = 4 * 1024;
/// Values with fewer bytes between them stand side by side: records have headers and keys, and some are dead.
const GAP_MAX: u64 = 4 * 1024;

/// So many values of a file may be waited for alone. What is read with each of the next ones doubles after as many again.
const COLD_ALONE: usize = 16;

/// What a walk over rows has read of their values so far. At most 2 MiB. It keeps the files open that it read from: drop it
/// with the view.
#[derive(Default)]
pub struct ReadAhead {
    /// The one used last comes first.
    windows: Vec<Window>,
}

/// A file of values.
enum Source {
    Segment(Arc<Segment>),
    File(u32, Arc<ValueFile>),
}

/// Where a value stands in one piece.
#[derive(Clone, Copy)]
struct Place {
    /// In a value file, not in the journal.
    filed: bool,
    /// Number of the file.
    number: u32,
    offset: u64,
    /// Bytes that stand there.
    len: usize,
    /// What makes a value of `value_len` bytes of them.
    codec: Codec,
    value_len: usize,
    vcrc: u32,
}

impl Place {
    /// `None`: it is to be read alone.
    fn of(value: &ValueRef) -> Option<Self> {
        match value {
            value if value.len() > SPAN_MAX => None,
            ValueRef::Journal(pointer) => Some(Self {
                filed: false,
                number: pointer.segment,
                offset: pointer.offset.into(),
                len: pointer.stored_len as usize,
                codec: pointer.codec,
                value_len: pointer.len as usize,
                vcrc: pointer.vcrc,
            }),
            ValueRef::Filed(pointer) => Some(Self {
                filed: true,
                number: pointer.file,
                offset: pointer.offset.into(),
                len: pointer.stored_len as usize,
                codec: pointer.codec,
                value_len: pointer.len as usize,
                vcrc: pointer.vcrc,
            }),
            _ => None,
        }
        // What takes long to unpack is not for a thread that must not wait.
        .filter(|place| place.codec == Codec::None || place.value_len <= UNPACKED_AT_ONCE_MAX)
    }

    /// Appends the value to `out`, if that is what is stored in these bytes.
    fn append(&self, key: &[u8], stored: &[u8], out: &mut BytesMut) -> bool {
        let unpacked = match self.codec {
            Codec::None => None,
            codec => match unpack(codec, stored, self.value_len) {
                Some(value) => Some(value),
                None => return false,
            },
        };
        let value = unpacked.as_deref().unwrap_or(stored);
        let sound = value_crc(key, value) == self.vcrc;
        if sound {
            out.extend_from_slice(value);
        }
        sound
    }
}

impl ReadAhead {
    /// Appends a value to `out` if it was read already, proved to be this key's, or stands in the index; false if not, and then `out` is as
    /// it was.
    pub(super) fn append_held(
        &mut self,
        key: &[u8],
        value: &ValueRef,
        out: &mut BytesMut,
    ) -> Result<bool, ReadError> {
        if let Some(inline) = value.inline_in_place(key) {
            out.extend_from_slice(inline.map_err(|Mismatch| ReadError::Inline)?);
            return Ok(true);
        }
        let Some(place) = Place::of(value) else {
            return Ok(false);
        };
        let stored = self.window(place).and_then(|window| window.bytes_at(place));
        Ok(stored.is_some_and(|stored| place.append(key, stored, out)))
    }

    /// Appends a value to `out` that has to be read, proved to be this key's; false if that had to wait and must not. After an
    /// error, and after false, `out` is as it was.
    pub(super) fn append(
        &mut self,
        reader: Reader<'_>,
        key: &[u8],
        value: &ValueRef,
        out: &mut BytesMut,
    ) -> Result<bool, ReadError> {
        if let Some(place) = Place::of(value)
            && let Some(stored) = self.read(reader, place)
            && place.append(key, stored, out)
        {
            return Ok(true);
        }
        match reader.read(key, value)? {
            ReadValue::Ready(bytes) => out.extend_from_slice(&bytes),
            ReadValue::WouldBlock => return Ok(false),
        }
        Ok(true)
    }

    /// The window over the file of a place, the first one from now on.
    fn window(&mut self, place: Place) -> Option<&mut Window> {
        let at = self.windows.iter().position(|window| window.is_of(place))?;
        // Few swaps: neighbours are mostly of one file.
        self.windows.get_mut(..=at)?.rotate_right(1);
        self.windows.first_mut()
    }

    /// Reads the bytes at a place, whatever they are.
    fn read(&mut self, reader: Reader<'_>, place: Place) -> Option<&[u8]> {
        if self.window(place).is_none() {
            self.open(reader, place)?;
        }
        let window = self.windows.first_mut()?;
        window.fill(place, reader.wait)?;
        // No move helps what stands in the newest segment.
        let newest = || reader.journal.ends().map(|ends| ends.newest);
        if window.is_scattered() && newest() != Some(place.number) {
            reader.below.note_scattered(place.len);
        }
        window.bytes_at(place)
    }

    /// Another window, the first one, in the place of the one not used for longest if there are many.
    fn open(&mut self, reader: Reader<'_>, place: Place) -> Option<()> {
        let source = if place.filed {
            let file = reader.below.values().get(&place.number)?;
            Source::File(place.number, file.clone())
        } else {
            Source::Segment(reader.journal.segment(place.number)?)
        };
        let mut bytes = Vec::new();
        if self.windows.len() >= WINDOWS_MAX {
            bytes = self.windows.pop().map_or(bytes, |oldest| oldest.bytes);
            bytes.clear();
        }
        let window = Window {
            source,
            start: u64::MAX,
            bytes,
            span: 0,
            cold: 0,
        };
        self.windows.insert(0, window);
        Some(())
    }
}

/// Bytes of one file that were read at once.
struct Window {
    source: Source,
    /// Where they stand in the file.
    start: u64,
    bytes: Vec<u8>,
    /// How many were to be read; 0 if those of one value were, which stands beside none that was read before.
    span: usize,
    /// How often that had to wait for the disk.
    cold: usize,
}

impl Window {
    fn is_of(&self, place: Place) -> bool {
        match &self.source {
            Source::Segment(segment) => !place.filed && segment.id == place.number,
            Source::File(number, _) => place.filed && *number == place.number,
        }
    }

    /// The bytes at a place, if the window has them.
    fn bytes_at(&self, place: Place) -> Option<&[u8]> {
        let from = usize::try_from(place.offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(place.len)?)
    }

    /// True if the last read was of one value alone, where values of all keys and groups stand as they came.
    fn is_scattered(&self) -> bool {
        self.span == 0 && matches!(self.source, Source::Segment(_))
    }

    /// Reads the bytes at a place, with others if it stands beside the bytes of now.
    fn fill(&mut self, place: Place, wait: bool) -> Option<()> {
        let (before, after) = (self.start, self.start.saturating_add(self.bytes.len() as u64));
        let end = place.offset.checked_add(place.len as u64)?;
        let onwards = place.offset >= before && place.offset <= after.saturating_add(GAP_MAX);
        let back = place.offset < before && before <= end.saturating_add(GAP_MAX);
        if !(onwards || back) {
            return self.fill_alone(place, end, wait);
        }
        self.span = (self.span * 2).clamp(SPAN_MIN, SPAN_MAX);
        let len = self.span.max(place.len);
        let start = if back {
            end.saturating_sub(len as u64)
        } else {
            place.offset
        };
        self.read(start, len, wait)
    }

    /// Reads the bytes at a place that ends there, and if the disk was waited for often, also what stands around it.
    fn fill_alone(&mut self, place: Place, end: u64, wait: bool) -> Option<()> {
        self.span = 0;
        let warm = self.read(place.offset, place.len, false);
        if warm.is_some() || !wait {
            return warm;
        }
        let doubled = self.cold / COLD_ALONE;
        self.cold = self.cold.saturating_add(1);
        let around = (SPAN_MIN as u64) << doubled.min((SPAN_MAX / SPAN_MIN).ilog2() as usize);
        let start = place.offset / around * around;
        let len = end.checked_next_multiple_of(around)? - start;
        if doubled == 0 || len > SPAN_MAX as u64 {
            return self.read(place.offset, place.len, true);
        }
        self.read(start, len as usize, true)
    }

    /// Reads so many bytes, or fewer if the file has no more of them that are durable.
    fn read(&mut self, start: u64, len: usize, wait: bool) -> Option<()> {
        let (file, limit) = self.source.file()?;
        let len = usize::try_from(limit.saturating_sub(start)).map_or(len, |left| len.min(left));
        self.bytes.resize(len, 0);
        let read = read(&**file, &mut self.bytes, start, wait);
        // Nothing is held after a read that did not come to an end; `span` says how much to try the next time.
        self.bytes.truncate(read.unwrap_or(0));
        self.start = start;
        read.map(drop)
    }
}

impl Source {
    /// The file, and how many of its bytes are there to stay.
    fn file(&self) -> Option<(&Arc<dyn File>, u64)> {
        match self {
            Self::Segment(segment) => segment.durable_file(),
            Self::File(_, file) => Some((file.file(), file.file_len())),
        }
    }
}

fn read(file: &dyn File, buffer: &mut [u8], at: u64, wait: bool) -> Option<usize> {
    let read: io::Result<Option<usize>> = if wait {
        file.read_at(buffer, at).map(Some)
    } else {
        file.try_read_at(buffer, at)
    };
    // An error is met again, and told, by the read of this value alone.
    read.ok().flatten()
}

#[cfg(test)]
mod tests;
