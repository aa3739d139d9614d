//! Sends a replica's newest checkpoint to another one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Env, Instant, trouble, watch};
use atoll_storage::GroupLog;
use atoll_types::limits::SNAPSHOT_CHUNK_BYTES_MAX;
use atoll_types::{GroupKey, LogId, ReplicaId};
use bytes::Bytes;

use super::holds::Hold;
use super::tries::{Tries, Turn};
use super::{Board, Holds, Room, SnapshotSource, SnapshotStore};
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
/// A receiver that is at work on one chunk for so long is passed over by those that wait for their turn.
const TURN_LIMIT: Duration = Duration::from_secs(60);
/// How often is looked what the sending holds back.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for another turn in the middle of a snapshot. The receiver keeps what it has for a minute.
const TURN_WAIT_MAX: Duration = Duration::from_secs(50);
/// The first and the longest wait before a part is sent again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How often the receiver may ask for a chunk again that it had.
const REWINDS_MAX: u32 = 64;
/// How often in a row openraft may be asked for a newer position because the log behind this one goes. Each time there is one.
const ASKED_MAX: u32 = 16;

/// What all sendings of a replica share.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) env: Env,
    pub(crate) transport: Arc<Transport>,
    pub(crate) group: GroupKey,
    pub(crate) replica: ReplicaId,
    pub(crate) log: GroupLog,
    pub(crate) room: Room,
    pub(crate) holds: Arc<Holds>,
    pub(crate) board: Arc<Board>,
    /// Told each time that the state could not be read, and why.
    pub(crate) unreadable: watch::Sender<Option<String>>,
}

/// Why a snapshot did not arrive. Another try may fare better.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Nothing went wrong: it is this follower's turn, or the log went on.
    #[error("to be begun at the newest checkpoint")]
    AskAgain,
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
    #[error("the receiver has no room for it: {0}")]
    NoRoom(String),
    #[error("it took so long that {held} bytes of this disk had to be kept for it, of at most {most}")]
    HeldTooMuch { held: u64, most: u64 },
}

impl SendError {
    /// Whether another try soon will most likely end in the same way.
    pub(super) fn lasts(&self) -> bool {
        matches!(self, Self::NoRoom(_) | Self::HeldTooMuch { .. })
    }
}

/// One sending.
struct Sending<'a> {
    sender: &'a Sender,
    to: ReplicaId,
    vote: RaftVote,
    transfer: u64,
    position: Position,
    /// The last entry that the receiver is known to have once it has the snapshot. The log behind it is held.
    behind: u64,
    /// Bytes of the snapshot, about.
    bytes: u64,
    /// `None`: the receiver has all chunks, so that what they were read from may go.
    source: Option<Box<dyn SnapshotSource>>,
    turn: Turn,
    /// The receiver has been heard.
    answered: bool,
    patience: Patience,
    /// When to look next what is held back.
    look: Instant,
}

impl Sender {
    /// Sends the newest checkpoint, which must have the entry `least`; waits for its turn first. Returns the receiver's vote:
    /// if it is not higher than this one, the receiver has everything up to `least` and follows the sender.
    ///
    /// `least` is where openraft goes on from with entries, so the log behind it must stay. While a follower waits for its turn that
    /// would be too much to keep. So when its turn comes, it keeps that and asks to be called again at once
    /// ([`SendError::AskAgain`]), with the position as it is then. Otherwise its log would be gone by the time when the snapshot, however
    /// new, has arrived, and it would need another one.
    pub(crate) async fn send(
        &self,
        tries: &mut Tries,
        (to, vote): (ReplicaId, RaftVote),
        store: &dyn SnapshotStore,
        least: Option<LogId>,
    ) -> Result<RaftVote, SendError> {
        tries.pause(&self.env.clock).await;
        let Some(turn) = tries.turn.take() else {
            tries.turn = Some(self.turn().await?);
            return Err(SendError::AskAgain);
        };
        let hold = least.and_then(|least| self.holds.hold(least.index));
        if hold.is_none() && tries.asked < ASKED_MAX {
            trouble::sometimes("a snapshot's position was told again");
            tries.asked += 1;
            tries.turn = Some(turn);
            return Err(SendError::AskAgain);
        }
        tries.asked = 0;
        let sent = match hold {
            Some(hold) => self.send_now((to, vote), (turn, hold), store, least).await,
            None => Err(SendError::NoCheckpoint(least)),
        };
        tries.note(&sent, self.env.clock.now());
        sent
    }

    async fn send_now(
        &self,
        (to, vote): (ReplicaId, RaftVote),
        (turn, hold): (Turn, Hold),
        store: &dyn SnapshotStore,
        least: Option<LogId>,
    ) -> Result<RaftVote, SendError> {
        let source = store.open().ok_or(SendError::NoCheckpoint(least))?;
        let position = source.position();
        let applied = position.applied.filter(|applied| Some(*applied) >= least);
        let applied = applied.ok_or(SendError::NoCheckpoint(least))?;
        trouble::pause("raft: a snapshot is pinned, nothing is sent").await;
        let sending = Sending {
            sender: self,
            to,
            vote,
            transfer: self.env.rng.bits64(),
            position,
            behind: hold.index(),
            bytes: source.bytes_about(),
            source: Some(source),
            turn,
            answered: false,
            patience: Patience::new(&self.env),
            look: self.env.clock.now() + LOOK_EVERY,
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
    async fn turn(&self) -> Result<Turn, SendError> {
        let served = self.board.serve();
        let permit = self.room.sending().await;
        Ok(Turn::new(permit?, served))
    }
}

impl Sending<'_> {
    async fn run(mut self) -> Result<RaftVote, SendError> {
        let (mut seq, mut rewinds) = (0, 0);
        let mut chunk = self.read(seq).await?;
        loop {
            match self.deliver(seq, chunk.clone()).await? {
                SnapshotReply::Done(vote) => return Ok(vote),
                SnapshotReply::NoRoom(why) => return Err(SendError::NoRoom(why)),
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
                    self.source()?.seek(wanted);
                    seq = wanted;
                }
                SnapshotReply::Want(wanted) => {
                    let reason = format!("asks for chunk {wanted} after chunk {seq}");
                    return Err(SendError::Receiver(reason));
                }
            }
            self.patience.progress();
            self.look_at_held()?;
            chunk = self.read(seq).await?;
        }
    }

    /// The receiver is at work on a part. If it has chunks, that is this one, or it will say what it forgot. However long that
    /// takes, it is life: a sending that is begun anew would take as long. What bounds it is what it holds back.
    async fn busy(&mut self, seq: u64, is_end: bool) -> Result<(), SendError> {
        if seq > 0 {
            self.patience.at_work();
        }
        if is_end {
            self.source = None;
        }
        if is_end || self.patience.waited() >= TURN_LIMIT {
            self.turn.permit = None;
        }
        self.look_at_held()?;
        self.patience.wait(&"the receiver is busy").await
    }

    async fn read(&mut self, seq: u64) -> Result<Option<Bytes>, SendError> {
        if self.turn.permit.is_none() {
            self.wait_for_turn().await?;
        }
        let chunk = self.source()?.next().await?;
        match &chunk {
            Some(chunk) if chunk.len() > SNAPSHOT_CHUNK_BYTES_MAX => {
                Err(SendError::TooLong(seq, chunk.len()))
            }
            _ => Ok(chunk),
        }
    }

    /// Whoever gave its turn back, because the receiver was long at work, waits for another; not for longer than that one keeps what it
    /// has, and never while this disk has to keep too much.
    async fn wait_for_turn(&mut self) -> Result<(), SendError> {
        let (clock, room) = (self.sender.env.clock.clone(), self.sender.room.clone());
        let until = clock.now() + TURN_WAIT_MAX;
        let mut sending = Box::pin(async move { room.sending().await });
        while clock.now() < until {
            if let Ok(permit) = clock.timeout(LOOK_EVERY, &mut sending).await {
                self.turn.permit = Some(permit?);
                return Ok(());
            }
            self.look_at_held()?;
        }
        Err(SendError::Stalled("no turn to send came in time".to_owned()))
    }

    fn source(&mut self) -> Result<&mut Box<dyn SnapshotSource>, SendError> {
        let lost = || SendError::Receiver("lost what it had".to_owned());
        self.source.as_mut().ok_or_else(lost)
    }

    /// Gives up once this disk has to keep too much for the sake of the receiver: the log behind the snapshot, and files that
    /// were merged since it was opened. The next snapshot holds nothing back when it begins.
    fn look_at_held(&mut self) -> Result<(), SendError> {
        let now = self.sender.env.clock.now();
        if now < self.look {
            return Ok(());
        }
        self.look = now + LOOK_EVERY;
        let files = self.source.as_ref().map_or(0, |source| source.held_back());
        let held = files.saturating_add(self.sender.log.bytes_behind(self.behind));
        let most = self.sender.room.held_max(self.bytes);
        if held > most {
            trouble::sometimes("a snapshot that held back too much was given up");
            return Err(SendError::HeldTooMuch { held, most });
        }
        Ok(())
    }

    /// Sends a part until it is answered, or for too long.
    async fn deliver(&mut self, seq: u64, chunk: Option<Bytes>) -> Result<SnapshotReply, SendError> {
        let part = SnapshotPart {
            vote: self.vote,
            transfer: self.transfer,
            bytes: self.bytes,
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
    /// The last progress.
    since: Instant,
    /// A sign of life is needed before.
    until: Instant,
    pause: Duration,
}

impl Patience {
    fn new(env: &Env) -> Self {
        let since = env.clock.now();
        Self {
            since,
            until: since + STALL_LIMIT,
            env: env.clone(),
            pause: PAUSES.0,
        }
    }

    fn progress(&mut self) {
        *self = Self::new(&self.env);
    }

    /// The receiver lives and is at work on what it has.
    fn at_work(&mut self) {
        self.until = self.env.clock.now() + STALL_LIMIT;
    }

    /// Time since the last progress.
    fn waited(&self) -> Duration {
        self.env.clock.now().since(self.since)
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
