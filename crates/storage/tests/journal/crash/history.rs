//! What was given to a journal, and what of it must be there after a crash.

use std::collections::BTreeMap;

use atoll_env::vfs::MemVfs;
use atoll_storage::LogEntry;
use atoll_types::{GroupKey, LogId, ReplicaId, Vote};
use tokio::sync::oneshot;

use crate::disk::frames;
use crate::logs::{Log, Logs};

/// One record as given to the journal.
#[derive(Clone, Debug)]
pub enum Change {
    Create(ReplicaId),
    Entry(LogEntry),
    Vote(Vote),
    Truncate(Option<LogId>),
    Purge(LogId),
}

fn apply(logs: &mut Logs, (group, change): &(GroupKey, Change)) {
    if let Change::Create(replica) = change {
        let fresh = Log {
            replica: *replica,
            ..Log::default()
        };
        logs.insert(*group, fresh);
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

/// Kinds of records that stand for a [`Change`]; the others are marks and heads, which the journal adds
/// where it likes.
const CHANGES: [u8; 5] = [1, 2, 3, 4, 6];

/// What was given to the journal, in order, and how much of it was acknowledged.
#[derive(Default)]
pub struct History {
    given: Vec<(GroupKey, Change)>,
    pending: Vec<(usize, oneshot::Receiver<std::io::Result<()>>)>,
    acknowledged: usize,
    /// Commit marks given.
    marks: BTreeMap<GroupKey, Vec<LogId>>,
    /// How many changes are in each frame written, by number.
    frames: BTreeMap<u64, usize>,
    /// How many are in the frames up to each one: no other number may be found.
    whole: Vec<usize>,
}

impl History {
    pub fn give(&mut self, group: GroupKey, change: Change) {
        self.given.push((group, change));
    }

    pub fn give_mark(&mut self, group: GroupKey, id: LogId) {
        self.marks.entry(group).or_default().push(id);
    }

    /// Everything given so far will be acknowledged by this.
    pub fn wait_for(&mut self, durable: oneshot::Receiver<std::io::Result<()>>) {
        self.pending.push((self.given.len(), durable));
    }

    /// Everything given so far is durable.
    pub fn acknowledge(&mut self) {
        self.acknowledged = self.given.len();
    }

    /// True once nothing given may be missing.
    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged == self.given.len()
    }

    /// Remembers the frames there are: some may go.
    pub fn note_frames(&mut self, vfs: &MemVfs) {
        let changes = |kinds: &[u8]| kinds.iter().filter(|kind| CHANGES.contains(kind)).count();
        let found = frames(vfs).into_iter();
        self.frames
            .extend(found.map(|frame| (frame.seq, changes(&frame.kinds))));
    }

    /// The script has ended, or the disk froze.
    pub fn end(&mut self, vfs: &MemVfs) {
        for (count, durable) in &mut self.pending {
            if let Ok(result) = durable.try_recv() {
                result.unwrap();
                self.acknowledged = self.acknowledged.max(*count);
            }
        }
        self.note_frames(vfs);
        self.whole = vec![0];
        let mut count = 0;
        for changes in self.frames.values() {
            count += changes;
            self.whole.push(count);
        }
        assert!((self.acknowledged..=self.given.len()).contains(&count));
    }

    /// The logs are what the first so many changes make: all acknowledged ones, and of the others whole
    /// frames.
    pub fn check(&self, found: &Logs) {
        for (group, log) in found {
            self.check_mark(*group, log);
        }
        let mut without_marks = found.clone();
        for log in without_marks.values_mut() {
            log.committed = None;
        }
        let mut logs = Logs::new();
        for count in 0..=self.given.len() {
            let may_be = count >= self.acknowledged && self.whole.contains(&count);
            if may_be && logs == without_marks {
                return;
            }
            if let Some(change) = self.given.get(count) {
                apply(&mut logs, change);
            }
        }
        let Self {
            acknowledged, whole, ..
        } = self;
        panic!(
            "{acknowledged} acknowledged, frames end at {whole:?}\nfound {found:#?}\ngiven makes {logs:#?}"
        );
    }

    /// A commit mark was given, and what it says to be committed is there.
    fn check_mark(&self, group: GroupKey, log: &Log) {
        let Some(mark) = log.committed else { return };
        assert!(self.marks[&group].contains(&mark), "{mark} of {:?}", self.marks);
        let kept = log.entries.iter().any(|entry| entry.id == mark);
        let purged = log.purged.is_some_and(|purged| purged.index >= mark.index);
        assert!(kept || purged, "{mark} is committed, but not in {log:?}");
    }
}
