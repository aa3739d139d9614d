//! The fault build: the same program, with a disk and clocks that fail on demand and with deliberate bugs.
//!
//! The feature `faults` makes it; without it this is the plain environment and nothing else. A fault build says what
//! it is in its version and at every start. What it suffers from stands in the file that `ATOLL_FAULTS` names.

use atoll_env::Env;

/// Whether this is one.
pub(crate) const BUILD: bool = cfg!(feature = "faults");

/// What `--version` says.
pub(crate) const VERSION: &str = if BUILD {
    concat!(
        env!("CARGO_PKG_VERSION"),
        " FAULT BUILD (fails on demand; never for data)"
    )
} else {
    env!("CARGO_PKG_VERSION")
};

/// What a server takes from the outside world.
#[cfg(not(feature = "faults"))]
pub(crate) fn env() -> Env {
    Env::real()
}

/// What a server takes from the outside world, broken as the control file says.
#[cfg(feature = "faults")]
pub(crate) fn env() -> Env {
    tracing::warn!(
        "THIS IS A FAULT BUILD: its disk and clocks fail on demand and deliberate bugs are compiled in. It must never \
         hold data that anybody needs"
    );
    match std::env::var_os("ATOLL_FAULTS").filter(|file| !file.is_empty()) {
        Some(file) => {
            let file = std::path::PathBuf::from(file);
            tracing::warn!(file = %file.display(), "faults come from this file");
            Env::with_faults(&file)
        }
        None => Env::real(),
    }
}
