//! Checks of sound disks, of disks after a crash, and of disks that were damaged on purpose.

mod bits;
mod crash;
mod files;
mod freed;
mod mutations;
mod repair;
mod values;

use std::path::Path;

use atoll_env::vfs::MemVfs;

use super::{CheckOptions, FileReport, FileState, Report};
use crate::store::tests::disk::{IDENTITY, data, env};

const DEEP: CheckOptions = CheckOptions { deep: true };

/// The report of a disk, looked at as thoroughly as can be. It changes nothing.
fn report(vfs: &MemVfs) -> Report {
    let operations = vfs.operations();
    let mut last = (0, 0);
    let report = super::check(&env(vfs), data(), IDENTITY, DEEP, &mut |done, total| {
        assert!(done >= last.0 && done <= total, "progress goes forward");
        last = (done, total);
    });
    assert_eq!(vfs.operations(), operations, "a check changes nothing");
    report.unwrap()
}

/// What is said of a file, by its path in the data directory.
fn file<'a>(report: &'a Report, path: &Path) -> &'a FileReport {
    let path = path.strip_prefix(data()).unwrap_or(path);
    let found = report.files.iter().find(|file| file.path == path);
    found.unwrap_or_else(|| panic!("nothing is said of {}: {report:#?}", path.display()))
}

#[track_caller]
fn assert_sound(report: &Report) {
    assert!(report.is_sound(), "{report:#?}");
}

fn is_damaged(state: &FileState) -> bool {
    matches!(state, FileState::Damaged(_))
}
