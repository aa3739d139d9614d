//! Receives snapshots for one replica, one at a time.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use atoll_env::{Env, Instant, trouble};
use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit};

use super::{Installer, Room, SnapshotSink, SnapshotStore};
use crate::Position;
use crate::types::RaftVote;
use crate::wire::{self, SnapshotPart, SnapshotReply};

/// A reception that hears nothing for so long ends. A sender gives up before.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// The receiving end. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Receiver(Arc<Inner>);

struct Inner {
    env: Env,
    installer: Installer,
    room: Room,
    state: Arc<Mutex<State>>,
}

struct State {
    /// `None`: stopped. Whoever stops a replica may want its store back while handles to it live on.
    store: Option<Arc<dyn SnapshotStore>>,
    reception: Option<Reception>,
}

/// A snapshot of which some chunks came.
struct Reception {
    transfer: u64,
    vote: RaftVote,
    position: Position,
    /// The chunk that comes next.
    next: u64,
    sink: Box<dyn SnapshotSink>,
    touched: Instant,
    _room: OwnedSemaphorePermit,
}

impl Receiver {
    pub(crate) fn new(env: Env, installer: Installer, store: Arc<dyn SnapshotStore>, room: Room) -> Self {
        Self(Arc::new(Inner {
            env,
            installer,
            room,
            state: Arc::new(Mutex::new(State {
                store: Some(store),
                reception: None,
            })),
        }))
    }

    /// Installs what was received, and keeps appends away meanwhile.
    pub(crate) fn installer(&self) -> &Installer {
        &self.0.installer
    }

    /// Answers a part of a snapshot. The error is for people; the sender gives up.
    pub(crate) async fn answer(&self, body: Bytes) -> Result<Bytes, String> {
        let part = wire::decode_snapshot_part(body).ok_or("unreadable Snapshot")?;
        let own = self.clone();
        // A task of its own: the stream it came on may break, and a sink or an install must not be left half way.
        let taking = self.0.env.spawn.spawn(async move { own.take(part).await });
        let reply = taking.await.ok_or("the replica stops")??;
        Ok(wire::encode_snapshot_reply(&reply))
    }

    /// Ends what is being received; nothing more is. On return nothing holds the store any more.
    pub(crate) async fn stop(&self) {
        let mut state = self.0.state.lock().await;
        state.store = None;
        state.reception = None;
    }

    async fn take(&self, part: SnapshotPart) -> Result<SnapshotReply, String> {
        self.0.installer.check(&part)?;
        if let Some(higher) = self.higher_vote(&part) {
            return Ok(SnapshotReply::Done(higher));
        }
        // A part that is repeated while the first is still being taken must not pile up here.
        let Ok(mut state) = Arc::clone(&self.0.state).try_lock_owned() else {
            return Ok(SnapshotReply::Busy);
        };
        let Some(store) = state.store.clone() else {
            return Err("the replica stops".to_owned());
        };
        let known = state.reception.as_ref().map(|reception| reception.transfer);
        if known != Some(part.transfer) {
            // Of what is here already nothing need be sent, above all not what was just installed.
            if let Some(vote) = self.0.installer.has(&part).await? {
                return Ok(SnapshotReply::Done(vote));
            }
            if part.seq != 0 {
                return Ok(SnapshotReply::Want(0));
            }
            if let Err(error) = self.begin(&mut state, &*store, &part).await? {
                return refused("cannot begin with a snapshot", &error);
            }
        }
        self.go_on(&mut state, part).await
    }

    /// A vote that is higher than the sender's.
    fn higher_vote(&self, part: &SnapshotPart) -> Option<RaftVote> {
        let metrics = self.0.installer.raft().metrics();
        let vote = metrics.borrow_watched().vote;
        (vote > part.vote).then_some(vote)
    }

    /// The inner error is the sink's.
    async fn begin(
        &self,
        state: &mut State,
        store: &dyn SnapshotStore,
        part: &SnapshotPart,
    ) -> Result<io::Result<()>, String> {
        if let Some(before) = &state.reception {
            if before.vote > part.vote {
                return Err("is receiving the snapshot of a newer leader".to_owned());
            }
            trouble::sometimes("a snapshot was replaced by another one");
        }
        // What it takes up is needed for the new one.
        state.reception = None;
        let room = self.0.room.receive();
        let room = room.ok_or("is receiving as many snapshots as it can")?;
        let mut sink = store.receive(part.position.clone());
        if let Err(error) = sink.expect(part.bytes).await {
            trouble::sometimes("a snapshot was refused before it came");
            return Ok(Err(error));
        }
        state.reception = Some(Reception {
            transfer: part.transfer,
            vote: part.vote,
            position: part.position.clone(),
            next: 0,
            sink,
            touched: self.0.env.clock.now(),
            _room: room,
        });
        let watching = watch_idle(self.0.env.clone(), Arc::downgrade(&self.0.state), part.transfer);
        self.0.env.spawn.spawn(watching);
        Ok(Ok(()))
    }

    async fn go_on(
        &self,
        state: &mut OwnedMutexGuard<State>,
        part: SnapshotPart,
    ) -> Result<SnapshotReply, String> {
        let now = self.0.env.clock.now();
        // Out of its place while it is used: if that fails, it is gone.
        let Some(mut reception) = state.reception.take() else {
            return Ok(SnapshotReply::Want(0));
        };
        if (reception.vote, &reception.position) != (part.vote, &part.position) {
            // Raft would be told of another snapshot than the one that is here.
            return Err("parts of two snapshots under one number".to_owned());
        }
        reception.touched = now;
        if part.seq != reception.next {
            let wanted = reception.next;
            state.reception = Some(reception);
            return Ok(SnapshotReply::Want(wanted));
        }
        let Some(chunk) = part.chunk.clone() else {
            trouble::pause("raft: a snapshot is received, nothing is installed").await;
            let staged = match reception.sink.finish().await {
                Ok(staged) => staged,
                Err(error) => return refused("cannot keep the snapshot", &error),
            };
            let vote = self.0.installer.install(&part, staged).await?;
            return Ok(SnapshotReply::Done(vote));
        };
        trouble::pause("raft: before a chunk is kept").await;
        if let Err(error) = reception.sink.add(part.seq, chunk).await {
            return refused(&format!("cannot keep chunk {}", part.seq), &error);
        }
        reception.next += 1;
        reception.touched = self.0.env.clock.now();
        let wanted = reception.next;
        state.reception = Some(reception);
        Ok(SnapshotReply::Want(wanted))
    }
}

/// What a sink's error means to the sender: without room here, another try soon is of no use.
fn refused(what: &str, error: &io::Error) -> Result<SnapshotReply, String> {
    let why = format!("{what}: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Ok(SnapshotReply::NoRoom(why)),
        _ => Err(why),
    }
}

/// Ends a reception once it has been idle for too long.
async fn watch_idle(env: Env, state: Weak<Mutex<State>>, transfer: u64) {
    let mut until = Some(env.clock.now() + IDLE_LIMIT);
    while let Some(look) = until {
        env.clock.sleep_until(look).await;
        let Some(state) = state.upgrade() else { return };
        let mut state = state.lock().await;
        until = end_if_idle(&mut state, transfer, env.clock.now());
    }
}

/// Ends a reception that has been idle for too long; else says when to look again. `None`: it is over.
fn end_if_idle(state: &mut State, transfer: u64, now: Instant) -> Option<Instant> {
    let reception = state.reception.as_ref()?;
    if reception.transfer != transfer {
        return None;
    }
    let until = reception.touched + IDLE_LIMIT;
    if until > now {
        return Some(until);
    }
    trouble::sometimes("a snapshot that nobody sent on was dropped");
    state.reception = None;
    None
}
