//! Rebuilds the groups' logs from the frames.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use atoll_env::trouble;
use atoll_types::{GroupKey, Mutant, mutant};

use super::OpenError;
use super::damage::{Quarantined, ROT_MAX, Rot};
use super::files::{SegmentFile, only_zeros_from};
use super::reader::{Frame, FrameReader};
use super::rebuilt::Rebuilt;
use crate::journal::format::{
    Chain, FRAME_FLAG_MARKER, FRAME_HEADER_LEN, Head, JournalHead, RecordHeader, RecordKind, Records,
    SegmentHeader,
};
use crate::journal::high_water::{DURABLE, Mark};
use crate::journal::intake::Location;
use crate::journal::prepare::file_name;
use crate::journal::table::LogTable;

/// What has been read so far.
pub(super) struct Scan {
    dir: PathBuf,
    groups: BTreeMap<GroupKey, Rebuilt>,
    pub(super) quarantined: BTreeMap<GroupKey, Quarantined>,
    /// Of these, the ones that a head says are: an earlier start has decided it.
    told: BTreeSet<GroupKey>,
    /// Of all groups, as the writer knew them at this point.
    pub(super) heads: BTreeMap<GroupKey, Head>,
    pub(super) chain: Chain,
    pub(super) next_seq: u64,
    /// Sound frames.
    pub(super) frames: u64,
    /// Records in them.
    pub(super) records: u64,
    /// The first damage found.
    pub(super) damage: Option<String>,
    /// Where damage was found; the first places, if there are very many.
    pub(super) rot: Vec<Rot>,
    /// What holds for the journal as a whole.
    pub(super) journal_head: JournalHead,
    /// The first segment there is.
    first: Option<u32>,
    /// What comes next is the first segment read, and there are others before it.
    skipped: bool,
    /// What comes next is the first frame of a journal that begins in the middle: its heads are taken at
    /// their word.
    begins: bool,
}

impl Scan {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            groups: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            told: BTreeSet::new(),
            heads: BTreeMap::new(),
            chain: Chain::default(),
            next_seq: 1,
            frames: 0,
            records: 0,
            damage: None,
            rot: Vec::new(),
            journal_head: JournalHead::default(),
            first: None,
            skipped: false,
            begins: false,
        }
    }

    /// Reads a segment. The one after it says where this one ended.
    pub(super) fn segment(
        &mut self,
        file: &SegmentFile,
        next: Option<&SegmentFile>,
    ) -> Result<(), OpenError> {
        let first = self.first.is_none() || std::mem::take(&mut self.skipped);
        self.note_first(file.id);
        let Some(header) = &file.header else {
            self.rot(file, 0, "the header is damaged");
            self.chain = Chain {
                segment: u64::from(file.id),
                end: 0,
                crc: 0,
            };
            return Ok(());
        };
        if first && file.id > 1 {
            // Whether what stood before may be gone shows at the end.
            self.begins = true;
        } else if header.previous != self.chain || header.first_seq != self.next_seq {
            let (expected, found) = (self.chain, header.previous);
            self.rot(
                file,
                0,
                &format!("it follows {found:?}, but what stands before it is {expected:?}"),
            );
        }
        self.next_seq = header.first_seq;
        self.chain = Chain {
            segment: header.segment,
            end: header.align.header_len(),
            crc: header.previous.crc,
        };
        let limit = next
            .and_then(|next| next.header.as_ref())
            .map(|next| next.previous)
            .filter(|previous| previous.segment == header.segment && previous.end > 0)
            .map(|previous| previous.end);
        self.frames(file, header, limit, next.is_none())
    }

    fn frames(
        &mut self,
        file: &SegmentFile,
        header: &SegmentHeader,
        limit: Option<u32>,
        newest: bool,
    ) -> Result<(), OpenError> {
        let mut reader = FrameReader::new(&*file.file, header)?;
        let mut at = header.align.header_len();
        while limit != Some(at) {
            let end = |frame: &Frame<'_>| at.saturating_add(frame.header.padded_len(header.align));
            if let Some(frame) = reader
                .frame(at)?
                .filter(|frame| limit.is_none_or(|limit| end(frame) <= limit))
            {
                at = self.frame(file, at, &frame)?;
                continue;
            }
            match reader.search(at.saturating_add(header.align.bytes()), self.next_seq)? {
                Some(_) if newest && mutant::is(Mutant::RotTruncated) => break,
                Some((offset, found)) => {
                    self.rot(
                        file,
                        at,
                        &format!("a frame is damaged, but the one at {offset} is sound"),
                    );
                    at = offset;
                    self.next_seq = found.seq;
                    // Also if that frame was then cut short: the damage lies before the end, where the
                    // next start must find it again.
                    self.chain.end = offset;
                    self.chain.crc = found.previous_crc;
                }
                None if newest => {
                    trouble::sometimes("recovery came to the end of the journal");
                    tracing::debug!(file.name, at, "the journal ends here");
                    break;
                }
                None => {
                    self.rot(
                        file,
                        at,
                        "a frame is damaged, but the next segment says it was durable",
                    );
                    break;
                }
            }
        }
        Ok(())
    }

    /// Takes in a sound frame; returns where it ends.
    fn frame(&mut self, file: &SegmentFile, at: u32, frame: &Frame<'_>) -> Result<u32, OpenError> {
        if frame.header.seq != self.next_seq || frame.header.previous_crc != self.chain.crc {
            self.rot(file, at, "a frame does not follow the one before it");
        }
        if frame.header.flags & !FRAME_FLAG_MARKER != 0 {
            return Err(self.unsupported(file, at, &"a frame of unknown kind"));
        }
        let mut count = 0;
        for record in Records::new(frame.body) {
            let (header, payload, payload_at) = record.map_err(|error| self.unsupported(file, at, &error))?;
            let place = Location {
                segment: file.id,
                offset: at + FRAME_HEADER_LEN + payload_at,
                len: header.payload_len,
            };
            let known = self.record(&header, payload, place);
            known.map_err(|what| self.unsupported(file, at, &what))?;
            count += 1;
        }
        if count != frame.header.records {
            return Err(self.unsupported(file, at, &"another number of records than the frame says"));
        }
        let end = at + frame.header.padded_len(file.align);
        self.begins = false;
        self.frames += 1;
        self.records += u64::from(count);
        let next_seq = frame.header.seq.checked_add(1);
        self.next_seq =
            next_seq.ok_or_else(|| self.unsupported(file, at, &"a frame that nothing could follow"))?;
        self.chain.end = end;
        self.chain.crc = frame.crc;
        Ok(end)
    }

    fn record(&mut self, record: &RecordHeader, payload: &[u8], place: Location) -> Result<(), &'static str> {
        let group = record.group;
        match record.kind {
            RecordKind::JournalHead => {
                let head = JournalHead::decode(record).ok_or("a journal head of unknown shape")?;
                self.journal_head.join(head);
            }
            RecordKind::GroupHead => {
                let head = Head::decode(payload).ok_or("a group head of unknown shape")?;
                self.group_head(group, head);
            }
            RecordKind::GroupCreate if !self.heads.contains_key(&group) => {
                self.groups.insert(group, Rebuilt::default());
                self.heads.insert(
                    group,
                    Head {
                        replica: record.id.leader,
                        ..Head::default()
                    },
                );
            }
            _ if self.quarantined.contains_key(&group) => {}
            _ => match self.change(record, place) {
                Ok(()) => self.heads.entry(group).or_default().note(record),
                Err(reason) => {
                    let reason = self.damage.clone().unwrap_or(reason);
                    self.lose(group, &reason);
                }
            },
        }
        Ok(())
    }

    /// At the start of a segment every group says where it stands: what was read must agree.
    fn group_head(&mut self, group: GroupKey, head: Head) {
        let known = self.heads.insert(group, head);
        if head.quarantined {
            self.told.insert(group);
        }
        if self.quarantined.contains_key(&group) {
            self.heads.entry(group).or_default().quarantined = true;
        } else if head.quarantined {
            self.lose(group, "it was put into quarantine at an earlier start");
        } else if known.is_none() && self.begins {
            match Rebuilt::from_head(&head) {
                Ok(log) => drop(self.groups.insert(group, log)),
                Err(reason) => self.lose(group, &reason),
            }
        } else if known != Some(head) {
            let differs =
                || format!("the journal says it stands at {head:?}, but what was read is {known:?}");
            let reason = self.damage.clone().unwrap_or_else(differs);
            self.lose(group, &reason);
        }
    }

    fn change(&mut self, record: &RecordHeader, place: Location) -> Result<(), String> {
        let log = self.groups.get_mut(&record.group).ok_or("it was never created")?;
        log.change(record, place)
    }

    /// Damage in what was durable: nobody can tell which groups it hit.
    fn rot(&mut self, file: &SegmentFile, at: u32, what: &str) {
        let reason = format!("{} at offset {at}: {what}", self.dir.join(&file.name).display());
        self.note_rot(file.id, at, what);
        self.damaged(reason);
    }

    fn note_rot(&mut self, segment: u32, at: u32, what: &str) {
        if self.rot.len() < ROT_MAX {
            let what = what.to_owned();
            self.rot.push(Rot { segment, at, what });
        }
    }

    fn damaged(&mut self, reason: String) {
        tracing::error!(
            reason,
            "the journal is damaged; all groups known here go into quarantine"
        );
        trouble::sometimes("recovery found rot");
        self.begins = false;
        let all: Vec<_> = self.groups.keys().copied().collect();
        for group in all {
            self.lose(group, &reason);
        }
        self.damage.get_or_insert(reason);
    }

    /// There are segments, the first of them this one, that need not be read.
    pub(super) fn skip(&mut self, first: u32) {
        self.first = Some(first);
        self.skipped = true;
    }

    /// There is a segment, and none before it.
    pub(super) fn note_first(&mut self, segment: u32) {
        self.first.get_or_insert(segment);
    }

    /// All segments are read: what is missing at the front must have been given up.
    pub(super) fn check_front(&mut self) {
        let Some(first) = self.first else { return };
        if first <= self.journal_head.first_segment.max(1) {
            return;
        }
        let file = self.dir.join(file_name(first));
        let what = "the segments before it are missing, and nothing says that they are not needed";
        self.note_rot(first, 0, what);
        self.damaged(format!("{} at offset 0: {what}", file.display()));
    }

    /// True if nothing that was read is wrong, and every log is whole but for those that an earlier start put into quarantine.
    pub(super) fn is_sound(&self) -> bool {
        let whole = |(group, log): (&GroupKey, &Rebuilt)| {
            let head = self.heads.get(group).copied().unwrap_or_default();
            log.check(&head).is_ok()
        };
        let unhurt = self.damage.is_none() && self.quarantined.keys().all(|group| self.told.contains(group));
        unhurt && self.groups.iter().all(whole)
    }

    /// All is read: the sound logs. A journal that was damaged once is so for ever.
    pub(super) fn finish(&mut self) -> BTreeMap<GroupKey, LogTable> {
        let mut sound = BTreeMap::new();
        for (group, log) in std::mem::take(&mut self.groups) {
            let head = self.heads.get(&group).copied().unwrap_or_default();
            match log.finish(&head) {
                Ok(table) => drop(sound.insert(group, table)),
                Err(reason) => self.lose(group, &reason),
            }
        }
        if self.damage.is_some() {
            self.journal_head.damaged = true;
        } else if self.journal_head.damaged {
            self.damage = Some("it was found at an earlier start".to_owned());
        }
        sound
    }

    /// All segments are read: a journal that ends before what was durable was cut.
    pub(super) fn check_mark(&mut self, mark: Mark) {
        // A damaged journal may say that its first frame is number 0.
        let last = self.next_seq.saturating_sub(1);
        if last >= mark.seq {
            return;
        }
        let (segment, at) = match u32::try_from(self.chain.segment) {
            Ok(segment) if segment > 0 => (segment, self.chain.end),
            _ => (mark.segment, 0),
        };
        let file = self.dir.join(file_name(segment));
        let what = format!(
            "the journal ends with frame {last}, but it was durable up to frame {} in {} ({DURABLE} says so)",
            mark.seq,
            file_name(mark.segment),
        );
        self.note_rot(segment, at, &what);
        self.damaged(format!("{} at offset {at}: {what}", file.display()));
    }

    /// No number of a frame that was durable is used again: if it is lost, the gap shows it at every later start.
    pub(super) fn go_on_after(&mut self, mark: Mark) {
        self.next_seq = self.next_seq.max(mark.seq + 1);
    }

    fn lose(&mut self, group: GroupKey, reason: &str) {
        self.groups.remove(&group);
        let head = self.heads.entry(group).or_default();
        head.quarantined = true;
        let lost = Quarantined {
            replica: head.replica,
            reason: reason.to_owned(),
        };
        tracing::error!(%group, replica = %head.replica, reason, "a group's log cannot be trusted");
        self.quarantined.entry(group).or_insert(lost);
    }

    fn unsupported(&self, file: &SegmentFile, at: u32, what: &impl std::fmt::Display) -> OpenError {
        OpenError::Unsupported {
            file: self.dir.join(&file.name),
            what: format!("offset {at}: {what}"),
        }
    }

    /// Gives back what a prepared segment did not use: zeros, or what its file held before, unless that may be
    /// damage. Anything else behind the end stays.
    pub(super) fn trim(&self, newest: &SegmentFile) -> std::io::Result<()> {
        let end = u64::from(self.chain.end);
        let sound = newest.header.is_some() && self.chain.segment == u64::from(newest.id);
        let stale = newest.is_recycled() && self.damage.is_none();
        if sound && newest.file.len()? > end && (stale || only_zeros_from(&*newest.file, end)?) {
            newest.file.allocate(end)?;
        }
        Ok(())
    }
}
