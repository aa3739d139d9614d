//! The folder of one run.
#![expect(
    clippy::disallowed_methods,
    reason = "what a run leaves behind is written to the real disk; nothing of a node depends on it"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::options::Options;

/// The longest part of a folder's name that is made of names.
const NAME_MAX: usize = 80;
/// So many runs may begin in one second.
const SAME_SECOND_MAX: u32 = 100;

/// Makes a folder of its own for a run: `<store>/<time>-<workloads>-<nemeses>-<seed>`.
pub(super) fn make(options: &Options, wall_ms: u64) -> io::Result<PathBuf> {
    let base = format!("{}-{}-seed-{}", stamp(wall_ms), name(options), options.seed);
    fs::create_dir_all(&options.store)?;
    for number in 1..=SAME_SECOND_MAX {
        let again = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let dir = options.store.join(format!("{base}{again}"));
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| dir),
        }
    }
    Err(io::Error::other(format!(
        "{} has too many runs of this second",
        options.store.display()
    )))
}

/// Writes one file of the folder.
pub(super) fn write(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    fs::write(dir.join(name), text)
}

/// Removes the nodes' data: nobody needs it after a pass.
pub(super) fn remove_data(dir: &Path) -> io::Result<()> {
    fs::remove_dir_all(dir.join("data"))
}

fn name(options: &Options) -> String {
    let nemeses = match &options.nemeses[..] {
        [] => "none".to_owned(),
        some => some.join("+"),
    };
    let name = format!("{}-{nemeses}", options.workloads.join("+"));
    let plain = |symbol: char| match symbol {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '+' | '-' => symbol,
        _ => '_',
    };
    name.chars().map(plain).take(NAME_MAX).collect()
}

/// `20261121-194501`, in UTC.
pub(super) fn stamp(wall_ms: u64) -> String {
    let seconds = wall_ms / 1000;
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// The date of a day since 1970: years begin in March here, so that the leap day is the last one.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::NetKind;

    fn options(store: &Path) -> Options {
        Options {
            workloads: vec!["register".to_owned(), "set".to_owned()],
            nemeses: vec!["partition/halves".to_owned(), "kill".to_owned()],
            time: Duration::from_secs(1),
            seed: 7,
            nodes: 3,
            groups: 1,
            rate: 1,
            concurrency: 1,
            net: NetKind::Proxy,
            store: store.to_owned(),
            binary: PathBuf::from("atoll"),
            mutant: None,
        }
    }

    #[test]
    fn every_run_has_a_folder_of_its_own() {
        let store = tempfile::tempdir().unwrap();
        let options = options(&store.path().join("deep"));
        let first = make(&options, 1_795_290_301_000).unwrap();
        let second = make(&options, 1_795_290_301_000).unwrap();
        let name = first.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, "20261121-194501-register+set-partition_halves+kill-seed-7");
        assert!(first != second && second.is_dir());
    }

    #[test]
    fn days_have_dates() {
        for (day, expected) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_453, (2025, 12, 31)),
            (20_454, (2026, 1, 1)),
        ] {
            assert_eq!(date(day), expected);
        }
    }
}
