//! The smallest disk that a node starts on.

use std::io;
use std::path::PathBuf;

use atoll_env::Vfs;

use crate::config::NodeConfig;

/// Segments of the journal that are there however little is stored: four that logs keep for followers, one that is written to,
/// one that is made ahead, two that wait to be used again.
const SEGMENTS: u64 = 8;

/// A disk that would never take writes again once it took none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk of {} has {total_bytes} bytes, and a node with these settings needs {needed_bytes}: use a larger one, or set \
     --disk-keep-free-mib or --segment-mib lower",
    dir.display()
)]
pub(crate) struct TooSmall {
    dir: PathBuf,
    total_bytes: u64,
    needed_bytes: u64,
}

/// Bytes that a disk must have for nodes with these settings: what must stay free, a quarter of it for writes to come back (they do a
/// quarter above the limit), another one for the ballast, and the segments of an empty journal. Nothing is asked for where nothing
/// must stay free.
pub(crate) fn least_bytes(config: &NodeConfig) -> u64 {
    let keep_free = config.disk_keep_free_bytes;
    if keep_free == 0 {
        return 0;
    }
    let segments = if config.preallocate { SEGMENTS } else { 0 };
    keep_free + keep_free / 2 + segments * u64::from(config.segment_bytes)
}

/// Looks at the disk of the data directory. One that cannot be told the size of is taken for large enough.
pub(crate) fn check(vfs: &dyn Vfs, config: &NodeConfig) -> Result<(), TooSmall> {
    let needed_bytes = least_bytes(config);
    let total: io::Result<u64> = vfs.total_bytes(&config.data_dir);
    match total {
        Ok(total_bytes) if total_bytes < needed_bytes => Err(TooSmall {
            dir: config.data_dir.clone(),
            total_bytes,
            needed_bytes,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_env::vfs::OsVfs;

    #[test]
    fn a_disk_has_to_hold_what_stays_free_and_an_empty_journal() {
        const MIB: u64 = 1024 * 1024;
        let dir = tempfile::tempdir().unwrap();
        let mut config = NodeConfig::new(dir.path(), "127.0.0.1:1");
        assert_eq!(least_bytes(&config), 2048 * MIB);
        config.disk_keep_free_bytes = u64::MAX / 4;
        let refused = check(&OsVfs, &config).unwrap_err();
        assert!(refused.total_bytes > 0 && refused.total_bytes < refused.needed_bytes);
        config.disk_keep_free_bytes = 0;
        assert_eq!((least_bytes(&config), check(&OsVfs, &config)), (0, Ok(())));
        config.disk_keep_free_bytes = 80 * MIB;
        config.preallocate = false;
        assert_eq!(least_bytes(&config), 120 * MIB);
    }
}
