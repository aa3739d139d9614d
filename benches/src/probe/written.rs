//! Bytes that went to the disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::process::Io;
use crate::Result;

/// `/proc/diskstats` counts in these, whatever the device's own sectors are.
const SECTOR_BYTES: u64 = 512;

/// Counters of writes, all of which only grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// Bytes written to the device below a folder, whoever wrote them; `None` if there is no such device.
    pub(crate) device: Option<u64>,
    /// Bytes that this process gave to write calls.
    pub(crate) called: u64,
    /// Bytes in pages that this process made dirty.
    pub(crate) dirtied: u64,
}

impl Written {
    /// So far.
    pub(crate) fn now(dir: &Path) -> Result<Self> {
        let number = fs::metadata(dir)?.dev();
        let device = (rustix::fs::major(number), rustix::fs::minor(number));
        let io = Io::now()?;
        let stats = fs::read_to_string("/proc/diskstats")?;
        Ok(Self {
            device: sectors_written(&stats, device).map(|sectors| sectors * SECTOR_BYTES),
            called: io.called,
            dirtied: io.dirtied,
        })
    }

    /// What was written since.
    pub(crate) fn since(self, earlier: Self) -> Self {
        let device = self.device.zip(earlier.device);
        Self {
            device: device.map(|(now, then)| now.saturating_sub(then)),
            called: self.called.saturating_sub(earlier.called),
            dirtied: self.dirtied.saturating_sub(earlier.dirtied),
        }
    }
}

/// The tenth column of the device's line.
fn sectors_written(stats: &str, (major, minor): (u32, u32)) -> Option<u64> {
    stats.lines().find_map(|line| {
        let mut columns = line.split_whitespace();
        let found = (columns.next()?.parse().ok()?, columns.next()?.parse().ok()?);
        (found == (major, minor)).then(|| columns.nth(7)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_column_of_the_right_device() {
        let stats = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0\n \
                     254       0 vda 8122136 220578 293382074 20475045 13323176 1453851 936744600 5421579 0 1 2\n";
        assert_eq!(sectors_written(stats, (254, 0)), Some(936_744_600));
        assert_eq!(sectors_written(stats, (7, 0)), Some(0));
        assert_eq!(sectors_written(stats, (254, 1)), None);
        assert_eq!(sectors_written("254 0 vda 1\n", (254, 0)), None);
    }

    fn written(device: Option<u64>, called: u64, dirtied: u64) -> Written {
        Written {
            device,
            called,
            dirtied,
        }
    }

    #[test]
    fn counters_only_grow() {
        let since = written(Some(30), 4, 9).since(written(Some(10), 5, 2));
        assert_eq!((since.device, since.called, since.dirtied), (Some(20), 0, 7));
        assert_eq!(written(Some(30), 4, 9).since(written(None, 0, 0)).device, None);
    }

    #[test]
    fn what_this_process_writes_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let before = Written::now(dir.path()).unwrap();
        fs::write(dir.path().join("file"), vec![1; 1 << 20]).unwrap();
        let since = Written::now(dir.path()).unwrap().since(before);
        assert!(since.called >= 1 << 20, "{since:?}");
    }
}
