//! Segments that nobody needs any more go.
//!
//! Only from the front, and each in steps that can be cut anywhere. First the journal says, durably and in
//! a record that every later segment begins with, that it may begin with a later segment ([`Shared::free_before`]); the
//! purges that explain it stand before that record, so they are durable too. Then, on the thread that
//! prepares segments, one after the other from the oldest on: the segment is taken out of the
//! table, its file loses its name, and the folder is synced before the next one is touched. So what a crash
//! leaves is always a run of segments without a gap, whose first one is no later than the record says. A
//! segment that is missing anywhere else, or at the front without such a record, was lost.
//!
//! Who still holds a segment reads on: its file is then removed, which takes only its name; it is used again only if
//! nobody has it ([`super::spares`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::{Env, Vfs, trouble};
use tokio::sync::oneshot;

use super::prepare::{Work, file_name};
use super::segment::{Segment, SegmentTable};
use super::shared::{RECORD_ROOM, Shared, closed};
use super::spares::{Spare, Spares, spare_path};

/// Asks for the oldest segment to go, if it is older than `below`.
pub(crate) struct FreeOne {
    pub(crate) below: u32,
    /// Told which segment is the oldest then.
    pub(crate) done: oneshot::Sender<io::Result<u32>>,
}

impl Shared {
    /// Has spares removed that are too many.
    pub(crate) async fn trim_spares(&self) -> io::Result<()> {
        let _turn = self.freeing.lock().await;
        let (done, trimmed) = oneshot::channel();
        self.ask_preparer(Work::Trim(done)).await?;
        trimmed.await.map_err(|_| closed())
    }

    /// See [`Journal::free_before`](super::Journal::free_before).
    pub(crate) async fn free_before(&self, segment: u32) -> io::Result<u32> {
        // One at a time, so that the thread that prepares segments never has a queue of these.
        let _turn = self.freeing.lock().await;
        let below = self.freeable(segment);
        let mut oldest = self.oldest_segment();
        if oldest >= below {
            return Ok(oldest);
        }
        self.say_first_segment(below).await?;
        while oldest < below {
            let now = self.free_one(below).await?;
            if now == oldest {
                break;
            }
            oldest = now;
        }
        Ok(oldest)
    }

    fn oldest_segment(&self) -> u32 {
        self.segments.ends().map_or(0, |ends| ends.oldest)
    }

    /// The oldest segment that the groups' logs or the next start need. What is added to a log later stands in this segment or
    /// behind it.
    pub(crate) fn needed_by_logs(&self) -> u32 {
        self.freeable(u32::MAX)
    }

    /// `segment`, or the oldest one that the logs kept or the next start need.
    fn freeable(&self, segment: u32) -> u32 {
        // In this order: an entry that is added to an empty log meanwhile stands in this segment or behind it.
        let newest = self.intake.lock().segment();
        // No lock is held while another is taken: `GroupLog::release` takes these two the other way round.
        let groups: Vec<_> = self.groups.read().values().cloned().collect();
        let kept = groups
            .iter()
            .filter_map(|group| group.table.lock().oldest_segment());
        kept.chain([newest, segment]).min().unwrap_or_default()
    }

    /// The segment that records were placed in, or a later one, begins durably with every group's head when
    /// this returns: nothing before it is needed for these.
    async fn say_first_segment(&self, first_segment: u32) -> io::Result<()> {
        let room = self.reserve(RECORD_ROOM).await?;
        let (done, durable) = oneshot::channel();
        {
            let mut intake = self.intake.lock();
            if intake.closing {
                return Err(closed());
            }
            intake.note_first_segment(first_segment);
            let bytes = room.num_permits();
            room.forget();
            // Whoever waited may be gone by then.
            intake.finish(bytes, Some(Box::new(move |result| drop(done.send(result)))));
        }
        self.work.notify_one();
        durable.await.map_err(|_| closed())?
    }

    async fn free_one(&self, below: u32) -> io::Result<u32> {
        let (done, freed) = oneshot::channel();
        self.ask_preparer(Work::Free(FreeOne { below, done })).await?;
        freed.await.map_err(|_| closed())?
    }

    async fn ask_preparer(&self, work: Work) -> io::Result<()> {
        let preparer = self.preparer.upgrade().ok_or_else(closed)?;
        preparer.send(work).await.map_err(|_| closed())
    }
}

/// Lets go of files, and keeps some.
pub(crate) struct Freer {
    env: Env,
    dir: PathBuf,
    segments: Arc<SegmentTable>,
    pub(crate) spares: Spares,
    /// The folder could not be synced: whether a name is gone for good cannot be known before the next start.
    unsure: bool,
}

impl Freer {
    pub(crate) fn new(env: Env, dir: PathBuf, segments: Arc<SegmentTable>, spares: Spares) -> Self {
        Self {
            env,
            dir,
            segments,
            spares,
            unsure: false,
        }
    }

    /// Removes the spares that are too many now.
    pub(crate) fn trim(&mut self) {
        if !self.spares.trim(&*self.env.vfs, self.segments.sealed_bytes()) {
            return;
        }
        // Until then it is not sure that others have the room.
        if let Err(error) = self.env.vfs.sync_dir(&self.dir) {
            tracing::warn!(%error, "the journal's folder could not be synced after files that waited were removed");
            self.unsure = true;
        }
    }

    /// Lets the oldest segment go; returns which is the oldest then.
    pub(crate) fn free_one(&mut self, below: u32) -> io::Result<u32> {
        if self.unsure {
            return Err(io::Error::other(
                "the journal's folder could not be synced: no segment is freed before the next start",
            ));
        }
        if let Some(mut segment) = self.segments.take_oldest(below) {
            let spare = self.spare(&mut segment);
            if let Err(error) = self.let_go(segment.id, spare) {
                self.segments.put_back(segment);
                return Err(error);
            }
        }
        Ok(self.segments.ends().map_or(0, |ends| ends.oldest))
    }

    /// The file, if it is to be used again. Nobody may have it: a reader would find the next life's bytes.
    fn spare(&self, segment: &mut Arc<Segment>) -> Option<Spare> {
        let path = spare_path(&self.dir, segment.id);
        // Nobody finds the segment any more, so whoever has it has had it since before.
        let file = Arc::get_mut(segment)?.file_mut()?;
        Arc::get_mut(file)?;
        // The segment is out of the table already.
        let segments = self.segments.sealed_bytes();
        let wanted = self.spares.wants(&**file, segments).unwrap_or_default();
        wanted.then(|| Spare {
            path,
            file: file.clone(),
        })
    }

    fn let_go(&mut self, id: u32, spare: Option<Spare>) -> io::Result<()> {
        let path = self.dir.join(file_name(id));
        let renamed = spare.filter(|spare| {
            let renamed = self.env.vfs.rename(&path, &spare.path);
            if let Err(error) = &renamed {
                tracing::warn!(segment = id, %error, "a freed segment's file cannot be used again");
            }
            renamed.is_ok()
        });
        if renamed.is_none() {
            remove(&*self.env.vfs, &path)?;
        }
        if let Err(error) = self.env.vfs.sync_dir(&self.dir) {
            self.unsure = true;
            return Err(error);
        }
        tracing::debug!(segment = id, kept = renamed.is_some(), "a segment was freed");
        if let Some(spare) = renamed {
            trouble::sometimes("a freed segment's file is kept");
            self.spares.keep(spare);
        }
        Ok(())
    }
}

/// Removes a file that may be gone already.
fn remove(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    match vfs.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_env::net::NoNet;
    use atoll_env::vfs::{MemVfs, OpenMode};
    use atoll_env::{Clock, Halt, Rng, Scope, Spawn};

    use crate::journal::JournalOptions;

    const DIR: &str = "/journal";
    const BYTES: u64 = 8192;

    fn env(vfs: &MemVfs) -> Env {
        let scope = Scope::new(Rng::seeded(1));
        Env {
            clock: Clock::simulated(1.0, 0),
            rng: scope.rng().clone(),
            spawn: Spawn::simulated(scope),
            vfs: Arc::new(vfs.clone()),
            net: Arc::new(NoNet),
            halt: Halt::simulated(|reason| panic!("{reason}")),
        }
    }

    /// Segments 1 to 9, each with a file of the size that is kept, and somebody who lets them go.
    fn freer(vfs: &MemVfs, preallocate: bool) -> (Freer, Arc<SegmentTable>) {
        vfs.create_dir_all(Path::new(DIR)).unwrap();
        let table = Arc::new(SegmentTable::new(0));
        for id in 1..10 {
            let path = Path::new(DIR).join(file_name(id));
            let file = vfs.open(&path, OpenMode::CreateNew).unwrap();
            file.allocate(BYTES).unwrap();
            table.push(Arc::new(Segment::sealed(id, file, BYTES)));
        }
        let options = JournalOptions {
            segment_bytes: BYTES as u32,
            preallocate,
            ..JournalOptions::default()
        };
        let freer = Freer::new(env(vfs), DIR.into(), table.clone(), Spares::new(&options));
        (freer, table)
    }

    fn names(vfs: &MemVfs) -> Vec<String> {
        let names = vfs.list(Path::new(DIR)).unwrap();
        names
            .iter()
            .map(|name| name.trim_start_matches('0').to_owned())
            .take_while(|name| name != "5.jnl")
            .collect()
    }

    #[test]
    fn a_file_that_somebody_may_be_reading_is_removed_and_read_on() {
        let vfs = MemVfs::default();
        let (mut freer, table) = freer(&vfs, true);
        let read = table.get(1).unwrap();
        let file = table.get(2).unwrap().file().cloned().unwrap();
        for oldest in 2..5 {
            assert_eq!(freer.free_one(9).unwrap(), oldest);
        }
        assert_eq!(names(&vfs), ["3.spare", "4.jnl"]);
        for file in [read.file().unwrap(), &file] {
            assert_eq!(file.len().unwrap(), BYTES);
        }
    }

    #[test]
    fn two_files_are_kept_and_none_without_preallocation_or_of_another_size() {
        let vfs = MemVfs::default();
        let (mut freer, table) = freer(&vfs, true);
        table.get(2).unwrap().file().unwrap().allocate(BYTES + 1).unwrap();
        while freer.free_one(5).unwrap() < 5 {}
        assert_eq!(names(&vfs), ["1.spare", "3.spare"]);
        assert_eq!(freer.free_one(5).unwrap(), 5, "no further");
        assert!(freer.spares.take().is_some() && freer.spares.take().is_some());
        assert!(freer.spares.take().is_none());
        let vfs = MemVfs::default();
        let (mut freer, _) = self::freer(&vfs, false);
        while freer.free_one(5).unwrap() < 5 {}
        assert_eq!(names(&vfs), [""; 0]);
    }

    #[test]
    fn a_file_that_is_gone_already_was_freed() {
        let vfs = MemVfs::default();
        let (mut freer, table) = freer(&vfs, false);
        vfs.remove(&Path::new(DIR).join(file_name(1))).unwrap();
        assert_eq!(freer.free_one(9).unwrap(), 2);
        assert_eq!((table.freed(), table.sealed_bytes()), (1, 8 * BYTES));
    }
}
