//! Calls and ends of the operations not yet placed, in the order of time.
//!
//! A doubly linked list in which taking out and putting back cost nothing: what is taken out keeps
//! its neighbours. Putting back must happen in the opposite order.

use super::plan::Step;

/// The ring's anchor, and the place of an end that does not exist.
const ANCHOR: usize = 0;

#[derive(Clone, Copy, Debug)]
struct Entry {
    step: usize,
    is_end: bool,
    before: usize,
    after: usize,
}

pub(super) struct Entries {
    ring: Vec<Entry>,
    /// By step: where its call and its end are.
    places: Vec<(usize, usize)>,
}

impl Entries {
    /// Of the steps that are certain, or of those that are not.
    pub(super) fn new(steps: &[Step], certain: bool) -> Self {
        let mut moments: Vec<(u64, usize, bool)> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            if step.ended.is_some() == certain {
                moments.push((step.called, number, false));
                moments.extend(step.ended.map(|ended| (ended, number, true)));
            }
        }
        moments.sort_unstable();
        let last = moments.len();
        let mut ring = vec![Entry {
            step: usize::MAX,
            is_end: true,
            before: last,
            after: 1.min(last),
        }];
        let mut places = vec![(ANCHOR, ANCHOR); steps.len()];
        for (at, (_, step, is_end)) in (1..).zip(moments) {
            ring.push(Entry {
                step,
                is_end,
                before: at - 1,
                after: (at + 1) % (last + 1),
            });
            let place = places.get_mut(step).expect("a place for each step");
            *(if is_end { &mut place.1 } else { &mut place.0 }) = at;
        }
        Self { ring, places }
    }

    fn entry(&mut self, at: usize) -> &mut Entry {
        self.ring.get_mut(at).expect("places are in the ring")
    }

    /// The operations that may come next: called before the first end of one not yet placed.
    pub(super) fn callable(&self) -> impl Iterator<Item = usize> {
        self.forward()
            .take_while(|entry| !entry.is_end)
            .map(|entry| entry.step)
    }

    /// The operation that ends first of those not yet placed.
    pub(super) fn first_to_end(&self) -> Option<usize> {
        self.forward().find(|entry| entry.is_end).map(|entry| entry.step)
    }

    fn forward(&self) -> impl Iterator<Item = &Entry> {
        let anchor = self.ring.first();
        std::iter::successors(anchor, |entry| self.ring.get(entry.after))
            .skip(1)
            .take_while(|entry| entry.step != usize::MAX)
    }

    /// Takes an operation out.
    pub(super) fn lift(&mut self, step: usize) {
        let (call, end) = self.place(step);
        self.unlink(call);
        if end != ANCHOR {
            self.unlink(end);
        }
    }

    /// Puts back the operation taken out last.
    pub(super) fn put_back(&mut self, step: usize) {
        let (call, end) = self.place(step);
        if end != ANCHOR {
            self.relink(end);
        }
        self.relink(call);
    }

    fn place(&self, step: usize) -> (usize, usize) {
        *self.places.get(step).expect("a place for each step")
    }

    fn unlink(&mut self, at: usize) {
        let Entry { before, after, .. } = *self.entry(at);
        self.entry(before).after = after;
        self.entry(after).before = before;
    }

    fn relink(&mut self, at: usize) {
        let Entry { before, after, .. } = *self.entry(at);
        self.entry(before).after = at;
        self.entry(after).before = at;
    }
}
