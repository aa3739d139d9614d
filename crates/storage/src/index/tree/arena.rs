//! Inline values, joined ones and older versions, side by side in blocks.
//!
//! A row names its value by a number of four bytes. Blocks never move, so that growing costs no
//! copy under the lock; freed places are used again.

/// Elements of one block.
const BLOCK: usize = 1024;

/// Numbered places for values of one type.
pub(crate) struct Arena<T> {
    blocks: Vec<Vec<T>>,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Arena<T> {
    /// Stores a value; its number stays valid until [`Arena::remove`].
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(at) = self.free.pop() {
            *self.place(at).expect("a freed place exists") = value;
            return at;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let block = self.blocks.last_mut().expect("pushed just above");
        block.push(value);
        let before = block.len() - 1;
        u32::try_from((self.blocks.len() - 1) * BLOCK + before).expect("memory ends before four billion rows")
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.blocks.get(at as usize / BLOCK)?.get(at as usize % BLOCK)
    }

    pub(crate) fn place(&mut self, at: u32) -> Option<&mut T> {
        self.blocks
            .get_mut(at as usize / BLOCK)?
            .get_mut(at as usize % BLOCK)
    }

    /// Gives the place back. The caller has let go of the number.
    pub(crate) fn remove(&mut self, at: u32) {
        debug_assert!(self.get(at).is_some() && self.free.len() < self.blocks.len() * BLOCK);
        self.free.push(at);
    }

    /// Values stored.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum::<usize>() - self.free.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.blocks.len() * BLOCK * size_of::<T>() + self.free.capacity() * 4
    }
}

/// Values of up to 64 bytes in four sizes.
#[derive(Default)]
pub(crate) struct InlineArena {
    tiny: Arena<[u8; 16]>,
    small: Arena<[u8; 32]>,
    medium: Arena<[u8; 48]>,
    large: Arena<[u8; 64]>,
}

impl InlineArena {
    pub(crate) fn insert(&mut self, value: &[u8]) -> u32 {
        match value.len() {
            0..=16 => self.tiny.insert(widen(value)),
            17..=32 => self.small.insert(widen(value)),
            33..=48 => self.medium.insert(widen(value)),
            _ => self.large.insert(widen(value)),
        }
    }

    pub(crate) fn get(&self, at: u32, len: usize) -> Option<&[u8]> {
        let bytes: &[u8] = match len {
            0..=16 => self.tiny.get(at)?,
            17..=32 => self.small.get(at)?,
            33..=48 => self.medium.get(at)?,
            _ => self.large.get(at)?,
        };
        bytes.get(..len)
    }

    pub(crate) fn remove(&mut self, at: u32, len: usize) {
        match len {
            0..=16 => self.tiny.remove(at),
            17..=32 => self.small.remove(at),
            33..=48 => self.medium.remove(at),
            _ => self.large.remove(at),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.tiny.len() + self.small.len() + self.medium.len() + self.large.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.tiny.memory_bytes()
            + self.small.memory_bytes()
            + self.medium.memory_bytes()
            + self.large.memory_bytes()
    }
}

fn widen<const N: usize>(value: &[u8]) -> [u8; N] {
    let mut wide = [0; N];
    for (to, from) in wide.iter_mut().zip(value) {
        *to = *from;
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_and_never_shared() {
        let mut arena = Arena::default();
        let places: Vec<u32> = (0..3000_u64).map(|value| arena.insert(value)).collect();
        for place in places.iter().step_by(3) {
            arena.remove(*place);
        }
        let again: Vec<u32> = (0..1000).map(|value| arena.insert(value + 10_000)).collect();
        assert_eq!(arena.len(), 3000);
        assert!(arena.memory_bytes() >= 3000 * 8);
        for (value, place) in places.iter().enumerate().filter(|(value, _)| value % 3 != 0) {
            assert_eq!(arena.get(*place), Some(&(value as u64)));
        }
        for (value, place) in again.iter().enumerate() {
            assert_eq!(arena.get(*place), Some(&(value as u64 + 10_000)));
        }
    }

    #[test]
    fn every_length_comes_back() {
        let mut arena = InlineArena::default();
        let all: Vec<u8> = (0..64).collect();
        let places: Vec<u32> = (0..=64).map(|len| arena.insert(&all[..len])).collect();
        for (len, place) in places.iter().enumerate() {
            assert_eq!(arena.get(*place, len), Some(&all[..len]));
        }
        for (len, place) in places.iter().enumerate() {
            arena.remove(*place, len);
        }
        assert_eq!(arena.len(), 0);
    }
}
