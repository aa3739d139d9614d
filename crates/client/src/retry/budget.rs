//! How many re-sends an overloaded cluster may get from this client.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// In tenths of a re-send.
const FULL: u32 = 1_000;
const PRICE: u32 = 10;
const REFUND: u32 = 1;

/// A token bucket: a re-send after an overload answer costs one token, a success gives back a tenth.
/// So a client adds at most a tenth to the load of a cluster that sheds it for long, which is what
/// keeps retries from holding up the overload that caused them.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl Budget {
    /// Takes a token; false if there is none.
    pub(crate) fn take(&self) -> bool {
        self.0
            .fetch_update(Relaxed, Relaxed, |tokens| tokens.checked_sub(PRICE))
            .is_ok()
    }

    /// Notes a success.
    pub(crate) fn refund(&self) {
        // Almost always full: then a call does not touch the shared line for writing.
        if self.0.load(Relaxed) < FULL {
            let _ = self
                .0
                .fetch_update(Relaxed, Relaxed, |tokens| Some((tokens + REFUND).min(FULL)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_free_then_one_per_ten_successes() {
        let budget = Budget::default();
        for _ in 0..FULL {
            budget.refund();
        }
        assert_eq!((0..200).filter(|_| budget.take()).count(), 100);
        for _ in 0..9 {
            budget.refund();
        }
        assert!(!budget.take());
        budget.refund();
        assert!(budget.take());
        assert!(!budget.take());
    }
}
