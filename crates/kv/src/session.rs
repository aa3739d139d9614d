//! One client's session: what it may still ask about.

use std::collections::VecDeque;

use atoll_types::limits::SESSION_OPEN_MAX;
use atoll_types::{Mutant, Outcome, Refusal, SlotId, Version, mutant};

use crate::sessions::{Admission, Moment};

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) opened: Version,
    /// The group's last version when the session was last used; no write of it is above.
    pub(crate) reached: Version,
    pub(crate) used_ms: u64,
    pub(crate) ack: u64,
    /// Ascending by seq, all of them ≥ `ack`.
    pub(crate) records: VecDeque<Record>,
    /// Changed since the last freeze; see [`crate::sessions::Sessions::take_changed`].
    pub(crate) changed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    /// Goes along when the slot moves to another group.
    pub(crate) slot: SlotId,
    /// Never a refusal: those are not remembered.
    pub(crate) outcome: Outcome,
}

impl Session {
    pub(crate) fn opened(at: Moment) -> Self {
        Self {
            opened: at.version,
            reached: at.version,
            used_ms: at.now_ms,
            ack: 0,
            records: VecDeque::new(),
            changed: true,
        }
    }

    pub(crate) fn touch(&mut self, at: Moment) {
        self.used_ms = at.now_ms;
        self.reached = self.reached.max(at.version);
    }

    pub(crate) fn acknowledge(&mut self, ack: u64) {
        // Commands overtake each other on the way here: an older one must not move it back.
        self.ack = self.ack.max(ack);
        while self.records.front().is_some_and(|record| record.seq < self.ack) {
            self.records.pop_front();
        }
        if self.records.capacity() > 64 && self.records.len() < self.records.capacity() / 4 {
            self.records.shrink_to(self.records.len() * 2);
        }
    }

    pub(crate) fn admit(&self, seq: u64) -> Admission {
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

    pub(crate) fn record(&mut self, record: Record) {
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
