//! The journal against plain lists, through every operation, clean stops and kills.

use std::collections::BTreeMap;

use atoll_env::vfs::{Crash, MemVfs};
use atoll_storage::{GroupLog, Journal, JournalOptions};
use atoll_types::{GroupKey, LogId, ReplicaId, Vote};
use proptest::prelude::*;

use crate::logs::Log;
use crate::support::*;

#[derive(Clone, Debug)]
enum Step {
    Append {
        group: u64,
        lens: Vec<usize>,
        term_up: u64,
    },
    Truncate {
        group: u64,
        back: usize,
    },
    Purge {
        group: u64,
        count: usize,
    },
    PurgeOld {
        group: u64,
        keep: u32,
    },
    Free {
        back: u32,
    },
    Vote {
        group: u64,
        up: u64,
        committed: bool,
    },
    Commit {
        group: u64,
        back: usize,
    },
    Release {
        group: u64,
    },
    Sync {
        group: u64,
    },
    Reopen,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let group = 0..3_u64;
    let len = prop_oneof![8 => 0..200_usize, 2 => 3_000..9_000_usize, 1 => 30_000..70_000_usize];
    prop_oneof![
        8 => (group.clone(), proptest::collection::vec(len, 1..5), 0..2_u64)
            .prop_map(|(group, lens, term_up)| Step::Append { group, lens, term_up }),
        1 => (group.clone(), 0..6_usize).prop_map(|(group, back)| Step::Truncate { group, back }),
        1 => (group.clone(), 0..6_usize).prop_map(|(group, count)| Step::Purge { group, count }),
        2 => (group.clone(), 0..4_u32).prop_map(|(group, keep)| Step::PurgeOld { group, keep }),
        2 => (0..3_u32).prop_map(|back| Step::Free { back }),
        1 => (group.clone(), 0..3_u64, any::<bool>()).prop_map(|(group, up, committed)| Step::Vote { group, up, committed }),
        1 => (group.clone(), 0..3_usize).prop_map(|(group, back)| Step::Commit { group, back }),
        1 => group.clone().prop_map(|group| Step::Release { group }),
        1 => group.prop_map(|group| Step::Sync { group }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ]
}

struct Run {
    process: Process,
    journal: Journal,
    options: JournalOptions,
    logs: BTreeMap<GroupKey, Log>,
    made: u64,
}

impl Run {
    async fn start(options: JournalOptions) -> Self {
        let process = Process::on(MemVfs::default());
        let journal = process.open(options).await.unwrap();
        let mut logs = BTreeMap::new();
        for id in 0..3 {
            let replica = ReplicaId(10 + id);
            journal.create_group(group(id), replica).await.unwrap();
            logs.insert(
                group(id),
                Log {
                    replica,
                    ..Log::default()
                },
            );
        }
        Self {
            process,
            journal,
            options,
            logs,
            made: 0,
        }
    }

    fn log(&mut self, id: u64) -> (GroupLog, &mut Log) {
        (
            self.journal.group(group(id)).unwrap(),
            self.logs.get_mut(&group(id)).unwrap(),
        )
    }

    async fn append(&mut self, group: u64, lens: &[usize], term_up: u64) {
        self.made += lens.len() as u64;
        let seed = self.made * 1000;
        let (log, model) = self.log(group);
        let term = model.last().map_or(0, |last| last.term) + term_up;
        let next = model.next_index();
        let entries: Vec<_> = (next..)
            .zip(lens)
            .map(|(index, len)| entry(id(term, index), payload(seed + index, *len)))
            .collect();
        model.entries.extend(entries.iter().cloned());
        drop(append(&log, entries).await);
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Append {
                group,
                ref lens,
                term_up,
            } => self.append(group, lens, term_up).await,
            Step::Truncate { group, back } => {
                let (log, model) = self.log(group);
                let kept = model.entries.len().saturating_sub(back);
                let last = if kept == 0 {
                    model.purged
                } else {
                    Some(model.entries[kept - 1].id)
                };
                if last >= model.committed {
                    log.truncate_after(last).await.unwrap();
                    model.truncate_after(last);
                }
            }
            Step::Purge { group, count } => {
                let (_, model) = self.log(group);
                let upto = model.entries.iter().take(count).last().map(|entry| entry.id);
                self.purge(group, upto).await;
            }
            Step::PurgeOld { group, keep } => {
                let upto = self.log(group).0.purge_limit(keep);
                self.purge(group, upto).await;
            }
            Step::Free { back } => self.free(back).await,
            Step::Vote { group, up, committed } => {
                let (log, model) = self.log(group);
                let term = model.vote.map_or(0, |vote| vote.term) + up;
                let vote = Vote {
                    term,
                    candidate: ReplicaId(term + 1),
                    committed,
                };
                log.save_vote(vote).await.unwrap();
                model.vote = Some(vote);
            }
            Step::Commit { group, back } => {
                let (log, model) = self.log(group);
                let at = model
                    .entries
                    .len()
                    .checked_sub(back + 1)
                    .map(|at| model.entries[at].id);
                if let Some(at) = at.filter(|at| Some(*at) > model.committed) {
                    log.save_committed(at);
                    model.committed = Some(at);
                }
            }
            Step::Release { group } => {
                let (log, _) = self.log(group);
                log.release(u64::MAX);
            }
            Step::Sync { group } => self.sync(group).await,
            Step::Reopen => {
                self.journal.close().await;
                self.restart(Crash::LoseAll).await;
            }
            Step::Kill => {
                // Everything so far is in the page cache at least once a vote is durable.
                self.sync_all().await;
                self.process.kill();
                self.restart(Crash::Process).await;
            }
        }
    }

    async fn purge(&mut self, group: u64, upto: Option<LogId>) {
        let (log, model) = self.log(group);
        if let Some(upto) = upto {
            log.purge(upto).await.unwrap();
            model.purge(upto);
        }
    }

    /// What goes is exactly what no group needs, as far as it was asked for.
    async fn free(&mut self, back: u32) {
        let before = self.journal.segments();
        let upto = before.newest.saturating_sub(back);
        let kept = (0..3).filter_map(|id| self.log(id).0.oldest_segment());
        let expected = kept.chain([upto]).min().unwrap().max(before.oldest);
        assert_eq!(self.journal.free_before(upto).await.unwrap(), expected);
        assert_eq!(self.journal.segments().oldest, expected);
    }

    async fn sync(&mut self, group: u64) {
        let (log, model) = self.log(group);
        let vote = model.vote.unwrap_or_default();
        log.save_vote(vote).await.unwrap();
        model.vote = Some(vote);
    }

    async fn sync_all(&mut self) {
        for id in 0..3 {
            // Twice, because a commit mark given before may ride only with the second.
            self.sync(id).await;
            self.sync(id).await;
        }
    }

    async fn restart(&mut self, crash: Crash) {
        self.process = Process::on(self.process.vfs.crash(crash));
        self.journal = self.process.open(self.options).await.unwrap();
    }

    async fn check(&self) {
        assert_eq!(self.journal.quarantined(), []);
        let replicas: Vec<_> = self.logs.iter().map(|(key, log)| (*key, log.replica)).collect();
        assert_eq!(self.journal.groups(), replicas);
        for (key, model) in &self.logs {
            let log = self.journal.group(*key).unwrap();
            assert_eq!(log.state(), model.state());
            assert_eq!(read_all(&log).await, model.entries);
            check_bounded_reads(&log, model).await;
        }
    }
}

/// At least one entry, no more than asked for, nothing left out.
async fn check_bounded_reads(log: &GroupLog, model: &Log) {
    let end = model.next_index();
    let first = model.entries.first().map_or(end, |entry| entry.id.index);
    for from in [first, first + (end - first) / 2] {
        for max_bytes in [0, 100, 10_000] {
            let read = log.read(from, end, max_bytes).await.unwrap();
            let bytes: usize = read.iter().map(|entry| entry.payload.len()).sum();
            let first_len = read.first().map_or(0, |entry| entry.payload.len());
            assert!(bytes <= max_bytes.max(first_len), "{bytes} of {max_bytes}");
            assert_eq!(read.is_empty(), from >= end);
            let at = (from - first) as usize;
            assert_eq!(read, model.entries[at..at + read.len()]);
        }
    }
}

fn check_steps(steps: &[Step], options: JournalOptions) {
    simulate(async {
        let mut run = Run::start(options).await;
        for step in steps {
            run.step(step).await;
            run.check().await;
        }
        run.step(&Step::Reopen).await;
        run.check().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn is_the_model(steps in proptest::collection::vec(step(), 1..40)) {
        check_steps(&steps, SMALL);
    }

    #[test]
    fn is_the_model_with_segments_made_ahead_and_no_memory(steps in proptest::collection::vec(step(), 1..40)) {
        check_steps(&steps, JournalOptions { preallocate: true, tail_bytes: 0, ..SMALL });
    }
}
