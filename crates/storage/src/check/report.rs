//! What a check found.

use std::path::PathBuf;

use atoll_types::{GroupKey, LogId, ReplicaId, Version, Vote};

/// Places of damage kept of one file, at most; the others are only counted.
pub const DAMAGES_MAX: usize = 64;

/// What a file of a data directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// Says who the directory is.
    Identity,
    /// Only a hint for the next start.
    Hint,
    /// Held by the process that uses a folder.
    Lock,
    /// A segment of the journal.
    Segment,
    /// The file of a segment that was freed, to be used again. What it holds means nothing.
    Spare,
    /// How far the journal was durable.
    Mark,
    /// Which files of a group count.
    Manifest,
    /// Rows of a group, in order.
    Run,
    /// Values of a group.
    Values,
    /// A file of nothing, to be given up when the disk is full.
    Reserve,
    /// Something that was being written when the process ended.
    Unready,
    /// A folder.
    Folder,
    /// Not a file of this program's.
    Other,
}

/// How a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// All of it was read, and is what was written.
    Sound,
    /// It is not what was written.
    Damaged(Damages),
    /// It should be there; says why.
    Missing(String),
    /// Another's, of a later version, or not to be opened; says which.
    Refused(String),
    /// Nothing needs it; says why it is there.
    Leftover(String),
    /// Nobody knows what it is. Nothing looks at it.
    Unknown,
    /// It was not looked at; says why.
    Unchecked(String),
}

/// A place in a file where it is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Offset in the file.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
}

/// Damage of one file: at least one place, the first [`DAMAGES_MAX`] of them told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damages {
    /// In the order in which they were found.
    pub first: Vec<Damage>,
    /// How many more there are.
    pub more: u64,
}

impl Damages {
    /// Only one.
    pub fn one(offset: u64, what: impl Into<String>) -> Self {
        let mut damages = Self::default();
        damages.push(offset, what);
        damages
    }

    /// One more.
    pub fn push(&mut self, offset: u64, what: impl Into<String>) {
        if self.first.len() < DAMAGES_MAX {
            let what = what.into();
            self.first.push(Damage { offset, what });
        } else {
            self.more += 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.first.len() as u64 + self.more
    }

    /// The state of a file of which this is all that is wrong.
    pub fn into_state(self) -> FileState {
        if self.first.is_empty() {
            FileState::Sound
        } else {
            FileState::Damaged(self)
        }
    }
}

/// One file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// From the data directory on.
    pub path: PathBuf,
    /// What it is for.
    pub kind: FileKind,
    /// Its length; of a folder 0.
    pub bytes: u64,
    /// How it is.
    pub state: FileState,
    /// What stands in it, in words; may be empty.
    pub holds: String,
}

impl FileReport {
    /// True if it is neither damaged nor missing nor refused nor left out.
    pub fn is_sound(&self) -> bool {
        matches!(
            self.state,
            FileState::Sound | FileState::Leftover(_) | FileState::Unknown
        )
    }
}

/// A group's log in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// The last vote.
    pub vote: Option<Vote>,
    /// Known committed.
    pub committed: Option<LogId>,
    /// The last entry that is gone from the front.
    pub purged: Option<LogId>,
    /// The first entry kept.
    pub first: Option<LogId>,
    /// The last one, else what was purged.
    pub last: Option<LogId>,
    /// Entries kept.
    pub entries: u64,
}

/// A group's checkpoint, as its manifest says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointReport {
    /// Number of the manifest.
    pub manifest: u64,
    /// Everything up to here is in it.
    pub applied: Option<LogId>,
    /// The group's last version there.
    pub version: Version,
    /// Files of rows.
    pub runs: usize,
    /// Rows in them, tombstones and old versions included.
    pub rows: u64,
    /// Files of values.
    pub value_files: usize,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReport {
    /// Which.
    pub group: GroupKey,
    /// The replica that lives here, as far as known.
    pub replica: Option<ReplicaId>,
    /// Its log, if it can be trusted.
    pub log: Option<LogReport>,
    /// Why its log cannot be trusted: its replica must not start here.
    pub quarantine: Option<String>,
    /// Its checkpoint, if there is one that can be read.
    pub checkpoint: Option<CheckpointReport>,
    /// What does not fit together, besides damage of single files.
    pub problems: Vec<String>,
    /// Why its checkpoint must stay, if there is one: without it not everything could be made again, or nothing
    /// would tell of a loss. `None` if the log can make all of it again.
    pub keep_checkpoint: Option<String>,
}

impl GroupReport {
    /// True if nothing is wrong between its parts.
    pub fn is_sound(&self) -> bool {
        self.quarantine.is_none() && self.problems.is_empty()
    }
}

/// Everything that was found in a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each file, those that are missing too, by path.
    pub files: Vec<FileReport>,
    /// Each group that stands in the journal or has a folder.
    pub groups: Vec<GroupReport>,
    /// What is wrong besides.
    pub problems: Vec<String>,
}

impl Report {
    /// True if a node would start from here with all its replicas, and nothing was found that is not what was
    /// written. Files that are left behind or unknown are no damage.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
            && self.files.iter().all(FileReport::is_sound)
            && self.groups.iter().all(GroupReport::is_sound)
    }

    /// Files that nothing needs.
    pub fn leftovers(&self) -> impl Iterator<Item = &FileReport> {
        let files = self.files.iter();
        files.filter(|file| matches!(file.state, FileState::Leftover(_)))
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(super) fn add(&mut self, file: FileReport) {
        self.files.push(file);
    }
}
