//! Room for what is coming.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that snapshots of all groups of a node will still write, as far as they were announced. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Promised(Arc<AtomicU64>);

/// What one of them will.
pub(super) struct Promise {
    all: Promised,
    left: u64,
}

impl Promised {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn promise(&self, bytes: u64) -> Promise {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Promise {
            all: self.clone(),
            left: bytes,
        }
    }
}

impl Promise {
    /// So many are written: they are no longer free.
    pub(super) fn keep(&mut self, bytes: u64) {
        let kept = bytes.min(self.left);
        self.left -= kept;
        self.all.0.fetch_sub(kept, Ordering::Relaxed);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.keep(self.left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_or_given_up_is_promised_no_more() {
        let all = Promised::default();
        let (mut one, two) = (all.promise(100), all.promise(u64::MAX - 100));
        assert_eq!(all.bytes(), u64::MAX);
        drop(two);
        one.keep(30);
        assert_eq!(all.bytes(), 70);
        one.keep(300);
        assert_eq!(all.bytes(), 0, "it was more than was said");
        drop(one);
        assert_eq!(all.bytes(), 0);
    }
}
