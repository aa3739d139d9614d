//! Moves values out of places that are to go.
//!
//! A value is read and proved before it is written, and keeps the very sum that its row carried: what was rotten stays
//! so and can never become a sound record. One that does not match its sum is given up in the new run: its row keeps
//! key, version, length and sum, and says that the bytes are nowhere ([`LOST`]), which holds on to no file. Otherwise a
//! single flipped bit would keep its segment, and with it all later ones, for ever. A disk that refuses to read is
//! another matter, it may be right again later: the merge fails, and for some minutes values are left in the segment or file
//! that it happened in. And what is in memory of a file may be wrong where the disk is right: before a value is given up it
//! is read again from the disk.

use std::io;

use atoll_env::Instant;
use atoll_types::{Codec, Version};
use parking_lot::Mutex;

use crate::index::{Below, FilePointer, LOST, Piece, Reader, ValueRef};
use crate::journal::{JournalPointer, ReadError, ReadValue};
use crate::run::{RunSummary, RunValue, SPACE_USER};
use crate::store::group::GroupStore;
use crate::store::merging::filing::{Filing, PublishedValues};
use crate::store::planner::Avoided;
use crate::store::planner::Plan;

/// Segments and value files that a disk refused to read.
#[derive(Default)]
pub(in crate::store) struct Refused {
    pub(in crate::store) segments: Avoided<u32>,
    pub(in crate::store) files: Avoided<u32>,
}

/// The values of one merge, in key order.
pub(in crate::store) struct Evacuation<'a> {
    store: &'a GroupStore,
    /// What the merge's runs point into.
    below: &'a Below,
    plan: &'a Plan,
    refused: &'a Mutex<Refused>,
    files: Filing,
    /// Bytes moved.
    pub(in crate::store) moved: u64,
    /// Values given up.
    pub(in crate::store) lost: u64,
}

impl<'a> Evacuation<'a> {
    pub(in crate::store) fn new(store: &'a GroupStore, below: &'a Below, plan: &'a Plan) -> Self {
        Self {
            store,
            below,
            plan,
            refused: &store.0.space.refused,
            files: Filing::new(store.value_file_bytes(below)),
            moved: 0,
            lost: 0,
        }
    }

    /// The value that a row has in the new run: the same, maybe at another place. Keys must ascend.
    pub(in crate::store) async fn place(
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
        let read = reader.read(user_key, &value).or_else(|error| {
            if error.is_rot() {
                reader.forget(&value)?;
                return reader.read(user_key, &value);
            }
            Err(error)
        });
        match read {
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
        let (refused, now) = (self.refused.lock(), self.store.now());
        match value {
            ValueRef::Inline(_) => false,
            ValueRef::Journal(pointer) => refused.segments.has(&pointer.segment, now),
            ValueRef::Filed(pointer) => refused.files.has(&pointer.file, now),
            ValueRef::Joined(joined) => joined.pieces().iter().any(|piece| refused.has(piece, now)),
        }
    }

    /// Nothing of it is tried again for a while.
    fn refuse(&self, value: &ValueRef) {
        let (mut refused, now) = (self.refused.lock(), self.store.now());
        match value {
            ValueRef::Inline(_) => {}
            ValueRef::Journal(pointer) => refused.segments.add(pointer.segment, now),
            ValueRef::Filed(pointer) => refused.files.add(pointer.file, now),
            ValueRef::Joined(joined) => joined.pieces().iter().for_each(|piece| refused.add(piece, now)),
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
            stored_len: value.len() as u32,
            len: value.len() as u32,
            codec: Codec::None,
            vcrc: value.vcrc(),
        })
    }

    /// Writes a value whose sum was just checked.
    async fn write(&mut self, key: &[u8], version: Version, bytes: &[u8], vcrc: u32) -> io::Result<RunValue> {
        let pointer = self.files.add(self.store, (key, version), bytes, vcrc).await?;
        self.moved += bytes.len() as u64;
        Ok(RunValue::Filed(pointer))
    }

    /// The new value files, durable, by number.
    pub(in crate::store) async fn finish(mut self) -> io::Result<Vec<PublishedValues>> {
        self.files.finish(self.store).await
    }
}

impl Refused {
    fn has(&self, piece: &Piece, now: Instant) -> bool {
        match piece {
            Piece::Memory(_) => false,
            Piece::Journal(pointer) => self.segments.has(&pointer.segment, now),
            Piece::Filed(pointer) => self.files.has(&pointer.file, now),
        }
    }

    fn add(&mut self, piece: &Piece, now: Instant) {
        match piece {
            Piece::Memory(_) => {}
            Piece::Journal(pointer) => self.segments.add(pointer.segment, now),
            Piece::Filed(pointer) => self.files.add(pointer.file, now),
        }
    }
}

impl GroupStore {
    /// What a merge has left where nothing was to stay is no reason for another merge for a while: it would leave the same.
    pub(in crate::store) fn note_left(&self, plan: &Plan, run: &RunSummary) {
        let segments = run.journal_bytes.iter().map(|(segment, _)| *segment);
        let files = run.file_bytes.iter().map(|(file, _)| *file);
        let mut refused = self.0.space.refused.lock();
        let now = self.now();
        let left = segments.filter(|segment| *segment < plan.before);
        left.for_each(|segment| refused.segments.add(segment, now));
        let left = files.filter(|file| plan.victims.contains(file));
        left.for_each(|file| refused.files.add(file, now));
    }

    pub(in crate::store) fn now(&self) -> Instant {
        self.0.node.env.clock.now()
    }
}
