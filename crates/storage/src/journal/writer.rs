//! The one task that writes.
//!
//! A loop whose only awaits are: something to write, the next file, write, sync. One frame is in
//! flight at a time (I2); its callbacks run after its sync (I1). If a write or a sync fails, nothing
//! is known about what the disk holds, so the process stops and nobody is told anything.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_env::vfs::File;
use atoll_env::{Env, Instant, trouble};
use atoll_types::{Mutant, mutant};

use super::format::{
    Align, Chain, FRAME_FLAG_MARKER, FRAME_HEADER_LEN, FrameHeader, FramePlace, SegmentHeader, body_crc,
};
use super::freeing::Freer;
use super::high_water::{Follower, HighWater, Mark};
use super::intake::{Batch, Intake, Layout};
use super::prepare::{BeginError, Fill, PrepareError, Prepared, Preparer, Request};
use super::recovery::{FolderLock, OpenError, Recovered, recover};
use super::segment::Segment;
use super::shared::Shared;
use super::{Identity, JournalOptions};

/// After this long without work the journal says on disk how far it was durable, which lets a
/// restart tell a torn last frame from a rotten one.
const IDLE_BEFORE_MARKER: Duration = Duration::from_millis(20);
/// But no more often than this.
const MARKER_EVERY: Duration = Duration::from_secs(1);
/// A buffer grown beyond this by one large entry is not kept.
const BUFFER_KEPT: usize = 8 * 1024 * 1024;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    identity: Identity,
    options: JournalOptions,
    preparer: Preparer,
    high_water: HighWater,
    lock: FolderLock,
    current: Arc<Segment>,
    align: Align,
    salt: u64,
    /// Of the next frame.
    seq: u64,
    chain: Chain,
    buffer: Vec<u8>,
    last_marker: Instant,
    /// Everything written is followed by a frame that says it was durable.
    marked: bool,
}

impl Writer {
    /// Recovers what is there and opens a new segment.
    pub(crate) async fn start(
        env: Env,
        dir: PathBuf,
        identity: Identity,
        options: JournalOptions,
    ) -> Result<(Arc<Shared>, Self), OpenError> {
        let recovered = recover(&env, &dir, identity, &options).await?;
        let Recovered {
            lock,
            segments,
            groups,
            quarantined,
            heads,
            chain,
            next_seq,
            next_segment,
            mark,
            frames,
            damage,
            journal_head,
            spares,
        } = recovered;
        let align = Align::of(&*env.vfs, &dir);
        let spare_room = spares.room().clone();
        let freer = Freer::new(env.clone(), dir.clone(), segments.clone(), spares);
        let preparer = Preparer::start(&env, dir.clone(), lock.clone(), freer);
        let follower = Follower {
            dir,
            identity,
            lock: lock.clone(),
            written: mark,
        };
        let (seq, segment) = (next_seq - 1, next_segment - 1);
        let high_water = HighWater::start(&env, follower, Mark { seq, segment });
        let first = Arc::new(Segment::fresh(next_segment, options.segment_bytes));
        let intake = Intake::new(
            segments.clone(),
            first.clone(),
            Layout {
                segment_bytes: options.segment_bytes,
                align,
            },
            heads,
            journal_head,
        );
        let last_marker = env.clock.now();
        let preparing = (preparer.work(), spare_room);
        let mut shared = Shared::new(env, segments, intake, groups, quarantined, preparing);
        shared.tail_bytes_max = options.tail_bytes;
        shared.frames_found = frames;
        shared.damage = damage;
        let mut writer = Self {
            shared: Arc::new(shared),
            identity,
            options,
            preparer,
            high_water,
            lock,
            current: first.clone(),
            align,
            salt: 0,
            seq: next_seq,
            chain,
            buffer: Vec::new(),
            last_marker,
            marked: true,
        };
        if let Err(error) = writer.begin(first).await {
            writer.end().await;
            return Err(error.into());
        }
        Ok((writer.shared.clone(), writer))
    }

    async fn begin(&mut self, first: Arc<Segment>) -> io::Result<()> {
        self.ask(first.id, self.quick_fill(), false).await?;
        self.enter(first).await
    }

    /// For a file that is waited for.
    fn quick_fill(&self) -> Fill {
        if self.options.preallocate {
            Fill::Reserve
        } else {
            Fill::Nothing
        }
    }

    async fn ask(&self, segment: u32, fill: Fill, fresh: bool) -> io::Result<()> {
        let bytes = self.options.segment_bytes;
        let request = Request {
            segment,
            bytes,
            fill,
            fresh,
        };
        self.preparer.ask(request).await
    }

    /// Lets go of the folder: from now on somebody else may open it.
    async fn end(self) -> Arc<Shared> {
        self.preparer.end().await;
        self.high_water.end().await;
        drop(self.lock);
        self.shared
    }

    /// Writes until the journal is closed.
    pub(crate) async fn run(mut self) {
        loop {
            let (batch, closing) = {
                let mut intake = self.shared.intake.lock();
                let closing = intake.closing;
                let leave = closing && intake.has_work();
                (intake.take(leave), closing)
            };
            match batch {
                Some(batch) => self.write_or_stop(batch).await,
                None if closing => {
                    self.mark().await;
                    break;
                }
                None => self.idle().await,
            }
        }
        self.end().await.ended.send_replace(true);
    }

    async fn idle(&mut self) {
        if self.marked {
            self.shared.work.notified().await;
            return;
        }
        let clock = &self.shared.env.clock;
        let now = clock.now();
        let due = (now + IDLE_BEFORE_MARKER).max(self.last_marker + MARKER_EVERY);
        if clock
            .timeout(due.since(now), self.shared.work.notified())
            .await
            .is_ok()
        {
            return;
        }
        self.mark().await;
        self.last_marker = self.shared.env.clock.now();
    }

    /// Lets a frame follow the last one, which proves that that one was durable.
    async fn mark(&mut self) {
        if self.marked {
            return;
        }
        let batch = self.shared.intake.lock().take(true);
        if let Some(batch) = batch {
            // If somebody waits for what is in it, it needs a frame behind it itself.
            let marker = batch.completions.is_empty();
            self.write_or_stop(batch).await;
            self.marked = marker;
        }
    }

    /// The batch lives on while the process stops: whoever waits for it is told nothing.
    async fn write_or_stop(&mut self, mut batch: Batch) {
        if let Err(error) = self.write(&mut batch).await {
            let reason = format!("the journal cannot be written: {error}");
            match self.shared.env.halt.now(&reason).await {}
        }
    }

    async fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        if batch.segment.id != self.current.id {
            // In this order: rather too little for a moment than too much.
            let bytes = self.current_file_bytes();
            self.note_used(0);
            self.shared.segments.seal(&self.current, bytes);
            self.enter(batch.segment.clone()).await?;
        }
        let crc = self.encode(batch);
        let end = batch.offset + self.buffer.len() as u32;
        debug_assert_eq!(batch.offset, self.chain.end, "frames follow each other");
        let file = self.current.file().expect("entering a segment sets its file");
        let started = self.shared.env.clock.now();
        file.write_at(&self.buffer, u64::from(batch.offset)).await?;
        trouble::pause("journal: written, not synced").await;
        if mutant::is(Mutant::AcknowledgeBeforeSync) {
            batch.completions.drain(..).for_each(|done| done(Ok(())));
        }
        let synced = file.sync().await;
        if !mutant::is(Mutant::SyncErrorIgnored) {
            synced?;
        }
        trouble::pause("journal: durable, nobody knows").await;
        let took = self.shared.env.clock.now().since(started);
        self.shared
            .stats
            .note_batch(self.buffer.len(), batch.records.len(), batch.entries, took);
        self.high_water.note(Mark {
            seq: self.seq,
            segment: self.current.id,
        });
        self.seq += 1;
        self.chain = Chain {
            segment: u64::from(self.current.id),
            end,
            crc,
        };
        self.marked = false;
        self.current.set_durable(end);
        self.shared.set_durable(self.current.id, end);
        self.note_used(end);
        self.shared.room.add_permits(batch.room);
        for done in batch.completions.drain(..) {
            done(Ok(()));
        }
        if self.buffer.capacity() > BUFFER_KEPT {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// The journal ends at `end` of the current file.
    fn note_used(&self, end: u32) {
        self.shared.current_bytes.store(u64::from(end), Ordering::Relaxed);
    }

    /// What the current file takes on disk, once nothing is written to it any more.
    fn current_file_bytes(&self) -> u64 {
        let reserved = if self.options.preallocate {
            self.options.segment_bytes
        } else {
            0
        };
        u64::from(self.chain.end.max(reserved))
    }

    /// Builds the frame in the buffer; this is the one copy of an entry's bytes. Returns the header's sum.
    fn encode(&mut self, batch: &Batch) -> u32 {
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.resize(FRAME_HEADER_LEN as usize, 0);
        for record in &batch.records {
            buffer.extend_from_slice(&record.header);
            buffer.extend_from_slice(&record.payload);
        }
        let body = buffer.get(FRAME_HEADER_LEN as usize..).unwrap_or_default();
        debug_assert_eq!(body.len(), batch.body_len as usize);
        let header = FrameHeader {
            seq: self.seq,
            durable_seq: self.seq - 1,
            wall_ms: self.shared.env.clock.wall_ms(),
            body_len: batch.body_len,
            body_crc: body_crc(self.salt, self.seq, body),
            previous_crc: self.chain.crc,
            records: batch.records.len() as u32,
            flags: if batch.records.is_empty() {
                FRAME_FLAG_MARKER
            } else {
                0
            },
        };
        buffer.resize(self.align.padded(buffer.len() as u32) as usize, 0);
        let place = FramePlace {
            salt: self.salt,
            segment: u64::from(batch.segment.id),
            offset: batch.offset,
            align: self.align,
        };
        let (bytes, crc) = header.encode(place);
        for (to, from) in buffer.iter_mut().zip(bytes) {
            *to = from;
        }
        crc
    }

    /// Goes over to a new segment: its header is durable before any frame is written, so that a
    /// header that cannot be read and bytes behind it together mean damage.
    async fn enter(&mut self, segment: Arc<Segment>) -> io::Result<()> {
        let prepared = match self.preparer.file().await {
            // It was made ahead, and nobody knows how long ago that failed.
            Err(PrepareError::Unmade(error)) => {
                tracing::warn!(segment = segment.id, %error, "a segment could not be made ahead; it is tried once more");
                self.ask(segment.id, self.quick_fill(), false).await?;
                self.preparer.file().await?
            }
            prepared => prepared?,
        };
        let file = match self.begin_in(prepared, &segment).await {
            Err(BeginError::Spare(error)) => {
                tracing::warn!(%error, "a freed segment's file cannot be used again; a new one is made");
                self.ask(segment.id, self.quick_fill(), true).await?;
                let prepared = self.preparer.file().await?;
                self.begin_in(prepared, &segment).await
            }
            begun => begun,
        };
        let file = file.map_err(|(BeginError::Spare(error) | BeginError::Fatal(error))| error)?;
        segment.set_file(file);
        self.chain = Chain {
            segment: u64::from(segment.id),
            end: self.align.header_len(),
            crc: self.chain.crc,
        };
        self.current = segment;
        self.note_used(self.align.header_len());
        let fill = if self.options.preallocate {
            Fill::Zeros
        } else {
            Fill::Nothing
        };
        self.ask(self.current.id + 1, fill, false).await
    }

    /// Writes a segment's header, with a salt of its own.
    async fn begin_in(&mut self, prepared: Prepared, segment: &Segment) -> Result<Arc<dyn File>, BeginError> {
        let env = &self.shared.env;
        let recycled = prepared.is_recycled();
        self.salt = env.rng.bits64();
        let header = SegmentHeader {
            identity: self.identity,
            segment: u64::from(segment.id),
            salt: self.salt,
            first_seq: self.seq,
            previous: self.chain,
            created_ms: env.clock.wall_ms(),
            segment_bytes: segment.limit,
            align: self.align,
            recycled,
        };
        let file = prepared.begin(&*env.vfs, &header.encode()).await?;
        if recycled {
            self.shared.stats.note_recycled();
        }
        Ok(file)
    }
}
