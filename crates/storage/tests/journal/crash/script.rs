//! Scripts: short lists of steps that a process runs until it ends or its disk freezes.

use std::time::Duration;

use atoll_storage::{GroupLog, Journal, JournalOptions};
use atoll_types::{LogId, ReplicaId, Vote};

use super::history::{Change, History};
use crate::support::*;

/// What a process does next. Groups are numbers.
#[derive(Clone, Debug)]
pub enum Step {
    Create(u64),
    /// Entries of these sizes, in the group's term; acknowledged later.
    Append(u64, Vec<usize>),
    /// The same, and waits.
    AppendDurably(u64, Vec<usize>),
    /// A leader of a later term replaces so many entries by entries of these sizes.
    Conflict(u64, usize, Vec<usize>),
    /// A vote in the next term.
    Vote(u64),
    /// The group's vote again, committed.
    Elected(u64),
    /// Everything but the newest so many entries is committed.
    Commit(u64, usize),
    /// Everything but the newest so many entries is forgotten.
    Purge(u64, usize),
    /// As if a snapshot had been installed: what is forgotten lies this far beyond the last entry.
    PurgeBeyond(u64, u64),
    /// What stands in segments older than the newest so many is forgotten.
    PurgeOld(u64, u32),
    /// Segments that no log needs go.
    Free,
    /// Long enough for a marker.
    Idle,
    /// Closes the journal and opens it again.
    Reopen,
}

/// Steps up to their end, or to a frozen disk, where they hang or give `None`.
pub struct Play<'a> {
    pub process: &'a Process,
    pub options: JournalOptions,
    pub history: &'a mut History,
    journal: Journal,
    made: u64,
}

impl<'a> Play<'a> {
    pub async fn script(
        process: &'a Process,
        options: JournalOptions,
        steps: &[Step],
        history: &'a mut History,
    ) -> Option<()> {
        let mut play = Self {
            journal: process.open(options).await.ok()?,
            process,
            options,
            history,
            made: 0,
        };
        for step in steps {
            play.step(step).await?;
        }
        play.journal.close().await;
        play.history.acknowledge();
        Some(())
    }

    fn log(&self, number: u64) -> GroupLog {
        self.journal.group(group(number)).unwrap()
    }

    async fn step(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Create(number) => self.create(*number).await?,
            Step::Append(number, lens) => self.append(*number, lens).await,
            Step::AppendDurably(number, lens) => {
                self.append(*number, lens).await;
                self.barrier().await?;
            }
            Step::Conflict(number, back, lens) => {
                self.truncate(*number, *back).await;
                self.vote(*number, 1, false).await?;
                self.append(*number, lens).await;
            }
            Step::Vote(number) => self.vote(*number, 1, false).await?,
            Step::Elected(number) => self.vote(*number, 0, true).await?,
            Step::Commit(number, back) => self.commit(*number, *back),
            Step::Purge(number, back) => {
                let upto = self.id_from_end(*number, *back)?;
                self.purge(*number, upto).await;
            }
            Step::PurgeBeyond(number, beyond) => {
                if let Some(last) = self.log(*number).state().last {
                    let upto = id(last.term + 1, last.index + beyond);
                    self.purge(*number, upto).await;
                }
            }
            Step::PurgeOld(number, keep) => {
                if let Some(upto) = self.log(*number).purge_limit(*keep) {
                    self.purge(*number, upto).await;
                }
            }
            Step::Free => {
                self.barrier().await?;
                self.history.note_frames(&self.process.vfs);
                self.journal.free_before(u32::MAX).await.ok()?;
            }
            Step::Idle => self.process.env.clock.sleep(Duration::from_secs(2)).await,
            Step::Reopen => {
                self.journal.close().await;
                self.history.acknowledge();
                self.journal = self.process.open(self.options).await.ok()?;
            }
        }
        Some(())
    }

    async fn create(&mut self, number: u64) -> Option<()> {
        let replica = ReplicaId(number * 10);
        self.history.give(group(number), Change::Create(replica));
        self.journal.create_group(group(number), replica).await.ok()?;
        self.history.acknowledge();
        Some(())
    }

    async fn append(&mut self, number: u64, lens: &[usize]) {
        let log = self.log(number);
        let state = log.state();
        let voted = state.vote.map_or(1, |vote| vote.term);
        let term = state.last.map_or(voted, |last| last.term.max(voted));
        let next = state.last.map_or(0, |last| last.index + 1);
        let mut entries = Vec::new();
        for (index, len) in (next..).zip(lens) {
            self.made += 1;
            let mut entry = entry(id(term, index), payload(self.made, *len));
            entry.kind = (self.made % 3) as u8;
            self.history.give(group(number), Change::Entry(entry.clone()));
            entries.push(entry);
        }
        self.history.wait_for(append(&log, entries).await);
    }

    /// Waits until everything given is durable.
    async fn barrier(&mut self) -> Option<()> {
        self.journal.mark().await.ok()?;
        self.history.acknowledge();
        Some(())
    }

    async fn vote(&mut self, number: u64, up: u64, committed: bool) -> Option<()> {
        let log = self.log(number);
        let term = log.state().vote.map_or(1, |vote| vote.term) + up;
        let vote = Vote {
            term,
            candidate: ReplicaId(term % 3 + 1),
            committed,
        };
        self.history.give(group(number), Change::Vote(vote));
        log.save_vote(vote).await.ok()?;
        self.history.acknowledge();
        Some(())
    }

    fn id_from_end(&self, number: u64, back: usize) -> Option<LogId> {
        let log = self.log(number);
        log.log_id_at(log.state().last?.index.checked_sub(back as u64)?)
    }

    async fn truncate(&mut self, number: u64, back: usize) {
        let state = self.log(number).state();
        let last = self
            .id_from_end(number, back)
            .or(state.purged)
            .max(state.committed);
        self.history.give(group(number), Change::Truncate(last));
        self.log(number).truncate_after(last).await.unwrap();
    }

    fn commit(&mut self, number: u64, back: usize) {
        if let Some(mark) = self.id_from_end(number, back) {
            self.history.give_mark(group(number), mark);
            self.log(number).save_committed(mark);
        }
    }

    async fn purge(&mut self, number: u64, upto: LogId) {
        self.history.give(group(number), Change::Purge(upto));
        self.log(number).purge(upto).await.unwrap();
    }
}

/// Groups appear one after the other while the others write, over several segments.
pub fn groups() -> Vec<Step> {
    use Step::{Append, AppendDurably, Create};
    vec![
        Create(1),
        Append(1, vec![40, 5_000]),
        Create(2),
        AppendDurably(2, vec![700, 40, 9_000]),
        Append(1, vec![12_000]),
        Create(3),
        Append(3, vec![0]),
        Append(2, vec![3_000, 3_000]),
        AppendDurably(1, vec![10]),
        Append(3, vec![12_000]),
    ]
}

/// Elections of two groups, with entries between them, and nothing but votes for a while.
pub fn votes() -> Vec<Step> {
    use Step::{Append, Create, Elected, Idle, Vote};
    vec![
        Create(1),
        Create(2),
        Vote(1),
        Elected(1),
        Vote(2),
        Append(1, vec![10]),
        Vote(2),
        Vote(1),
        Idle,
        Elected(2),
        Append(2, vec![10]),
        Vote(1),
        Elected(1),
        Append(1, vec![10, 20]),
    ]
}

/// A later leader replaces what an earlier one left behind, in the same segment, across a roll, and
/// from the very first entry on.
pub fn conflicts() -> Vec<Step> {
    use Step::{Append, AppendDurably, Commit, Conflict, Create};
    vec![
        Create(1),
        AppendDurably(1, vec![100, 200, 300]),
        Conflict(1, 2, vec![400, 500]),
        Append(1, vec![9_000, 9_000]),
        Commit(1, 3),
        AppendDurably(1, vec![9_000, 9_000]),
        Conflict(1, 3, vec![600]),
        Create(2),
        Append(2, vec![50, 60]),
        Conflict(2, 2, vec![70]),
        Conflict(2, 1, vec![80, 90]),
    ]
}

/// Segments fill up by many entries, by one that fits into none, and by one that fits exactly.
pub fn rolls() -> Vec<Step> {
    use Step::{Append, AppendDurably, Commit, Create};
    let rest = 32 * 1024 - 2 * 4096 - 64 - 2 * 48 - 112;
    vec![
        Create(1),
        Append(1, vec![9_000; 5]),
        AppendDurably(1, vec![40_000]),
        Append(1, vec![10]),
        Commit(1, 1),
        AppendDurably(1, vec![rest, 10]),
        AppendDurably(1, vec![70_000, 10, 70_000]),
        Append(1, vec![5_000; 4]),
    ]
}

/// Entries are forgotten at the front, all of them, and beyond the end.
pub fn purges() -> Vec<Step> {
    use Step::{Append, AppendDurably, Commit, Create, Purge, PurgeBeyond};
    vec![
        Create(1),
        Create(2),
        AppendDurably(1, vec![9_000, 100, 9_000, 100]),
        Commit(1, 1),
        Purge(1, 2),
        Append(1, vec![9_000, 9_000]),
        Append(2, vec![100, 9_000]),
        PurgeBeyond(2, 50),
        Append(2, vec![20, 30]),
        Commit(1, 0),
        Purge(1, 0),
        AppendDurably(1, vec![40]),
        Append(2, vec![9_000]),
    ]
}

/// Segments go at the front, more than one at a time, with a group that keeps some for a while; what is begun
/// next stands in their files, if segments are made ahead.
pub fn frees() -> Vec<Step> {
    use Step::{Append, AppendDurably, Conflict, Create, Free, Idle, Purge, PurgeOld, Reopen, Vote};
    vec![
        Create(1),
        Create(2),
        Vote(2),
        AppendDurably(1, vec![9_000; 8]),
        Append(2, vec![9_000]),
        PurgeOld(1, 1),
        Free,
        AppendDurably(1, vec![9_000; 4]),
        Purge(2, 0),
        PurgeOld(1, 2),
        Free,
        Append(2, vec![50, 9_000, 9_000]),
        Conflict(2, 2, vec![9_000, 9_000]),
        Create(3),
        Reopen,
        Append(1, vec![9_000, 9_000]),
        PurgeOld(1, 1),
        PurgeOld(2, 1),
        Free,
        AppendDurably(3, vec![9_000, 9_000, 9_000]),
        Idle,
        Free,
        AppendDurably(1, vec![9_000, 9_000, 9_000]),
    ]
}

/// Stops and starts: after writing, after nothing, and twice in a row.
pub fn restarts() -> Vec<Step> {
    use Step::{Append, Commit, Create, Idle, Reopen, Vote};
    vec![
        Reopen,
        Create(1),
        Append(1, vec![10, 5_000]),
        Reopen,
        Vote(1),
        Append(1, vec![20_000, 30]),
        Commit(1, 1),
        Reopen,
        Reopen,
        Create(2),
        Idle,
        Append(2, vec![40, 20_000]),
        Append(1, vec![50]),
    ]
}

/// Many steps drawn from a seed.
pub fn long(seed: u64, len: usize) -> Vec<Step> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut steps = vec![Step::Create(1), Step::Create(2), Step::Create(3)];
    let lens = |rng: &mut fastrand::Rng| {
        let len = |rng: &mut fastrand::Rng| match rng.u8(..20) {
            0 => rng.usize(20_000..60_000),
            1..=5 => rng.usize(2_000..9_000),
            _ => rng.usize(..300),
        };
        (0..rng.usize(1..4)).map(|_| len(rng)).collect::<Vec<_>>()
    };
    while steps.len() < len {
        let group = rng.u64(1..4);
        steps.push(match rng.u8(..20) {
            0..=5 => Step::Append(group, lens(&mut rng)),
            6..=8 => Step::AppendDurably(group, lens(&mut rng)),
            9 => Step::Conflict(group, rng.usize(..4), lens(&mut rng)),
            10 => Step::Vote(group),
            11 => Step::Elected(group),
            12 => Step::Commit(group, rng.usize(..3)),
            13 => Step::PurgeBeyond(group, rng.u64(1..9)),
            14 => Step::Idle,
            15 => Step::Reopen,
            16 | 17 => Step::PurgeOld(group, rng.u32(..3)),
            _ => Step::Free,
        });
    }
    steps
}
