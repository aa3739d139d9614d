//! The files of a journal folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::Env;
use atoll_env::vfs::{File, OpenMode};

use super::OpenError;
use super::reader::FrameReader;
use crate::journal::format::{Align, HeaderError, SegmentHeader};
use crate::journal::high_water::DURABLE;
use crate::journal::prepare::{UNREADY, file_name, parse_file_name};
use crate::journal::spares::{SPARE, Spare, Spares};
use crate::journal::{Identity, JournalOptions};

/// Held by whoever has the journal of this folder open.
pub(crate) const LOCK: &str = "LOCK";

/// Bytes looked at at once when looking for anything but zeros.
const ZERO_CHUNK: usize = 1024 * 1024;

/// Ownership of a journal folder, shared by the threads that write to it. It is free when the last of
/// them has ended.
pub(crate) type FolderLock = Arc<dyn Send + Sync>;

/// Takes the folder.
pub(super) fn lock(env: &Env, dir: &Path) -> Result<FolderLock, OpenError> {
    match env.vfs.lock(&dir.join(LOCK)) {
        Ok(lock) => Ok(Arc::from(lock)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(OpenError::InUse { dir: dir.to_owned() })
        }
        Err(error) => Err(error.into()),
    }
}

/// A segment file as found.
pub(super) struct SegmentFile {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) file: Arc<dyn File>,
    /// `None` if it is damaged.
    pub(super) header: Option<SegmentHeader>,
    /// Of the folder's files.
    pub(super) align: Align,
    /// There is nothing where the header should be.
    blank: bool,
}

impl SegmentFile {
    /// True if the file held another segment before: what stands behind the frames is stale.
    pub(super) fn is_recycled(&self) -> bool {
        self.header.is_some_and(|header| header.recycled)
    }

    /// True if nothing behind the header was written in this life of the file.
    fn is_without_frames(&self) -> io::Result<bool> {
        match &self.header {
            Some(header) if header.recycled => {
                let mut reader = FrameReader::new(&*self.file, header)?;
                Ok(reader.search(self.align.header_len(), 0)?.is_none())
            }
            _ => only_zeros_from(&*self.file, u64::from(self.align.header_len())),
        }
    }

    /// True if what stands behind this segment shows that something stood in it. A segment is left only
    /// after a frame was written, and the next one is made ready only after it was entered.
    fn is_shown_used(&self, behind: &[Self]) -> bool {
        let after_frames = |next: &SegmentHeader| {
            next.previous.segment == u64::from(self.id) && next.previous.end > self.align.header_len()
        };
        let left = behind
            .iter()
            .filter_map(|next| next.header.as_ref())
            .any(after_frames);
        left || self.blank && !behind.is_empty()
    }
}

/// What a journal folder holds, both in order.
pub(super) struct Found {
    /// Segments with frames in them, or damaged ones.
    pub(super) used: Vec<SegmentFile>,
    /// Segments behind them that were prepared and never written to. Their headers may still tell
    /// where the last used one ended: look before [`remove`]ing them.
    pub(super) unused: Vec<SegmentFile>,
    /// Files of freed segments.
    pub(super) spares: Spares,
}

/// Segments at the end of the journal whose last bytes may only be cached: the one written to last,
/// and one entered or prepared behind it.
const NEWEST: usize = 2;

/// Opens all segments.
pub(super) async fn open_all(
    env: &Env,
    dir: &Path,
    identity: Identity,
    options: &JournalOptions,
) -> Result<Found, OpenError> {
    let names = env.vfs.list(dir)?;
    let ids = names.iter().rev().filter_map(|name| parse_file_name(name));
    for id in ids.take(NEWEST) {
        uncache(env, &dir.join(file_name(id))).await?;
    }
    let mut files = Vec::new();
    let mut spares = Spares::new(options);
    for name in names {
        match parse_file_name(&name) {
            Some(id) => files.push(open(env, dir, (name, id), identity, OpenMode::Write)?),
            None if has_extension(&name, UNREADY) => env.vfs.remove(&dir.join(&name))?,
            None if has_extension(&name, SPARE) => keep_or_remove(env, dir.join(&name), &mut spares)?,
            None if name == LOCK || name == DURABLE => {}
            None => tracing::warn!(name, "a file in the journal folder that is not of the journal"),
        }
    }
    let (used, unused) = split(files)?;
    env.vfs.sync_dir(dir)?;
    Ok(Found { used, unused, spares })
}

/// Tells the segments that were written to from those behind them that were only prepared.
pub(super) fn split(mut files: Vec<SegmentFile>) -> io::Result<(Vec<SegmentFile>, Vec<SegmentFile>)> {
    files.sort_unstable_by_key(|file| file.id);
    // A segment without a frame holds nothing anybody was told of, whatever its header says.
    let mut unused = Vec::new();
    while let Some(newest) = files.pop() {
        if !newest.is_without_frames()? || newest.is_shown_used(&unused) {
            files.push(newest);
            break;
        }
        unused.insert(0, newest);
    }
    Ok((files, unused))
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == extension)
}

fn keep_or_remove(env: &Env, path: PathBuf, spares: &mut Spares) -> io::Result<()> {
    let file = env.vfs.open(&path, OpenMode::Write)?;
    if !spares.wants_found(&*file)? {
        return env.vfs.remove(&path);
    }
    spares.keep(Spare { path, file });
    Ok(())
}

/// Makes what will be read what is on the disk. A process that ended because a sync failed leaves
/// bytes in the cache that never reached the disk and never will: taken for durable, they would be
/// acknowledged now and gone after the next power cut (Rebello et al., ATC 2020).
async fn uncache(env: &Env, path: &Path) -> io::Result<()> {
    let file = env.vfs.open(path, OpenMode::Write)?;
    file.sync().await?;
    file.forget_cached()
}

/// Removes segments that were prepared and never used.
pub(super) fn remove(env: &Env, dir: &Path, unused: &[SegmentFile]) -> io::Result<()> {
    for file in unused.iter().rev() {
        tracing::debug!(
            name = file.name,
            "removing a segment that was prepared and never used"
        );
        env.vfs.remove(&dir.join(&file.name))?;
    }
    env.vfs.sync_dir(dir)
}

/// Opens a segment and reads its header.
pub(super) fn open(
    env: &Env,
    dir: &Path,
    (name, id): (String, u32),
    identity: Identity,
    mode: OpenMode,
) -> Result<SegmentFile, OpenError> {
    let path = dir.join(file_name(id));
    let file = env.vfs.open(&path, mode)?;
    let align = Align::of(&*env.vfs, dir);
    let mut block = vec![0; align.header_len() as usize];
    let read = file.read_at(&mut block, 0)?;
    block.truncate(read);
    let unsupported = |what| OpenError::Unsupported {
        file: path.clone(),
        what,
    };
    let header = match SegmentHeader::decode(&block, align) {
        Ok(header) if header.identity != identity => {
            return Err(OpenError::Foreign {
                file: path,
                found: header.identity,
                expected: identity,
            });
        }
        Ok(header) if header.segment != u64::from(id) => None,
        Ok(header) => Some(header),
        Err(HeaderError::Bad) => None,
        Err(HeaderError::Version(version)) => {
            return Err(unsupported(format!(
                "format version {version}, this program knows 1"
            )));
        }
        Err(HeaderError::Flags(flags)) => {
            return Err(unsupported(format!(
                "features {flags:#x} this program does not have"
            )));
        }
        Err(HeaderError::Align(found)) => {
            return Err(unsupported(format!(
                "frames aligned to {found} bytes, blocks here have {}",
                align.bytes()
            )));
        }
        Err(HeaderError::Sealed) => {
            return Err(unsupported("it is encrypted, and no key was given".to_owned()));
        }
    };
    Ok(SegmentFile {
        id,
        name,
        file,
        header,
        align,
        blank: block.iter().all(|byte| *byte == 0),
    })
}

/// True if there is nothing but zeros from `at` on.
pub(super) fn only_zeros_from(file: &dyn File, mut at: u64) -> io::Result<bool> {
    let len = file.len()?;
    let mut chunk = Vec::new();
    while at < len {
        chunk.resize(ZERO_CHUNK.min((len - at) as usize), 0);
        let read = file.read_at(&mut chunk, at)?;
        // Without a way out within a block, so that it goes many bytes at a time.
        let mut blocks = chunk
            .get(..read)
            .unwrap_or_default()
            .chunks(Align::CLEAR.bytes() as usize);
        if blocks.any(|block| block.iter().fold(0, |all, byte| all | byte) != 0) {
            return Ok(false);
        }
        if read == 0 {
            break;
        }
        at += read as u64;
    }
    Ok(true)
}
