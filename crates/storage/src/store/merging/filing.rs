//! Values in key order, to new value files: the one way in which such files come to be, for merges and for snapshots.

use std::io;
use std::sync::Arc;

use atoll_types::Version;

use crate::index::FilePointer;
use crate::manifest::{NewFile, ValueFileEntry};
use crate::store::group::GroupStore;
use crate::value_file::{ValueFile, ValueFileId, ValueWriter};

/// Bytes after which a value file is synced though it is not at its end: one sync of all of it would hold up those of the
/// journal.
pub(in crate::store) const SYNC_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes after which it is looked whether the disk still has room. Others fill it meanwhile, and what was planned may not fit any more.
const LOOK_BYTES: u64 = 1024 * 1024;

/// A value file that is durable under its name.
pub(crate) struct PublishedValues {
    pub(crate) file: Arc<ValueFile>,
    /// What a manifest says of it.
    pub(crate) entry: ValueFileEntry,
}

/// A value file that is being written.
struct NewValues {
    /// Its number in the group.
    number: u32,
    file: NewFile,
    writer: ValueWriter,
    /// Bytes added since the last sync.
    unsynced: u64,
}

/// Value files that one writer fills, one after the other. After an error it is to be given up, and what it wrote with it: no
/// manifest names that.
pub(crate) struct Filing {
    /// Bytes of a file beyond which the next is begun; one value may exceed it.
    most: u64,
    writing: Option<NewValues>,
    written: Vec<PublishedValues>,
}

impl Filing {
    /// With files of about so many bytes.
    pub(crate) fn new(most: u64) -> Self {
        Self {
            most,
            writing: None,
            written: Vec::new(),
        }
    }

    /// Writes a value: keys ascend. The sum is the one that its row has, and stays that, whatever the bytes are now: a sum of
    /// these would make rot sound. Returns where the value will stand; that is a place only once its file is published.
    pub(crate) async fn add(
        &mut self,
        store: &GroupStore,
        (key, version): (&[u8], Version),
        value: &[u8],
        vcrc: u32,
    ) -> io::Result<FilePointer> {
        let has_room = |values: &NewValues| values.has_room(key.len() + value.len(), self.most);
        if !self.writing.as_ref().is_some_and(has_room) {
            self.end_file(store).await?;
        }
        let writing = match &mut self.writing {
            Some(values) => values,
            None => self.writing.insert(store.create_values().await?),
        };
        let before = writing.writer.len();
        let place = writing.add(key, version, value, vcrc).await?;
        if before / LOOK_BYTES != writing.writer.len() / LOOK_BYTES {
            store.check_room()?;
        }
        Ok(place)
    }

    async fn end_file(&mut self, store: &GroupStore) -> io::Result<()> {
        if let Some(values) = self.writing.take() {
            self.written.push(store.publish_values(values).await?);
        }
        Ok(())
    }

    /// The value files, durable under their names, by number.
    pub(crate) async fn finish(&mut self, store: &GroupStore) -> io::Result<Vec<PublishedValues>> {
        self.end_file(store).await?;
        Ok(std::mem::take(&mut self.written))
    }
}

impl NewValues {
    /// Whether a key and a value of so many bytes together belong here, if a file has at most so many; any are taken by an empty
    /// one.
    fn has_room(&self, bytes: usize, most: u64) -> bool {
        let end = self.writer.len().saturating_add(bytes as u64);
        self.writer.is_empty() || self.writer.fits(0, bytes) && end <= most
    }

    async fn add(
        &mut self,
        key: &[u8],
        version: Version,
        value: &[u8],
        vcrc: u32,
    ) -> io::Result<FilePointer> {
        let before = self.writer.len();
        let place = self.writer.add(key, version, value).await?;
        self.unsynced += self.writer.len().saturating_sub(before);
        if self.unsynced >= SYNC_BYTES {
            self.file.file().sync().await?;
            self.unsynced = 0;
        }
        Ok(FilePointer {
            file: self.number,
            offset: place.offset,
            stored_len: place.stored_len,
            len: place.len,
            codec: place.codec,
            vcrc,
        })
    }
}

impl GroupStore {
    async fn create_values(&self) -> io::Result<NewValues> {
        let file = self.0.folder.lock().await.create_value_file().await?;
        let number = u32::try_from(file.number()).map_err(io::Error::other)?;
        let writer = ValueWriter::create(
            &self.0.node.env,
            file.file(),
            self.values_id(number),
            self.0.node.packer.clone(),
        )?;
        Ok(NewValues {
            number,
            file,
            writer,
            unsynced: 0,
        })
    }

    /// Makes a value file durable and opens it. All of its values count.
    async fn publish_values(&self, values: NewValues) -> io::Result<PublishedValues> {
        let finished = values.writer.finish().await?;
        let file = self.0.folder.lock().await.publish(values.file).await?;
        let file = ValueFile::open(file, self.values_id(values.number)).map_err(io::Error::other)?;
        Ok(PublishedValues {
            file: Arc::new(file),
            entry: ValueFileEntry {
                number: values.number,
                len: finished.len,
                live_bytes: finished.value_bytes,
                dead_bytes: 0,
            },
        })
    }

    fn values_id(&self, number: u32) -> ValueFileId {
        ValueFileId {
            identity: self.0.node.identity,
            group: self.0.key,
            number,
        }
    }
}
