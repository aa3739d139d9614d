//! What may be removed from a data directory, and how.
//!
//! A repair never writes into a file and never puts anything together again: what is damaged is replaced from the other
//! replicas. It removes what a start does without, and nothing that is the last proof of a loss.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use atoll_env::Env;
use atoll_types::GroupKey;

use super::JOURNAL;
use super::report::{FileKind, FileReport, FileState, Report};
use crate::manifest::{GROUPS, folder_name};

/// Files to be removed, and files that must stay though they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// From the data directory on. All of one step are gone, durably, before the next step begins.
    pub steps: Vec<Vec<PathBuf>>,
    /// What stays, and why.
    pub kept: Vec<(PathBuf, String)>,
}

/// Removes what nothing needs. Only where all else in the same folder is sound: else it may be what somebody who
/// looks for lost bytes needs most.
pub fn plan_leftovers(report: &Report) -> Repair {
    let mut repair = Repair::default();
    let mut step = Vec::new();
    for file in report.leftovers() {
        let folder = file.path.parent();
        let mut beside = report.files.iter().filter(|other| other.path.parent() == folder);
        match beside.find(|other| !other.is_sound()) {
            Some(damaged) => {
                let why = format!("{} in the same folder is not sound", damaged.path.display());
                repair.kept.push((file.path.clone(), why));
            }
            None => step.push(file.path.clone()),
        }
    }
    repair.steps.push(step);
    repair
}

/// Removes the checkpoint of a group, whose next start then applies its log from the beginning. Refused, with the
/// reason, unless the log alone has everything.
pub fn plan_drop(report: &Report, group: GroupKey) -> Result<Repair, String> {
    let known = report.groups.iter().find(|known| known.group == group);
    let known = known.ok_or_else(|| format!("group {group} does not live here"))?;
    if let Some(why) = &known.keep_checkpoint {
        return Err(format!("the checkpoint of group {group} must stay: {why}"));
    }
    let folder = Path::new(GROUPS).join(folder_name(group));
    let mut repair = Repair::default();
    let (mut files, mut manifest) = (Vec::new(), Vec::new());
    for file in report.files.iter().filter(|file| file.path.starts_with(&folder)) {
        match (&file.state, file.kind) {
            (FileState::Missing(_), _) => {}
            (_, FileKind::Manifest) => manifest.push(file.path.clone()),
            (_, FileKind::Run | FileKind::Values | FileKind::Unready) => files.push(file.path.clone()),
            _ => {
                let why = "it is not a file of this program's".to_owned();
                repair.kept.push((file.path.clone(), why));
            }
        }
    }
    if files.is_empty() && manifest.is_empty() {
        return Err(format!("group {group} has no checkpoint"));
    }
    // The manifest last: cut short, this can be asked for again, and says again up to which entry it went.
    repair.steps = vec![files, manifest];
    Ok(repair)
}

impl Repair {
    /// Makes the names in a data directory durable. A process that was killed may have renamed a manifest and not lived
    /// to sync its name: the one read now could be gone after a power cut, and the one before it miss what was
    /// removed meanwhile. Call it before the check that a repair is planned by.
    pub fn settle(env: &Env, data: &Path) -> io::Result<()> {
        let vfs = &*env.vfs;
        let mut folders = vec![data.to_owned(), data.join(JOURNAL), data.join(GROUPS)];
        if let Ok(names) = vfs.list(&data.join(GROUPS)) {
            folders.extend(names.iter().map(|name| data.join(GROUPS).join(name)));
        }
        // Not all must be there, and something else may stand between them.
        folders.retain(|folder| vfs.list(folder).is_ok());
        folders.iter().try_for_each(|folder| vfs.sync_dir(folder))
    }

    /// Files to be removed.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.steps.iter().flatten()
    }

    /// Bytes of these.
    pub fn bytes(&self, report: &Report) -> u64 {
        let removed: BTreeSet<_> = self.files().collect();
        let files = report.files.iter().filter(|file| removed.contains(&file.path));
        files.map(|file: &FileReport| file.bytes).sum()
    }

    /// Removes them, durably. The caller has held the lock of the data directory since before the check.
    pub fn apply(&self, env: &Env, data: &Path) -> io::Result<()> {
        for step in &self.steps {
            let mut folders = BTreeSet::new();
            for path in step {
                let path = data.join(path);
                env.vfs.remove(&path)?;
                folders.extend(path.parent().map(Path::to_owned));
            }
            for folder in folders {
                env.vfs.sync_dir(&folder)?;
            }
        }
        Ok(())
    }
}
