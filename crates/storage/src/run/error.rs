//! Why a run does not open.

use std::io;

use super::RunIdentity;

/// Why a run does not open.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The bytes are not those of a whole run: it was not written to the end, or it is damaged.
    #[error("{part} of the run, at offset {offset}, is missing or damaged")]
    Damaged {
        /// Which part.
        part: &'static str,
        /// Where it starts, or would.
        offset: u64,
    },
    /// Sound, but not the run that was asked for.
    #[error("this is run {} of group {}, of another cluster, node, group or number", found.number, found.group)]
    Foreign {
        /// What it is.
        found: Box<RunIdentity>,
    },
    /// Sound, but of another format version.
    #[error("the run has format version {0}, this program reads {version}", version = super::layout::VERSION)]
    Version(u32),
    /// Sound, but uses features this version does not have.
    #[error("the run uses features {0:#x} that this program does not have")]
    Features(u32),
    /// The operating system could not read.
    #[error("the run could not be read")]
    Io(#[from] io::Error),
}
