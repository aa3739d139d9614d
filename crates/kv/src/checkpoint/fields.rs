//! Fields of values, and what is wrong with them.

use bytes::{Buf, TryGetError};

/// What is wrong with a row's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw(pub(super) &'static str);

impl From<TryGetError> for Flaw {
    fn from(_: TryGetError) -> Self {
        Self("it ends too early")
    }
}

/// Everything was read.
pub(super) fn end(input: &[u8]) -> Result<(), Flaw> {
    if input.has_remaining() {
        return Err(Flaw("bytes follow its end"));
    }
    Ok(())
}

/// Refuses a count of things that take at least `least` bytes each, if they cannot follow. So a list of that
/// length may be allocated.
pub(super) fn check_count(count: usize, least: usize, input: &[u8]) -> Result<(), Flaw> {
    if count.saturating_mul(least) > input.remaining() {
        return Err(Flaw("it counts more than can follow"));
    }
    Ok(())
}
