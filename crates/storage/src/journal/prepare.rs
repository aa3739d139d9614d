//! Makes segment files before they are needed, on a thread of its own, which also lets go of freed ones.
//!
//! Filling 64 MiB with zeros between two batches would stall every write of the node for a tenth of
//! a second. So it happens here, in slices with a pause after each, which leaves the disk to the
//! writer; once the writer waits for the file, without pauses.
//!
//! The file gets its name only when it is ready, so that whatever a power cut leaves of a half-made
//! one is never mistaken for a segment. It never takes another file's name: two journals in one folder
//! would lose what one of them acknowledged. The folder's lock keeps a second one out, and whoever
//! prepares holds it too: until this thread has ended, nobody else opens the folder.
//!
//! A file of a freed segment needs no zeros ([`super::spares`]). It gets its name only when its header is durable: a
//! header that does not check is damage then, whatever stale bytes stand behind it. That is for the
//! writer to do, because only it knows what the header says ([`Prepared::begin`]).
//!
//! A file that could not be made ahead, because the disk was full for a moment or refused, is removed and asked for once
//! more when it is needed: until it has its name nothing depends on it. Only what fails then ends the process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atoll_env::vfs::{File, OpenMode};
use atoll_env::{Env, Vfs};
use atoll_types::{Mutant, mutant};
use tokio::sync::{mpsc, oneshot};

use super::freeing::{FreeOne, Freer};
use super::recovery::FolderLock;
use super::spares::{Spare, discard};

/// Zeros written and synced at once.
const SLICE: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(2);

/// How a segment file is made ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// It grows as it is written.
    Nothing,
    /// Blocks are reserved: quick, for the first segment after a start.
    Reserve,
    /// Blocks are reserved and written.
    Zeros,
}

/// A file that is wanted.
pub(crate) struct Request {
    pub(crate) segment: u32,
    pub(crate) bytes: u32,
    pub(crate) fill: Fill,
    /// Not one that held another segment.
    pub(crate) fresh: bool,
}

/// What the thread is asked for.
pub(crate) enum Work {
    Prepare(Request),
    Free(FreeOne),
    /// Remove spares that are too many; tells when that is done.
    Trim(oneshot::Sender<()>),
}

/// A file for a segment.
pub(crate) struct Prepared {
    file: Arc<dyn File>,
    /// The names it has and is to get, if it held another segment.
    spare: Option<(PathBuf, PathBuf)>,
}

/// Why a segment cannot begin in a file.
pub(crate) enum BeginError {
    /// It was a spare. It has not got the segment's name, so another file may.
    Spare(io::Error),
    /// Nothing may be tried again.
    Fatal(io::Error),
}

impl Prepared {
    /// True if the file held another segment.
    pub(crate) fn is_recycled(&self) -> bool {
        self.spare.is_some()
    }

    /// Makes the header durable, and then the name, if the file does not have it yet.
    pub(crate) async fn begin(self, vfs: &dyn Vfs, header: &[u8]) -> Result<Arc<dyn File>, BeginError> {
        let Self { file, spare } = self;
        let written = write_header(&*file, header, spare.is_some()).await;
        let Some((from, to)) = spare else {
            return written.map(|()| file).map_err(BeginError::Fatal);
        };
        if vfs.exists(&to).map_err(BeginError::Fatal)? {
            return Err(BeginError::Fatal(taken(&to)));
        }
        if let Err(error) = written.and_then(|()| vfs.rename(&from, &to)) {
            discard(vfs, &from);
            return Err(BeginError::Spare(error));
        }
        let named = to.parent().map_or(Ok(()), |dir| sync_names(vfs, dir));
        named.map(|()| file).map_err(BeginError::Fatal)
    }
}

async fn write_header(file: &dyn File, header: &[u8], recycled: bool) -> io::Result<()> {
    if recycled {
        file.renew()?;
    }
    file.write_at(header, 0).await?;
    file.sync().await
}

/// Why there is no file.
pub(crate) enum PrepareError {
    /// Nothing has the segment's name, so it may be asked for again.
    Unmade(io::Error),
    /// Nothing may be tried again.
    Fatal(io::Error),
}

impl From<PrepareError> for io::Error {
    fn from((PrepareError::Unmade(error) | PrepareError::Fatal(error)): PrepareError) -> Self {
        error
    }
}

/// What the writer wants meanwhile.
#[derive(Default)]
struct Wishes {
    /// It waits for the file.
    hurry: AtomicBool,
    /// It will never need the file.
    stop: AtomicBool,
}

/// The writer's side: one file is asked for ahead.
pub(crate) struct Preparer {
    work: mpsc::Sender<Work>,
    files: mpsc::Receiver<Result<Prepared, PrepareError>>,
    wishes: Arc<Wishes>,
}

impl Preparer {
    pub(crate) fn start(env: &Env, dir: PathBuf, lock: FolderLock, freer: Freer) -> Self {
        // The writer and whoever frees segments ask for one thing at a time each, so neither waits for the other.
        let (work, mut inbox) = mpsc::channel(2);
        let (outbox, files) = mpsc::channel(1);
        let wishes = Arc::new(Wishes::default());
        let mut thread = Thread {
            env: env.clone(),
            dir,
            freer,
            wishes: wishes.clone(),
        };
        env.spawn.dedicated("journal-prepare", async move {
            while let Some(work) = inbox.recv().await {
                thread.serve(work, &outbox).await;
            }
            // In this order: when the writer hears of the end, the lock is the writer's alone.
            drop(lock);
            drop(outbox);
        });
        Self { work, files, wishes }
    }

    /// For whoever frees segments. The thread does not wait for them.
    pub(crate) fn work(&self) -> mpsc::WeakSender<Work> {
        self.work.downgrade()
    }

    /// Lets what is under way be given up, and waits until nothing touches the folder any more.
    pub(crate) async fn end(self) {
        let Self {
            work,
            mut files,
            wishes,
        } = self;
        wishes.stop.store(true, Ordering::Relaxed);
        drop(work);
        while files.recv().await.is_some() {}
    }

    /// Asks for the file of a segment.
    pub(crate) async fn ask(&self, request: Request) -> io::Result<()> {
        self.work.send(Work::Prepare(request)).await.map_err(|_| ended())
    }

    /// The file asked for; waits if it is not ready.
    pub(crate) async fn file(&mut self) -> Result<Prepared, PrepareError> {
        if let Ok(file) = self.files.try_recv() {
            return file;
        }
        tracing::debug!("the next segment is not ready yet");
        self.wishes.hurry.store(true, Ordering::Relaxed);
        let file = self.files.recv().await;
        self.wishes.hurry.store(false, Ordering::Relaxed);
        file.unwrap_or_else(|| Err(PrepareError::Fatal(ended())))
    }
}

fn ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the thread that prepares segments has ended",
    )
}

fn taken(name: &Path) -> io::Error {
    let reason = format!("{} is there already, and not by this journal", name.display());
    io::Error::new(io::ErrorKind::AlreadyExists, reason)
}

/// Extension of a file that is not ready.
pub(crate) const UNREADY: &str = "new";

/// Name of a segment's file.
pub(crate) fn file_name(segment: u32) -> String {
    format!("{:016x}.jnl", u64::from(segment))
}

/// The segment a file name stands for.
pub(crate) fn parse_file_name(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".jnl").filter(|digits| digits.len() == 16)?;
    let id = u64::from_str_radix(digits, 16)
        .ok()
        .and_then(|id| u32::try_from(id).ok())?;
    (file_name(id) == name).then_some(id)
}

/// The thread's side.
struct Thread {
    env: Env,
    dir: PathBuf,
    freer: Freer,
    wishes: Arc<Wishes>,
}

impl Thread {
    async fn serve(&mut self, work: Work, outbox: &mpsc::Sender<Result<Prepared, PrepareError>>) {
        match work {
            Work::Prepare(request) => {
                let file = self.provide(&request).await;
                // If the writer is gone, so is its side of the inbox.
                let _ = outbox.send(file).await;
            }
            // Whoever waited may be gone by then.
            Work::Free(one) => drop(one.done.send(self.freer.free_one(one.below))),
            Work::Trim(done) => {
                self.freer.trim();
                // As well.
                let _ = done.send(());
            }
        }
    }

    /// A spare if there is one, else a file made for this.
    async fn provide(&mut self, request: &Request) -> Result<Prepared, PrepareError> {
        let spare = if request.fresh {
            None
        } else {
            self.freer.spares.take()
        };
        if let Some(Spare { path, file }) = spare {
            let name = self.dir.join(file_name(request.segment));
            return Ok(Prepared {
                file,
                spare: Some((path, name)),
            });
        }
        let file = prepare(&self.env, &self.dir, request, &self.wishes).await?;
        Ok(Prepared { file, spare: None })
    }
}

fn sync_names(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    if mutant::is(Mutant::SegmentNameNotSynced) {
        return Ok(());
    }
    vfs.sync_dir(dir)
}

async fn prepare(
    env: &Env,
    dir: &Path,
    request: &Request,
    wishes: &Wishes,
) -> Result<Arc<dyn File>, PrepareError> {
    let name = dir.join(file_name(request.segment));
    let unready = name.with_extension(UNREADY);
    let opened = env.vfs.open(&unready, OpenMode::CreateNew);
    let file = opened.map_err(PrepareError::Unmade)?;
    let mut made = fill(env, &*file, request, wishes).await;
    if env.vfs.exists(&name).map_err(PrepareError::Fatal)? {
        return Err(PrepareError::Fatal(taken(&name)));
    }
    if made.is_ok() {
        made = env.vfs.rename(&unready, &name);
    }
    if let Err(error) = made {
        // At once: on a full disk others need what it takes. Should it have its name in spite of the error, the next try finds it.
        discard(&*env.vfs, &unready);
        return Err(PrepareError::Unmade(error));
    }
    sync_names(&*env.vfs, dir).map_err(PrepareError::Fatal)?;
    Ok(file)
}

/// Gives a new file its blocks, durably.
async fn fill(env: &Env, file: &dyn File, request: &Request, wishes: &Wishes) -> io::Result<()> {
    let bytes = u64::from(request.bytes);
    if request.fill != Fill::Nothing {
        file.allocate(bytes)?;
    }
    if request.fill == Fill::Zeros {
        let mut at = 0;
        while at < bytes {
            if wishes.stop.load(Ordering::Relaxed) {
                return Err(ended());
            }
            let len = SLICE.min((bytes - at) as usize);
            file.fill(at, len).await?;
            file.sync().await?;
            at += len as u64;
            if !wishes.hurry.load(Ordering::Relaxed) {
                env.clock.sleep(PAUSE).await;
            }
        }
    }
    file.sync().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_nothing_else_is_one() {
        assert_eq!(file_name(0x1f), "000000000000001f.jnl");
        assert_eq!(parse_file_name("000000000000001f.jnl"), Some(0x1f));
        for other in [
            "1f.jnl",
            "000000000000001F.jnl",
            "000000000000001f.jnl.new",
            "+00000000000001f.jnl",
            "ffffffffffffffff.jnl",
        ] {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }
}
