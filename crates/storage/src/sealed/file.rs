//! An open sealed file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_env::BoxFuture;
use atoll_env::vfs::{File, FrontDamage, OpenMode};
use parking_lot::{Mutex, RwLock};

use super::header::{self, Secret};
use super::page::{CONTENT, FileKey, HEAD, HEADER_BYTES, PAGE, len_of, len_on_disk, offset_on_disk, reveal};
use super::vfs::Shared;

/// Pages read from disk at once.
const PAGES_AT_ONCE: usize = 64;

/// What a file is between two keys.
struct Life {
    key: FileKey,
    /// Nonces used; `None` in a file that was found: nobody knows how many were, so none is used again.
    nonces: Option<AtomicU64>,
}

/// A sealed file. One task at a time may write to it; nobody may read a page while it is being written.
pub(super) struct SealedFile {
    file: Arc<dyn File>,
    path: PathBuf,
    shared: Arc<Shared>,
    /// `None`: the header is damaged, and nothing in the file opens.
    life: RwLock<Option<Arc<Life>>>,
    /// The header, until it is written: before anything else is, and before anything is synced.
    header: Mutex<Option<Vec<u8>>>,
}

impl SealedFile {
    pub(super) fn open(
        file: Arc<dyn File>,
        path: &Path,
        mode: OpenMode,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let opened = Self {
            file,
            path: path.to_owned(),
            shared,
            life: RwLock::new(None),
            header: Mutex::new(None),
        };
        if mode == OpenMode::CreateNew {
            opened.begin();
            return Ok(opened);
        }
        let front = header::read_front(&*opened.file)?;
        let found = header::open(&front, &opened.shared.keys, path)?;
        *opened.life.write() = found.map(|(_, secret)| {
            let key = secret.cipher();
            Arc::new(Life { key, nonces: None })
        });
        Ok(opened)
    }

    /// A new key, and with it a new header.
    fn begin(&self) {
        let Shared { keys, rng, .. } = &*self.shared;
        let secret = Secret::draw(rng);
        *self.header.lock() = Some(secret.header(keys, rng));
        let key = secret.cipher();
        let nonces = Some(AtomicU64::new(0));
        *self.life.write() = Some(Arc::new(Life { key, nonces }));
    }

    fn life(&self) -> Option<Arc<Life>> {
        self.life.read().clone()
    }

    /// The life that this very handle began.
    fn own_life(&self) -> io::Result<Arc<Life>> {
        let own = self.life().filter(|life| life.nonces.is_some());
        own.ok_or_else(|| {
            let reason = "is never written to under a key from before it was opened";
            error(io::ErrorKind::PermissionDenied, &self.path, reason)
        })
    }

    async fn write_header(&self) -> io::Result<()> {
        let due = self.header.lock().clone();
        if let Some(header) = due {
            self.file.write_at(&header, 0).await?;
            *self.header.lock() = None;
        }
        Ok(())
    }

    /// The pages that hold `bytes` at `offset`, sealed, for the disk from the start of the first one on. What the first and the
    /// last one held besides stays.
    fn seal(&self, life: &Life, bytes: &[u8], offset: u64, sealed: &mut Vec<u8>) -> io::Result<()> {
        let first = offset / CONTENT as u64;
        let (mut bytes, mut at) = (bytes, (offset % CONTENT as u64) as usize);
        let pages = (at + bytes.len()).div_ceil(CONTENT);
        let nonces = life.take(pages as u64).ok_or_else(|| {
            let reason = "has used up the nonces of its key";
            error(io::ErrorKind::Other, &self.path, reason)
        })?;
        sealed.clear();
        sealed.reserve(pages * PAGE);
        for (number, nonce) in (first..).zip(nonces) {
            let start = sealed.len();
            let (now, later) = bytes.split_at(bytes.len().min(CONTENT - at));
            if at > 0 || now.len() < CONTENT {
                self.read_page(&life.key, number, sealed)?;
            } else {
                sealed.resize(start + HEAD, 0);
            }
            let end = start + HEAD + at + now.len();
            if sealed.len() < end {
                sealed.resize(end, 0);
            }
            let place = sealed.get_mut(end - now.len()..end);
            place.expect("it was made to fit").copy_from_slice(now);
            life.key
                .seal(nonce, number, sealed.get_mut(start..).unwrap_or_default());
            (bytes, at) = (later, 0);
        }
        Ok(())
    }

    /// Appends a page as it is on disk, opened, to `pages`; at least its head.
    fn read_page(&self, key: &FileKey, number: u64, pages: &mut Vec<u8>) -> io::Result<()> {
        let start = pages.len();
        pages.resize(start + PAGE, 0);
        let page = pages.get_mut(start..).unwrap_or_default();
        let read = self.file.read_at(page, offset_on_disk(number))?;
        if !reveal(Some(key), number, page.get_mut(..read).unwrap_or_default()) {
            let reason = "has a damaged page that cannot be written to in part";
            return Err(error(io::ErrorKind::InvalidData, &self.path, reason));
        }
        pages.truncate(start + read.max(HEAD));
        Ok(())
    }

    /// Reads by `read`, which fills a buffer from the disk at an offset but at the end of the file, or says `None`.
    fn read_by(
        &self,
        buffer: &mut [u8],
        offset: u64,
        read: impl Fn(&mut [u8], u64) -> io::Result<Option<usize>>,
    ) -> io::Result<Option<usize>> {
        let life = self.life();
        let key = life.as_ref().map(|life| &life.key);
        let mut pages = self.shared.buffers.take();
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset.saturating_add(filled as u64);
            let (first, skip) = (at / CONTENT as u64, (at % CONTENT as u64) as usize);
            let rest = buffer.get_mut(filled..).unwrap_or_default();
            let wanted = (skip + rest.len()).div_ceil(CONTENT).min(PAGES_AT_ONCE) * PAGE;
            pages.resize(wanted, 0);
            let Some(got) = read(&mut pages, offset_on_disk(first))? else {
                return Ok(None);
            };
            let found = pages.get_mut(..got).unwrap_or_default();
            filled += copy_out(key, first, found, skip, rest);
            if got < wanted {
                break;
            }
        }
        self.shared.buffers.give(pages);
        Ok(Some(filled))
    }

    /// Refuses to cut a page in two that could not be opened then.
    fn check_cut(&self, len: u64) -> io::Result<()> {
        let (number, kept) = (len / CONTENT as u64, (len % CONTENT as u64) as usize);
        if kept == 0 || len >= self.len()? {
            return Ok(());
        }
        let mut page = vec![0; PAGE];
        let read = self.file.read_at(&mut page, offset_on_disk(number))?;
        page.truncate(read);
        let blank = page.iter().all(|byte| *byte == 0);
        page.truncate(HEAD + kept);
        let life = self.life();
        if blank || reveal(life.as_ref().map(|life| &life.key), number, &mut page) {
            return Ok(());
        }
        let reason = "can be cut only where a page ends";
        Err(error(io::ErrorKind::InvalidInput, &self.path, reason))
    }
}

impl Life {
    /// So many nonces that were never given before; `None` if there are not so many left.
    fn take(&self, count: u64) -> Option<std::ops::RangeInclusive<u64>> {
        let used = self.nonces.as_ref()?;
        let more = |used: u64| used.checked_add(count);
        let before = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let before = before.ok()?;
        Some(before + 1..=before + count)
    }
}

/// Opens pages and copies their content, but the first `skip` bytes, as far as it fits. Returns how many bytes that are.
fn copy_out(
    key: Option<&FileKey>,
    first: u64,
    pages: &mut [u8],
    mut skip: usize,
    mut to: &mut [u8],
) -> usize {
    let mut copied = 0;
    for (number, page) in (first..).zip(pages.chunks_mut(PAGE)) {
        reveal(key, number, page);
        let content = page.get(HEAD + skip..).unwrap_or_default();
        let len = content.len().min(to.len());
        let (now, later) = to.split_at_mut(len);
        now.copy_from_slice(content.get(..len).unwrap_or_default());
        (to, skip) = (later, 0);
        copied += len;
    }
    copied
}

impl File for SealedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = |pages: &mut [u8], at| self.file.read_at(pages, at).map(Some);
        self.read_by(buffer, offset, read).map(Option::unwrap_or_default)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_by(buffer, offset, |pages, at| self.file.try_read_at(pages, at))
    }

    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            let life = self.own_life()?;
            self.write_header().await?;
            if bytes.is_empty() {
                return Ok(());
            }
            let mut sealed = self.shared.buffers.take();
            self.seal(&life, bytes, offset, &mut sealed)?;
            let start = offset_on_disk(offset / CONTENT as u64);
            self.file.write_at(&sealed, start).await?;
            self.shared.buffers.give(sealed);
            Ok(())
        })
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            self.write_header().await?;
            self.file.sync().await
        })
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.file.forget_cached()
    }

    fn forget_range(&self, offset: u64, len: u64) -> io::Result<()> {
        let start = offset_on_disk(offset / CONTENT as u64);
        let end = len_on_disk(offset.saturating_add(len));
        self.file.forget_range(start, end.saturating_sub(start))
    }

    fn check_front(&self) -> io::Result<Option<FrontDamage>> {
        // What is not written yet cannot be damaged.
        if self.header.lock().is_some() {
            return Ok(None);
        }
        self.file.forget_range(0, HEADER_BYTES as u64)?;
        let front = header::read_front(&*self.file)?;
        Ok(header::damage(&front, &self.shared.keys))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.check_cut(len)?;
        self.file.allocate(len_on_disk(len))
    }

    fn fill(&self, offset: u64, len: usize) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            self.own_life()?;
            self.write_header().await?;
            let start = offset_on_disk(offset / CONTENT as u64);
            let end = len_on_disk(offset.saturating_add(len as u64));
            let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
            self.file.fill(start, len).await
        })
    }

    fn renew(&self) -> io::Result<()> {
        self.file.renew()?;
        self.begin();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len().map(len_of)
    }
}

fn error(kind: io::ErrorKind, path: &Path, reason: &str) -> io::Error {
    io::Error::new(kind, format!("{} {reason}", path.display()))
}
