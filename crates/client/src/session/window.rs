//! Which sequence numbers are unfinished.

use atoll_types::limits::SESSION_OPEN_MAX;

const WORDS: usize = SESSION_OPEN_MAX / 64;

/// The numbers from the lowest unfinished one on. Holds at most [`SESSION_OPEN_MAX`] numbers, because
/// a group keeps no more outcomes than that; one bit for each.
///
/// Invariant: 1 ≤ `ack` ≤ `next` ≤ `ack` + [`SESSION_OPEN_MAX`]; the bit of `ack` is not set.
#[derive(Debug)]
pub(crate) struct Window {
    ack: u64,
    next: u64,
    finished: [u64; WORDS],
}

impl Default for Window {
    fn default() -> Self {
        Self {
            ack: 1,
            next: 1,
            finished: [0; WORDS],
        }
    }
}

impl Window {
    /// The next number, unless the window is full.
    pub(crate) fn begin(&mut self) -> Option<u64> {
        if self.next - self.ack >= SESSION_OPEN_MAX as u64 {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    /// Every number below this is finished.
    pub(crate) fn ack(&self) -> u64 {
        self.ack
    }

    /// Finishes a number; by how much [`Window::ack`] moved.
    pub(crate) fn finish(&mut self, seq: u64) -> usize {
        debug_assert!(seq >= self.ack && seq < self.next, "a number is finished once");
        self.set(seq, true);
        let before = self.ack;
        while self.is_finished(self.ack) {
            self.set(self.ack, false);
            self.ack += 1;
        }
        (self.ack - before) as usize
    }

    fn is_finished(&self, seq: u64) -> bool {
        let (word, bit) = place(seq);
        self.finished.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn set(&mut self, seq: u64, finished: bool) {
        let (word, bit) = place(seq);
        if let Some(bits) = self.finished.get_mut(word) {
            *bits = if finished { *bits | bit } else { *bits & !bit };
        }
    }
}

fn place(seq: u64) -> (usize, u64) {
    let index = (seq % SESSION_OPEN_MAX as u64) as usize;
    (index / 64, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ack_is_the_lowest_unfinished_number() {
        let mut window = Window::default();
        assert_eq!(
            (window.begin(), window.begin(), window.begin()),
            (Some(1), Some(2), Some(3))
        );
        assert_eq!((window.finish(2), window.ack()), (0, 1));
        assert_eq!((window.finish(1), window.ack()), (2, 3));
        assert_eq!((window.finish(3), window.ack()), (1, 4));
        assert_eq!(window.begin(), Some(4));
    }

    #[test]
    fn a_full_window_waits_for_its_lowest_number() {
        let mut window = Window::default();
        while window.begin().is_some() {}
        for seq in 2..=SESSION_OPEN_MAX as u64 {
            assert_eq!(window.finish(seq), 0);
        }
        assert_eq!(window.begin(), None);
        assert_eq!(window.finish(1), SESSION_OPEN_MAX);
        assert_eq!(window.begin(), Some(SESSION_OPEN_MAX as u64 + 1));
    }

    #[test]
    fn agrees_with_a_set_of_open_numbers() {
        let rng = atoll_env::Rng::seeded(7);
        let mut window = Window::default();
        let mut open = BTreeSet::new();
        let mut next = 1;
        for _ in 0..100_000 {
            if rng.below(100) < 52 {
                let full = open
                    .first()
                    .is_some_and(|low| next - low >= SESSION_OPEN_MAX as u64);
                let begun = window.begin();
                assert_eq!(begun, (!full).then_some(next));
                open.extend(begun);
                next += u64::from(!full);
            } else if !open.is_empty() {
                let seq = *open.iter().nth(rng.below(open.len() as u64) as usize).unwrap();
                open.remove(&seq);
                window.finish(seq);
            }
            assert_eq!(window.ack(), open.first().copied().unwrap_or(next));
        }
    }
}
