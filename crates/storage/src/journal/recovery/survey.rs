//! The journal as a start would find it, without changing a byte.
//!
//! The same files are read by the same code in the same order as at a start, so what a start calls damage is called so here.
//! Here also those segments are read that a start leaves out because they hold nothing but values: their damage costs values,
//! and a start that does not look at them goes on with the logs. What a start would do about it (removing what was never used, cutting zeros, syncing) is
//! left out, and so is the lock, which is the caller's.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use atoll_env::Env;
use atoll_env::vfs::{File, OpenMode};
use atoll_types::{GroupKey, ReplicaId};

use super::OpenError;
use super::damage::{Quarantined, Rot};
use super::files::{self, SegmentFile, only_zeros_from};
use super::reader::FrameReader;
use super::scan::Scan;
use crate::journal::Identity;
use crate::journal::format::{Align, SegmentHeader};
use crate::journal::high_water::{Mark, MarkFound};
use crate::journal::prepare::parse_file_name;
use crate::journal::segment::{Segment, SegmentTable};
use crate::journal::table::LogTable;

/// What stands in a journal's folder.
pub(crate) struct Survey {
    /// By number.
    pub(crate) segments: Vec<Surveyed>,
    /// Logs that can be trusted. None if the journal is refused as a whole.
    pub(crate) groups: BTreeMap<GroupKey, (ReplicaId, LogTable)>,
    pub(crate) quarantined: BTreeMap<GroupKey, Quarantined>,
    /// Damage, in the order in which it was found; the first places, if there are very many.
    pub(crate) rot: Vec<Rot>,
    /// The first damage, if any, in words.
    pub(crate) damage: Option<String>,
    /// Why no start would get as far as the logs.
    pub(crate) refused: Option<OpenError>,
    pub(crate) mark: Result<MarkFound, OpenError>,
    /// All that could be opened, for reading values.
    pub(crate) table: Arc<SegmentTable>,
}

/// What is known of one segment.
pub(crate) struct Surveyed {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) state: SegmentState,
    file: Option<Arc<dyn File>>,
}

/// How a segment looks.
pub(crate) enum SegmentState {
    /// Read to its end; where there is damage, [`Survey::rot`] says so.
    Read {
        /// Sound frames, and the records in them.
        frames: u64,
        records: u64,
        /// Number of the first frame.
        first_seq: u64,
        /// Where the last frame ends.
        end: u32,
        /// Bytes behind that which are no frame: a write that was cut short, and nobody was told of.
        torn: u64,
    },
    /// Prepared, and no frame was ever written to it.
    Unused,
    /// It cannot be opened, or is another's, or of a later version.
    Refused(OpenError),
    /// Not looked at, because another one is refused.
    Unread,
}

impl Survey {
    /// Reads a folder. `each` is told of the bytes of every segment that is done with. Only a folder that cannot be
    /// listed is an error.
    pub(crate) fn read(
        env: &Env,
        dir: &Path,
        identity: Identity,
        each: &mut dyn FnMut(u64),
    ) -> io::Result<Self> {
        let (mut survey, files) = Self::begin(env, dir, identity)?;
        // As at a start: one segment that is refused refuses all of them.
        if !survey.has_refused()
            && let Err(error) = survey.scan(dir, files, each)
        {
            survey.refused = Some(error);
        }
        Ok(survey)
    }

    /// Opens all segments and reads nothing but their headers: enough for reading values.
    pub(crate) fn open(env: &Env, dir: &Path, identity: Identity) -> io::Result<Self> {
        Self::begin(env, dir, identity).map(|(survey, _)| survey)
    }

    fn begin(env: &Env, dir: &Path, identity: Identity) -> io::Result<(Self, Vec<SegmentFile>)> {
        let mut survey = Self {
            segments: Vec::new(),
            groups: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            rot: Vec::new(),
            damage: None,
            refused: None,
            mark: Mark::find(env, dir, identity),
            table: Arc::new(SegmentTable::new(0)),
        };
        let files = survey.open_all(env, dir, identity)?;
        for segment in &survey.segments {
            if let Some(file) = &segment.file {
                let sealed = Segment::sealed(segment.id, file.clone(), file.len()?);
                survey.table.push(Arc::new(sealed));
            }
        }
        Ok((survey, files))
    }

    fn has_refused(&self) -> bool {
        let mut segments = self.segments.iter();
        segments.any(|segment| matches!(segment.state, SegmentState::Refused(_)))
    }

    /// True if every log in it is known to be whole.
    pub(crate) fn is_sound(&self) -> bool {
        self.damage.is_none() && self.refused.is_none() && self.mark.is_ok() && !self.has_refused()
    }

    fn open_all(&mut self, env: &Env, dir: &Path, identity: Identity) -> io::Result<Vec<SegmentFile>> {
        let mut files = Vec::new();
        for name in env.vfs.list(dir)? {
            let Some(id) = parse_file_name(&name) else {
                continue;
            };
            let opened = files::open(env, dir, (name.clone(), id), identity, OpenMode::Read);
            let mut segment = Surveyed {
                id,
                name,
                state: SegmentState::Unread,
                file: None,
            };
            match opened {
                Ok(opened) => {
                    segment.file = Some(opened.file.clone());
                    files.push(opened);
                }
                Err(error) => segment.state = SegmentState::Refused(error),
            }
            self.segments.push(segment);
        }
        self.segments.sort_unstable_by_key(|segment| segment.id);
        Ok(files)
    }

    fn scan(
        &mut self,
        dir: &Path,
        files: Vec<SegmentFile>,
        each: &mut dyn FnMut(u64),
    ) -> Result<(), OpenError> {
        let (used, mut unused) = files::split(files)?;
        for file in &unused {
            self.note(file.id, SegmentState::Unused);
        }
        let mut scan = Scan::new(dir);
        let entered = unused.first().is_some_and(|file| file.header.is_some());
        let proof = entered.then(|| unused.remove(0));
        for (at, file) in used.iter().enumerate() {
            let (frames, records) = (scan.frames, scan.records);
            scan.segment(file, used.get(at + 1).or(proof.as_ref()))?;
            let end = scan.chain.end.max(file.align.header_len());
            let newest = at + 1 == used.len();
            self.note(
                file.id,
                SegmentState::Read {
                    frames: scan.frames - frames,
                    records: scan.records - records,
                    first_seq: file.header.as_ref().map_or(0, |header| header.first_seq),
                    end,
                    torn: if newest { torn(file, end)? } else { 0 },
                },
            );
            each(file.file.len()?);
        }
        if let Some(proof) = &proof {
            scan.note_first(proof.id);
        }
        scan.check_front();
        if let Ok(MarkFound::Sound(mark)) = self.mark {
            scan.check_mark(mark);
        }
        let logs = scan.finish();
        let heads = scan.heads;
        let replica = |key: &GroupKey| heads.get(key).map(|head| head.replica).unwrap_or_default();
        let groups = logs.into_iter();
        self.groups = groups.map(|(key, table)| (key, (replica(&key), table))).collect();
        self.quarantined = scan.quarantined;
        self.rot = scan.rot;
        self.damage = scan.damage;
        Ok(())
    }

    fn note(&mut self, id: u32, state: SegmentState) {
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.id == id) {
            segment.state = state;
        }
    }
}

/// Bytes from the end of the last frame on, if a write that was cut short left any. Where the file held another segment before,
/// stale bytes stand there in any case, and only the header of a frame of this life tells of such a write.
fn torn(file: &SegmentFile, end: u32) -> io::Result<u64> {
    let begun = match &file.header {
        Some(header) if header.recycled => {
            let mut reader = FrameReader::new(&*file.file, header)?;
            reader.header(end)?.is_some()
        }
        _ => !only_zeros_from(&*file.file, end.into())?,
    };
    Ok(if begun {
        file.file.len()?.saturating_sub(end.into())
    } else {
        0
    })
}

/// Whose journal this is, as the first segment says that has a sound header.
pub(crate) fn owner_of(env: &Env, dir: &Path) -> io::Result<Option<Identity>> {
    for name in env.vfs.list(dir)? {
        if parse_file_name(&name).is_none() {
            continue;
        }
        let align = Align::of(&*env.vfs, dir);
        let mut block = vec![0; align.header_len() as usize];
        let file = env.vfs.open(&dir.join(&name), OpenMode::Read)?;
        let read = file.read_at(&mut block, 0)?;
        block.truncate(read);
        if let Ok(header) = SegmentHeader::decode(&block, align) {
            return Ok(Some(header.identity));
        }
    }
    Ok(None)
}
