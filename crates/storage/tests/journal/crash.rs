//! The power goes at every single operation of a script, and again at every operation of the
//! recovery. Nothing acknowledged may be missing, nothing invented may be there.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_env::vfs::{Crash, MemVfs};
use atoll_storage::{Journal, JournalOptions, LogEntry};
use atoll_types::{GroupKey, LogId, ReplicaId, Vote};
use tokio::sync::oneshot;

use crate::model::Log;
use crate::support::*;

/// One record as given to the journal.
#[derive(Clone, Debug)]
enum Change {
    Create(ReplicaId),
    Entry(LogEntry),
    Vote(Vote),
    Truncate(Option<LogId>),
    Purge(LogId),
}

type Logs = BTreeMap<GroupKey, Log>;

fn apply(logs: &mut Logs, (group, change): &(GroupKey, Change)) {
    if let Change::Create(replica) = change {
        logs.insert(
            *group,
            Log {
                replica: *replica,
                ..Log::default()
            },
        );
        return;
    }
    let log = logs.get_mut(group).unwrap();
    match change {
        Change::Create(_) => {}
        Change::Entry(entry) => log.entries.push(entry.clone()),
        Change::Vote(vote) => log.vote = Some(*vote),
        Change::Truncate(last) => log.truncate_after(*last),
        Change::Purge(upto) => log.purge(*upto),
    }
}

/// What was given to the journal, in order, and how much of it was acknowledged.
#[derive(Default)]
struct History {
    given: Vec<(GroupKey, Change)>,
    pending: Vec<(usize, oneshot::Receiver<std::io::Result<()>>)>,
    acknowledged: usize,
}

impl History {
    fn give(&mut self, group: GroupKey, change: Change) {
        self.given.push((group, change));
    }

    fn settle(&mut self) {
        for (count, durable) in &mut self.pending {
            if let Ok(result) = durable.try_recv() {
                result.unwrap();
                self.acknowledged = self.acknowledged.max(*count);
            }
        }
    }

    /// The logs are what the first so many changes make, and these include all acknowledged ones.
    /// Returns how many.
    fn check(&self, found: &Logs) -> usize {
        let mut logs = Logs::new();
        self.given[..self.acknowledged]
            .iter()
            .for_each(|change| apply(&mut logs, change));
        for count in self.acknowledged..=self.given.len() {
            if logs == *found {
                return count;
            }
            if let Some(change) = self.given.get(count) {
                apply(&mut logs, change);
            }
        }
        panic!(
            "after {} acknowledged of {:?}\nfound {found:#?}",
            self.acknowledged,
            self.given.len()
        );
    }
}

/// Every kind of operation on two groups, over several segments. Hangs once the disk is frozen.
async fn script(process: &Process, options: JournalOptions, history: &mut History) -> Option<()> {
    let journal = process.open(options).await.ok()?;
    for number in 1..=2 {
        history.give(group(number), Change::Create(ReplicaId(number)));
        journal
            .create_group(group(number), ReplicaId(number))
            .await
            .ok()?;
        history.acknowledged = history.given.len();
    }
    for round in 0..6_u64 {
        for number in 1..=2 {
            let log = journal.group(group(number)).unwrap();
            let next = log.state().last.map_or(0, |last| last.index + 1);
            let lens = [40, 700, if round == 3 { 40_000 } else { 5_000 }];
            let entries: Vec<_> = (next..)
                .zip(lens)
                .map(|(index, len)| entry(id(round, index), payload(round * 100 + index, len)))
                .collect();
            for entry in &entries {
                history.give(group(number), Change::Entry(entry.clone()));
            }
            let count = history.given.len();
            history.pending.push((count, append(&log, entries).await));
        }
        let log = journal.group(group(1 + round % 2)).unwrap();
        let vote = Vote {
            term: round,
            candidate: ReplicaId(round),
            committed: round % 2 == 0,
        };
        history.give(log.key(), Change::Vote(vote));
        let saved = log.save_vote(vote).await;
        saved.unwrap();
        history.acknowledged = history.given.len();
        if round % 3 == 2 {
            let last = log.log_id_at(log.state().last?.index - 1);
            history.give(log.key(), Change::Truncate(last));
            log.truncate_after(last).await.unwrap();
        }
        if round == 4 {
            let upto = log.log_id_at(3)?;
            history.give(log.key(), Change::Purge(upto));
            log.purge(upto).await.unwrap();
        }
    }
    let log = journal.group(group(1)).unwrap();
    let last = entry(id(9, log.state().last?.index + 1), payload(999, 10));
    history.give(group(1), Change::Entry(last.clone()));
    append_durably(&log, vec![last]).await;
    history.acknowledged = history.given.len();
    process.env.clock.sleep(Duration::from_secs(2)).await;
    journal.close().await;
    Some(())
}

/// Runs the script until it ends or the disk freezes.
async fn run(process: &Process, options: JournalOptions) -> History {
    let mut history = History::default();
    let ended = process
        .env
        .clock
        .timeout(Duration::from_secs(60), script(process, options, &mut history))
        .await;
    assert_eq!(ended.is_err() || ended == Ok(None), process.vfs.is_frozen());
    history.settle();
    process.kill();
    history
}

async fn contents(journal: &Journal) -> Logs {
    assert_eq!(
        journal.quarantined(),
        [],
        "{:?}",
        journal.quarantine_reason(group(1))
    );
    let mut logs = Logs::new();
    for (key, replica) in journal.groups() {
        let log = journal.group(key).unwrap();
        let state = log.state();
        let entries = read_all(&log).await;
        // Commit marks are not part of the script.
        logs.insert(
            key,
            Log {
                replica,
                entries,
                vote: state.vote,
                committed: None,
                purged: state.purged,
            },
        );
        assert_eq!(logs[&key].last(), state.last);
    }
    logs
}

/// Opens, checks, and makes sure that what was found once is found ever after: the power goes right
/// after opening. Then the journal must still be writable.
async fn recover_and_check(vfs: MemVfs, options: JournalOptions, history: &History) -> u64 {
    let process = Process::on(vfs);
    let before = process.vfs.operations();
    let journal = process.open(options).await.unwrap();
    let operations = process.vfs.operations() - before;
    let found = contents(&journal).await;
    history.check(&found);
    process.kill();

    let process = Process::on(process.vfs.crash(Crash::LoseAll));
    let journal = process.open(options).await.unwrap();
    assert_eq!(
        contents(&journal).await,
        found,
        "what a start has shown must not vanish"
    );
    let log = journal.create_group(group(3), ReplicaId(3)).await.unwrap();
    append_durably(&log, vec![entry(id(1, 0), payload(5, 100))]).await;
    process.kill();

    let process = Process::on(process.vfs.crash(Crash::LoseAll));
    let journal = process.open(options).await.unwrap();
    let mut again = contents(&journal).await;
    assert_eq!(again.remove(&group(3)).map(|log| log.entries.len()), Some(1));
    assert_eq!(again, found);
    process.kill();
    operations
}

async fn crash_everywhere(options: JournalOptions, crashes: &[(Crash, u64)], during_recovery: bool) {
    let process = Process::on(MemVfs::default());
    let history = run(&process, options).await;
    assert_eq!(history.acknowledged, history.given.len());
    let operations = process.vfs.operations();
    assert!(
        operations > 40,
        "the script is long enough to mean something: {operations}"
    );
    for operation in 1..=operations {
        let process = Process::on(MemVfs::default());
        process.vfs.freeze_at(operation);
        let history = run(&process, options).await;
        for (crash, seed) in crashes {
            let crashed = || process.vfs.fork(*seed).crash(*crash);
            let recovery = recover_and_check(crashed(), options, &history).await;
            if !during_recovery {
                continue;
            }
            for second in 1..=recovery {
                let process = Process::on(crashed());
                process.vfs.freeze_at(process.vfs.operations() + second);
                let opened = process
                    .env
                    .clock
                    .timeout(Duration::from_secs(60), process.open(options))
                    .await;
                assert!(process.vfs.is_frozen(), "{opened:?}", opened = opened.is_ok());
                process.kill();
                recover_and_check(process.vfs.crash(*crash), options, &history).await;
            }
        }
    }
}

#[test]
fn at_every_operation_with_everything_unsynced_lost() {
    simulate(crash_everywhere(SMALL, &[(Crash::LoseAll, 0)], true));
}

#[test]
fn at_every_operation_with_only_the_process_gone() {
    simulate(crash_everywhere(SMALL, &[(Crash::Process, 0)], true));
}

#[test]
fn at_every_operation_with_every_kind_of_torn_write() {
    let crashes: Vec<_> = (0..24).map(|seed| (Crash::Random, seed)).collect();
    simulate(crash_everywhere(SMALL, &crashes, false));
}

#[test]
fn at_every_operation_and_at_every_operation_of_the_recovery() {
    let crashes: Vec<_> = (0..4).map(|seed| (Crash::Random, seed + 100)).collect();
    simulate(crash_everywhere(SMALL, &crashes, true));
}

#[test]
fn at_every_operation_with_segments_made_ahead() {
    let options = JournalOptions {
        preallocate: true,
        ..SMALL
    };
    let crashes: Vec<_> = (0..12).map(|seed| (Crash::Random, seed + 200)).collect();
    simulate(crash_everywhere(options, &crashes, false));
}
