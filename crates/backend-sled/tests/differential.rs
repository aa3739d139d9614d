//! sled, the storage engine's index and a plain map, under the same random entries, agree on every outcome, row and version.
#![expect(
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure ends the test"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_backend_sled::{SledBackend, SledHome};
use atoll_env::{Rng, Scope, Spawn};
use atoll_kv::{Command, Guard, Op};
use atoll_state::testing::{
    Bench, Make, Oracle, Seen, Sizes, append, at_slot, check, delete, delete_range, guarded, increment, put,
    simulate,
};
use atoll_state::{Backend, NativeBackend, PinnedView};
use atoll_types::{ClientId, Version};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const KEYS: usize = 30;

/// Keys that are prefixes of each other, of any bytes, and long.
fn key(n: usize) -> Vec<u8> {
    match n % 5 {
        0 => vec![n as u8],
        1 => format!("key/{}", "x".repeat(n)).into_bytes(),
        2 => vec![255; n],
        3 => [&b"key/\0"[..], &[n as u8]].concat(),
        _ => [vec![b'k'; 300], vec![n as u8]].concat(),
    }
}

/// All keys, in order.
fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = (0..KEYS).map(key).collect();
    keys.sort();
    keys
}

#[derive(Clone, Debug)]
enum Change {
    Put(usize, u8),
    Delete,
    Increment(i64),
    Append(usize, u8),
    Range(usize, u32),
}

/// A condition: whether it is on the keys from one on, and which version it names.
#[derive(Clone, Debug)]
struct Condition {
    key: usize,
    is_range: bool,
    version: Named,
}

#[derive(Clone, Copy, Debug)]
enum Named {
    Current,
    Zero,
    Older,
}

/// A command of an entry: its condition, and what it does to which keys.
type Planned = (Option<Condition>, Vec<(usize, Change)>);

#[derive(Clone, Debug)]
enum Step {
    Entry(Vec<Planned>),
    OpenSession,
    Blank,
    Look,
    LetGo,
    BeginCheckpoint,
    Checkpoint,
    Pause,
    Restart,
}

fn any_len() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..20_usize, 2 => 60..70_usize, 2 => 200..600_usize, 1 => Just(5000_usize)]
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        5 => (any_len(), any::<u8>()).prop_map(|(len, seed)| Change::Put(len, seed)),
        2 => Just(Change::Delete),
        3 => (-9..10_i64).prop_map(Change::Increment),
        3 => (any_len(), any::<u8>()).prop_map(|(len, seed)| Change::Append(len, seed)),
        1 => (0..KEYS, 1..9_u32).prop_map(|(end, limit)| Change::Range(end, limit)),
    ]
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let named = prop_oneof![4 => Just(Named::Current), 1 => Just(Named::Zero), 1 => Just(Named::Older)];
    (0..KEYS, any::<bool>(), named).prop_map(|(key, is_range, version)| Condition {
        key,
        is_range,
        version,
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let changes = prop::collection::vec((0..KEYS, any_change()), 1..8);
    let command = (prop::option::weighted(0.3, any_condition()), changes);
    prop_oneof![
        20 => prop::collection::vec(command, 1..6).prop_map(Step::Entry),
        1 => Just(Step::OpenSession),
        1 => Just(Step::Blank),
        4 => Just(Step::Look),
        2 => Just(Step::LetGo),
        2 => Just(Step::BeginCheckpoint),
        4 => Just(Step::Checkpoint),
        1 => Just(Step::Pause),
        2 => Just(Step::Restart),
    ]
}

fn value(len: usize, seed: u8) -> Vec<u8> {
    // Now and then a number.
    if len % 7 == 3 {
        return format!("{}", i64::from(seed) - 100).into_bytes();
    }
    (0..len).map(|at| seed.wrapping_add((at % 200) as u8)).collect()
}

fn op(key: &[u8], change: &Change, keys: &[Vec<u8>]) -> Op {
    match change {
        Change::Put(len, seed) => put(key, value(*len, *seed)),
        Change::Delete => delete(key),
        Change::Increment(by) => increment(key, *by),
        Change::Append(len, seed) => append(key, value(*len, *seed)),
        Change::Range(end, limit) => delete_range(key, &keys[*end], *limit),
    }
}

fn guard(condition: &Condition, oracle: &Oracle, keys: &[Vec<u8>]) -> Guard {
    let key = Bytes::copy_from_slice(&keys[condition.key]);
    let seen = oracle.seen();
    let from = seen.rows.range(key.to_vec()..);
    let current = if condition.is_range {
        from.map(|(_, row)| row.0).max().unwrap_or_default()
    } else {
        oracle.version_of(&key)
    };
    let version = match condition.version {
        Named::Current => current,
        Named::Zero => Version::ZERO,
        Named::Older => Version(current.0.saturating_sub(1)),
    };
    if condition.is_range {
        Guard::Range {
            start: key,
            end: Bytes::new(),
            newest: version,
        }
    } else {
        Guard::Key {
            key,
            expected: version,
        }
    }
}

/// The commands of an entry; operations that may not stand in one command together are left out.
fn commands(planned: &[Planned], oracle: &Oracle, keys: &[Vec<u8>]) -> Vec<Command> {
    let mut commands = Vec::new();
    for (condition, changes) in planned {
        let mut ops = Vec::new();
        for (key, change) in changes {
            ops.push(op(&keys[*key], change, keys));
            if at_slot(ops.clone()).check().is_err() {
                ops.pop();
            }
        }
        if ops.is_empty() {
            continue;
        }
        let guards: Vec<_> = condition
            .iter()
            .map(|condition| guard(condition, oracle, keys))
            .collect();
        commands.push(guarded(guards, at_slot(ops)));
    }
    commands
}

/// One backend, and views that it gave with what they must go on to see.
struct Run<'a> {
    bench: Bench<'a>,
    kept: Vec<(Box<dyn PinnedView>, Seen)>,
    /// Runs that the group had lately, and how often they became fewer.
    runs: usize,
    merges: usize,
}

impl<'a> Run<'a> {
    async fn new(make: Make<'a>) -> Self {
        Self {
            bench: Bench::with(make, Sizes::Small).await,
            kept: Vec::new(),
            runs: 0,
            merges: 0,
        }
    }

    /// Outcomes and rows are compared with the plain map's in here.
    async fn step(mut self, step: &Step, keys: &[Vec<u8>]) -> Self {
        let bench = &mut self.bench;
        match step {
            Step::Entry(planned) => {
                let commands = commands(planned, &bench.oracle, keys);
                bench.commit(&commands).await;
            }
            Step::OpenSession => {
                let read = bench.view().version();
                let client = ClientId(u128::from(read.0));
                bench.commit(&[Command::open_session(client, read)]).await;
            }
            Step::Blank => bench.commit_blank().await,
            Step::Look => {
                bench.check();
                self.kept.push((bench.view(), bench.oracle.seen()));
            }
            Step::LetGo => drop(self.kept.drain(..self.kept.len().div_ceil(2))),
            Step::BeginCheckpoint => drop(bench.begin_checkpoint()),
            Step::Checkpoint => bench.checkpoint().await,
            Step::Pause => bench.pause().await,
            Step::Restart => {
                self.kept.clear();
                self.bench = self.bench.restart().await;
                self.bench.check();
            }
        }
        for (view, seen) in &self.kept {
            check(&**view, seen);
        }
        let runs = self.bench.runs();
        self.merges += usize::from(runs < self.runs);
        self.runs = runs;
        self
    }
}

/// How often runs were merged.
async fn agree(steps: &[Step], native: Make<'_>, sled: Make<'_>) -> usize {
    let keys = keys();
    let (mut one, mut other) = (Run::new(native).await, Run::new(sled).await);
    for step in steps {
        one = one.step(step, &keys).await;
        other = other.step(step, &keys).await;
        assert_eq!(one.bench.oracle.seen(), other.bench.oracle.seen());
    }
    for run in [&one, &other] {
        run.bench.check();
    }
    one.merges
}

#[test]
fn sled_the_index_and_a_map_agree() {
    let dir = tempfile::tempdir().unwrap();
    let home = SledHome::open(&dir.path().join("sled"), 8 << 20).unwrap();
    let spawn = Spawn::simulated(Scope::new(Rng::seeded(1)));
    let native = |native: NativeBackend| -> Box<dyn Backend> { Box::new(native) };
    let sled = |native: NativeBackend| -> Box<dyn Backend> {
        Box::new(SledBackend::new(native, &home, spawn.clone()).unwrap())
    };
    let merges = AtomicUsize::new(0);
    let mut runner = TestRunner::new(Config {
        cases: 32,
        failure_persistence: None,
        ..Config::default()
    });
    let steps = prop::collection::vec(any_step(), 1..60);
    runner
        .run(&steps, |steps| {
            merges.fetch_add(simulate(agree(&steps, &native, &sled)), Ordering::Relaxed);
            Ok(())
        })
        .unwrap();
    assert!(merges.into_inner() > 10, "hardly anything was merged");
}
