//! The two spaces of rows in a run.

use crate::run::{SPACE_SYSTEM, SPACE_USER};

/// The key that a user's row has in a run.
pub(crate) fn user_key(key: &[u8]) -> Vec<u8> {
    [&[SPACE_USER], key].concat()
}

/// The key that a row of the system has in a run.
pub(crate) fn system_key(key: &[u8]) -> Vec<u8> {
    [&[SPACE_SYSTEM], key].concat()
}
