//! Random commands, drawn before it is known which versions are current.

use atoll_types::{ClientId, Epoch, SlotId, Version};
use proptest::prelude::*;

use super::model::Model;
use super::support::*;
use crate::{Command, CommandKind, Guard, HistoryLimits, Op, SessionRef};

/// A command before it is known which versions are current.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Write {
        session: Option<(u128, u64, u64)>,
        slot: SlotId,
        guards: Vec<PlannedGuard>,
        ops: Vec<Op>,
        after: u64,
    },
    Open {
        client: u128,
        fresh: bool,
    },
    Genesis {
        other: bool,
    },
    Tick,
    Reserved,
    CloseAt {
        ahead: u64,
    },
    /// How much of time and of bytes; nothing: none.
    History(Option<(u64, u64)>),
}

#[derive(Clone, Debug)]
pub(super) struct PlannedGuard {
    start: u8,
    end: Option<u8>,
    version: Expected,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Current,
    Zero,
    Wrong,
}

fn key_name(n: u8) -> String {
    format!("k{n}")
}

pub(super) fn resolve(plan: &Plan, model: &Model) -> Command {
    match plan {
        Plan::Tick => Command::tick(),
        Plan::CloseAt { ahead } => Command::close_at(Version(model.last + ahead)),
        Plan::History(limits) => {
            let limits = limits.map(|(window_ms, bytes)| HistoryLimits { window_ms, bytes });
            Command::keep_history(limits)
        }
        Plan::Reserved => Command::of_kind(CommandKind::Prepare, SLOT),
        Plan::Genesis { other: false } => genesis(),
        Plan::Genesis { other: true } => Command::genesis(CLUSTER, GROUP, vec![(0, 99)], Epoch(1)),
        Plan::Open { client, fresh } => {
            let read = if *fresh { model.last } else { model.last / 2 };
            Command::open_session(ClientId(*client), Version(read))
        }
        Plan::Write {
            session,
            slot,
            guards,
            ops,
            after,
        } => {
            let guards = guards.iter().map(|guard| resolve_guard(guard, model)).collect();
            let session = session.map(|(client, seq, ack)| SessionRef {
                client: ClientId(client),
                seq,
                ack,
            });
            let after = Version(after * model.last / 2);
            Command {
                session,
                after,
                guards,
                ..Command::write(*slot, ops.clone())
            }
        }
    }
}

fn resolve_guard(plan: &PlannedGuard, model: &Model) -> Guard {
    let key = bytes(&key_name(plan.start));
    let mut guard = match plan.end {
        None => Guard::Key {
            key,
            expected: Version::ZERO,
        },
        Some(end) => Guard::Range {
            start: key,
            end: bytes(&key_name(end)),
            newest: Version::ZERO,
        },
    };
    let actual = model.guard(&guard).1.unwrap_or_default();
    let (Guard::Key {
        expected: version, ..
    }
    | Guard::Range { newest: version, .. }) = &mut guard;
    *version = match plan.version {
        Expected::Current => actual,
        Expected::Zero => Version::ZERO,
        Expected::Wrong => Version(actual.0.wrapping_sub(1)),
    };
    guard
}

fn any_guard() -> impl Strategy<Value = PlannedGuard> {
    let expected =
        prop_oneof![3 => Just(Expected::Current), 1 => Just(Expected::Zero), 1 => Just(Expected::Wrong)];
    (0..5_u8, prop::option::of(0..6_u8), expected).prop_map(|(start, end, version)| PlannedGuard {
        start,
        end,
        version,
    })
}

fn any_number() -> impl Strategy<Value = i64> {
    prop_oneof![6 => -9..10_i64, 1 => Just(i64::MAX - 5), 1 => Just(i64::MIN + 5)]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![6 => any_number().prop_map(|number| number.to_string()), 1 => "[0-9a+-]{0,3}", 1 => "x{70}"]
}

/// An operation on a key that is given later.
fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => any_text().prop_map(|text| put("", &text)),
        2 => Just(delete("")),
        4 => any_number().prop_map(|by| increment("", by)),
        4 => any_text().prop_map(|text| append("", &text)),
        2 => any_number().prop_map(|number| min("", number)),
        2 => any_number().prop_map(|number| max("", number)),
        1 => (1..4_u32).prop_map(|limit| delete_range("", "", limit)),
    ]
}

fn on_key_name(op: Op, n: u8) -> Op {
    let new = bytes(&key_name(n));
    match op {
        Op::Put { value, .. } => Op::Put { key: new, value },
        Op::Delete { .. } => Op::Delete { key: new },
        Op::Increment { by, .. } => Op::Increment { key: new, by },
        Op::Append { suffix, .. } => Op::Append { key: new, suffix },
        Op::Min { number, .. } => Op::Min { key: new, number },
        Op::Max { number, .. } => Op::Max { key: new, number },
        Op::DeleteRange { limit, .. } => delete_range(&key_name(n), &key_name(n + 3), limit),
        // None is drawn: those that apply never see what is packed.
        packed @ Op::PutPacked { .. } => packed,
    }
}

/// Operations that may stand in one command.
fn any_ops() -> impl Strategy<Value = Vec<Op>> {
    let ops = prop::collection::vec((0..5_u8, any_op()), 0..4);
    ops.prop_map(|drawn| {
        let mut ops = Vec::new();
        for (key, op) in drawn {
            ops.push(on_key_name(op, key));
            if write(ops.clone()).check().is_err() {
                ops.pop();
            }
        }
        ops
    })
}

fn any_write() -> impl Strategy<Value = Plan> {
    let session = (1..4_u128, 1..9_u64, 0..9_u64).prop_map(|(client, seq, ack)| (client, seq, ack.min(seq)));
    let slot = prop_oneof![8 => Just(SLOT), 1 => Just(SlotId(3)), 1 => Just(FOREIGN)];
    let guards = prop::collection::vec(any_guard(), 0..3);
    let parts = (
        prop::option::weighted(0.8, session),
        slot,
        guards,
        any_ops(),
        0..3_u64,
    );
    parts.prop_map(|(session, slot, guards, ops, after)| Plan::Write {
        session,
        slot,
        guards,
        ops,
        after,
    })
}

fn any_plan() -> impl Strategy<Value = Plan> {
    prop_oneof![
        12 => any_write(),
        3 => (1..4_u128, any::<bool>()).prop_map(|(client, fresh)| Plan::Open { client, fresh }),
        1 => prop::bool::weighted(0.2).prop_map(|other| Plan::Genesis { other }),
        1 => Just(Plan::Tick),
        1 => Just(Plan::Reserved),
        1 => (0..3_u64).prop_map(|ahead| Plan::CloseAt { ahead }),
        1 => prop::option::of((1..400_000_u64, 1..5_000_u64)).prop_map(Plan::History),
    ]
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Entry {
        stamp: u64,
        elapsed_ms: u32,
        plans: Vec<Plan>,
    },
    /// Minutes without anything but ticks.
    Idle(u32),
}

pub(super) fn any_step() -> impl Strategy<Value = Step> {
    let entry = (
        0..400_u64,
        0..100_000_u32,
        prop::collection::vec(any_plan(), 0..6),
    );
    prop_oneof![
        12 => entry.prop_map(|(stamp, elapsed_ms, plans)| Step::Entry { stamp, elapsed_ms, plans }),
        1 => (20..70_u32).prop_map(Step::Idle),
    ]
}
