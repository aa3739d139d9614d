//! Sends a replica's newest checkpoint to another one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Env, Instant, trouble, watch};
use atoll_types::limits::SNAPSHOT_CHUNK_BYTES_MAX;
use atoll_types::{GroupKey, LogId, ReplicaId};
use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::{Holds, Room, SnapshotSource, SnapshotStore};
use crate::transport::{CallFailure, Transport};
use crate::types::RaftVote;
use crate::wire::{self, Kind, SnapshotPart, SnapshotReply};
use crate::{Position, facts};

/// How long one part may take to get there, be dealt with and be answered. Then it is sent again: a receiver that is still
/// at work on it says so. Must leave room for several within [`STALL_LIMIT`].
const PART_LIMIT: Duration = Duration::from_secs(10);
/// Without any sign of life for so long, the sending is given up; openraft begins a new one. Until the first answer it is given
/// up at once: nothing is lost by that, and a node that is down must not take up the turns of those that are not.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// A receiver may be at work on one part for so long, above all on the end, at which it installs the snapshot. Bounded because
/// the log behind the snapshot is kept meanwhile: a disk over there that hangs for ever must not fill the one here.
const WORK_LIMIT: Duration = Duration::from_secs(10 * 60);
/// The first and the longest wait before a part is sent again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How often the receiver may ask for a chunk again that it had.
const REWINDS_MAX: u32 = 64;

/// What all sendings of a replica share.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) env: Env,
    pub(crate) transport: Arc<Transport>,
    pub(crate) group: GroupKey,
    pub(crate) replica: ReplicaId,
    pub(crate) room: Room,
    pub(crate) holds: Arc<Holds>,
    /// Told each time that the state could not be read, and why.
    pub(crate) unreadable: watch::Sender<Option<String>>,
}

/// Why a snapshot did not arrive. Another try may fare better.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("there is no checkpoint as new as {0:?}")]
    NoCheckpoint(Option<LogId>),
    #[error("the checkpoint cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("chunk {0} of the checkpoint has {1} bytes, which no frame takes")]
    TooLong(u64, usize),
    #[error("no progress: {0}")]
    Stalled(String),
    #[error("the receiver {0}")]
    Receiver(String),
}

/// One sending.
struct Sending<'a> {
    sender: &'a Sender,
    to: ReplicaId,
    vote: RaftVote,
    transfer: u64,
    position: Position,
    source: Box<dyn SnapshotSource>,
    /// Given back as soon as all chunks are there: an install may take long, and others wait.
    turn: Option<SemaphorePermit<'a>>,
    /// The receiver has been heard.
    answered: bool,
    patience: Patience,
}

impl Sender {
    /// Sends the newest checkpoint, which must have the entry `least`; waits for its turn first. Returns the receiver's vote:
    /// if it is not higher than this one, the receiver has everything up to `least` and follows the sender.
    pub(crate) async fn send(
        &self,
        to: ReplicaId,
        vote: RaftVote,
        store: &dyn SnapshotStore,
        least: Option<LogId>,
    ) -> Result<RaftVote, SendError> {
        let turn = self.turn().await;
        let source = store.open().ok_or(SendError::NoCheckpoint(least))?;
        let position = source.position();
        let applied = position.applied.filter(|applied| Some(*applied) >= least);
        let applied = applied.ok_or(SendError::NoCheckpoint(least))?;
        let hold = self.holds.hold(applied.index);
        trouble::pause("raft: a snapshot is pinned, nothing is sent").await;
        let sending = Sending {
            sender: self,
            to,
            vote,
            transfer: self.env.rng.bits64(),
            position,
            source,
            turn,
            answered: false,
            patience: Patience::new(&self.env),
        };
        let theirs = sending.run().await.inspect_err(|error| {
            if matches!(error, SendError::Unreadable(_)) {
                self.unreadable.send_replace(Some(error.to_string()));
            }
        })?;
        if theirs <= vote {
            hold.arrived(to);
        }
        facts::snapshot_sent((self.group, self.replica), to, applied);
        Ok(theirs)
    }

    /// Waits until chunks may be read and sent.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed; were it, more at once would be no harm.
        self.room.sending.acquire().await.ok()
    }
}

impl Sending<'_> {
    async fn run(mut self) -> Result<RaftVote, SendError> {
        let (mut seq, mut rewinds) = (0, 0);
        let mut chunk = self.read(seq).await?;
        loop {
            match self.deliver(seq, chunk.clone()).await? {
                SnapshotReply::Done(vote) => return Ok(vote),
                SnapshotReply::Busy => {
                    self.busy(seq, chunk.is_none()).await?;
                    continue;
                }
                SnapshotReply::Want(wanted) if wanted == seq => {
                    self.patience.wait(&"the receiver took nothing").await?;
                    continue;
                }
                SnapshotReply::Want(wanted) if wanted == seq + 1 && chunk.is_some() => seq = wanted,
                SnapshotReply::Want(wanted) if wanted < seq && rewinds < REWINDS_MAX => {
                    rewinds += 1;
                    trouble::sometimes("a receiver asked for a chunk again");
                    self.source.seek(wanted);
                    seq = wanted;
                }
                SnapshotReply::Want(wanted) => {
                    let reason = format!("asks for chunk {wanted} after chunk {seq}");
                    return Err(SendError::Receiver(reason));
                }
            }
            self.patience.progress();
            chunk = self.read(seq).await?;
        }
    }

    /// The receiver is at work on a part. If it has chunks, that is this one, or it will say what it forgot.
    async fn busy(&mut self, seq: u64, is_end: bool) -> Result<(), SendError> {
        if seq > 0 {
            self.patience.at_work();
        }
        if is_end {
            self.turn = None;
        }
        self.patience.wait(&"the receiver is busy").await
    }

    async fn read(&mut self, seq: u64) -> Result<Option<Bytes>, SendError> {
        if self.turn.is_none() {
            self.turn = self.sender.turn().await;
        }
        let chunk = self.source.next().await?;
        match &chunk {
            Some(chunk) if chunk.len() > SNAPSHOT_CHUNK_BYTES_MAX => {
                Err(SendError::TooLong(seq, chunk.len()))
            }
            _ => Ok(chunk),
        }
    }

    /// Sends a part until it is answered, or for too long.
    async fn deliver(&mut self, seq: u64, chunk: Option<Bytes>) -> Result<SnapshotReply, SendError> {
        let part = SnapshotPart {
            vote: self.vote,
            transfer: self.transfer,
            position: self.position.clone(),
            seq,
            chunk,
        };
        let body = wire::encode_snapshot_part(&part);
        drop(part);
        loop {
            trouble::pause("raft: before a part of a snapshot is sent").await;
            let Sender {
                transport,
                group,
                replica,
                ..
            } = self.sender;
            let ends = (*replica, self.to);
            let answer = transport.call(Kind::Snapshot, *group, ends, body.clone(), PART_LIMIT);
            match answer.await {
                Ok(answer) => {
                    self.answered = true;
                    let reply = wire::decode_snapshot_reply(answer);
                    return reply.ok_or_else(|| SendError::Receiver("cannot be understood".to_owned()));
                }
                Err(CallFailure::Refused(reason)) => {
                    return Err(SendError::Receiver(format!("refused: {reason}")));
                }
                Err(failure) if !self.answered => return Err(SendError::Stalled(failure.to_string())),
                Err(failure) => self.patience.wait(&failure).await?,
            }
        }
    }
}

/// How long to go on without progress.
struct Patience {
    env: Env,
    /// A sign of life is needed before.
    until: Instant,
    /// Progress is needed before.
    end: Instant,
    pause: Duration,
}

impl Patience {
    fn new(env: &Env) -> Self {
        let now = env.clock.now();
        Self {
            until: now + STALL_LIMIT,
            end: now + WORK_LIMIT,
            env: env.clone(),
            pause: PAUSES.0,
        }
    }

    fn progress(&mut self) {
        *self = Self::new(&self.env);
    }

    /// The receiver lives and is at work on what it has.
    fn at_work(&mut self) {
        self.until = self.end.min(self.env.clock.now() + STALL_LIMIT);
    }

    /// Waits before another try; fails if there was no sign of life for too long.
    async fn wait(&mut self, why: &impl fmt::Display) -> Result<(), SendError> {
        if self.env.clock.now() + self.pause >= self.until {
            return Err(SendError::Stalled(why.to_string()));
        }
        self.env.clock.sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
        Ok(())
    }
}
