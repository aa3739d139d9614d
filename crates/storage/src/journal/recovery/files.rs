//! The files of a journal folder.

use std::io;
use std::path::Path;
use std::sync::Arc;

use atoll_env::Env;
use atoll_env::vfs::{File, OpenMode};

use super::OpenError;
use crate::journal::Identity;
use crate::journal::format::{HeaderError, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::journal::prepare::{UNREADY, file_name, parse_file_name};

/// Bytes looked at at once when looking for anything but zeros.
const ZERO_CHUNK: usize = 1024 * 1024;

/// A segment file as found.
pub(super) struct SegmentFile {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) file: Arc<dyn File>,
    /// `None` if it is damaged.
    pub(super) header: Option<SegmentHeader>,
}

/// What a journal folder holds, both in order.
pub(super) struct Found {
    /// Segments with frames in them, or damaged ones.
    pub(super) used: Vec<SegmentFile>,
    /// Segments behind them that were prepared and never written to. Their headers may still tell
    /// where the last used one ended: look before [`remove`]ing them.
    pub(super) unused: Vec<SegmentFile>,
}

/// Opens all segments.
pub(super) fn open_all(env: &Env, dir: &Path, identity: Identity) -> Result<Found, OpenError> {
    let mut files = Vec::new();
    for name in env.vfs.list(dir)? {
        match parse_file_name(&name) {
            Some(id) => files.push(open(env, dir, name, id, identity)?),
            None if Path::new(&name).extension().is_some_and(|end| end == UNREADY) => {
                env.vfs.remove(&dir.join(&name))?;
            }
            None => tracing::warn!(name, "a file in the journal folder that is not of the journal"),
        }
    }
    files.sort_unstable_by_key(|file| file.id);
    // A segment is entered only after the one before it was left, so at most the newest is unused;
    // and a segment without a frame holds nothing anybody was told of, whatever its header says.
    let mut unused = Vec::new();
    while let Some(newest) = files.pop() {
        if !only_zeros_from(&*newest.file, u64::from(SEGMENT_HEADER_LEN))? {
            files.push(newest);
            break;
        }
        unused.insert(0, newest);
    }
    env.vfs.sync_dir(dir)?;
    Ok(Found { used: files, unused })
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

fn open(env: &Env, dir: &Path, name: String, id: u32, identity: Identity) -> Result<SegmentFile, OpenError> {
    let path = dir.join(file_name(id));
    let file = env.vfs.open(&path, OpenMode::Write)?;
    let mut block = vec![0; SEGMENT_HEADER_LEN as usize];
    let read = file.read_at(&mut block, 0)?;
    block.truncate(read);
    let unsupported = |what| OpenError::Unsupported {
        file: path.clone(),
        what,
    };
    let header = match SegmentHeader::decode(&block) {
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
    };
    Ok(SegmentFile {
        id,
        name,
        file,
        header,
    })
}

/// True if there is nothing but zeros from `at` on.
pub(super) fn only_zeros_from(file: &dyn File, mut at: u64) -> io::Result<bool> {
    let len = file.len()?;
    let mut chunk = Vec::new();
    while at < len {
        chunk.resize(ZERO_CHUNK.min((len - at) as usize), 0);
        let read = file.read_at(&mut chunk, at)?;
        if chunk.iter().take(read).any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read == 0 {
            break;
        }
        at += read as u64;
    }
    Ok(true)
}
