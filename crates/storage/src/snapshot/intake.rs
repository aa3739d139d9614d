//! From chunks to a run and value files.

use std::io;

use atoll_types::Version;
use atoll_types::limits::INLINE_VALUE_BYTES_MAX;

use super::error::SnapshotError;
use super::format::{Body, Chunk, Place, Row, Rows, Stream, Totals};
use super::position::SnapshotPosition;
use super::promise::Promise;
use super::staged::StagedSnapshot;
use super::sweep::Sweep;
use crate::index::Below;
use crate::journal::value_crc;
use crate::run::{RowValue, SPACE_SYSTEM};
use crate::store::{Filing, NewRun};

/// What a snapshot becomes while it comes. Of what it holds in memory only the keys' hashes, of 8 bytes each, and the
/// index of the run's blocks grow with it.
pub(super) struct Intake {
    position: SnapshotPosition,
    /// The lowest version that can be read at; known at the end.
    horizon: Version,
    /// That of the first chunk.
    stream: Option<Stream>,
    seen: Seen,
    /// All chunks have come.
    complete: bool,
    /// A write failed, or did not come to its end.
    failed: bool,
    /// What was announced and is not written.
    promise: Option<Promise>,
    run: Option<NewRun>,
    values: Filing,
    /// The last field: files go first.
    sweep: Sweep,
}

/// What has come.
#[derive(Clone)]
struct Seen {
    /// Of the next chunk.
    next: Place,
    rows: u64,
    bytes: u64,
    /// The highest version of a user's row.
    newest: Version,
    /// The same of rows of the system.
    newest_of_system: Version,
    /// Key of the last row; empty before the first.
    last_key: Vec<u8>,
    /// Its version.
    last_version: Version,
}

impl Intake {
    pub(super) fn new(position: SnapshotPosition, sweep: Sweep) -> Self {
        let most = sweep.group().options().value_file_bytes;
        Self {
            position,
            horizon: Version::ZERO,
            stream: None,
            seen: Seen {
                next: Place::FIRST,
                rows: 0,
                bytes: 0,
                newest: Version::ZERO,
                newest_of_system: Version::ZERO,
                last_key: Vec::new(),
                last_version: Version::ZERO,
            },
            complete: false,
            failed: false,
            promise: None,
            run: None,
            values: Filing::new(most),
            sweep,
        }
    }

    /// Takes the next chunk in. True if it was the last. All of it is checked before any of it is written.
    pub(super) async fn add(&mut self, bytes: &[u8]) -> Result<bool, SnapshotError> {
        self.check_sound()?;
        let chunk = Chunk::decode(bytes)?;
        self.check_place(&chunk)?;
        let mut seen = self.seen.clone();
        seen.next = chunk.place.next(chunk.sum);
        match chunk.body {
            Body::Rows(rows) => {
                for row in rows.clone() {
                    check_row(&row?, chunk.stream.history, &mut seen)?;
                }
                self.check_room(bytes.len())?;
                // Stays so if a write fails, and if nobody waits for its end.
                self.failed = true;
                self.write(rows).await?;
                self.failed = false;
                if let Some(promise) = &mut self.promise {
                    promise.keep(bytes.len() as u64);
                }
            }
            Body::Last(totals) => {
                self.check_totals(&totals)?;
                self.complete = true;
            }
        }
        self.stream = Some(chunk.stream);
        self.seen = seen;
        Ok(self.complete)
    }

    fn check_sound(&self) -> Result<(), SnapshotError> {
        if self.failed {
            let reason = "this snapshot could not be written and is to be given up";
            return Err(io::Error::other(reason).into());
        }
        Ok(())
    }

    /// Sees whether so many bytes would leave the disk enough: half as much again as it must have, as writes that come meanwhile would
    /// be refused otherwise as soon as the snapshot is here.
    pub(super) fn expect(&mut self, bytes: u64) -> Result<(), SnapshotError> {
        let group = self.sweep.group();
        let (keep_free, promised) = (group.options().keep_free, group.promised());
        if keep_free > 0 {
            let needed = keep_free.saturating_add(keep_free / 2);
            let needed = needed.saturating_add(promised.bytes()).saturating_add(bytes);
            let free = group.free_bytes()?;
            if free < needed {
                return Err(SnapshotError::NoRoom { free, needed });
            }
            self.promise = Some(promised.promise(bytes));
        }
        Ok(())
    }

    /// A disk that a snapshot fills is full for all groups. So what others must find free is left to them.
    fn check_room(&self, chunk: usize) -> Result<(), SnapshotError> {
        let keep_free = self.sweep.group().options().keep_free;
        if keep_free == 0 {
            return Ok(());
        }
        let needed = keep_free.saturating_add(chunk as u64);
        let free = self.sweep.group().free_bytes()?;
        if free < needed {
            return Err(SnapshotError::NoRoom { free, needed });
        }
        Ok(())
    }

    fn check_place(&self, chunk: &Chunk<'_>) -> Result<(), SnapshotError> {
        let group = self.sweep.group();
        let own = Stream {
            cluster: group.cluster(),
            group: group.key(),
            ..self.stream.unwrap_or(chunk.stream)
        };
        let Place {
            seq: expected,
            before,
        } = self.seen.next;
        let found = chunk.place.seq;
        if chunk.stream != own {
            Err(SnapshotError::Foreign)
        } else if found != expected {
            Err(SnapshotError::OutOfTurn { expected, found })
        } else if self.complete {
            Err(SnapshotError::Contradiction("it goes on behind its last chunk"))
        } else if chunk.place.before != before {
            Err(SnapshotError::Contradiction(
                "a chunk follows others than those that came",
            ))
        } else {
            Ok(())
        }
    }

    fn check_totals(&mut self, totals: &Totals) -> Result<(), SnapshotError> {
        if (totals.rows, totals.bytes) != (self.seen.rows, self.seen.bytes) {
            return Err(SnapshotError::Contradiction("its totals are not what came"));
        }
        let position = SnapshotPosition {
            version: totals.position.version,
            ..self.position.clone()
        };
        if totals.position != position {
            return Err(SnapshotError::Contradiction("it is of another point of the log"));
        }
        // Nobody would ever see it.
        let system = Version(position.applied.index);
        if self.seen.newest > position.version || self.seen.newest_of_system > system {
            return Err(SnapshotError::Contradiction("a row is newer than the snapshot"));
        }
        // Without history there are no older rows.
        self.horizon = totals.horizon.unwrap_or(position.version);
        self.position = position;
        Ok(())
    }

    async fn write(&mut self, rows: Rows<'_>) -> Result<(), SnapshotError> {
        for row in rows {
            self.write_row(&row?).await?;
        }
        Ok(())
    }

    async fn write_row(&mut self, row: &Row<'_>) -> Result<(), SnapshotError> {
        let (space, key) = split(row);
        let value = match row.value {
            None => RowValue::Tombstone,
            Some(bytes) if space == SPACE_SYSTEM || bytes.len() <= INLINE_VALUE_BYTES_MAX => {
                RowValue::Inline {
                    bytes,
                    vcrc: row.vcrc,
                }
            }
            Some(bytes) => {
                let group = self.sweep.group();
                let place = (key, row.version);
                RowValue::Filed(self.values.add(group, place, bytes, row.vcrc).await?)
            }
        };
        let run = match &mut self.run {
            Some(run) => run,
            None => self.run.insert(self.sweep.group().create_run(0).await?),
        };
        run.writer.add(row.key, row.version, value).await?;
        Ok(())
    }

    /// Makes everything durable under its names. No manifest names it yet.
    pub(super) async fn finish(&mut self) -> Result<StagedSnapshot, SnapshotError> {
        self.check_sound()?;
        if !self.complete {
            return Err(SnapshotError::Incomplete);
        }
        // Whatever becomes of it, nothing can be added any more.
        self.failed = true;
        // The files that the run points at come first.
        let group = self.sweep.group();
        let values = self.values.finish(group).await?;
        let run = match self.run.take() {
            Some(run) => run,
            None => group.create_run(0).await?,
        };
        let run = group.publish_run(run, self.position.applied).await?;
        let files = values
            .iter()
            .map(|values| (values.entry.number, values.file.clone()));
        let below = Below::new(vec![run.clone()], files.collect(), self.horizon);
        Ok(StagedSnapshot {
            checkpoint: self.position.checkpoint(&below)?,
            position: self.position.clone(),
            below,
            run,
            values,
            sweep: Sweep::of(group.clone()),
        })
    }
}

/// The space of a row, and its key without it.
fn split<'a>(row: &Row<'a>) -> (u8, &'a [u8]) {
    let (space, key) = row.key.split_first().unwrap_or((&u8::MAX, &[]));
    (*space, key)
}

/// Whether a row may follow those that were seen, and notes it.
fn check_row(row: &Row<'_>, history: bool, seen: &mut Seen) -> Result<(), SnapshotError> {
    let (space, key) = split(row);
    if space > SPACE_SYSTEM {
        return Err(SnapshotError::Contradiction("a row has no known space"));
    }
    let is_older = history && space != SPACE_SYSTEM && row.version < seen.last_version;
    if *row.key < *seen.last_key || *row.key == *seen.last_key && !is_older {
        return Err(SnapshotError::Contradiction("the keys do not ascend"));
    }
    if row.value.is_none() && space == SPACE_SYSTEM {
        return Err(SnapshotError::Contradiction("a row of the system has no value"));
    }
    if row.value.map_or(0, |value| value_crc(key, value)) != row.vcrc {
        return Err(SnapshotError::Contradiction(
            "a value does not match its checksum",
        ));
    }
    match space {
        SPACE_SYSTEM => seen.newest_of_system = seen.newest_of_system.max(row.version),
        _ => seen.newest = seen.newest.max(row.version),
    }
    seen.rows += 1;
    seen.bytes += row.bytes();
    seen.last_key.clear();
    seen.last_key.extend_from_slice(row.key);
    seen.last_version = row.version;
    Ok(())
}
