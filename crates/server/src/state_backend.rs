//! What holds the live rows of a node's groups.
//!
//! The index of the storage engine, unless the node is told otherwise. Which one it is changes nothing that anybody else can see: each
//! node of a cluster may have another. Group 0 always stands in the index.

use std::sync::Arc;

use atoll_env::Spawn;
use atoll_raft::RaftError;
use atoll_state::{Backend, NativeBackend, Reader};
#[cfg(feature = "backend-sled")]
use {atoll_backend_sled::SledBackend, atoll_backend_sled::SledHome};

use crate::config::NodeConfig;

/// The folder of sled in a data directory.
pub(crate) const SLED_FOLDER: &str = "sled";

/// A kind of backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateBackend {
    /// The storage engine's own index.
    #[default]
    Native,
    /// Experimental: a copy of the live rows in sled, made again at every start. Only in programs built with the feature
    /// `backend-sled`.
    Sled,
}

impl StateBackend {
    /// True if this program has it.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Native => true,
            Self::Sled => cfg!(feature = "backend-sled"),
        }
    }
}

/// Makes the backends of a node's groups.
#[derive(Clone)]
pub(crate) enum Backends {
    Native,
    #[cfg(feature = "backend-sled")]
    Sled(SledHome),
}

/// A group's rows: what changes them, and what reads them if it is not the index.
pub(crate) struct Rows {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) reader: Option<Arc<dyn Reader>>,
}

impl Backends {
    /// What the node is told to use. Throws away what sled had. Waits for the disk.
    pub(crate) fn open(config: &NodeConfig) -> Result<Self, RaftError> {
        match config.state_backend {
            StateBackend::Native => Ok(Self::Native),
            #[cfg(feature = "backend-sled")]
            StateBackend::Sled => {
                // What reads of rows would otherwise take: the index is read from only at earlier versions then, which leave
                // nothing in the cache of rows.
                let cache = config.store.row_cache as u64;
                let home = SledHome::open(&config.data_dir.join(SLED_FOLDER), cache);
                home.map(Self::Sled)
                    .map_err(|error| RaftError::Storage(error.to_string()))
            }
            #[cfg(not(feature = "backend-sled"))]
            StateBackend::Sled => Err(RaftError::Storage(NOT_BUILT_IN.to_owned())),
        }
    }

    /// The rows of a group that was opened. Waits for disks.
    #[cfg_attr(
        not(feature = "backend-sled"),
        expect(
            clippy::unnecessary_wraps,
            reason = "without sled there is nothing that can fail"
        )
    )]
    pub(crate) fn make(&self, native: NativeBackend, spawn: &Spawn) -> Result<Rows, RaftError> {
        match self {
            Self::Native => {
                // It needs nothing to be started.
                let _ = spawn;
                Ok(Rows {
                    backend: Box::new(native),
                    reader: None,
                })
            }
            #[cfg(feature = "backend-sled")]
            Self::Sled(home) => {
                let backend = SledBackend::new(native, home, spawn.clone());
                let backend = backend.map_err(|error| RaftError::Storage(error.to_string()))?;
                Ok(Rows {
                    reader: Some(backend.reader()),
                    backend: Box::new(backend),
                })
            }
        }
    }
}

/// What to do about it.
pub(crate) const NOT_BUILT_IN: &str =
    "this program was built without it; build one with --features backend-sled, or use native";
