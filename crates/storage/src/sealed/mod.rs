//! Encryption at rest: a file system between the engine and the disk.
//!
//! Every file that holds users' data is *sealed*: its bytes stand on disk in pages, each encrypted and authenticated by
//! itself with AES-256-GCM under a random key that the file has alone. That key stands in the file's header, wrapped by a key
//! that only the operator has ([`KeyRing`]). The engine above does not know of it; it only asks how large a block is
//! ([`Vfs::block_bytes`](atoll_env::Vfs::block_bytes)), and says when a file begins another life
//! ([`File::renew`](atoll_env::vfs::File::renew)). The bytes are described in `docs/format.md`, the reasons
//! in `docs/adr/0010-encryption.md`.
//!
//! What holds, and who checks it:
//! - *No nonce is used twice under a key.* A file's key is drawn by the handle that creates it, or that begins another life of
//!   it, and only that handle ever encrypts with it; it counts what it encrypts in memory. A file that was found is never
//!   written to under the key it was found with, so neither a crash nor a copy of the directory brings a count back. A
//!   wrapping key is derived from a random salt for one wrapping (`tests/nonces`).
//! - *Bytes that are not what was sealed are never shown.* A page that does not open, of another file or from another place too,
//!   reads as bytes of one value, which no sum of the engine fits: so rot and writes cut short look above as they do
//!   without encryption, and are told apart by the same rules. A page of zeros reads as zeros: nothing was written there. Whoever
//!   can write to the disk can put zeros, or an older state of the same file, in place of what was there; the sums and
//!   chains of the journal and of the other files are what tells of that (`tests/damage`).
//! - *A page that holds acknowledged bytes is never written again.* One page is one block of the disk, and frames of the
//!   journal begin and end with pages. A page that is written only in part is read, filled and sealed anew.
//! - *A header is never in danger.* It stands twice, in two blocks. A rotation writes the one while the other one is durable
//!   and sound (`tests/rotation`: a crash at every step).
//! - A wrong key is told by name when a file is opened, and is never damage.
//!
//! Not sealed: the lock files, the small files that say who the directory is, and the reserve, which hold nothing of
//! users. Names and lengths of files are seen by everybody, and so is which pages were written.

mod file;
mod header;
mod keys;
mod page;
mod rotate;
#[cfg(test)]
mod tests;
mod vfs;

pub(crate) use header::MAGIC;
pub use keys::{KEY_TEXT_BYTES_MAX, KeyError, KeyId, KeyRing};
pub use rotate::{KeysInUse, keys_in_use, rotate};
pub use vfs::SealedVfs;

use std::path::{Component, Path};

/// Folders of a data directory whose files are sealed.
const FOLDERS: [&str; 2] = ["journal", "groups"];
/// Files that say only which process holds a folder.
const LOCK: &str = "LOCK";

/// True for a file, or a folder of files, that holds users' data.
fn is_sealed_place(data: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(data) else {
        return false;
    };
    let Some(Component::Normal(folder)) = inside.components().next() else {
        return false;
    };
    FOLDERS.iter().any(|sealed| folder == *sealed) && path.file_name().is_none_or(|name| name != LOCK)
}
