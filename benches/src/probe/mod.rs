//! What the operating system tells of disk, process and machine.
//!
//! All of it comes from outside of the engines, so it means the same for each: folders are walked, `/proc` is read.
#![expect(
    clippy::disallowed_methods,
    reason = "measures the operating system's files and processes as they are; nothing here has to repeat"
)]

mod disk;
mod folder;
mod machine;
mod process;
mod written;

pub(crate) use disk::{Usage, drop_cached, sync_filesystem};
pub(crate) use folder::Folder;
pub(crate) use machine::Machine;
pub(crate) use process::{Memory, Settled, wait_until_quiet};
pub(crate) use written::Written;

use std::time::Duration;

/// Does nothing for a while.
pub(crate) fn pause(interval: Duration) {
    std::thread::sleep(interval);
}

/// The number behind a name in a file of lines `name: number`.
fn number_in(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_whole_names() {
        let text = "rchar: 7\nchar: 8\nVmRSS:\t  12 kB\n";
        assert_eq!(number_in(text, "char"), Some(8));
        assert_eq!(number_in(text, "VmRSS"), Some(12));
        assert_eq!(number_in(text, "VmHWM"), None);
    }
}
