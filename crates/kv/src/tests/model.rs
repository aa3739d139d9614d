//! The machine against the plainest program that does the same.

use std::collections::BTreeMap;

use atoll_types::limits::{SESSION_OPEN_MAX, SESSION_TTL_MS};
use atoll_types::{ClientId, Epoch, Misfit, Outcome, Refusal, Version};
use proptest::prelude::*;

use super::plan::{Plan, Step, any_step, resolve};
use super::support::*;
use crate::{Command, CommandKind, EntryHeader, Guard, Op, SessionRef, encode_entry};

#[derive(Default)]
pub(super) struct Model {
    rows: BTreeMap<Vec<u8>, (Version, Vec<u8>)>,
    pub(super) last: u64,
    now: u64,
    genesis: Option<(Epoch, Outcome)>,
    sessions: BTreeMap<ClientId, ModelSession>,
    horizon: u64,
}

struct ModelSession {
    opened: Outcome,
    reached: u64,
    used: u64,
    ack: u64,
    outcomes: BTreeMap<u64, Outcome>,
}

impl Model {
    /// What commands are made from: the rows and the last version.
    pub(super) fn at(rows: &BTreeMap<Vec<u8>, (Version, Vec<u8>)>, last: Version) -> Self {
        Self {
            rows: rows.clone(),
            last: last.0,
            ..Self::default()
        }
    }

    fn entry(&mut self, header: EntryHeader, commands: &[Command]) -> Vec<Outcome> {
        self.now += u64::from(header.elapsed_ms.min(60_000));
        let (now, last) = (self.now, self.last);
        let (gone, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.sessions)
            .into_iter()
            .partition(|(_, s)| s.used + SESSION_TTL_MS <= now);
        assert!(gone.values().all(|session| session.reached <= last));
        self.horizon = gone
            .values()
            .map(|session| session.reached)
            .chain([self.horizon])
            .max()
            .unwrap();
        self.sessions = kept;
        commands
            .iter()
            .map(|command| self.command(header.stamp.0, command))
            .collect()
    }

    fn command(&mut self, stamp: u64, command: &Command) -> Outcome {
        match &command.kind {
            CommandKind::Tick | CommandKind::KeepHistory { .. } => Outcome::Done {
                version: Version(self.last),
            },
            CommandKind::CloseAt => {
                self.last = self.last.max(command.after.0);
                Outcome::Done {
                    version: Version(self.last),
                }
            }
            CommandKind::OpenSession { version } => {
                self.open(stamp, command.session.unwrap().client, version.0, command.after.0)
            }
            CommandKind::Genesis { epoch, .. } => match self.genesis {
                Some((first, outcome)) if first == *epoch => outcome,
                Some(_) => refused(Refusal::Unsupported),
                None => {
                    let outcome = self.done(stamp, command.after.0);
                    self.genesis.insert((*epoch, outcome)).1
                }
            },
            CommandKind::Write => match command.session {
                None => self.write(stamp, command),
                Some(session) => self.in_session(stamp, command, session),
            },
            _ => refused(Refusal::Unsupported),
        }
    }

    fn done(&mut self, stamp: u64, after: u64) -> Outcome {
        self.last = stamp.max(self.last + 1).max(after + 1);
        Outcome::Done {
            version: Version(self.last),
        }
    }

    fn open(&mut self, stamp: u64, client: ClientId, read: u64, after: u64) -> Outcome {
        if self.sessions.contains_key(&client) && read > self.last {
            self.done(stamp, read);
        }
        let (now, last) = (self.now, self.last);
        if let Some(session) = self.sessions.get_mut(&client) {
            session.used = now;
            session.reached = last;
            return session.opened;
        }
        if read < self.horizon {
            return refused(Refusal::BelowHorizon);
        }
        let opened = self.done(stamp, after.max(read));
        let fresh = ModelSession {
            opened,
            reached: self.last,
            used: now,
            ack: 0,
            outcomes: BTreeMap::new(),
        };
        self.sessions.insert(client, fresh);
        opened
    }

    fn in_session(&mut self, stamp: u64, command: &Command, reference: SessionRef) -> Outcome {
        let (now, last) = (self.now, self.last);
        let Some(session) = self.sessions.get_mut(&reference.client) else {
            return refused(Refusal::SessionExpired);
        };
        session.used = now;
        session.reached = last;
        session.ack = session.ack.max(reference.ack);
        let ack = session.ack;
        session.outcomes.retain(|seq, _| *seq >= ack);
        if reference.seq < ack {
            return refused(Refusal::Stale);
        }
        if let Some(outcome) = session.outcomes.get(&reference.seq) {
            return *outcome;
        }
        assert!(session.outcomes.len() < SESSION_OPEN_MAX);
        let outcome = self.write(stamp, command);
        let reached = self.last;
        let session = self.sessions.get_mut(&reference.client).unwrap();
        session.reached = reached;
        if !matches!(outcome, Outcome::Refused(_)) {
            session.outcomes.insert(reference.seq, outcome);
        }
        outcome
    }

    fn write(&mut self, stamp: u64, command: &Command) -> Outcome {
        let slot = command.slot;
        if self.genesis.is_none() {
            return refused(Refusal::NoGenesis);
        }
        if slot.0 > 99 {
            return refused(Refusal::NotOwner {
                slot,
                epoch: Epoch(0),
            });
        }
        for (position, guard) in command.guards.iter().enumerate() {
            let (holds, actual) = self.guard(guard);
            if !holds {
                return Outcome::GuardFailed {
                    guard: position as u16,
                    actual,
                };
            }
        }
        let before = (self.rows.clone(), self.last);
        let done = self.done(stamp, command.after.0);
        let mut numbers = Vec::new();
        for (position, op) in command.ops.iter().enumerate() {
            match self.op(op) {
                Ok(number) => numbers.extend(number),
                Err(misfit) => {
                    (self.rows, self.last) = before;
                    let op = position as u16;
                    return Outcome::Misfit { op, misfit };
                }
            }
        }
        match numbers[..] {
            [number] => Outcome::Computed {
                version: Version(self.last),
                number,
            },
            _ => done,
        }
    }

    /// One operation after the other, as a reader of the documentation would think of it.
    fn op(&mut self, op: &Op) -> Result<Option<i64>, Misfit> {
        let version = Version(self.last);
        let old = self.rows.get(&op.key()[..]).map(|(_, value)| value.clone());
        match op {
            Op::Put { key, value } => {
                self.rows.insert(key.to_vec(), (version, value.to_vec()));
                return Ok(None);
            }
            Op::Delete { key } => {
                self.rows.remove(&key[..]);
                return Ok(None);
            }
            Op::DeleteRange { start, end, limit } => {
                let inside = self.rows.range(start.to_vec()..end.to_vec());
                let keys: Vec<_> = inside.map(|(key, _)| key.clone()).take(*limit as usize).collect();
                self.rows.retain(|key, _| !keys.contains(key));
                return Ok(i64::try_from(keys.len()).ok());
            }
            Op::Append { key, suffix } => {
                let whole = [&old.unwrap_or_default()[..], suffix].concat();
                let len = i64::try_from(whole.len()).ok();
                self.rows.insert(key.to_vec(), (version, whole));
                return Ok(len);
            }
            _ => {}
        }
        let old = match old {
            Some(text) => Some(plain_number(&text).ok_or(Misfit::NotANumber)?),
            None => None,
        };
        let new = match op {
            Op::Increment { by, .. } => old.unwrap_or(0).checked_add(*by).ok_or(Misfit::Overflow)?,
            Op::Min { number, .. } => old.unwrap_or(*number).min(*number),
            Op::Max { number, .. } => old.unwrap_or(*number).max(*number),
            other => panic!("{other:?}"),
        };
        if matches!(op, Op::Increment { .. }) || old != Some(new) {
            let text = new.to_string().into_bytes();
            self.rows.insert(op.key().to_vec(), (version, text));
        }
        Ok(Some(new))
    }

    pub(super) fn guard(&self, guard: &Guard) -> (bool, Option<Version>) {
        match guard {
            Guard::Key { key, expected } => {
                let actual = self.rows.get(&key[..]).map(|row| row.0);
                (actual.unwrap_or_default() == *expected, actual)
            }
            Guard::Range { start, end, newest } => {
                let inside = |key: &[u8]| key >= &start[..] && (end.is_empty() || key < &end[..]);
                let rows = self.rows.iter().filter(|(key, _)| inside(key));
                let actual = rows.map(|(_, row)| row.0).max();
                (actual.unwrap_or_default() <= *newest, actual)
            }
        }
    }
}

fn plain_number(text: &[u8]) -> Option<i64> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    text.parse()
        .ok()
        .filter(|number: &i64| number.to_string() == text)
}

/// Two replicas and the model.
struct Trio {
    leader: Rig,
    follower: Rig,
    model: Model,
}

impl Trio {
    fn entry(&mut self, stamp: u64, elapsed_ms: u32, plans: &[Plan]) -> Result<(), TestCaseError> {
        let header = EntryHeader {
            stamp: Version(stamp),
            elapsed_ms,
        };
        let commands: Vec<Command> = plans.iter().map(|plan| resolve(plan, &self.model)).collect();
        let expected = self.model.entry(header, &commands);
        prop_assert_eq!(self.leader.entry(stamp, elapsed_ms, &commands), expected);
        let payload = encode_entry(header, &commands);
        self.follower
            .machine
            .apply(&payload, &mut self.follower.state, None)
            .unwrap();
        let (machine, twin, model) = (&self.leader.machine, &self.follower.machine, &self.model);
        prop_assert_eq!(&self.leader.state.rows, &model.rows);
        prop_assert_eq!(&self.follower.state.rows, &model.rows);
        prop_assert_eq!(self.leader.state.wrong_sums, 0);
        prop_assert_eq!(machine.last_version(), Version(model.last));
        prop_assert_eq!(machine.group_time_ms(), model.now);
        prop_assert_eq!(machine.session_count(), model.sessions.len());
        prop_assert_eq!(machine.state_hash(), twin.state_hash());
        Ok(())
    }
}

proptest! {
    #[test]
    fn agrees_with_the_model_and_with_its_twin(steps in prop::collection::vec(any_step(), 1..40)) {
        let mut trio = Trio { leader: Rig::unborn(), follower: Rig::unborn(), model: Model::default() };
        for step in steps {
            match step {
                Step::Entry { stamp, elapsed_ms, plans } => trio.entry(stamp, elapsed_ms, &plans)?,
                Step::Idle(minutes) => {
                    for _ in 0..minutes {
                        trio.entry(0, MINUTE, &[Plan::Tick])?;
                    }
                }
            }
        }
    }
}
