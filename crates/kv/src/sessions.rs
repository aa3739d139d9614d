//! Exactly-once: what every client was told, for as long as it may ask again.
//!
//! Safety rests on three rules. A repeat (a sequence number with a recorded outcome) never reaches
//! the data. A sequence number below the acknowledged one is refused, because its record is gone.
//! And a client whose session is gone is refused until it opens another, which the *horizon* allows
//! only with a version read after everything the lost session did: a delayed duplicate of its
//! first opening cannot revive it and let delayed duplicates of its writes in.

use std::collections::BTreeSet;

use atoll_types::limits::{SESSION_TTL_MS, SESSIONS_MAX};
use atoll_types::{ClientId, Outcome, Refusal, SlotId, Version};
use rustc_hash::FxHashMap;

use crate::SessionRef;
use crate::session::{Record, Session};

/// What bounds a group's sessions. Part of the state machine: the same on every replica for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Group time after which an unused session expires, in milliseconds.
    pub ttl_ms: u64,
    /// Sessions open at a time; one more makes the one idle longest expire.
    pub max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            ttl_ms: SESSION_TTL_MS,
            max: SESSIONS_MAX,
        }
    }
}

/// All sessions of a group.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    limits: SessionLimits,
    table: FxHashMap<ClientId, Session>,
    /// By time of last use, lazily: a row may be older than its session's last use, never newer, and
    /// is moved only when it comes to the front. So a write costs no ordered insertion.
    queue: BTreeSet<(u64, ClientId)>,
    /// The highest version any expired session reached.
    horizon: Version,
    /// Whose session changed or ended since the last freeze, a few of them twice. Empty before the first
    /// freeze, which takes everything.
    changed: Vec<ClientId>,
    /// There was a freeze, or the sessions come from one.
    tracked: bool,
}

/// Whether a write may look at data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes, it is new.
    New,
    /// No: this is what became of it.
    Repeat(Outcome),
    /// No.
    Refused(Refusal),
}

/// When and where in the version order something happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Group time.
    pub(crate) now_ms: u64,
    /// The group's last version.
    pub(crate) version: Version,
}

impl Sessions {
    pub(crate) fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Acknowledges what the client says is finished and decides about its write.
    pub(crate) fn admit(&mut self, reference: SessionRef, at: Moment) -> Admission {
        let Some(session) = self.table.get_mut(&reference.client) else {
            return Admission::Refused(Refusal::SessionExpired);
        };
        // This marks the session for whatever is done to it until the write is recorded.
        session.touch(at);
        mark(session, reference.client, &mut self.changed);
        session.acknowledge(reference.ack);
        session.admit(reference.seq)
    }

    /// Keeps the outcome of a write that was admitted as new.
    pub(crate) fn record(&mut self, reference: SessionRef, slot: SlotId, outcome: Outcome) {
        if let Some(session) = self.table.get_mut(&reference.client) {
            session.record(Record {
                seq: reference.seq,
                slot,
                outcome,
            });
        }
    }

    /// Whether the client has a session.
    pub(crate) fn is_open(&self, client: ClientId) -> bool {
        self.table.contains_key(&client)
    }

    /// When the client's session was opened, if it has one. Counts as a use of it.
    pub(crate) fn reopen(&mut self, client: ClientId, at: Moment) -> Option<Version> {
        let session = self.table.get_mut(&client)?;
        session.touch(at);
        mark(session, client, &mut self.changed);
        Some(session.opened)
    }

    /// Whether a session may be opened by someone who read `version`.
    pub(crate) fn may_open(&self, version: Version) -> bool {
        version >= self.horizon
    }

    /// Opens a session at a version given to the opening command. Returns who had to make room.
    pub(crate) fn open(&mut self, client: ClientId, at: Moment) -> Option<ClientId> {
        let evicted = if self.table.len() >= self.limits.max {
            self.expire_idlest(u64::MAX)
        } else {
            None
        };
        self.table.insert(client, Session::opened(at));
        self.queue.insert((at.now_ms, client));
        if self.tracked {
            self.changed.push(client);
        }
        evicted
    }

    /// Ends one session that has been unused for its whole lifetime, the longest unused first.
    pub(crate) fn expire_one(&mut self, now_ms: u64) -> Option<ClientId> {
        self.expire_idlest(now_ms.checked_sub(self.limits.ttl_ms)?)
    }

    /// Ends the session idle longest, by last use and then client id, if that use is not after
    /// `latest_ms`.
    fn expire_idlest(&mut self, latest_ms: u64) -> Option<ClientId> {
        loop {
            let &(queued_ms, client) = self.queue.first()?;
            if queued_ms > latest_ms {
                return None;
            }
            self.queue.pop_first();
            // Every row of the queue has a session; used since, it only moves back in the queue.
            let session = self.table.get(&client)?;
            if session.used_ms == queued_ms {
                return self.end(client);
            }
            self.queue.insert((session.used_ms, client));
        }
    }

    /// Ends a session that left the queue.
    fn end(&mut self, client: ClientId) -> Option<ClientId> {
        let session = self.table.remove(&client)?;
        self.horizon = self.horizon.max(session.reached);
        // One that changed is listed already.
        if self.tracked && !session.changed {
            self.changed.push(client);
        }
        Some(client)
    }

    pub(crate) fn limits(&self) -> SessionLimits {
        self.limits
    }

    pub(crate) fn horizon(&self) -> Version {
        self.horizon
    }

    pub(crate) fn get(&self, client: ClientId) -> Option<&Session> {
        self.table.get(&client)
    }

    /// All clients that have a session, ascending.
    pub(crate) fn clients(&self) -> Vec<ClientId> {
        // Sorted, so that nothing depends on the order of a hash table.
        let mut clients: Vec<ClientId> = self.table.keys().copied().collect();
        clients.sort_unstable();
        clients
    }

    /// Whose session changed or ended since the last call, ascending and once each; the first time everyone.
    pub(crate) fn take_changed(&mut self) -> Vec<ClientId> {
        let mut clients = std::mem::take(&mut self.changed);
        if !self.tracked {
            self.tracked = true;
            clients = self.clients();
        }
        clients.sort_unstable();
        clients.dedup();
        for client in &clients {
            if let Some(session) = self.table.get_mut(client) {
                session.changed = false;
            }
        }
        clients
    }

    /// Takes back what [`Self::take_changed`] gave.
    pub(crate) fn change_again(&mut self, clients: &[ClientId]) {
        for &client in clients {
            match self.table.get_mut(&client) {
                Some(session) => mark(session, client, &mut self.changed),
                None => self.changed.push(client),
            }
        }
    }

    /// No session yet, of a group that has had some.
    pub(crate) fn restored(limits: SessionLimits, horizon: Version) -> Self {
        Self {
            limits,
            horizon,
            tracked: true,
            ..Self::default()
        }
    }

    /// Puts back a session that a checkpoint holds. The queue then has its exact last use, where the machine that
    /// wrote the checkpoint may have had an older one. Both decide alike: what comes to the front with an older
    /// use only moves back, so whoever expires is always the least by (last use, client) of all.
    pub(crate) fn put_back(&mut self, client: ClientId, session: Session) {
        self.queue.insert((session.used_ms, client));
        self.table.insert(client, session);
    }

    /// Whether a session last used then has expired by now.
    pub(crate) fn is_over(&self, used_ms: u64, now_ms: u64) -> bool {
        now_ms
            .checked_sub(self.limits.ttl_ms)
            .is_some_and(|latest_ms| used_ms <= latest_ms)
    }
}

/// Lists a session that is about to change, unless it is listed already. All of them count as listed until the first
/// freeze.
fn mark(session: &mut Session, client: ClientId, changed: &mut Vec<ClientId>) {
    if !session.changed {
        session.changed = true;
        changed.push(client);
    }
}
