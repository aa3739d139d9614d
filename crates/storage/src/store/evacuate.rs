//! Moves values out of places that are to go.
//!
//! A value is read and proved before it is written, and keeps the very sum that its row carried: what was rotten stays
//! so and can never become a sound record. One that does not match its sum is given up in the new run: its row keeps
//! key, version, length and sum, and says that the bytes are nowhere ([`LOST`]), which holds on to no file. Otherwise a
//! single flipped bit would keep its segment, and with it all later ones, for ever. A disk that refuses to read is
//! another matter, it may be right again at the next start: the merge fails, and until then values are left in the
//! segment or file that it happened in.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use atoll_types::Version;
use parking_lot::Mutex;

use super::files::PublishedValues;
use super::group::GroupStore;
use super::plan::Plan;
use crate::index::{Below, FilePointer, LOST, Piece, Reader, ValueRef};
use crate::journal::{JournalPointer, ReadError, ReadValue};
use crate::manifest::{NewFile, ValueFileEntry};
use crate::run::{RunSummary, RunValue, SPACE_USER};
use crate::value_file::{ValueFile, ValueFileId, ValueWriter};

/// Bytes after which a value file is synced though it is not at its end: one sync of all of it would hold up those of the
/// journal.
const SYNC_BYTES: u64 = 16 * 1024 * 1024;

/// Segments and value files that a disk refused to read.
#[derive(Default)]
pub(super) struct Refused {
    pub(super) segments: BTreeSet<u32>,
    pub(super) files: BTreeSet<u32>,
}

struct Writing {
    new: NewFile,
    writer: ValueWriter,
    /// Bytes added since the last sync.
    unsynced: u64,
}

/// The values of one merge, in key order.
pub(super) struct Evacuation<'a> {
    store: &'a GroupStore,
    /// What the merge's runs point into.
    below: &'a Below,
    plan: &'a Plan,
    refused: &'a Mutex<Refused>,
    writing: Option<Writing>,
    written: Vec<PublishedValues>,
    /// Bytes moved.
    pub(super) moved: u64,
    /// Values given up.
    pub(super) lost: u64,
}

impl<'a> Evacuation<'a> {
    pub(super) fn new(store: &'a GroupStore, below: &'a Below, plan: &'a Plan) -> Self {
        Self {
            store,
            below,
            plan,
            refused: &store.0.space.refused,
            writing: None,
            written: Vec::new(),
            moved: 0,
            lost: 0,
        }
    }

    /// The value that a row has in the new run: the same, maybe at another place. Keys must ascend.
    pub(super) async fn place(
        &mut self,
        key: &[u8],
        version: Version,
        value: RunValue,
    ) -> io::Result<RunValue> {
        let Some((&SPACE_USER, user_key)) = key.split_first() else {
            return Ok(value);
        };
        if !self.is_to_leave(&value) {
            return Ok(value);
        }
        let Some(value) = Option::<ValueRef>::from(value) else {
            return Ok(RunValue::Tombstone);
        };
        if self.is_refused(&value) {
            return Ok(Some(value).into());
        }
        let reader = Reader {
            journal: &self.store.0.node.journal,
            below: self.below,
            wait: true,
        };
        match reader.read(user_key, &value) {
            Ok(ReadValue::Ready(bytes)) => self.write(user_key, version, &bytes, value.vcrc()).await,
            Ok(ReadValue::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(ReadError::Io(error)) => {
                self.refuse(&value);
                Err(error)
            }
            // That is no rot, and giving up what others have lost in the same way would lose it for good.
            Err(error @ (ReadError::Freed { .. } | ReadError::NoValueFile { .. })) => {
                Err(io::Error::other(error))
            }
            Err(error) => Ok(self.give_up(user_key, &value, &error)),
        }
    }

    /// True if the value, or a piece of it, stands where nothing is to stay.
    fn is_to_leave(&self, value: &RunValue) -> bool {
        let old = |pointer: &JournalPointer| pointer.segment != LOST && pointer.segment < self.plan.before;
        let victim = |pointer: &FilePointer| self.plan.victims.contains(&pointer.file);
        match value {
            RunValue::Tombstone | RunValue::Inline { .. } => false,
            RunValue::Journal(pointer) => old(pointer),
            RunValue::Filed(pointer) => victim(pointer),
            RunValue::Joined(joined) => joined.pieces().iter().any(|piece| match piece {
                Piece::Memory(_) => false,
                Piece::Journal(pointer) => old(pointer),
                Piece::Filed(pointer) => victim(pointer),
            }),
        }
    }

    /// True if it stands, if only in part, where the disk refused to read.
    fn is_refused(&self, value: &ValueRef) -> bool {
        let refused = self.refused.lock();
        match value {
            ValueRef::Inline(_) => false,
            ValueRef::Journal(pointer) => refused.segments.contains(&pointer.segment),
            ValueRef::Filed(pointer) => refused.files.contains(&pointer.file),
            ValueRef::Joined(joined) => joined.pieces().iter().any(|piece| refused.has(piece)),
        }
    }

    /// Nothing of it is tried again before the next start.
    fn refuse(&self, value: &ValueRef) {
        let mut refused = self.refused.lock();
        match value {
            ValueRef::Inline(_) => {}
            ValueRef::Journal(pointer) => drop(refused.segments.insert(pointer.segment)),
            ValueRef::Filed(pointer) => drop(refused.files.insert(pointer.file)),
            ValueRef::Joined(joined) => joined.pieces().iter().for_each(|piece| refused.add(piece)),
        }
    }

    fn give_up(&mut self, key: &[u8], value: &ValueRef, error: &ReadError) -> RunValue {
        tracing::error!(
            group = %self.store.0.key,
            key = %key.escape_ascii(),
            %error,
            "a value was to be moved and is not what was written: this replica has lost it, others have it"
        );
        self.lost += 1;
        RunValue::Journal(JournalPointer {
            segment: LOST,
            offset: 0,
            len: value.len() as u32,
            vcrc: value.vcrc(),
        })
    }

    /// Writes a value whose sum was just checked.
    async fn write(&mut self, key: &[u8], version: Version, bytes: &[u8], vcrc: u32) -> io::Result<RunValue> {
        let most = self.store.0.node.options.value_file_bytes;
        let room = |writing: &Writing| {
            let end = writing
                .writer
                .len()
                .saturating_add((key.len() + bytes.len()) as u64);
            writing.writer.is_empty() || writing.writer.fits(key.len(), bytes.len()) && end <= most
        };
        if self.writing.as_ref().is_some_and(|writing| !room(writing)) {
            self.end_file().await?;
        }
        if self.writing.is_none() {
            self.writing = Some(self.store.begin_values().await?);
        }
        let Some(writing) = &mut self.writing else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let place = writing.writer.add(key, version, bytes).await?;
        writing.unsynced += bytes.len() as u64;
        if writing.unsynced >= SYNC_BYTES {
            writing.new.file().sync().await?;
            writing.unsynced = 0;
        }
        self.moved += bytes.len() as u64;
        Ok(RunValue::Filed(FilePointer {
            file: writing.new.number() as u32,
            offset: place.offset,
            stored_len: place.stored_len,
            len: place.len,
            // Not what is computed from the bytes in hand: the one that the row had all along.
            vcrc,
        }))
    }

    async fn end_file(&mut self) -> io::Result<()> {
        let Some(Writing { new, writer, .. }) = self.writing.take() else {
            return Ok(());
        };
        let number = new.number() as u32;
        let finished = writer.finish().await?;
        let file = self.store.0.folder.lock().await.publish(new).await?;
        let file = ValueFile::open(file, self.store.values_id(number)).map_err(io::Error::other)?;
        self.written.push(PublishedValues {
            entry: ValueFileEntry {
                number,
                len: finished.len,
                live_bytes: finished.value_bytes,
                dead_bytes: 0,
            },
            file: Arc::new(file),
        });
        Ok(())
    }

    /// The new value files, durable, by number.
    pub(super) async fn finish(mut self) -> io::Result<Vec<PublishedValues>> {
        self.end_file().await?;
        Ok(self.written)
    }
}

impl Refused {
    fn has(&self, piece: &Piece) -> bool {
        match piece {
            Piece::Memory(_) => false,
            Piece::Journal(pointer) => self.segments.contains(&pointer.segment),
            Piece::Filed(pointer) => self.files.contains(&pointer.file),
        }
    }

    fn add(&mut self, piece: &Piece) {
        match piece {
            Piece::Memory(_) => {}
            Piece::Journal(pointer) => drop(self.segments.insert(pointer.segment)),
            Piece::Filed(pointer) => drop(self.files.insert(pointer.file)),
        }
    }
}

impl GroupStore {
    /// What a merge has left where nothing was to stay is no reason for another merge before the next start: it would leave
    /// the same.
    pub(super) fn note_left(&self, plan: &Plan, run: &RunSummary) {
        let segments = run.journal_bytes.iter().map(|(segment, _)| *segment);
        let files = run.file_bytes.iter().map(|(file, _)| *file);
        let mut refused = self.0.space.refused.lock();
        refused
            .segments
            .extend(segments.filter(|segment| *segment < plan.before));
        refused
            .files
            .extend(files.filter(|file| plan.victims.contains(file)));
    }

    async fn begin_values(&self) -> io::Result<Writing> {
        let new = self.0.folder.lock().await.create_value_file().await?;
        let id = self.values_id(new.number() as u32);
        let writer = ValueWriter::create(&self.0.node.env, new.file(), id)?;
        Ok(Writing {
            new,
            writer,
            unsynced: 0,
        })
    }

    pub(super) fn values_id(&self, number: u32) -> ValueFileId {
        ValueFileId {
            identity: self.0.node.identity,
            group: self.0.key,
            number,
        }
    }
}
