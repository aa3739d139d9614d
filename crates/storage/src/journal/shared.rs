//! What the handles, the writer and the groups share.

use std::collections::BTreeMap;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use atoll_env::{Env, watch};
use atoll_types::GroupKey;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc, oneshot};

use super::group::Group;
use super::intake::{Intake, Location};
use super::prepare::Work;
use super::recovery::Quarantined;
use super::segment::SegmentTable;
use super::spares::SpareRoom;
use super::stats::Stats;

/// Bytes given to the journal and not yet durable, at most; beyond it `append` waits.
pub(crate) const UNDURABLE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What an operation without payload counts for.
pub(crate) const RECORD_ROOM: usize = 256;

pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) tail_bytes_max: usize,
    /// Taken after a group's table, never before it.
    pub(crate) intake: Mutex<Intake>,
    /// There is something to write.
    pub(crate) work: Notify,
    pub(crate) room: Semaphore,
    pub(crate) segments: Arc<SegmentTable>,
    /// Segment and offset up to which everything is durable.
    durable: AtomicU64,
    /// Bytes of the current file up to where the journal ends; what is prepared beyond does not count.
    pub(crate) current_bytes: AtomicU64,
    /// The newest segment that was found rotten while the process runs; 0: none.
    pub(crate) rotten: AtomicU32,
    /// Held by whoever frees segments.
    pub(crate) freeing: tokio::sync::Mutex<()>,
    /// How many files of freed segments are kept.
    pub(crate) spares: Arc<SpareRoom>,
    /// The thread that prepares and frees files; gone when the journal has ended.
    pub(crate) preparer: mpsc::WeakSender<Work>,
    /// Bytes in all tails.
    pub(crate) tail_bytes: AtomicUsize,
    pub(crate) groups: RwLock<BTreeMap<GroupKey, Arc<Group>>>,
    pub(crate) quarantined: BTreeMap<GroupKey, Quarantined>,
    /// Sound frames found when the journal was opened.
    pub(crate) frames_found: u64,
    /// The first damage found then.
    pub(crate) damage: Option<String>,
    pub(crate) stats: Stats,
    pub(crate) ended: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(
        env: Env,
        segments: Arc<SegmentTable>,
        intake: Intake,
        groups: BTreeMap<GroupKey, Arc<Group>>,
        quarantined: BTreeMap<GroupKey, Quarantined>,
        (preparer, spares): (mpsc::WeakSender<Work>, Arc<SpareRoom>),
    ) -> Self {
        Self {
            env,
            tail_bytes_max: 0,
            intake: Mutex::new(intake),
            work: Notify::new(),
            room: Semaphore::new(UNDURABLE_BYTES_MAX),
            segments,
            durable: AtomicU64::new(0),
            current_bytes: AtomicU64::new(0),
            rotten: AtomicU32::new(0),
            freeing: tokio::sync::Mutex::default(),
            spares,
            preparer,
            tail_bytes: AtomicUsize::new(0),
            groups: RwLock::new(groups),
            quarantined,
            frames_found: 0,
            damage: None,
            stats: Stats::default(),
            ended: watch::Sender::new(false),
        }
    }

    /// Everything before `offset` of `segment`, and every segment before it, is synced.
    pub(crate) fn set_durable(&self, segment: u32, offset: u32) {
        let position = position(segment, offset);
        debug_assert!(
            self.durable.load(Ordering::Relaxed) <= position,
            "durability only grows"
        );
        self.durable.store(position, Ordering::Release);
    }

    /// True if these bytes survive a power cut.
    pub(crate) fn is_durable(&self, place: Location) -> bool {
        position(place.segment, place.offset.saturating_add(place.len))
            <= self.durable.load(Ordering::Acquire)
    }

    /// Waits until `bytes` may be given to the journal. In order of asking.
    pub(crate) async fn reserve(&self, bytes: usize) -> io::Result<SemaphorePermit<'_>> {
        let bytes = bytes.clamp(RECORD_ROOM, UNDURABLE_BYTES_MAX);
        self.room.acquire_many(bytes as u32).await.map_err(|_| closed())
    }

    /// Waits until everything given so far is durable.
    pub(crate) async fn barrier(&self) -> io::Result<()> {
        let room = self.reserve(0).await?;
        let (done, durable) = oneshot::channel();
        {
            let mut intake = self.intake.lock();
            if intake.closing {
                return Err(closed());
            }
            let bytes = room.num_permits();
            room.forget();
            // Whoever waited may be gone by then.
            intake.finish(bytes, Some(Box::new(move |result| drop(done.send(result)))));
        }
        self.work.notify_one();
        durable.await.map_err(|_| closed())?
    }

    pub(crate) fn begin_close(&self) {
        self.intake.lock().closing = true;
        self.room.close();
        self.work.notify_one();
    }
}

const fn position(segment: u32, offset: u32) -> u64 {
    (segment as u64) << 32 | offset as u64
}

/// The journal takes nothing more.
pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the journal is closed")
}

/// Ends the writer when the last handle goes.
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Deref for Handle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.begin_close();
    }
}
