//! What the operating system counts for this process.

use std::path::Path;

use atoll_env::Vfs;
use atoll_env::vfs::OpenMode;

/// Clock ticks per second in `/proc`; fixed in Linux's user interface on every supported platform.
const TICKS_PER_SECOND: u64 = 100;
const PAGE_BYTES: u64 = 4096;

/// CPU time in microseconds and resident bytes. Zeros where there is no `/proc`: the files are asked
/// for through the node's own [`Vfs`], and a simulated disk has none.
pub(crate) fn usage(disk: &dyn Vfs) -> (u64, u64) {
    let cpu = read(disk, "/proc/self/stat").and_then(|stat| cpu_us(&stat));
    let resident = read(disk, "/proc/self/statm").and_then(|statm| resident_bytes(&statm));
    (cpu.unwrap_or(0), resident.unwrap_or(0))
}

/// Not `read_small`: files there have no length.
fn read(disk: &dyn Vfs, path: &str) -> Option<String> {
    let file = disk.open(Path::new(path), OpenMode::Read).ok()?;
    let mut buffer = [0; 2048];
    let len = file.read_at(&mut buffer, 0).ok()?;
    String::from_utf8(buffer.get(..len)?.to_vec()).ok()
}

/// User and system time are the 12th and 13th field after the command's closing parenthesis (the
/// command may contain anything).
fn cpu_us(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * (1_000_000 / TICKS_PER_SECOND))
}

fn resident_bytes(statm: &str) -> Option<u64> {
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_whatever_the_command_is_called() {
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 1 1 1";
        assert_eq!(cpu_us(stat), Some(2_000_000));
        assert_eq!(resident_bytes("500 250 3 4 5 6 7"), Some(1_024_000));
        assert_eq!(cpu_us(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_real_process_uses_memory() {
        let (_, resident) = usage(&atoll_env::vfs::OsVfs);
        assert!(resident > 100_000);
    }
}
