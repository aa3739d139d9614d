//! Keys: byte strings of 1 to 4,096 bytes, ordered bytewise.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::limits::KEY_BYTES_MAX;

const INLINE_MAX: usize = 22;

/// A key. 24 bytes; up to 22 bytes of content stand inside it, longer ones on the heap, because
/// the index holds millions of them and a pointer per key would cost a cache miss per comparison.
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    Heap(Box<[u8]>),
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
            None => Self(Repr::Heap(bytes.into())),
        }
    }

    /// The content.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Repr::Heap(bytes) => bytes,
        }
    }

    /// Bytes on the heap, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Heap(bytes) => bytes.len(),
        }
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
        self.as_bytes().cmp(other.as_bytes())
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
        keys.push(vec![0]);
        keys.push(vec![255; 30]);
        for a in &keys {
            for b in &keys {
                assert_eq!(Key::new(a).unwrap().cmp(&Key::new(b).unwrap()), a.cmp(b));
            }
            assert_eq!(Key::new(a).unwrap().as_bytes(), &a[..]);
        }
    }
}
