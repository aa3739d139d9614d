//! Reading the journal back after a stop of any kind.
//!
//! Segments are read in order, but for those at the front that hold nothing but values (`needed`); their chain is checked and
//! the groups' logs are rebuilt; entry bytes are not kept. A frame that does not check ends the journal if nothing sound follows it in
//! the newest segment: it was being written when the power went and nobody was told of it. If
//! anything sound follows, the frame was durable once (a frame is written only after the one before
//! it was), so the disk has lost acknowledged bytes. That is never cut away: which groups lost
//! something cannot be known, so every group known by then goes into quarantine, and the node
//! starts without them.
//!
//! A journal that ends before the mark of how far it was durable (`high_water`) is damaged in the same way. Numbers of
//! frames go on after the mark then, so that the gap shows the loss at every later start.
//!
//! A journal may begin in the middle, if it says so: segments at the front were freed (`freeing`). Then its first frame tells
//! where every group stands, and a later purge what became of the entries in between (`rebuilt`). If nothing says
//! that the segments may be gone, or a log has a gap at the end, they were lost.
//!
//! Then what was read is synced, because it may so far be only in the page cache of a process that
//! was killed, and a new segment is opened; an old one is never appended to. Each step leaves the
//! folder in a state from which recovery starts over: the only changes are removing a newest segment
//! in which no frame was ever written, and spares that nobody wants, cutting zeros or stale bytes off the end of
//! the newest, and syncs.

mod audit;
mod damage;
mod files;
mod needed;
mod reader;
mod rebuilt;
mod scan;
mod survey;

pub(crate) use audit::{SegmentAudit, SegmentStep, chain_before};
pub(crate) use damage::Quarantined;
pub(crate) use files::{FolderLock, LOCK};
pub(crate) use survey::{SegmentState, Survey, owner_of};

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::Env;
use atoll_types::GroupKey;

use super::format::{Chain, Head, JournalHead};
use super::group::Group;
use super::high_water::Mark;
use super::prepare::file_name;
use super::segment::{Segment, SegmentTable};
use super::spares::Spares;
use super::{Identity, JournalOptions};
use files::{Found, SegmentFile};
use scan::Scan;

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The operating system could not read or write.
    #[error("the journal could not be opened")]
    Io(#[from] io::Error),
    /// A journal is open in this folder, in this process or another one. One that was dropped and not
    /// closed holds the folder until what it was given is written.
    #[error("{} is in use: a journal is open there", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// The files belong to another node or cluster.
    #[error(
        "{} belongs to node {} of cluster {}, not to node {} of cluster {}",
        file.display(), found.node, found.cluster, expected.node, expected.cluster
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Who opened it.
        expected: Identity,
    },
    /// Another version of this program wrote the files.
    #[error("{} cannot be read by this version: {what}", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// What is unknown about it.
        what: String,
    },
}

/// What stands in the journal.
pub(crate) struct Recovered {
    pub(crate) lock: FolderLock,
    pub(crate) segments: Arc<SegmentTable>,
    pub(crate) groups: BTreeMap<GroupKey, Arc<Group>>,
    pub(crate) quarantined: BTreeMap<GroupKey, Quarantined>,
    pub(crate) heads: BTreeMap<GroupKey, Head>,
    pub(crate) chain: Chain,
    pub(crate) next_seq: u64,
    pub(crate) next_segment: u32,
    /// What the folder says was durable.
    pub(crate) mark: Mark,
    /// Sound frames read.
    pub(crate) frames: u64,
    /// The first damage, if any, also of an earlier start: then there may have been groups that nothing tells of
    /// any more.
    pub(crate) damage: Option<String>,
    pub(crate) journal_head: JournalHead,
    pub(crate) spares: Spares,
}

/// Reads the folder, creating it if it is not there.
pub(crate) async fn recover(
    env: &Env,
    dir: &Path,
    identity: Identity,
    options: &JournalOptions,
) -> Result<Recovered, OpenError> {
    env.vfs.create_dir_all(dir)?;
    let lock = files::lock(env, dir)?;
    let Found {
        used: mut files,
        mut unused,
        spares,
    } = files::open_all(env, dir, identity, options).await?;
    let mark = Mark::read(env, dir, identity)?;
    // The header of a segment that was entered and not written to proves how much of the one before
    // it was durable: damage there is rot, not a torn write.
    let entered = unused.first().is_some_and(|file| file.header.is_some());
    let proof = entered.then(|| unused.remove(0));
    let mut scan = read_all(dir, &files, proof.as_ref(), mark)?;
    if let Some(newest) = files.last() {
        scan.trim(newest)?;
        newest.file.sync().await?;
    }
    match proof {
        // With damage the proof of it is kept, as a segment that ended where it began.
        Some(proof) if scan.damage.is_some() => {
            scan.segment(&proof, None)?;
            proof.file.sync().await?;
            files.push(proof);
        }
        Some(proof) => unused.insert(0, proof),
        None => {}
    }
    scan.go_on_after(mark);
    files::remove(env, dir, &unused)?;
    let newest = files.last().map_or(0, |newest| newest.id);
    let next_segment = next_segment(dir, newest)?;
    let segments = sealed(files, options.cache_bytes)?;
    let logs = scan.finish();
    let Scan {
        quarantined,
        heads,
        chain,
        next_seq,
        frames,
        damage,
        journal_head,
        ..
    } = scan;
    let groups = logs.into_iter().map(|(key, table)| {
        let replica = heads.get(&key).map(|head| head.replica).unwrap_or_default();
        (key, Arc::new(Group::recovered(key, replica, table)))
    });
    Ok(Recovered {
        lock,
        groups: groups.collect(),
        segments,
        quarantined,
        heads,
        chain,
        next_seq,
        next_segment,
        mark,
        frames,
        damage,
        journal_head,
        spares,
    })
}

/// Reads the segments, all that have to be.
fn read_all(
    dir: &Path,
    files: &[SegmentFile],
    proof: Option<&SegmentFile>,
    mark: Mark,
) -> Result<Scan, OpenError> {
    let first = needed::first_needed(files)?;
    if first > 0 {
        let scan = read_from(dir, (files, first), proof, mark)?;
        if scan.is_sound() {
            tracing::debug!(segments = first, "the first segments hold nothing but values");
            return Ok(scan);
        }
    }
    read_from(dir, (files, 0), proof, mark)
}

/// Reads the segments from this one on.
fn read_from(
    dir: &Path,
    (files, first): (&[SegmentFile], usize),
    proof: Option<&SegmentFile>,
    mark: Mark,
) -> Result<Scan, OpenError> {
    let mut scan = Scan::new(dir);
    if let Some(there) = files.first().filter(|_| first > 0) {
        scan.skip(there.id);
    }
    for (at, file) in files.iter().enumerate().skip(first) {
        scan.segment(file, files.get(at + 1).or(proof))?;
    }
    if let Some(proof) = proof {
        scan.note_first(proof.id);
    }
    scan.check_front();
    scan.check_mark(mark);
    Ok(scan)
}

/// A table of segments that nothing is written to any more.
fn sealed(files: Vec<SegmentFile>, cache_bytes: usize) -> io::Result<Arc<SegmentTable>> {
    let segments = SegmentTable::new(cache_bytes);
    for file in files {
        let bytes = file.file.len()?;
        segments.push(Arc::new(Segment::sealed(file.id, file.file, bytes)));
    }
    Ok(Arc::new(segments))
}

/// No journal comes to segments beyond it: a file of such a number is a stray. The highest numbers have meanings of their own,
/// and numbers are added to without looking.
const SEGMENT_ID_MAX: u32 = u32::MAX / 2;

fn next_segment(dir: &Path, newest: u32) -> Result<u32, OpenError> {
    let next = newest.checked_add(1).filter(|next| *next <= SEGMENT_ID_MAX);
    next.ok_or_else(|| OpenError::Unsupported {
        file: dir.join(file_name(newest)),
        what: "no segment could follow it".to_owned(),
    })
}
