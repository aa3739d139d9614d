//! The keys that the keys of files are wrapped with.

use std::fmt;

use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

/// Keys in a ring, at most.
const KEYS_MAX: usize = 16;
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of what keys are read from, at most.
pub const KEY_TEXT_BYTES_MAX: usize = 64 * 1024;
/// What a wrapping key is derived for.
const PURPOSE: &[u8] = b"atoll: the key of a file";

/// Names a key without telling it: the first 8 bytes of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(super) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why what was given are no keys. Never holds any part of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is nothing but empty lines and comments.
    #[error("there is no key in it")]
    Empty,
    /// A line is no key.
    #[error("line {line} is no key: 64 hexadecimal characters are, or a file of exactly 32 bytes")]
    Malformed {
        /// Counted from 1.
        line: usize,
    },
    /// A key that anybody would try first.
    #[error(
        "line {line} is a key whose bytes are all the same: draw one, for example with `openssl rand -hex 32`"
    )]
    Weak {
        /// Counted from 1.
        line: usize,
    },
    /// More keys, or bytes, than there may be.
    #[error("it is too long: at most 16 keys and 64 KiB")]
    TooMany,
}

/// One key.
struct MasterKey {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// Keys, the newest first: it seals what is written, the others open what was sealed before. Not shown by `Debug`.
pub struct KeyRing {
    newest: MasterKey,
    older: Vec<MasterKey>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({self})")
    }
}

/// The ids, newest first.
impl fmt::Display for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.newest.id)?;
        self.older.iter().try_for_each(|key| write!(f, ", {}", key.id))
    }
}

impl KeyRing {
    /// Reads keys: exactly 32 bytes are one; else each line is one, as 64 hexadecimal characters, the newest first. Empty
    /// lines and those that begin with `#` are skipped.
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        if text.len() > KEY_TEXT_BYTES_MAX {
            return Err(KeyError::TooMany);
        }
        if let Ok(bytes) = <[u8; KEY_BYTES]>::try_from(text) {
            let newest = MasterKey::new(Zeroizing::new(bytes), 1)?;
            let older = Vec::new();
            return Ok(Self { newest, older });
        }
        let mut keys: Vec<MasterKey> = Vec::new();
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            if keys.len() == KEYS_MAX {
                return Err(KeyError::TooMany);
            }
            let bytes = from_hex(line).ok_or(KeyError::Malformed { line: at + 1 })?;
            let key = MasterKey::new(bytes, at + 1)?;
            if keys.iter().all(|known| known.id != key.id) {
                keys.push(key);
            }
        }
        let mut keys = keys.into_iter();
        let newest = keys.next().ok_or(KeyError::Empty)?;
        let older = keys.collect();
        Ok(Self { newest, older })
    }

    /// The key that seals what is written.
    pub fn newest(&self) -> KeyId {
        self.newest.id
    }

    /// True if it is among these.
    pub fn has(&self, id: KeyId) -> bool {
        self.find(id).is_some()
    }

    fn find(&self, id: KeyId) -> Option<&MasterKey> {
        let mut keys = std::iter::once(&self.newest).chain(&self.older);
        keys.find(|key| key.id == id)
    }

    /// A cipher for one single message: `salt` is random and drawn for it.
    pub(super) fn cipher(&self, id: KeyId, salt: &[u8; 32]) -> Option<LessSafeKey> {
        let key = self.find(id)?;
        let derived = Salt::new(HKDF_SHA256, salt).extract(&*key.bytes);
        let derived = derived.expand(&[PURPOSE], &AES_256_GCM);
        let derived = derived.expect("a key is far shorter than what can be derived");
        Some(LessSafeKey::new(UnboundKey::from(derived)))
    }
}

impl MasterKey {
    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>, line: usize) -> Result<Self, KeyError> {
        if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
            return Err(KeyError::Weak { line });
        }
        let sum = digest(&SHA256, &*bytes);
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(sum.as_ref()) {
            *to = *from;
        }
        let id = KeyId(id);
        Ok(Self { id, bytes })
    }
}

fn from_hex(line: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let digit = |at: usize| char::from(*line.get(at)?).to_digit(16);
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    if line.len() != 2 * KEY_BYTES {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (digit(2 * at)? * 16 + digit(2 * at + 1)?) as u8;
    }
    Some(bytes)
}
