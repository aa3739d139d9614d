//! The folder of one group: sorted runs, value files, and the manifest that says which of them count.
//!
//! A group's applied state leaves memory as *runs* (immutable sorted files of rows) and *value files*
//! (values that were moved out of the journal). Both are written once, whole, under a name ending in
//! `.new`, synced, and renamed. That alone makes nothing of them: only the `MANIFEST` does, one small
//! checked file that names every file of the group with its length, and says up to which log entry
//! everything is in them. Replacing it by rename is the commit point. A crash leaves the old manifest
//! or the new one, and each names only files that are whole.
//!
//! What holds here, and where it is checked:
//! - I4: a manifest names only synced bytes under durable names. [`GroupFolder::publish`] syncs the file and
//!   its name; [`GroupFolder::commit`] refuses to name a file that was not published, or that has another
//!   length than the manifest says (`folder`; crash tests). That the *journal's* bytes a run points at are
//!   durable is for the caller to see to.
//! - I9: a file is unlinked only after a manifest without it is durable, and after the last reader has let
//!   go of it (`file`; crash tests). Whoever holds a [`GroupFile`] reads on in peace. On a real file
//!   system its space comes back only when the last handle closes and [`GroupFolder::collect_garbage`] has run.
//! - I10: opening can be cut at any step and starts over: before it removes anything it makes durable what
//!   it read, so that no older manifest can come back and miss a file (`open`; crash tests).
//! - Nothing is removed from a folder whose manifest cannot be read, or that misses a file.
//! - The first manifest is durable before the first run or value file is created. So files without a
//!   manifest mean that it was lost; they are never taken for what an unfinished start left.
//!
//! There is deliberately no copy of the manifest before: files that only it names are removed as soon as
//! the next is durable, and the log may be purged up to what the next one says. Going back to it could
//! only look like a recovery. The other replicas have the data.
//!
//! One process at a time uses a folder: the lock of the data directory sees to that.

mod codec;
mod error;
mod file;
mod folder;
mod open;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use file::{FileId, FileKind, UNREADY};
pub(crate) use open::{GROUPS, MANIFEST, folder_name, parse_folder_name, read_any};

pub use error::{FolderError, FolderOwner};
pub use file::{GroupFile, NewFile};
pub use folder::GroupFolder;
pub use state::{Manifest, RunEntry, ValueFileEntry};
