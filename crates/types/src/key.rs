//! Keys: byte strings of 1 to 4,096 bytes, ordered bytewise.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::limits::KEY_BYTES_MAX;

const INLINE_MAX: usize = 22;
/// What fits beside a pointer.
const HEAD_LEN: usize = 7;

/// A key. 24 bytes; up to 22 bytes of content stand inside it, longer ones on the heap, because
/// the index holds millions of them and a pointer per key would cost a cache miss per comparison.
/// Of those on the heap the first seven stand inside too, so that most comparisons of two keys end there.
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Heap { head: [u8; HEAD_LEN], bytes: Box<[u8]> },
}

/// Why bytes are not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A key has at least one byte.
    #[error("the key is empty; a key has 1 to {KEY_BYTES_MAX} bytes")]
    Empty,
    /// The key is longer than [`KEY_BYTES_MAX`].
    #[error("the key has {0} bytes; at most {KEY_BYTES_MAX} are allowed")]
    TooLong(usize),
}

impl Key {
    /// Checks the bounds and copies the bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::check(bytes)?;
        Ok(Self::from_unchecked(bytes))
    }

    /// Checks the bounds without building a key.
    pub fn check(bytes: &[u8]) -> Result<(), KeyError> {
        match bytes.len() {
            0 => Err(KeyError::Empty),
            n if n > KEY_BYTES_MAX => Err(KeyError::TooLong(n)),
            _ => Ok(()),
        }
    }

    /// Copies bytes whose bounds were checked when they entered the log.
    pub fn from_unchecked(bytes: &[u8]) -> Self {
        let mut inline = [0; INLINE_MAX];
        match inline.get_mut(..bytes.len()) {
            Some(head) => {
                head.copy_from_slice(bytes);
                Self(Repr::Inline {
                    len: bytes.len() as u8,
                    bytes: inline,
                })
            }
            None => Self(Repr::Heap {
                head: bytes.first_chunk().copied().unwrap_or_default(),
                bytes: bytes.into(),
            }),
        }
    }

    /// The content.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Repr::Heap { bytes, .. } => bytes,
        }
    }

    /// Bytes on the heap, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Heap { bytes, .. } => bytes.len(),
        }
    }
}

impl Key {
    /// The first seven bytes, and zeros behind a shorter key, as a number. Where those of two keys differ, they differ as the
    /// keys do: a zero that stands for no byte meets a greater byte of a longer key, or one that is equal.
    fn head(&self) -> u64 {
        let first: [u8; HEAD_LEN] = match &self.0 {
            Repr::Inline { bytes, .. } => bytes.first_chunk().copied().unwrap_or_default(),
            Repr::Heap { head, .. } => *head,
        };
        let mut head = [0; size_of::<u64>()];
        if let Some(place) = head.first_chunk_mut() {
            *place = first;
        }
        u64::from_be_bytes(head)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let heads = self.head().cmp(&other.head());
        heads.then_with(|| self.as_bytes().cmp(other.as_bytes()))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_24_bytes() {
        assert_eq!(size_of::<Key>(), 24);
    }

    #[test]
    fn bounds() {
        assert_eq!(Key::new(b""), Err(KeyError::Empty));
        assert!(Key::new(&vec![7; KEY_BYTES_MAX]).is_ok());
        assert_eq!(
            Key::new(&vec![7; KEY_BYTES_MAX + 1]),
            Err(KeyError::TooLong(KEY_BYTES_MAX + 1))
        );
    }

    #[test]
    fn order_is_bytewise_across_representations() {
        let mut keys: Vec<Vec<u8>> = (0..60).map(|n| vec![b'k'; n + 1]).collect();
        keys.push(vec![255; 30]);
        // Zeros at the end of the head, where a shorter key has nothing, and differences before and behind it.
        for len in [1, 2, 5, 6, 7, 8, 9, 22, 23, 24, 40] {
            keys.push(vec![0; len]);
            let marks = [(0, 1), (5, 1), (6, 1), (6, 255), (7, 1), (22, 1)];
            for (at, byte) in marks.into_iter().filter(|(at, _)| *at < len) {
                let mut key = vec![0; len];
                key[at] = byte;
                keys.push(key);
            }
        }
        for a in &keys {
            for b in &keys {
                assert_eq!(Key::new(a).unwrap().cmp(&Key::new(b).unwrap()), a.cmp(b));
            }
            assert_eq!(Key::new(a).unwrap().as_bytes(), &a[..]);
        }
    }
}
