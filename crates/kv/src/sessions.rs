//! Exactly-once: what every client was told, for as long as it may ask again.
//!
//! Safety rests on three rules. A repeat (a sequence number with a recorded outcome) never reaches
//! the data. A sequence number below the acknowledged one is refused, because its record is gone.
//! And a client whose session is gone is refused until it opens another, which the *horizon* allows
//! only with a version read after everything the lost session did: a delayed duplicate of its
//! first opening cannot revive it and let delayed duplicates of its writes in.

use std::collections::{BTreeSet, VecDeque};

use atoll_types::limits::{SESSION_OPEN_MAX, SESSION_TTL_MS, SESSIONS_MAX};
use atoll_types::{ClientId, Mutant, Outcome, Refusal, SlotId, Version, mutant};
use rustc_hash::FxHashMap;

use crate::SessionRef;

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
}

#[derive(Debug)]
struct Session {
    opened: Version,
    /// The group's last version when the session was last used; no write of it is above.
    reached: Version,
    used_ms: u64,
    ack: u64,
    /// Ascending by seq, all of them ≥ `ack`.
    records: VecDeque<Record>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    seq: u64,
    /// Goes along when the slot moves to another group.
    #[expect(
        dead_code,
        reason = "moves are not built yet; the tag is part of what they ship"
    )]
    slot: SlotId,
    outcome: Outcome,
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
        session.touch(at);
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
        let session = Session {
            opened: at.version,
            reached: at.version,
            used_ms: at.now_ms,
            ack: 0,
            records: VecDeque::new(),
        };
        self.table.insert(client, session);
        self.queue.insert((at.now_ms, client));
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
                self.horizon = self.horizon.max(session.reached);
                self.table.remove(&client);
                return Some(client);
            }
            self.queue.insert((session.used_ms, client));
        }
    }
}

impl Session {
    fn touch(&mut self, at: Moment) {
        self.used_ms = at.now_ms;
        self.reached = self.reached.max(at.version);
    }

    fn acknowledge(&mut self, ack: u64) {
        // Commands overtake each other on the way here: an older one must not move it back.
        self.ack = self.ack.max(ack);
        while self.records.front().is_some_and(|record| record.seq < self.ack) {
            self.records.pop_front();
        }
        if self.records.capacity() > 64 && self.records.len() < self.records.capacity() / 4 {
            self.records.shrink_to(self.records.len() * 2);
        }
    }

    fn admit(&self, seq: u64) -> Admission {
        if seq < self.ack {
            return Admission::Refused(Refusal::Stale);
        }
        if mutant::is(Mutant::LastSequenceOnly)
            && let Some(last) = self.records.back().filter(|last| seq <= last.seq)
        {
            return Admission::Repeat(last.outcome);
        }
        match self.find(seq) {
            Ok(at) => match self.records.get(at) {
                Some(record) => Admission::Repeat(record.outcome),
                None => Admission::New,
            },
            Err(_) if self.records.len() >= SESSION_OPEN_MAX => Admission::Refused(Refusal::TooManyOpen),
            Err(_) => Admission::New,
        }
    }

    fn record(&mut self, record: Record) {
        if let Some(version) = record.outcome.version() {
            self.reached = self.reached.max(version);
        }
        match self.find(record.seq) {
            Ok(_) => {}
            Err(at) => self.records.insert(at, record),
        }
    }

    /// Numbers mostly arrive in order, so the end is looked at first.
    fn find(&self, seq: u64) -> Result<usize, usize> {
        match self.records.back() {
            Some(last) if last.seq >= seq => self.records.binary_search_by_key(&seq, |record| record.seq),
            _ => Err(self.records.len()),
        }
    }
}
