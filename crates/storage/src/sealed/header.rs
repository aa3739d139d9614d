//! The header of a sealed file: who it is, and its key, wrapped.
//!
//! It stands twice at the front of the file, each copy in a block of its own, so that one of them can be written anew while the
//! other one holds (`rotate`). Each copy is wrapped under a key that is derived for it alone, from a random salt of 256 bits:
//! so the nonce of a wrapping can be 0, and no number of files ever comes near a repetition.

use std::io;
use std::path::Path;

use atoll_env::Rng;
use atoll_env::vfs::{File, FrontDamage};
use ring::aead::{Aad, Nonce, Tag};
use zeroize::Zeroizing;

use super::keys::{KeyId, KeyRing};
use super::page::{FileKey, HEADER_BYTES, PAGE, field};

/// How a sealed file begins.
pub(crate) const MAGIC: [u8; 8] = *b"ATOLSEA\x01";
const VERSION: u32 = 1;

const FEATURES_AT: usize = 12;
const ID_AT: usize = 16;
const KEY_ID_AT: usize = 32;
const SALT_AT: usize = 40;
const KEY_AT: usize = 72;
const TAG_AT: usize = 104;
const SUM_AT: usize = PAGE - 4;

/// A file's id and key.
pub(super) struct Secret {
    pub(super) id: [u8; 16],
    key: Zeroizing<[u8; 32]>,
}

/// One copy as found.
pub(super) enum HeaderCopy {
    /// Not written to its end, or damaged.
    Bad,
    /// Of another version, or with features that this program does not have; says which.
    Unsupported(String),
    /// Sound, and wrapped by this key.
    Wrapped(KeyId),
}

impl Secret {
    /// Of a new file.
    pub(super) fn draw(rng: &Rng) -> Self {
        Self {
            id: rng.bits128().to_le_bytes(),
            key: Zeroizing::new(rng.key()),
        }
    }

    pub(super) fn cipher(&self) -> FileKey {
        FileKey::new(self.id, &self.key)
    }

    /// One copy of the header, wrapped by the newest key.
    pub(super) fn wrap(&self, keys: &KeyRing, rng: &Rng) -> Vec<u8> {
        let (id, salt) = (keys.newest(), rng.key());
        let mut copy = vec![0; PAGE];
        put(&mut copy, 0, &MAGIC);
        put(&mut copy, 8, &VERSION.to_le_bytes());
        put(&mut copy, ID_AT, &self.id);
        put(&mut copy, KEY_ID_AT, &id.0);
        put(&mut copy, SALT_AT, &salt);
        let cipher = keys.cipher(id, &salt).expect("the newest key is in the ring");
        let mut key = self.key.clone();
        let bound = Aad::from(copy.get(..SALT_AT).unwrap_or_default());
        let tag = cipher.seal_in_place_separate_tag(once(), bound, &mut *key);
        let tag = tag.expect("a key is far shorter than the cipher's bound");
        put(&mut copy, KEY_AT, &*key);
        put(&mut copy, TAG_AT, tag.as_ref());
        let sum = crc32fast::hash(copy.get(..SUM_AT).unwrap_or_default());
        put(&mut copy, SUM_AT, &sum.to_le_bytes());
        copy
    }

    /// Both copies.
    pub(super) fn header(&self, keys: &KeyRing, rng: &Rng) -> Vec<u8> {
        [self.wrap(keys, rng), self.wrap(keys, rng)].concat()
    }

    /// What a sound copy holds, if it opens with one of the keys.
    fn unwrap(copy: &[u8], keys: &KeyRing) -> Option<Self> {
        let id = KeyId(field(copy, KEY_ID_AT)?);
        let mut key = Zeroizing::new(field::<32>(copy, KEY_AT)?);
        let tag = Tag::from(field::<16>(copy, TAG_AT)?);
        let bound = Aad::from(copy.get(..SALT_AT)?);
        let cipher = keys.cipher(id, &field(copy, SALT_AT)?)?;
        let opened = cipher.open_in_place_separate_tag(once(), bound, tag, &mut *key, 0..);
        opened.ok()?;
        let id = field(copy, ID_AT)?;
        Some(Self { id, key })
    }
}

/// The nonce of a key that is used once.
fn once() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Looks at one copy, without any key.
pub(super) fn look(copy: &[u8]) -> HeaderCopy {
    let number = |at| field(copy, at).map(u32::from_le_bytes);
    let sum = crc32fast::hash(copy.get(..SUM_AT).unwrap_or_default());
    if copy.len() != PAGE || !copy.starts_with(&MAGIC) || number(SUM_AT) != Some(sum) {
        return HeaderCopy::Bad;
    }
    match (number(8), number(FEATURES_AT), field(copy, KEY_ID_AT)) {
        (Some(VERSION), Some(0), Some(id)) => HeaderCopy::Wrapped(KeyId(id)),
        (Some(VERSION), Some(features), _) => {
            HeaderCopy::Unsupported(format!("features {features:#x} this program does not have"))
        }
        (version, ..) => {
            let version = version.unwrap_or_default();
            HeaderCopy::Unsupported(format!(
                "format version {version} of encryption, this program knows {VERSION}"
            ))
        }
    }
}

/// The front of a file, as far as it is there. A copy that cannot be read is shown as zeros, if the other one can.
pub(super) fn read_front(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut front = vec![0; HEADER_BYTES];
    let (first, second) = front.split_at_mut(PAGE);
    let read = match (file.read_at(first, 0), file.read_at(second, PAGE as u64)) {
        (Ok(first), Ok(second)) => first + second,
        (Err(error), Err(_)) => return Err(error),
        (Err(_), Ok(read)) => {
            first.fill(0);
            PAGE + read
        }
        (Ok(_), Err(_)) => {
            second.fill(0);
            HEADER_BYTES
        }
    };
    front.truncate(read);
    Ok(front)
}

/// What the first copy that opens holds, and which one that is; `None` if both are damaged. An error if it was sealed with
/// another key than those given, or by a later version.
pub(super) fn open(front: &[u8], keys: &KeyRing, path: &Path) -> io::Result<Option<(usize, Secret)>> {
    let mut refused = None;
    for (at, copy) in front.chunks(PAGE).enumerate() {
        match look(copy) {
            HeaderCopy::Bad => {}
            HeaderCopy::Unsupported(what) => refused = Some(unsupported(path, &what)),
            HeaderCopy::Wrapped(id) if !keys.has(id) => refused = Some(unknown(path, id, keys)),
            // One that does not open though its sum is right was made so by somebody. It is as good as damaged.
            HeaderCopy::Wrapped(_) => {
                if let Some(secret) = Secret::unwrap(copy, keys) {
                    return Ok(Some((at, secret)));
                }
            }
        }
    }
    refused.map_or(Ok(None), Err)
}

/// What is wrong with the copies at the front of a file; `None`: both open.
pub(super) fn damage(front: &[u8], keys: &KeyRing) -> Option<FrontDamage> {
    let copies = [front.get(..PAGE), front.get(PAGE..HEADER_BYTES)];
    match copies.map(|copy| copy.is_some_and(|copy| opens(copy, keys))) {
        [true, true] => None,
        [false, false] => Some(FrontDamage {
            what: "both copies of its header of encryption are damaged: after a restart nothing of it can be read",
            readable: false,
        }),
        [true, false] | [false, true] => Some(FrontDamage {
            what: "one copy of its header of encryption is damaged; the other one holds, and the next start makes it good",
            readable: true,
        }),
    }
}

fn opens(copy: &[u8], keys: &KeyRing) -> bool {
    matches!(look(copy), HeaderCopy::Wrapped(_)) && Secret::unwrap(copy, keys).is_some()
}

fn unsupported(path: &Path, what: &str) -> io::Error {
    let reason = format!("{} cannot be read by this version: {what}", path.display());
    io::Error::new(io::ErrorKind::Unsupported, reason)
}

fn unknown(path: &Path, id: KeyId, keys: &KeyRing) -> io::Error {
    let reason = format!(
        "{} was sealed with key {id}, which is not among the keys given ({keys})",
        path.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, reason)
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    let place = bytes.get_mut(at..at + field.len());
    place
        .expect("a copy has room for its fields")
        .copy_from_slice(field);
}
