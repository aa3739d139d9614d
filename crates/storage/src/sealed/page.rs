//! Pages: where they stand in the file, and how one is sealed and opened.
//!
//! A page on disk is 4,096 bytes: a head of 32, then the content, which is 4,064 bytes but in the last page of a file. The
//! head holds the page's number of use (8 bytes, counted from 1 under each file's key: the nonce), how many bytes of content are
//! sealed (2), zeros (6) and the tag (16).

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

/// Bytes of a page on disk; of a copy of the header too.
pub(super) const PAGE: usize = 4096;
/// Bytes before the content of a page.
pub(super) const HEAD: usize = 32;
/// Bytes of content in a page.
pub(super) const CONTENT: usize = PAGE - HEAD;
/// Bytes before the first page: two copies of the header.
pub(super) const HEADER_BYTES: usize = 2 * PAGE;
/// What a page that does not open reads as. No magic of ours begins so, and no sum of ours fits it but by chance.
pub(super) const UNREADABLE: u8 = 0xA5;

/// Where the tag stands in a page.
const TAG_AT: usize = 16;

/// Where a page begins on disk.
pub(super) fn offset_on_disk(page: u64) -> u64 {
    page.saturating_mul(PAGE as u64)
        .saturating_add(HEADER_BYTES as u64)
}

/// Bytes on disk of a file of `len` bytes.
pub(super) fn len_on_disk(len: u64) -> u64 {
    let (whole, rest) = (len / CONTENT as u64, len % CONTENT as u64);
    let last = if rest > 0 { HEAD as u64 + rest } else { 0 };
    offset_on_disk(whole).saturating_add(last)
}

/// Bytes of a file that has so many on disk.
pub(super) fn len_of(on_disk: u64) -> u64 {
    let pages = on_disk.saturating_sub(HEADER_BYTES as u64);
    let last = (pages % PAGE as u64).saturating_sub(HEAD as u64);
    pages / PAGE as u64 * CONTENT as u64 + last
}

/// The key that a file's pages are sealed with, and the file's random id.
pub(super) struct FileKey {
    key: LessSafeKey,
    id: [u8; 16],
}

impl FileKey {
    pub(super) fn new(id: [u8; 16], key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("the key has the cipher's length");
        Self {
            key: LessSafeKey::new(key),
            id,
        }
    }

    /// What is bound to a page besides its content: the file, the place, and the head but nonce and tag.
    fn bound(&self, number: u64, head: [u8; 8]) -> Aad<[u8; 32]> {
        let mut bound = [0; 32];
        for (to, from) in bound
            .iter_mut()
            .zip(self.id.into_iter().chain(number.to_le_bytes()).chain(head))
        {
            *to = from;
        }
        Aad::from(bound)
    }

    /// Seals page `number` in place: a head that is overwritten, then at least one and at most [`CONTENT`] bytes. `nonce` was
    /// never used under this key.
    pub(super) fn seal(&self, nonce: u64, number: u64, page: &mut [u8]) {
        debug_assert!(nonce > 0 && page.len() > HEAD && page.len() <= PAGE);
        let (head, content) = page.split_at_mut(HEAD);
        let mut shape = [0; 8];
        for (to, from) in shape.iter_mut().zip((content.len() as u16).to_le_bytes()) {
            *to = from;
        }
        let bound = self.bound(number, shape);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce_of(nonce), bound, content);
        let tag = tag.expect("a page is far shorter than the cipher's bound");
        let fields = nonce.to_le_bytes().into_iter().chain(shape);
        for (to, from) in head.iter_mut().zip(fields.chain(tag.as_ref().iter().copied())) {
            *to = from;
        }
    }

    /// Opens a page in place; says how many bytes of content were sealed. `None`: it is not what was sealed as this page of
    /// this file, and what stands in it then means nothing.
    fn open(&self, number: u64, page: &mut [u8]) -> Option<usize> {
        let nonce = u64::from_le_bytes(field(page, 0)?);
        let shape: [u8; 8] = field(page, 8)?;
        let tag: [u8; 16] = field(page, TAG_AT)?;
        let len = usize::from(u16::from_le_bytes(field(&shape, 0)?));
        let content = page.get_mut(HEAD..HEAD.checked_add(len)?)?;
        let (bound, tag) = (self.bound(number, shape), Tag::from(tag));
        let opened = self
            .key
            .open_in_place_separate_tag(nonce_of(nonce), bound, tag, content, 0..);
        opened.ok().map(|_| len)
    }
}

/// Makes what stands behind the head of a page, as it was read from disk, what a reader sees: the content; zeros where nothing
/// was written; [`UNREADABLE`] if it does not open. Returns false for the last.
pub(super) fn reveal(key: Option<&FileKey>, number: u64, page: &mut [u8]) -> bool {
    // A sealed page's number of use is not 0.
    let blank = page.iter().take(8).all(|byte| *byte == 0) && page.iter().all(|byte| *byte == 0);
    let sealed = if blank {
        Some(page.len().saturating_sub(HEAD))
    } else {
        key.and_then(|key| key.open(number, page))
    };
    let content = page.get_mut(HEAD..).unwrap_or_default();
    match sealed {
        // The file has grown since.
        Some(len) => content.get_mut(len..).unwrap_or_default().fill(0),
        None => content.fill(UNREADABLE),
    }
    sealed.is_some()
}

fn nonce_of(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().zip(number.to_le_bytes()) {
        *to = from;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// `N` bytes at `at`, if they are there.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
