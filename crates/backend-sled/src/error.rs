//! What can go wrong with sled.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use atoll_state::Stop;
use atoll_storage::{Missed, ReadError};

/// Why rows could not be looked up or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SledError {
    /// sled says so.
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    /// sled did not say so.
    #[error("sled panicked: {0}")]
    Panicked(String),
    /// Bytes that sled gave are not those that it was given.
    #[error("sled: the row of key \"{0}\" is not what was written")]
    Row(String),
    /// sled has another entry's rows than it should.
    #[error("sled has the rows of entry {found:?}, and should have those of entry {expected}")]
    Point {
        /// What it should have.
        expected: u64,
        /// What it has; `None`: nothing that can be read.
        found: Option<u64>,
    },
    /// What it is to be filled with.
    #[error("the rows to fill sled with cannot be read: {0}")]
    Source(#[from] Missed),
    /// Its directory cannot be thrown away, or made again.
    #[error("{}: {error}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl From<SledError> for Stop {
    fn from(error: SledError) -> Self {
        Self(error.to_string())
    }
}

impl SledError {
    /// The same, for a reader.
    pub(crate) fn missed(self) -> Missed {
        match self {
            Self::Source(missed) => missed,
            error => Missed::Failed(ReadError::Io(io::Error::other(error))),
        }
    }

    /// What a panic said.
    pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Self::Panicked(text.unwrap_or("without a text").to_owned())
    }
}

/// Calls sled. Nothing of ours is changed inside, so nothing can be left half done by a panic but what sled has.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, SledError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => Ok(result?),
        Err(panic) => Err(SledError::of_panic(&*panic)),
    }
}
