//! Exactly-once, case by case and under random redelivery.

use std::collections::BTreeMap;

use atoll_types::limits::{ENTRY_COMMANDS_MAX, SESSION_OPEN_MAX, SESSION_TTL_MS, SESSIONS_MAX};
use atoll_types::{ClientId, Outcome, Refusal, Version};
use proptest::prelude::*;

use super::support::*;
use crate::Command;

const ME: u128 = 1;

#[test]
fn a_repeat_is_answered_and_not_done() {
    let mut rig = Rig::new();
    rig.open(ME);
    let command = in_session(ME, 1, 0, write([put("a", "1")]));
    let first = rig.one(command.clone());
    rig.one(write([put("a", "2")]));
    assert_eq!(rig.one(command), first);
    assert_eq!(rig.value("a"), Some(&b"2"[..]));
}

#[test]
fn a_failed_guard_is_an_outcome_that_stays() {
    let mut rig = Rig::new();
    rig.open(ME);
    let command = in_session(
        ME,
        1,
        0,
        guarded([on_key("a", Version(1))], write([put("a", "1")])),
    );
    let failed = Outcome::GuardFailed {
        guard: 0,
        actual: None,
    };
    assert_eq!(rig.one(command.clone()), failed);
    rig.one(write([put("a", "x")]));
    assert_eq!(rig.one(command), failed);
}

#[test]
fn a_refusal_is_not_remembered() {
    let mut rig = Rig::unborn();
    rig.open(ME);
    let command = in_session(ME, 1, 0, write([put("a", "1")]));
    assert_eq!(rig.one(command.clone()), refused(Refusal::NoGenesis));
    rig.one(genesis());
    version(rig.one(command));
    assert_eq!(rig.value("a"), Some(&b"1"[..]));
}

#[test]
fn a_decided_write_is_answered_whatever_slot_the_repeat_names() {
    let mut rig = Rig::new();
    rig.open(ME);
    let command = in_session(ME, 1, 0, write([put("a", "1")]));
    let first = rig.one(command.clone());
    assert_eq!(
        rig.one(Command {
            slot: FOREIGN,
            ..command
        }),
        first
    );
}

#[test]
fn seven_may_come_before_six() {
    let mut rig = Rig::new();
    rig.open(ME);
    let seven = in_session(ME, 7, 6, write([put("a", "7")]));
    let six = in_session(ME, 6, 6, write([put("a", "6")]));
    let first = (rig.one(seven.clone()), rig.one(six.clone()));
    assert_eq!((rig.one(seven), rig.one(six)), first);
    assert_eq!(rig.value("a"), Some(&b"6"[..]));
}

#[test]
fn below_the_acknowledged_number_everything_is_stale() {
    let mut rig = Rig::new();
    rig.open(ME);
    let one = in_session(ME, 1, 0, write([put("a", "1")]));
    let never_arrived = in_session(ME, 2, 0, write([put("a", "2")]));
    rig.one(one.clone());
    rig.one(in_session(ME, 3, 3, write([put("a", "3")])));
    assert_eq!(rig.one(one), refused(Refusal::Stale));
    assert_eq!(rig.one(never_arrived), refused(Refusal::Stale));
    assert_eq!(rig.value("a"), Some(&b"3"[..]));
}

#[test]
fn acknowledgements_never_move_back() {
    let mut rig = Rig::new();
    rig.open(ME);
    rig.one(in_session(ME, 5, 5, write([put("a", "5")])));
    rig.one(in_session(ME, 6, 1, write([put("a", "6")])));
    assert_eq!(
        rig.one(in_session(ME, 4, 1, write([put("a", "4")]))),
        refused(Refusal::Stale)
    );
    // A repeat that carries a later acknowledgement is still a repeat.
    let six = rig.one(in_session(ME, 6, 6, write([put("a", "x")])));
    assert_eq!(version(six), rig.machine.last_version());
    assert_eq!(rig.value("a"), Some(&b"6"[..]));
}

#[test]
fn a_number_beyond_its_own_acknowledgement_is_stale_not_fatal() {
    let mut rig = Rig::new();
    rig.open(ME);
    assert_eq!(
        rig.one(in_session(ME, 1, 9, write([put("a", "1")]))),
        refused(Refusal::Stale)
    );
}

#[test]
fn without_a_session_nothing_is_a_repeat() {
    let mut rig = Rig::new();
    let first = version(rig.one(write([put("a", "1")])));
    assert!(version(rig.one(write([put("a", "1")]))) > first);
}

#[test]
fn an_unknown_session_is_refused() {
    let mut rig = Rig::new();
    let command = in_session(ME, 1, 0, write([put("a", "1")]));
    assert_eq!(rig.one(command), refused(Refusal::SessionExpired));
    assert_eq!(rig.value("a"), None);
}

#[test]
fn the_number_of_open_writes_is_bounded_until_some_are_acknowledged() {
    let mut rig = Rig::new();
    rig.open(ME);
    let numbered = |seq: u64, ack: u64| in_session(ME, seq, ack, write([put("a", &seq.to_string())]));
    let most = SESSION_OPEN_MAX as u64;
    let fill: Vec<Command> = (1..=most).map(|seq| numbered(seq, 1)).collect();
    assert!(
        rig.entry(0, 0, &fill)
            .into_iter()
            .all(|outcome| version(outcome) > Version::ZERO)
    );
    assert_eq!(rig.one(numbered(most + 1, 1)), refused(Refusal::TooManyOpen));
    assert_eq!(rig.value("a"), Some(most.to_string().as_bytes()));
    // What is recorded can still be asked for, and acknowledging makes room for one.
    version(rig.one(numbered(most, 1)));
    version(rig.one(numbered(most + 1, 2)));
    assert_eq!(rig.one(numbered(most + 2, 2)), refused(Refusal::TooManyOpen));
}

#[test]
fn opening_twice_is_opening_once() {
    let mut rig = Rig::new();
    let opened = rig.open(ME);
    let command = in_session(ME, 1, 0, write([put("a", "1")]));
    let first = rig.one(command.clone());
    assert_eq!(rig.open(ME), opened);
    assert_eq!(
        rig.one(Command::open_session(ClientId(ME), Version::ZERO)),
        Outcome::Done { version: opened }
    );
    assert_eq!(rig.one(command), first);
    assert_eq!(rig.machine.session_count(), 1);
}

#[test]
fn a_session_lives_by_group_time_and_by_use() {
    let ttl_minutes = (SESSION_TTL_MS / u64::from(MINUTE)) as u32;
    let mut rig = Rig::new();
    rig.open(1);
    rig.open(2);
    rig.minutes(ttl_minutes - 1);
    assert_eq!(rig.machine.session_count(), 2);
    version(rig.one(in_session(2, 1, 0, write([put("a", "1")]))));
    rig.minutes(1);
    assert_eq!(rig.machine.session_count(), 1);
    assert_eq!(
        rig.one(in_session(1, 1, 0, write([put("b", "1")]))),
        refused(Refusal::SessionExpired)
    );
    assert!(rig.machine.has_deadlines());
    rig.minutes(ttl_minutes - 2);
    assert_eq!(rig.machine.session_count(), 1);
    rig.minutes(1);
    assert_eq!(rig.machine.session_count(), 0);
    assert!(!rig.machine.has_deadlines());
}

#[test]
fn a_delayed_opening_cannot_revive_an_expired_session() {
    let mut rig = Rig::new();
    let opening = Command::open_session(ClientId(ME), rig.machine.last_version());
    version(rig.one(opening.clone()));
    let command = in_session(ME, 1, 0, write([put("a", "1")]));
    rig.one(command.clone());
    rig.minutes(60);
    assert_eq!(rig.one(opening), refused(Refusal::BelowHorizon));
    assert_eq!(rig.one(command), refused(Refusal::SessionExpired));
    rig.open(2);
    assert_eq!(rig.machine.session_count(), 1);
}

#[test]
fn the_horizon_is_above_the_last_write_of_an_expired_session() {
    let mut rig = Rig::new();
    let opened = rig.open(ME);
    version(rig.one(in_session(ME, 1, 0, write([put("a", "1")]))));
    rig.minutes(60);
    let between = Command::open_session(ClientId(2), opened);
    assert_eq!(rig.one(between), refused(Refusal::BelowHorizon));
    // Everything this group has done is a version that a reader may have now.
    rig.open(2);
}

#[test]
fn a_session_is_above_the_version_it_was_opened_with_even_if_that_was_made_up() {
    let mut rig = Rig::new();
    let opening = Command::open_session(ClientId(ME), Version(1 << 40));
    assert!(version(rig.one(opening.clone())) > Version(1 << 40));
    rig.minutes(60);
    assert_eq!(rig.one(opening), refused(Refusal::BelowHorizon));
}

#[test]
fn a_session_reaches_every_version_that_an_opening_of_it_names() {
    let mut rig = Rig::new();
    rig.open(ME);
    // The same client asks again with another version, against the rules, and one that nobody gave out.
    let again = Command::open_session(ClientId(ME), Version(1 << 40));
    rig.one(again.clone());
    assert!(rig.machine.last_version() > Version(1 << 40));
    rig.minutes(60);
    assert_eq!(rig.one(again), refused(Refusal::BelowHorizon));
}

#[test]
fn a_session_never_used_is_horizon_too() {
    let mut rig = Rig::new();
    let opening = Command::open_session(ClientId(ME), rig.machine.last_version());
    version(rig.one(opening.clone()));
    rig.minutes(60);
    assert_eq!(rig.one(opening), refused(Refusal::BelowHorizon));
}

#[test]
fn the_session_idle_longest_makes_room() {
    let mut rig = Rig::new();
    let opening = |client: usize| Command::open_session(ClientId(client as u128), Version(1 << 40));
    let clients: Vec<usize> = (1..=SESSIONS_MAX).collect();
    for chunk in clients.chunks(ENTRY_COMMANDS_MAX) {
        // The highest ids are the oldest, all of one entry at the same time.
        let commands: Vec<Command> = chunk.iter().map(|n| opening(SESSIONS_MAX + 1 - n)).collect();
        rig.entry(0, 1, &commands);
    }
    assert_eq!(rig.machine.session_count(), SESSIONS_MAX);
    // Of the oldest entry the lowest id goes first, unless it was used since.
    let oldest = SESSIONS_MAX + 1 - ENTRY_COMMANDS_MAX;
    let touch = |n: usize| in_session(n as u128, 1, 0, write([put("a", "1")]));
    version(rig.entry(0, 1, &[touch(oldest)])[0]);
    version(rig.one(opening(SESSIONS_MAX + 1)));
    assert_eq!(rig.machine.session_count(), SESSIONS_MAX);
    assert_eq!(rig.one(touch(oldest + 1)), refused(Refusal::SessionExpired));
    for alive in [oldest, oldest + 2, 1, SESSIONS_MAX, SESSIONS_MAX + 1] {
        version(rig.one(touch(alive)));
    }
}

/// What a network may do with a client's messages.
#[derive(Clone, Debug)]
enum Event {
    /// The client sends a write, with as many numbers acknowledged as it has finished.
    Send { client: u8, keep_open: u64, guard: bool },
    /// A message sent at any time before arrives, perhaps again.
    Arrive(prop::sample::Index),
    /// An hour passes without use.
    Sleep,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3_u8, 0..3_u64, any::<bool>()).prop_map(|(client, keep_open, guard)| Event::Send { client, keep_open, guard }),
        12 => any::<prop::sample::Index>().prop_map(Event::Arrive),
        1 => Just(Event::Sleep),
    ]
}

#[derive(Default)]
struct Sender {
    id: u128,
    seq: u64,
}

proptest! {
    /// However messages are delayed, lost, reordered and repeated, also past the expiry of sessions:
    /// each write is done at most once and is never told two different outcomes.
    #[test]
    fn every_write_is_done_at_most_once(events in prop::collection::vec(event(), 1..120)) {
        let mut rig = Rig::new();
        let mut senders: BTreeMap<u8, Sender> = BTreeMap::new();
        let mut sent: Vec<Command> = Vec::new();
        let mut told: BTreeMap<(ClientId, u64), Outcome> = BTreeMap::new();
        let mut next_id = 1;
        for event in events {
            match event {
                Event::Sleep => rig.minutes(60),
                Event::Send { client, keep_open, guard } => {
                    let sender = senders.entry(client).or_default();
                    if sender.id == 0 {
                        sender.id = next_id;
                        next_id += 1;
                        sent.push(Command::open_session(ClientId(sender.id), rig.machine.last_version()));
                    }
                    sender.seq += 1;
                    let key = format!("{}-{}", sender.id, sender.seq);
                    let guards = if guard { vec![on_key("shared", Version::ZERO)] } else { vec![] };
                    let ops = [put(&key, "x"), put("shared", &key)];
                    let ack = sender.seq.saturating_sub(keep_open);
                    sent.push(in_session(sender.id, sender.seq, ack, guarded(guards, write(ops))));
                }
                Event::Arrive(_) if sent.is_empty() => {}
                Event::Arrive(index) => {
                    let command = index.get(&sent).clone();
                    let session = command.session.unwrap();
                    let outcome = rig.one(command);
                    if session.seq == 0 {
                        continue;
                    }
                    if outcome == refused(Refusal::SessionExpired) {
                        // The client gives up this id. Its old messages stay on their way.
                        senders.retain(|_, sender| ClientId(sender.id) != session.client);
                    }
                    if !matches!(outcome, Outcome::Refused(_)) {
                        let before = *told.entry((session.client, session.seq)).or_insert(outcome);
                        prop_assert_eq!(before, outcome);
                    }
                }
            }
        }
        // Each done write left its own key, at the version that was told.
        let done = told.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Done { .. })).count();
        let own_keys = rig.state.rows.iter().filter(|(key, _)| *key != b"shared");
        prop_assert_eq!(own_keys.clone().count(), done);
        for (key, (at, _)) in own_keys {
            let (client, seq) = std::str::from_utf8(key).unwrap().split_once('-').unwrap();
            let write = (ClientId(client.parse().unwrap()), seq.parse().unwrap());
            prop_assert_eq!(told[&write], Outcome::Done { version: *at });
        }
    }
}
