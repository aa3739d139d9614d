//! Whose a folder is, and why it cannot be opened.

use std::fmt;
use std::io;
use std::path::PathBuf;

use atoll_types::{GroupKey, ReplicaId};

use crate::journal::Identity;

/// Whose files they are. Stands in every manifest; another's folder is never opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderOwner {
    /// Cluster and node.
    pub identity: Identity,
    /// The group and its incarnation.
    pub group: GroupKey,
    /// The replica that lives here. One under a new id starts in an empty folder.
    pub replica: ReplicaId,
}

impl fmt::Display for FolderOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { cluster, node } = self.identity;
        write!(
            f,
            "replica {} of group {} on node {node} of cluster {cluster}",
            self.replica, self.group
        )
    }
}

/// Why a group's folder cannot be opened. Nothing was removed from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The operating system could not read or write.
    #[error("the folder of a group could not be opened")]
    Io(#[from] io::Error),
    /// The manifest's bytes are not those that were written.
    #[error(
        "{} is damaged: {what}. Which files of the group count cannot be told any more; leave them and replace this \
         replica from the others",
        file.display()
    )]
    Damaged {
        /// The manifest.
        file: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There are files of the group and no manifest: it was there before the first of them.
    #[error(
        "{} is missing, but {} is there: the manifest was lost. Put it back, or leave the files and replace this \
         replica from the others",
        file.display(), seen.display()
    )]
    ManifestMissing {
        /// Where the manifest should be.
        file: PathBuf,
        /// A file that it must have named, or was about to.
        seen: PathBuf,
    },
    /// The folder is somebody else's.
    #[error("{} belongs to {found}, not to {expected}", file.display())]
    Foreign {
        /// The manifest.
        file: PathBuf,
        /// Whose it is.
        found: Box<FolderOwner>,
        /// Who opened it.
        expected: Box<FolderOwner>,
    },
    /// Another version of this program wrote the manifest.
    #[error("{} cannot be read by this version: {what}", file.display())]
    Unsupported {
        /// The manifest.
        file: PathBuf,
        /// What is unknown about it.
        what: String,
    },
    /// A file that the manifest names is gone.
    #[error("{} is missing, but the manifest names it: replace this replica from the others", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// A file that the manifest names was cut or has grown.
    #[error(
        "{} has {found} bytes, but the manifest says {expected}: replace this replica from the others",
        file.display()
    )]
    Length {
        /// The file.
        file: PathBuf,
        /// Bytes as the manifest says.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
}
