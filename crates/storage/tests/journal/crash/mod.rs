//! The power goes at every single operation of a script, and again at every operation of the
//! recovery. Nothing acknowledged may be missing, nothing invented may be there, and of what was not
//! acknowledged whole frames are there or nothing. What a start has once shown is there ever after,
//! and the journal goes on from it.

mod history;
mod script;

use std::time::Duration;

use atoll_env::vfs::{Crash, MemVfs};
use atoll_storage::{Journal, JournalOptions};
use atoll_types::{GroupKey, ReplicaId, Vote};

use crate::logs::{Log, Logs, contents};
use crate::support::*;
use history::History;
use script::{Play, Step};

const AHEAD: JournalOptions = JournalOptions {
    preallocate: true,
    ..SMALL
};

/// Runs a script until it ends or the disk freezes.
async fn run(process: &Process, options: JournalOptions, steps: &[Step]) -> History {
    let mut history = History::default();
    let script = Play::script(process, options, steps, &mut history);
    let limit = Duration::from_secs(120);
    let ended = process.env.clock.timeout(limit, script).await;
    // Closing does not need the file that is being prepared, so the disk may freeze unnoticed at the end.
    assert!(ended == Ok(Some(())) || process.vfs.is_frozen());
    history.end(&process.vfs);
    process.kill();
    history
}

async fn sound(journal: &Journal) -> Logs {
    assert_eq!(journal.damage(), None);
    assert_eq!(journal.quarantined(), []);
    contents(journal).await
}

/// Opens, checks, and makes sure that what was found once is found ever after: the power goes right
/// after opening. Then the journal must go on. Returns how many operations the first start took.
async fn recover_and_check(vfs: MemVfs, options: JournalOptions, history: &History) -> u64 {
    let process = Process::on(vfs);
    let before = process.vfs.operations();
    let journal = process.open(options).await.unwrap();
    let operations = process.vfs.operations() - before;
    let mut found = sound(&journal).await;
    history.check(&found);
    process.kill();

    let process = Process::on(process.vfs.crash(Crash::LoseAll));
    let journal = process.open(options).await.unwrap();
    assert_eq!(
        sound(&journal).await,
        found,
        "what a start has shown must not vanish"
    );
    go_on(&journal, &mut found).await;
    process.kill();

    let process = Process::on(process.vfs.crash(Crash::LoseAll));
    let journal = process.open(options).await.unwrap();
    assert_eq!(sound(&journal).await, found, "what was written after a crash");
    journal.close().await;
    let journal = process.open(options).await.unwrap();
    assert_eq!(sound(&journal).await, found, "what was written after a crash");
    process.kill();
    operations
}

/// Every group votes, writes on and rolls over; a new one appears; what is old goes.
async fn go_on(journal: &Journal, logs: &mut Logs) {
    let fresh = (group(99), ReplicaId(99));
    journal.create_group(fresh.0, fresh.1).await.unwrap();
    logs.insert(
        fresh.0,
        Log {
            replica: fresh.1,
            ..Log::default()
        },
    );
    for (key, model) in logs.iter_mut() {
        go_on_in(journal, *key, model).await;
    }
    for (key, model) in logs.iter_mut() {
        let log = journal.group(*key).unwrap();
        if let Some(upto) = log.purge_limit(1) {
            log.purge(upto).await.unwrap();
            model.purge(upto);
        }
    }
    let oldest = journal.free_before(u32::MAX).await.unwrap();
    assert_eq!(journal.segments().oldest, oldest);
    assert!(logs.keys().all(|key| needs_nothing_before(journal, *key, oldest)));
    // Also if nothing went.
    journal.mark().await.unwrap();
}

fn needs_nothing_before(journal: &Journal, key: GroupKey, segment: u32) -> bool {
    let first = journal.group(key).unwrap().oldest_segment();
    first.is_none_or(|first| first >= segment)
}

async fn go_on_in(journal: &Journal, key: GroupKey, model: &mut Log) {
    let log = journal.group(key).unwrap();
    let last = model.last();
    let term = model.vote.map_or(0, |vote| vote.term);
    let vote = Vote {
        term: last.map_or(term, |last| last.term.max(term)) + 1,
        ..Vote::default()
    };
    let next = model.next_index();
    let entries: Vec<_> = [10, 20_000]
        .into_iter()
        .zip(next..)
        .map(|(len, index)| entry(id(vote.term, index), payload(key.id.0 * 1000 + index, len)))
        .collect();
    model.entries.extend(entries.iter().cloned());
    let durable = append(&log, entries).await;
    log.save_vote(vote).await.unwrap();
    model.vote = Some(vote);
    durable.await.unwrap().unwrap();
}

/// A second crash, during the recovery from the first.
#[derive(Clone, Copy)]
enum Second {
    Never,
    /// At each of its operations.
    Everywhere,
    /// At one of them, drawn by seed.
    Somewhere(u64),
}

impl Second {
    fn operations(self, all: u64) -> Vec<u64> {
        match self {
            Self::Never => vec![],
            Self::Everywhere => (1..=all).collect(),
            Self::Somewhere(seed) => vec![fastrand::Rng::with_seed(seed).u64(1..=all)],
        }
    }
}

/// Crashes once at each operation of a script, and perhaps again.
async fn crash_everywhere(options: JournalOptions, steps: &[Step], crashes: &[(Crash, u64)], second: Second) {
    let process = Process::on(MemVfs::default());
    let history = run(&process, options, steps).await;
    assert!(history.is_acknowledged());
    recover_and_check(process.vfs.fork(0).crash(Crash::LoseAll), options, &history).await;
    let operations = process.vfs.operations();
    assert!(
        operations > 30,
        "the script is long enough to mean something: {operations}"
    );
    for operation in 1..=operations {
        let process = Process::on(MemVfs::default());
        process.vfs.freeze_at(operation);
        let history = run(&process, options, steps).await;
        for (number, crash) in crashes.iter().enumerate() {
            let again = crashes[(number + 1) % crashes.len()].0;
            crash_once(&process.vfs, *crash, options, &history, (second, again)).await;
        }
    }
}

async fn crash_once(
    frozen: &MemVfs,
    (crash, seed): (Crash, u64),
    options: JournalOptions,
    history: &History,
    (second, again): (Second, Crash),
) {
    let crashed = || frozen.fork(seed).crash(crash);
    let recovery = recover_and_check(crashed(), options, history).await;
    for operation in second.operations(recovery) {
        let process = Process::on(crashed());
        process.vfs.freeze_at(process.vfs.operations() + operation);
        let limit = Duration::from_secs(60);
        let opened = process.env.clock.timeout(limit, process.open(options)).await;
        assert!(process.vfs.is_frozen(), "{opened:?}", opened = opened.is_ok());
        process.kill();
        recover_and_check(process.vfs.crash(again), options, history).await;
    }
}

/// Every kind of crash, and the kind of the second after each.
const EVERY_KIND: [(Crash, u64); 6] = [
    (Crash::Process, 0),
    (Crash::LoseAll, 0),
    (Crash::Random, 1),
    (Crash::Random, 2),
    (Crash::Process, 0),
    (Crash::Random, 3),
];

fn short(steps: &[Step]) {
    simulate(async {
        crash_everywhere(SMALL, steps, &EVERY_KIND, Second::Everywhere).await;
        crash_everywhere(AHEAD, steps, &EVERY_KIND, Second::Somewhere(7)).await;
    });
}

#[test]
fn at_every_operation_while_groups_appear() {
    short(&script::groups());
}

#[test]
fn at_every_operation_of_elections() {
    short(&script::votes());
}

#[test]
fn at_every_operation_while_a_suffix_is_replaced() {
    short(&script::conflicts());
}

#[test]
fn at_every_operation_while_segments_roll_over() {
    short(&script::rolls());
}

#[test]
fn at_every_operation_of_purges() {
    short(&script::purges());
}

#[test]
fn at_every_operation_while_segments_go_and_come_back() {
    short(&script::frees());
}

#[test]
fn at_every_operation_of_stops_and_starts() {
    short(&script::restarts());
}

#[test]
fn at_every_operation_with_every_kind_of_torn_write() {
    let crashes: Vec<_> = (0..24).map(|seed| (Crash::Random, seed)).collect();
    simulate(async {
        for steps in [
            script::groups(),
            script::rolls(),
            script::restarts(),
            script::frees(),
        ] {
            crash_everywhere(SMALL, &steps, &crashes, Second::Never).await;
            crash_everywhere(AHEAD, &steps, &crashes, Second::Never).await;
        }
    });
}

#[test]
fn at_every_operation_with_sealed_files() {
    sealed(|| short(&script::votes()));
    sealed(|| short(&script::rolls()));
    sealed(|| short(&script::frees()));
    sealed(|| short(&script::restarts()));
}

#[test]
fn at_every_operation_of_a_long_life_with_sealed_files() {
    sealed(at_every_operation_of_a_long_life);
}

#[test]
fn at_every_operation_of_a_long_life() {
    simulate(async {
        for seed in 0..4 {
            let steps = script::long(seed, 80);
            let crashes = [(Crash::Random, seed), (Crash::LoseAll, 0), (Crash::Process, 0)];
            let options = [SMALL, AHEAD][seed as usize % 2];
            crash_everywhere(options, &steps, &crashes, Second::Somewhere(seed)).await;
        }
    });
}
