//! How much memory rows take, over all groups of a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes of all memories that share it, about.
#[derive(Debug, Default)]
pub(crate) struct RowBytes {
    active: AtomicUsize,
    frozen: AtomicUsize,
}

impl RowBytes {
    /// Of memories that are written to.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Of all memories: also of those that are being written to runs, and those that views alone still hold.
    pub(crate) fn all(&self) -> usize {
        self.active().saturating_add(self.frozen.load(Ordering::Relaxed))
    }
}

/// One memory's part of a [`RowBytes`], given back with the memory, whoever holds it last.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    total: Arc<RowBytes>,
    bytes: AtomicUsize,
    frozen: AtomicBool,
}

impl Charge {
    /// Nothing yet.
    pub(crate) fn on(total: &Arc<RowBytes>) -> Self {
        Self {
            total: total.clone(),
            bytes: AtomicUsize::new(0),
            frozen: AtomicBool::new(false),
        }
    }

    /// Nothing yet, of the same total.
    pub(crate) fn another(&self) -> Self {
        Self::on(&self.total)
    }

    /// The memory takes so many bytes now. Only its writer says so.
    pub(crate) fn set(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        if before < bytes {
            self.total.active.fetch_add(bytes - before, Ordering::Relaxed);
        } else if before > bytes {
            self.total.active.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }

    /// The memory is written to no more.
    pub(crate) fn freeze(&self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        // In this order, or it would look for a moment as if there were less.
        self.total.frozen.fetch_add(bytes, Ordering::Relaxed);
        self.frozen.store(true, Ordering::Relaxed);
        self.total.active.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let part = if *self.frozen.get_mut() {
            &self.total.frozen
        } else {
            &self.total.active
        };
        part.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_given_back_by_whoever_holds_it_last() {
        let total = Arc::new(RowBytes::default());
        let one = Charge::on(&total);
        one.set(100);
        let other = one.another();
        other.set(50);
        one.set(70);
        assert_eq!((total.active(), total.all()), (120, 120));
        one.freeze();
        assert_eq!((total.active(), total.all()), (50, 120));
        drop(one);
        assert_eq!((total.active(), total.all()), (50, 50));
        drop(other);
        assert_eq!((total.active(), total.all()), (0, 0));
    }
}
