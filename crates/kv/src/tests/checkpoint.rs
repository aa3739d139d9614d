//! Restored machines against those that never stopped.

use std::collections::{BTreeMap, VecDeque};

use atoll_types::{ClientId, Key, Outcome, Refusal, Version};
use bytes::Bytes;
use proptest::prelude::*;

use super::model::Model;
use super::plan::{Plan, Step, any_step, resolve};
use super::support::*;
use crate::testing::MapState;
use crate::{
    Command, EntryHeader, FreezeId, Frozen, Machine, RestoreError, SessionLimits, SystemRow, encode_entry,
};

/// System rows as a carrier has them.
pub(super) type Rows = BTreeMap<Key, Bytes>;

/// Puts newer rows over older ones.
pub(super) fn put_over(rows: &mut Rows, newer: Vec<SystemRow>) {
    for SystemRow { key, value } in newer {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
}

pub(super) fn whole(machine: &Machine) -> Rows {
    let row = |row: SystemRow| (row.key, row.value.unwrap());
    machine.checkpoint_all().map(row).collect()
}

pub(super) fn restore(limits: SessionLimits, rows: &Rows) -> Result<Machine, RestoreError> {
    let rows = rows.iter().map(|(key, value)| (key.as_bytes(), value));
    Machine::restore(CLUSTER, GROUP, limits, rows)
}

/// What happens to a replica between two entries.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It freezes; nothing is durable yet.
    Freeze,
    /// The oldest freeze under way becomes durable.
    Durable,
    /// No freeze under way becomes durable.
    Failed,
    /// It is killed, restored from what is durable, and applies the log from there.
    Restart,
    /// It is given the state by another replica, as it is now.
    Shipped,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Freeze),
        4 => Just(Event::Durable),
        1 => Just(Event::Failed),
        3 => Just(Event::Restart),
        1 => Just(Event::Shipped),
    ]
}

/// System rows and user rows up to a place in the log.
#[derive(Clone)]
struct Checkpoint {
    system: Rows,
    state: MapState,
    applied: usize,
}

/// Rows of a freeze that are being written, and all there is at that point.
struct Flight {
    id: FreezeId,
    rows: Vec<SystemRow>,
    whole: Checkpoint,
}

/// One machine that never stops and one that does.
struct Pair {
    limits: SessionLimits,
    steady: Rig,
    mortal: Rig,
    log: Vec<(Bytes, Vec<Outcome>)>,
    durable: Option<Checkpoint>,
    flights: VecDeque<Flight>,
}

impl Pair {
    fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            steady: Rig::limited(limits),
            mortal: Rig::limited(limits),
            log: Vec::new(),
            durable: None,
            flights: VecDeque::new(),
        }
    }

    fn entry(&mut self, stamp: u64, elapsed_ms: u32, plans: &[Plan]) -> Result<(), TestCaseError> {
        let now = Model::at(&self.steady.state.rows, self.steady.machine.last_version());
        let commands: Vec<Command> = plans.iter().map(|plan| resolve(plan, &now)).collect();
        let outcomes = self.steady.entry(stamp, elapsed_ms, &commands);
        let header = EntryHeader {
            stamp: Version(stamp),
            elapsed_ms,
        };
        self.log.push((encode_entry(header, &commands), outcomes));
        self.apply(self.log.len() - 1)?;
        self.compare()
    }

    /// Applies an entry of the log where it was not applied yet.
    fn apply(&mut self, at: usize) -> Result<(), TestCaseError> {
        let (payload, expected) = &self.log[at];
        let mut outcomes = Vec::new();
        let Rig { machine, state } = &mut self.mortal;
        machine.apply(payload, state, Some(&mut outcomes)).unwrap();
        prop_assert_eq!(&outcomes, expected);
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let (steady, mortal) = (&self.steady.machine, &self.mortal.machine);
        prop_assert_eq!(mortal.state_hash(), steady.state_hash());
        prop_assert_eq!(mortal.last_version(), steady.last_version());
        prop_assert_eq!(mortal.group_time_ms(), steady.group_time_ms());
        prop_assert_eq!(mortal.session_count(), steady.session_count());
        prop_assert_eq!(mortal.owned_slots(), steady.owned_slots());
        prop_assert_eq!(&self.mortal.state, &self.steady.state);
        prop_assert_eq!(whole(mortal), whole(steady));
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Freeze => self.freeze(),
            Event::Durable => self.durable()?,
            Event::Failed => {
                self.flights.clear();
                self.mortal.machine.frozen_failed();
            }
            Event::Restart => self.restart()?,
            Event::Shipped => {
                let system = whole(&self.steady.machine);
                self.flights.clear();
                self.mortal.machine = restore(self.limits, &system).unwrap();
                self.durable = Some(self.checkpoint(system));
            }
        }
        self.compare()
    }

    fn checkpoint(&self, system: Rows) -> Checkpoint {
        Checkpoint {
            system,
            state: self.mortal.state.clone(),
            applied: self.log.len(),
        }
    }

    fn freeze(&mut self) {
        let whole = self.checkpoint(whole(&self.mortal.machine));
        let Frozen { id, rows } = self.mortal.machine.freeze();
        assert!(rows.is_sorted_by(|a, b| a.key < b.key));
        self.flights.push_back(Flight { id, rows, whole });
    }

    /// What was frozen since the beginning makes the whole.
    fn durable(&mut self) -> Result<(), TestCaseError> {
        let Some(Flight { id, rows, whole }) = self.flights.pop_front() else {
            return Ok(());
        };
        let mut system = self.durable.take().map_or_else(Rows::new, |before| before.system);
        put_over(&mut system, rows);
        prop_assert_eq!(&system, &whole.system);
        self.durable = Some(whole);
        self.mortal.machine.frozen_durable(id);
        Ok(())
    }

    fn restart(&mut self) -> Result<(), TestCaseError> {
        self.flights.clear();
        self.mortal = Rig::limited(self.limits);
        let mut from = 0;
        if let Some(checkpoint) = self.durable.clone() {
            self.mortal.machine = restore(self.limits, &checkpoint.system).unwrap();
            self.mortal.state = checkpoint.state;
            from = checkpoint.applied;
        }
        (from..self.log.len()).try_for_each(|at| self.apply(at))
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Entry {
                stamp,
                elapsed_ms,
                plans,
            } => self.entry(*stamp, *elapsed_ms, plans),
            Step::Idle(minutes) => (0..*minutes).try_for_each(|_| self.entry(0, MINUTE, &[Plan::Tick])),
        }
    }
}

/// Few sessions that live shortly, so that they expire, make room for each other, or do neither.
fn any_limits() -> impl Strategy<Value = SessionLimits> {
    let ttl_ms = prop_oneof![Just(50_000), Just(200_000), Just(3_600_000)];
    (ttl_ms, 0..4_usize).prop_map(|(ttl_ms, max)| SessionLimits { ttl_ms, max })
}

proptest! {
    /// Wherever it is frozen, killed and restored, and whatever of it became durable: a machine says and holds
    /// what one does that never stopped.
    #[test]
    fn a_restored_machine_goes_on_as_if_it_had_never_stopped(
        limits in any_limits(),
        steps in prop::collection::vec((any_step(), prop::collection::vec(any_event(), 0..3)), 1..40),
    ) {
        let mut pair = Pair::new(limits);
        for (step, events) in steps {
            pair.step(&step)?;
            events.into_iter().try_for_each(|event| pair.event(event))?;
        }
    }
}

const ME: u128 = 1;

fn reborn(rig: &mut Rig) {
    rig.machine = restore(SessionLimits::default(), &whole(&rig.machine)).unwrap();
}

/// Keys of a freeze, and whether each was there.
fn frozen(machine: &mut Machine) -> BTreeMap<Key, bool> {
    let frozen = machine.freeze();
    machine.frozen_durable(frozen.id);
    let rows = frozen.rows.into_iter();
    rows.map(|row| (row.key, row.value.is_some())).collect()
}

fn session_key(client: u128) -> Key {
    let mut key = vec![0xFF, 0xFF, 3];
    key.extend(client.to_be_bytes());
    Key::new(&key).unwrap()
}

#[test]
fn a_write_sent_again_after_a_restart_is_answered_and_not_done() {
    let mut rig = Rig::new();
    rig.open(ME);
    let commands = [
        in_session(ME, 3, 3, write([put("a", "1")])),
        in_session(ME, 4, 3, write([increment("n", 5)])),
        in_session(
            ME,
            5,
            3,
            guarded([on_key("a", Version(1))], write([put("a", "2")])),
        ),
        in_session(
            ME,
            6,
            3,
            guarded([on_key("b", Version(1))], write([put("b", "2")])),
        ),
        in_session(ME, 7, 3, write([put("t", "text")])),
        in_session(ME, 8, 3, write([increment("t", 1)])),
        in_session(ME, 9, 3, write([put("n", &i64::MAX.to_string())])),
        in_session(ME, 10, 3, write([increment("n", 1)])),
        in_session(ME, u64::MAX, 3, write([delete("t")])),
    ];
    let first = rig.entry(0, 0, &commands);
    let rows = rig.state.clone();
    reborn(&mut rig);
    assert_eq!(rig.entry(0, 0, &commands), first);
    assert_eq!(rig.state, rows);
    // What was finished before, or never began, stays what it was too.
    assert_eq!(
        rig.one(in_session(ME, 2, 0, write([put("a", "0")]))),
        refused(Refusal::Stale)
    );
    assert_eq!(
        rig.one(in_session(2, 1, 0, write([put("a", "0")]))),
        refused(Refusal::SessionExpired)
    );
}

#[test]
fn the_horizon_survives_a_restart() {
    let mut rig = Rig::new();
    let opening = Command::open_session(ClientId(ME), rig.machine.last_version());
    version(rig.one(opening.clone()));
    rig.minutes(60);
    reborn(&mut rig);
    assert_eq!(rig.one(opening), refused(Refusal::BelowHorizon));
}

#[test]
fn a_machine_that_applied_nothing_has_a_checkpoint() {
    let mut rig = Rig::unborn();
    assert_eq!(whole(&rig.machine).len(), 1);
    reborn(&mut rig);
    assert!(!rig.machine.has_genesis());
    assert!(version(rig.one(genesis())) > Version::ZERO);
    assert_eq!(whole(&rig.machine).len(), 2);
}

#[test]
fn a_freeze_gives_what_changed_and_no_more() {
    let mut rig = Rig::new();
    for client in 1..=5 {
        rig.open(client);
    }
    assert_eq!(frozen(&mut rig.machine).len(), 2 + 5);
    assert_eq!(frozen(&mut rig.machine).len(), 1, "the group's row comes always");
    rig.one(in_session(2, 1, 0, write([put("a", "1")])));
    rig.one(in_session(4, 1, 0, write([put("a", "2")])));
    rig.one(in_session(2, 2, 0, write([put("a", "3")])));
    let keys: Vec<Key> = frozen(&mut rig.machine).into_keys().collect();
    assert_eq!(keys[1..], [session_key(2), session_key(4)]);
    reborn(&mut rig);
    assert_eq!(
        frozen(&mut rig.machine).len(),
        1,
        "what was restored is written already"
    );
    // Asking for the opening again is a use: the session expires later for it.
    rig.open(3);
    let keys: Vec<Key> = frozen(&mut rig.machine).into_keys().collect();
    assert_eq!(keys[1..], [session_key(3)]);
}

#[test]
fn a_session_that_ended_is_removed_unless_it_is_there_again() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.open(2);
    frozen(&mut rig.machine);
    rig.minutes(60);
    // The one opened again between two freezes is another session; the one never written is removed in vain.
    rig.open(2);
    rig.open(3);
    rig.minutes(30);
    rig.open(2);
    rig.minutes(30);
    let rows = frozen(&mut rig.machine);
    let expected = [
        (session_key(1), false),
        (session_key(2), true),
        (session_key(3), false),
    ];
    assert_eq!(rows.into_iter().skip(1).collect::<Vec<_>>(), expected);
    assert_eq!(rig.machine.session_count(), 1);
}

#[test]
fn removals_of_a_freeze_that_failed_come_again() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.open(2);
    let mut rows = Rows::new();
    let Frozen { id, rows: first } = rig.machine.freeze();
    put_over(&mut rows, first);
    rig.machine.frozen_durable(id);
    rig.minutes(59);
    rig.open(2);
    rig.minutes(1);
    let lost = [rig.machine.freeze(), rig.machine.freeze()];
    assert_eq!(lost[0].rows.len(), 3);
    rig.machine.frozen_failed();
    put_over(&mut rows, rig.machine.freeze().rows);
    assert_eq!(rows, whole(&rig.machine));
    // It is not told which freeze is meant, as all later ones are void too; what is durable stays so.
    rig.machine.frozen_failed();
    rig.machine.frozen_durable(lost[1].id);
    assert_eq!(
        rig.machine.freeze().rows.len(),
        4,
        "the genesis is written again too"
    );
}

#[test]
fn the_first_freeze_that_failed_is_no_freeze() {
    let mut rig = Rig::new();
    rig.open(1);
    let _ = rig.machine.freeze();
    rig.open(2);
    rig.machine.frozen_failed();
    let mut rows = Rows::new();
    put_over(&mut rows, rig.machine.freeze().rows);
    assert_eq!(rows, whole(&rig.machine));
}
