//! A pinned checkpoint as chunks.

use std::collections::VecDeque;
use std::io;

use atoll_types::Version;
use bytes::Bytes;

use super::format::{CHUNK_TARGET, ChunkBuilder, HEADER_LEN, Place, Row, Stream, Totals};
use super::position::SnapshotPosition;
use super::sweep::Sweep;
use crate::index::{Below, Horizon, Missed, RawRow, Reader, ValueRef, Versions};
use crate::journal::{Journal, ReadError, ReadValue};
use crate::run::SPACE_USER;
use crate::store::GroupStore;

/// Chunks from which it can go on, besides the first: those that may be on the way while one is not acknowledged.
const MARKS_MAX: usize = 64;

/// Rows looked at in one turn, at most: the thread has others to serve.
pub(crate) const TURN_ROWS: usize = 8 * 1024;

/// Makes chunks of a checkpoint, the same ones however often they are asked for. Waits for the disk.
pub(super) struct Source {
    journal: Journal,
    below: Below,
    stream: Stream,
    position: SnapshotPosition,
    /// What of older versions is left out.
    horizon: Version,
    /// Bytes from which on a chunk takes no more rows.
    target: usize,
    /// Where lately made chunks began, and where the next one does, by their numbers.
    marks: VecDeque<Mark>,
    /// Stands where the newest mark says. None after a start, a step back and an error.
    rows: Option<Versions>,
    /// The chunk that was asked for last, if it took more than one turn.
    making: Option<Making>,
    /// The number of the last chunk, once it was made.
    last: Option<u64>,
    /// The last field: files go first.
    _sweep: Sweep,
}

/// What became of the making of a chunk.
pub(super) enum Made {
    /// It is whole.
    Chunk(Bytes),
    /// There is none of this number: the last one came before.
    None,
    /// There is more to look at; others may have their turn before.
    NotYet,
}

/// A chunk that is being made.
struct Making {
    seq: u64,
    rows: Versions,
    chunk: ChunkBuilder,
    next: Mark,
}

/// Where a chunk begins.
#[derive(Clone, Debug)]
struct Mark {
    place: Place,
    /// The last row before it.
    behind: Option<(Vec<u8>, Version)>,
    /// Rows, and bytes of them, in the chunks before.
    rows: u64,
    bytes: u64,
}

impl Mark {
    const FIRST: Self = Self {
        place: Place::FIRST,
        behind: None,
        rows: 0,
        bytes: 0,
    };
}

impl Source {
    pub(super) fn new(group: &GroupStore, below: Below, position: SnapshotPosition) -> Self {
        // Without history the newest rows are all there is to send, and it can be read at no version before the checkpoint's.
        let Horizon { keep, .. } = group.index().horizon();
        let horizon = keep.max(below.horizon());
        let stream = Stream {
            cluster: group.cluster(),
            group: group.key(),
            id: group.env().rng.bits128(),
            history: keep != Horizon::NEWEST_ONLY.keep,
        };
        Self {
            journal: group.journal().clone(),
            below,
            stream,
            position,
            horizon,
            // With no room for any row there would be nothing but empty chunks.
            target: group.options().snapshot_chunk.clamp(HEADER_LEN + 1, CHUNK_TARGET),
            marks: [Mark::FIRST].into(),
            rows: None,
            making: None,
            last: None,
            _sweep: Sweep::of(group.clone()),
        }
    }

    /// Makes the chunk of a number, for a turn: rows that say that a key is gone, and versions that nobody needs, are mostly not sent, and there may be millions of them
    /// in a row. Any of the last 64, the next one, and the first can be asked for, else `InvalidInput`. After an error it may be
    /// asked for again.
    pub(super) fn chunk(&mut self, seq: u64) -> io::Result<Made> {
        if self.last.is_some_and(|last| seq > last) {
            return Ok(Made::None);
        }
        // Taken out: after an error nobody knows where it stands.
        let mut making = match self.making.take().filter(|making| making.seq == seq) {
            Some(making) => making,
            None => self.begin(seq)?,
        };
        for _ in 0..TURN_ROWS {
            if making.chunk.len() >= self.target {
                return Ok(Made::Chunk(self.end(making)));
            }
            match making.rows.next().map_err(|missed| self.unread(missed))? {
                Some(Some(row)) => self.add(row, &mut making.chunk, &mut making.next)?,
                Some(None) => {}
                None if making.chunk.is_empty() => return Ok(Made::Chunk(self.finish(making))),
                None => return Ok(Made::Chunk(self.end(making))),
            }
        }
        self.making = Some(making);
        Ok(Made::NotYet)
    }

    fn begin(&mut self, seq: u64) -> io::Result<Making> {
        let next = self.go_to(seq)?;
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => self.rows_behind(&next)?,
        };
        Ok(Making {
            seq,
            rows,
            chunk: ChunkBuilder::new(self.stream, next.place),
            next,
        })
    }

    /// A chunk with rows in it is whole.
    fn end(&mut self, making: Making) -> Bytes {
        let Making {
            rows,
            chunk,
            mut next,
            ..
        } = making;
        let (chunk, sum) = chunk.finish();
        next.place = next.place.next(sum);
        self.marks.push_back(next);
        if self.marks.len() > MARKS_MAX {
            self.marks.pop_front();
        }
        self.rows = Some(rows);
        chunk
    }

    fn rows_behind(&self, mark: &Mark) -> io::Result<Versions> {
        let behind = mark.behind.as_ref().map(|(key, version)| (&key[..], *version));
        let rows = Versions::begin(self.below.runs(), behind, self.horizon);
        rows.map_err(|missed| self.unread(missed))
    }

    /// The mark of a chunk, as the newest one.
    fn go_to(&mut self, seq: u64) -> io::Result<Mark> {
        let newest = self.marks.back().filter(|mark| mark.place.seq == seq);
        if let Some(newest) = newest {
            return Ok(newest.clone());
        }
        self.rows = None;
        if seq == 0 {
            self.marks = [Mark::FIRST].into();
            return Ok(Mark::FIRST);
        }
        let at = self.marks.iter().position(|mark| mark.place.seq == seq);
        let Some(mark) = at.and_then(|at| self.marks.get(at).cloned()) else {
            let what = format!("chunk {seq} of a snapshot is none of those made lately: begin at 0");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        self.marks.retain(|mark| mark.place.seq <= seq);
        Ok(mark)
    }

    /// Adds a row with its value, checked. A deletion only if it is a part of history: there is nothing that it hides.
    fn add(
        &self,
        (key, version, value): RawRow,
        chunk: &mut ChunkBuilder,
        next: &mut Mark,
    ) -> io::Result<()> {
        let value = Option::<ValueRef>::from(value);
        let user_key = key.get(1..).unwrap_or_default();
        let bytes = match &value {
            Some(value) => Some(
                self.read(user_key, value)
                    .map_err(|error| self.rotten(user_key, error))?,
            ),
            None => None,
        };
        if bytes.is_some() || key.first() == Some(&SPACE_USER) && version > self.horizon {
            let row = Row {
                key: &key,
                version,
                vcrc: value.as_ref().map_or(0, ValueRef::vcrc),
                value: bytes.as_deref(),
            };
            next.rows += 1;
            next.bytes += row.bytes();
            chunk.push(&row);
        }
        next.behind = Some((key, version));
        Ok(())
    }

    fn read(&self, key: &[u8], value: &ValueRef) -> Result<Bytes, ReadError> {
        let reader = Reader {
            journal: &self.journal,
            below: &self.below,
            wait: true,
        };
        match reader.read(key, value)? {
            ReadValue::Ready(bytes) => Ok(bytes),
            ReadValue::WouldBlock => Err(ReadError::Io(io::ErrorKind::WouldBlock.into())),
        }
    }

    /// The last one, without rows.
    fn finish(&mut self, making: Making) -> Bytes {
        self.last = Some(making.seq);
        let totals = Totals {
            rows: making.next.rows,
            bytes: making.next.bytes,
            position: self.position.clone(),
            horizon: self.stream.history.then_some(self.horizon),
        };
        making.chunk.finish_last(&totals).0
    }

    fn unread(&self, missed: Missed) -> io::Error {
        match missed {
            Missed::Failed(error) => self.failed(&format!("its rows cannot be read: {error}"), error),
            Missed::WouldBlock => io::ErrorKind::WouldBlock.into(),
        }
    }

    fn rotten(&self, key: &[u8], error: ReadError) -> io::Error {
        let what = format!(
            "the value of key \"{}\" cannot be read: {error}",
            key.escape_ascii()
        );
        self.failed(&what, error)
    }

    fn failed(&self, what: &str, error: ReadError) -> io::Error {
        let kind = match error {
            ReadError::Io(error) => error.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        let index = self.position.applied.index;
        io::Error::new(
            kind,
            format!("the checkpoint at entry {index} cannot be sent: {what}"),
        )
    }
}
