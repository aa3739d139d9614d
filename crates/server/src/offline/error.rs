//! Why a data directory cannot be looked at.

use std::io;
use std::path::PathBuf;

/// Why a data directory cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfflineError {
    /// There is no such folder.
    #[error("cannot look into {}: {source}", path.display())]
    NotThere {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It holds none of a node's files.
    #[error("{} is no data directory of Atoll's", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// A node runs there, or another command looks at it.
    #[error("the data directory is in use: {0}")]
    InUse(#[source] io::Error),
    /// Its files are encrypted, and no keys were given.
    #[error("{} is encrypted: give its keys", path.display())]
    Sealed {
        /// The folder.
        path: PathBuf,
    },
    /// Keys were given, and its files are not encrypted.
    #[error("{} is not encrypted: give no keys", path.display())]
    Clear {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system could not read or write.
    #[error("the data directory: {0}")]
    Io(#[from] io::Error),
}
