//! Which keys a tree does not have, nearly always.
//!
//! Most lookups are of keys that were not written lately, and to find that out in the tree takes a wait for memory at each of its
//! levels. Here it takes one or two: four bits for each key, all in one word.
//!
//! Nobody knows how many keys will come, so when there is no room for more of them another part begins, four times as long as the last, and
//! the keys before stay where they are: nothing is ever moved while readers wait.

use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

/// Bits per key.
const KEY_BITS: usize = 12;
/// Keys of the first part.
const FIRST_KEYS: usize = 1024;
/// How many times as long as the one before a part is.
const GROWTH: usize = 4;

/// Takes keys in and never forgets one, unless all are gone.
#[derive(Default)]
pub(super) struct Presence {
    /// The newest comes last, and has most of the keys.
    parts: Vec<Part>,
}

struct Part {
    words: Box<[u64]>,
    /// Keys that it can still take.
    room: usize,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Mark(u64);

impl Mark {
    pub(super) fn of(key: &[u8]) -> Self {
        Self(FxBuildHasher.hash_one(key))
    }

    /// Its bits in a word.
    fn bits(self) -> u64 {
        (0..4).fold(0, |bits, probe| bits | 1 << (self.0 >> (6 * probe) & 63))
    }
}

impl Presence {
    /// False only if the key was not taken in.
    pub(super) fn may_hold(&self, mark: Mark) -> bool {
        self.parts.iter().rev().any(|part| part.has(mark))
    }

    /// Takes a key in.
    pub(super) fn add(&mut self, mark: Mark) {
        if self.may_hold(mark) {
            return;
        }
        if self.parts.last().is_none_or(|part| part.room == 0) {
            let keys = self.parts.iter().fold(FIRST_KEYS, |keys, _| keys * GROWTH);
            self.parts.push(Part {
                words: vec![0; keys * KEY_BITS / 64].into(),
                room: keys,
            });
        }
        if let Some(part) = self.parts.last_mut() {
            part.add(mark);
        }
    }

    /// All keys are gone.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.parts.iter().map(|part| size_of_val(&*part.words)).sum()
    }
}

impl Part {
    fn has(&self, mark: Mark) -> bool {
        let bits = mark.bits();
        self.words
            .get(self.word_of(mark))
            .is_some_and(|word| word & bits == bits)
    }

    fn add(&mut self, mark: Mark) {
        let word = self.word_of(mark);
        if let Some(word) = self.words.get_mut(word) {
            *word |= mark.bits();
        }
        self.room -= 1;
    }

    /// By the upper half of the hash.
    fn word_of(&self, mark: Mark) -> usize {
        (((mark.0 >> 32) * self.words.len() as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_taken_in_are_found_and_of_others_few() {
        const KEYS: u32 = 50_000;
        let mark = |number: u32| Mark::of(format!("user:{number:010}").as_bytes());
        let mut presence = Presence::default();
        assert!(!presence.may_hold(mark(0)) && presence.memory_bytes() == 0);
        for number in 0..KEYS {
            presence.add(mark(number));
            assert!(presence.may_hold(mark(number)));
        }
        assert!((0..KEYS).all(|number| presence.may_hold(mark(number))));
        let found = (KEYS..2 * KEYS).filter(|number| presence.may_hold(mark(*number)));
        let found = found.count();
        assert!(found < KEYS as usize / 20, "{found}");
        let bytes = presence.memory_bytes();
        // The same again takes no more room.
        (0..KEYS).for_each(|number| presence.add(mark(number)));
        assert_eq!(presence.memory_bytes(), bytes);
        presence.clear();
        assert!(!presence.may_hold(mark(1)));
    }
}
