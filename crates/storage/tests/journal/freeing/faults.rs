//! Disks that refuse: the journal goes on, with other files if need be.

use std::io;
use std::path::Path;
use std::sync::Arc;

use atoll_env::vfs::{Fault, File, OpenMode};
use atoll_env::{Env, Vfs};
use parking_lot::Mutex;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Rename,
    Remove,
    SyncDir,
}

/// A disk that refuses to change names when it is told to.
struct Refusing {
    vfs: MemVfs,
    next: Mutex<Option<(Op, &'static str)>>,
    /// Such a name was changed, and the folder not synced since.
    changed: Mutex<bool>,
}

impl Refusing {
    fn refuses(&self, op: Op, concerned: bool) -> io::Result<()> {
        let mut next = self.next.lock();
        if concerned && next.is_some_and(|(wanted, _)| wanted == op) {
            *next = None;
            return Err(io::Error::other(format!("{op:?} is refused")));
        }
        Ok(())
    }

    fn concerns(&self, path: &Path) -> bool {
        let part = self.next.lock().map(|(_, part)| part);
        let concerned = part.is_some_and(|part| path.to_string_lossy().ends_with(part));
        *self.changed.lock() |= concerned;
        concerned
    }

    /// The next change of a name that ends so, or the next sync of the folder after one.
    fn refuse(&self, op: Op, part: &'static str) {
        *self.changed.lock() = false;
        *self.next.lock() = Some((op, part));
    }
}

impl Vfs for Refusing {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.vfs.open(path, mode)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.vfs.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.vfs.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.vfs.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.refuses(Op::Rename, self.concerns(from) | self.concerns(to))?;
        self.vfs.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.refuses(Op::Remove, self.concerns(path))?;
        self.vfs.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.refuses(Op::SyncDir, *self.changed.lock())?;
        self.vfs.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.vfs.lock(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.vfs.free_bytes(dir)
    }
}

struct World {
    process: Process,
    disk: Arc<Refusing>,
    journal: Journal,
    log: GroupLog,
}

impl World {
    async fn start(options: JournalOptions, entries: u64) -> Self {
        let process = Process::on(MemVfs::default());
        let disk = Arc::new(Refusing {
            vfs: process.vfs.clone(),
            next: Mutex::default(),
            changed: Mutex::default(),
        });
        let env = Env {
            vfs: disk.clone(),
            ..process.env.clone()
        };
        let opened = Journal::open(&env, Path::new(DIR), IDENTITY, options).await;
        let journal = opened.unwrap();
        let log = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
        write(&log, entries).await;
        Self {
            process,
            disk,
            journal,
            log,
        }
    }

    async fn purge_and_free(&self) {
        free(&self.journal, &self.log, 1).await;
    }

    async fn purge(&self) {
        let upto = self.log.purge_limit(1).unwrap();
        self.log.purge(upto).await.unwrap();
    }

    /// All is there, now and after a power cut, and segments go again.
    async fn check(self, options: JournalOptions) {
        assert!(!self.process.is_halted());
        write(&self.log, 7).await;
        let held = contents(&self.journal).await;
        let (_process, journal) = restart(&self.process, options).await;
        assert_eq!((journal.damage(), journal.quarantined()), (None, vec![]));
        assert_eq!(contents(&journal).await, held);
        let log = journal.group(group(1)).unwrap();
        write(&log, 7).await;
        let oldest = free(&journal, &log, 1).await;
        assert_eq!(oldest, journal.segments().newest);
    }
}

#[test]
fn a_file_that_cannot_be_kept_is_removed() {
    simulate(async {
        let world = World::start(AHEAD, 9).await;
        world.purge().await;
        world.disk.refuse(Op::Rename, ".spare");
        assert_eq!(world.journal.free_before(2).await.unwrap(), 2);
        assert_eq!(names(&world.process.vfs, ".spare"), [""; 0]);
        assert_eq!(names(&world.process.vfs, ".jnl")[0], name(2));
        world.check(AHEAD).await;
    });
}

#[test]
fn a_file_that_cannot_be_removed_stays_a_segment_and_goes_later() {
    simulate(async {
        let world = World::start(SMALL, 9).await;
        let used = world.journal.used_bytes();
        world.purge().await;
        world.disk.refuse(Op::Remove, ".jnl");
        assert!(world.journal.free_before(u32::MAX).await.is_err());
        let segments = world.journal.segments();
        assert!(segments.oldest == 1 && segments.bytes >= used);
        assert_eq!(world.journal.stats().segments_freed, 0);
        let oldest = world.journal.free_before(u32::MAX).await.unwrap();
        assert_eq!(oldest, world.journal.segments().newest);
        world.check(SMALL).await;
    });
}

#[test]
fn if_the_folder_cannot_be_synced_nothing_goes_before_the_next_start() {
    simulate(async {
        for options in [SMALL, AHEAD] {
            let world = World::start(options, 9).await;
            world.purge().await;
            let part = if options.preallocate { ".spare" } else { ".jnl" };
            world.disk.refuse(Op::SyncDir, part);
            assert!(world.journal.free_before(u32::MAX).await.is_err());
            let files = names(&world.process.vfs, ".jnl");
            let error = world.journal.free_before(u32::MAX).await.unwrap_err();
            assert!(error.to_string().contains("before the next start"), "{error}");
            assert_eq!(names(&world.process.vfs, ".jnl"), files);
            world.check(options).await;
        }
    });
}

#[test]
fn a_spare_that_cannot_be_begun_in_is_given_up_for_a_new_file() {
    simulate(async {
        for fault in [Some(Fault::Write), Some(Fault::Sync), None] {
            let world = World::start(AHEAD, 30).await;
            world.purge().await;
            world.journal.free_before(u32::MAX).await.unwrap();
            // The one that is ready is used up, then a spare is taken.
            let newest = world.journal.segments().newest;
            while world.journal.segments().newest == newest {
                write(&world.log, 1).await;
            }
            let spares = names(&world.process.vfs, ".spare").len();
            assert!(spares > 0 && world.journal.stats().segments_recycled == 0);
            match fault {
                // By the name that the file was opened under.
                Some(fault) => {
                    (1..newest)
                        .for_each(|segment| world.process.vfs.fail_next(fault, &format!("{segment:016x}")));
                }
                None => world.disk.refuse(Op::Rename, ".spare"),
            }
            let newest = world.journal.segments().newest;
            while world.journal.segments().newest == newest {
                write(&world.log, 1).await;
            }
            assert_eq!(world.journal.stats().segments_recycled, 0, "{fault:?}");
            assert_eq!(names(&world.process.vfs, ".spare").len(), spares - 1);
            world.check(AHEAD).await;
        }
    });
}

#[test]
fn a_recycled_file_whose_name_may_not_be_durable_ends_the_process() {
    simulate(async {
        let world = World::start(AHEAD, 30).await;
        world.purge().await;
        world.journal.free_before(u32::MAX).await.unwrap();
        let newest = world.journal.segments().newest;
        while world.journal.segments().newest == newest {
            write(&world.log, 1).await;
        }
        write(&world.log, 2).await;
        world.disk.refuse(Op::SyncDir, ".spare");
        let held = contents(&world.journal).await;
        let next = world.log.state().last.unwrap().index + 1;
        let mut durable = append(&world.log, vec![entry(id(1, next), payload(1, 30_000))]).await;
        world.process.env.clock.sleep(Duration::from_secs(5)).await;
        assert!(world.process.is_halted() && durable.try_recv().is_err());
        let (_process, journal) = restart(&world.process, AHEAD).await;
        assert_eq!(journal.damage(), None);
        assert_eq!(contents(&journal).await, held);
    });
}

/// A file that has its blocks needs no room.
#[test]
fn a_full_disk_does_not_stop_a_journal_that_has_spares() {
    simulate(async {
        let world = World::start(AHEAD, 30).await;
        world.purge().await;
        world.journal.free_before(u32::MAX).await.unwrap();
        world.process.env.clock.sleep(Duration::from_secs(5)).await;
        world.process.vfs.set_free_bytes(0);
        let newest = world.journal.segments().newest;
        for _ in 0..30 {
            write(&world.log, 1).await;
            world.purge_and_free().await;
        }
        assert!(world.journal.segments().newest > newest + 5);
        assert!(!world.process.is_halted());
        world.process.vfs.set_free_bytes(1 << 30);
        world.check(AHEAD).await;
    });
}
