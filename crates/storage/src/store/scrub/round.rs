//! The thread that scrubs, and one round of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atoll_env::vfs::{File, FrontDamage};
use atoll_env::{Env, watch};
use atoll_types::GroupKey;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::options::ScrubOptions;
use super::status::{Board, Finding, LastRound, ScrubStatus, ScrubbedFile};
use crate::check::JOURNAL;
use crate::journal::{Align, Identity, Journal};
use crate::manifest::{GROUPS, folder_name};
use crate::run::{Run, RunIdentity};
use crate::store::maintenance::Store;
use crate::store::merging::rate::Rate;
use crate::store::space::backlog::Backlog;
use crate::value_file::{ValueFile, ValueFileId};

/// With next to nothing on the disk, rounds would follow each other without a pause.
const PERIOD_MIN: Duration = Duration::from_secs(1);
/// How often to look whether what was found is still there.
const LOOK: Duration = Duration::from_secs(60);

/// Reads everything that a node keeps, again and again. A cheap handle.
#[derive(Clone)]
pub struct Scrub(Arc<Inner>);

struct Inner {
    store: Store,
    options: ScrubOptions,
    board: Mutex<Board>,
    findings: watch::Sender<Vec<Finding>>,
    closing: AtomicBool,
    wake: Notify,
    ended: watch::Sender<bool>,
}

/// A file to look at, pinned if it is a group's.
enum Target {
    Segment(u32),
    Manifest(GroupKey),
    Run(Arc<Run>),
    Values(Arc<ValueFile>, ValueFileId),
}

impl Target {
    /// Which file it is.
    fn name(&self) -> ScrubbedFile {
        match self {
            Self::Segment(id) => ScrubbedFile::Segment(*id),
            Self::Manifest(group) => ScrubbedFile::Manifest(*group),
            Self::Run(run) => {
                let RunIdentity { group, number, .. } = run.identity();
                ScrubbedFile::Run(group, number)
            }
            Self::Values(_, ValueFileId { group, number, .. }) => ScrubbedFile::Values(*group, *number),
        }
    }
}

/// Why a file is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    offset: u64,
    what: String,
    /// The file can still be opened and read whole.
    readable: bool,
}

impl Flaw {
    pub(super) fn new(offset: u64, what: &str) -> Self {
        Self {
            offset,
            what: what.to_owned(),
            readable: false,
        }
    }

    /// What the file system below keeps at the front of a file is not what it wrote.
    pub(super) fn of_front(file: &dyn File) -> Option<Self> {
        match file.check_front() {
            Ok(None) => None,
            Ok(Some(FrontDamage { what, readable })) => Some(Self {
                readable,
                ..Self::new(0, what)
            }),
            Err(error) => Some(Self::unreadable(&error)),
        }
    }

    /// The disk refuses to read it: whether that is the disk or the file, nobody gets at it.
    pub(super) fn unreadable(error: &io::Error) -> Self {
        Self::new(0, &format!("it cannot be read: {error}"))
    }
}

impl Scrub {
    /// Begins to scrub the files of a store and of its journal.
    pub fn start(store: &Store, options: ScrubOptions) -> Self {
        let inner = Arc::new(Inner {
            store: store.clone(),
            options,
            board: Mutex::default(),
            findings: watch::Sender::new(Vec::new()),
            closing: AtomicBool::new(false),
            wake: Notify::new(),
            ended: watch::Sender::new(options.bytes_per_second == 0),
        });
        if options.bytes_per_second > 0 {
            let own = inner.clone();
            let work = async move {
                own.run().await;
                own.ended.send_replace(true);
            };
            store.0.env.spawn.dedicated("storage-scrub", work);
        }
        Self(inner)
    }

    /// How far it is, and what it has found.
    pub fn status(&self) -> ScrubStatus {
        let board = self.0.board.lock();
        ScrubStatus {
            bytes_per_second: self.0.options.bytes_per_second,
            running: board.running,
            done: board.done,
            total: board.total,
            last: board.last,
            findings: board.findings(),
            more: board.more(),
        }
    }

    /// What is damaged, as far as is known, now and whenever that changes.
    pub fn findings(&self) -> watch::Receiver<Vec<Finding>> {
        self.0.findings.subscribe()
    }

    /// Ends it. On return it holds no file any more.
    pub async fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.wake.notify_one();
        let mut ended = self.0.ended.subscribe();
        // An error means that the thread is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

impl Inner {
    async fn run(&self) {
        let clock = &self.env().clock;
        let mut next = clock.now() + self.options.first_after;
        while !self.is_closing() {
            let wait = next.since(clock.now());
            if wait > Duration::ZERO {
                self.sleep(wait.min(LOOK)).await;
                self.look_again().await;
                continue;
            }
            next = clock.now() + self.options.period.max(PERIOD_MIN);
            self.round().await;
        }
    }

    /// Forgets what was found in files that are gone, or were replaced under their name.
    async fn look_again(&self) {
        let damaged = self.board.lock().damaged();
        for file in damaged {
            if !self.is_there(file) {
                self.board.lock().forget(file);
            } else if let ScrubbedFile::Manifest(group) = file {
                self.begin().file(Target::Manifest(group)).await;
            }
        }
        self.tell();
    }

    fn is_there(&self, file: ScrubbedFile) -> bool {
        let path = self.store.0.data().join(file.path());
        self.env().vfs.exists(&path).unwrap_or(true)
    }

    fn begin(&self) -> Round<'_> {
        Round {
            inner: self,
            rate: Rate::new(
                &self.env().clock,
                self.options.bytes_per_second,
                // Looking for damage helps no journal that is too large.
                &Arc::new(Backlog::new(u64::MAX)),
                &self.store.0.journal,
            ),
            of_file: 0,
        }
    }

    /// Ends early only to close.
    async fn sleep(&self, wait: Duration) {
        let closing = async {
            while !self.is_closing() {
                self.wake.notified().await;
            }
        };
        let _ = self.env().clock.timeout(wait, closing).await;
    }

    async fn round(&self) {
        let clock = &self.env().clock;
        let began_ms = clock.wall_ms();
        let journal = &self.store.0.journal;
        let total = journal.used_bytes().saturating_add(self.store.disk_bytes());
        self.board.lock().begin(total);
        let mut round = self.begin();
        round.journal_files().await;
        for group in self.store.0.open_keys() {
            round.group_files(group).await;
        }
        if self.is_closing() {
            return;
        }
        let ended = LastRound {
            began_ms,
            ended_ms: clock.wall_ms(),
            ..LastRound::default()
        };
        self.board.lock().end(ended, |file| self.is_there(file));
        self.tell();
        tracing::debug!("everything on the disk was read to find damage");
    }

    fn tell(&self) {
        let board = self.board.lock();
        let (found, rotten) = (board.findings(), board.rotten_segment());
        drop(board);
        self.store.0.journal.set_rotten(rotten);
        self.findings.send_if_modified(|told| {
            let new = *told != found;
            *told = found;
            new
        });
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn env(&self) -> &Env {
        &self.store.0.env
    }
}

/// One round.
pub(super) struct Round<'a> {
    inner: &'a Inner,
    rate: Rate,
    /// Bytes of this file that are done with.
    of_file: u64,
}

impl Round<'_> {
    /// All segments but the one that is written to.
    async fn journal_files(&mut self) {
        let Some(ends) = self.journal().ends() else { return };
        for id in ends.oldest..ends.newest {
            self.file(Target::Segment(id)).await;
        }
    }

    async fn group_files(&mut self, group: GroupKey) {
        self.file(Target::Manifest(group)).await;
        // Files are pinned and the group is not: it may be closed and opened again meanwhile.
        let Some((runs, values)) = self.inner.store.0.files_of(group) else {
            return;
        };
        for run in runs {
            self.file(Target::Run(run)).await;
        }
        for (number, file) in values {
            let identity = self.identity();
            let id = ValueFileId {
                identity,
                group,
                number,
            };
            self.file(Target::Values(file, id)).await;
        }
    }

    /// Looks at one file, and again at one that does not check: a disk may have slipped.
    async fn file(&mut self, target: Target) {
        let mut flaw = None;
        for _ in 0..2 {
            if self.is_over() {
                return;
            }
            self.of_file = 0;
            flaw = match &target {
                Target::Segment(id) => self.segment(*id).await,
                Target::Manifest(group) => self.manifest(*group).await,
                Target::Run(run) => self.run(run).await,
                Target::Values(file, id) => self.values(file, *id).await,
            };
            if flaw.is_none() {
                break;
            }
        }
        self.note(target.name(), flaw);
    }

    fn note(&self, file: ScrubbedFile, flaw: Option<Flaw>) {
        if self.is_over() {
            return;
        }
        let finding = flaw.map(|flaw| Finding {
            file,
            path: file.path(),
            offset: flaw.offset,
            what: flaw.what,
            readable: flaw.readable,
            found_ms: self.env().clock.wall_ms(),
        });
        let told = finding.clone();
        let new = self.inner.board.lock().note(file, finding);
        if let Some(finding) = told.filter(|_| new) {
            let Finding {
                path, offset, what, ..
            } = finding;
            tracing::error!(file = %path.display(), offset, what, "a file is damaged on the disk");
        }
        self.inner.tell();
    }

    /// So many bytes more were read. Waits until more may be.
    pub(super) async fn took(&mut self, bytes: u64) {
        self.of_file += bytes;
        self.inner.board.lock().advance(bytes);
        self.rate.take(bytes, &self.inner.store.0.journal).await;
    }

    pub(super) fn done_of_file(&self) -> u64 {
        self.of_file
    }

    pub(super) fn is_over(&self) -> bool {
        self.inner.is_closing()
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.inner.store.0.journal
    }

    pub(super) fn env(&self) -> &Env {
        self.inner.env()
    }

    /// Of the journal's frames.
    pub(super) fn align(&self) -> Align {
        Align::of(&*self.env().vfs, &self.inner.store.0.data().join(JOURNAL))
    }

    pub(super) fn identity(&self) -> Identity {
        self.inner.store.0.identity
    }

    pub(super) fn folder(&self, group: GroupKey) -> PathBuf {
        self.inner.store.0.data().join(GROUPS).join(folder_name(group))
    }

    pub(super) fn has_checkpoint(&self, group: GroupKey) -> bool {
        self.inner.store.0.has_checkpoint(group)
    }
}
