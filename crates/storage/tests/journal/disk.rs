//! What a journal's files hold, read without the journal: an independent look at docs/format.md.

use std::path::{Path, PathBuf};

use atoll_env::vfs::{Crash, MemVfs};

use crate::support::{DIR, files};

pub const ALIGN: u64 = 4096;
const MAGIC: [u8; 4] = 0x3142_544C_u32.to_le_bytes();

/// A frame as it stands in a file.
#[derive(Clone, Debug)]
pub struct Frame {
    pub file: PathBuf,
    /// Its number.
    pub seq: u64,
    pub start: u64,
    /// Where its records end.
    pub end: u64,
    /// Kinds of its records.
    pub kinds: Vec<u8>,
}

impl Frame {
    pub fn is(&self, other: &Self) -> bool {
        self.file == other.file && self.start == other.start
    }
}

/// The segment files, in order.
pub fn segments(vfs: &MemVfs) -> Vec<PathBuf> {
    let names = files(vfs).list(Path::new(DIR)).unwrap_or_default();
    let paths = names.into_iter().map(|name| Path::new(DIR).join(name));
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "jnl"))
        .collect()
}

/// All frames in order, synced or not.
pub fn frames(vfs: &MemVfs) -> Vec<Frame> {
    let vfs = vfs.fork(0).crash(Crash::Process);
    let align = u64::from(files(&vfs).block_bytes(Path::new(DIR)));
    let mut frames = Vec::new();
    for file in segments(&vfs) {
        let bytes = files(&vfs).read_small(&file, 1 << 30).unwrap();
        let mut at = align as usize;
        while is_frame(&bytes, at) {
            let frame = frame(&file, &bytes, at);
            at = frame.end.next_multiple_of(align) as usize;
            frames.push(frame);
        }
    }
    frames
}

/// A frame of this life of the file: its sum is salted with what the file's header says.
fn is_frame(bytes: &[u8], at: usize) -> bool {
    let Some(header) = bytes.get(at..at + 64).filter(|header| header[..4] == MAGIC) else {
        return false;
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[48..56]);
    hasher.update(&bytes[40..48]);
    hasher.update(&(at as u64).to_le_bytes());
    hasher.update(&header[8..]);
    hasher.finalize() as usize == u32_at(header, 4)
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn frame(file: &Path, bytes: &[u8], start: usize) -> Frame {
    let end = start + 64 + u32_at(bytes, start + 32);
    let mut kinds = Vec::new();
    let mut at = start + 64;
    while at < end {
        kinds.push(bytes[at]);
        at += u32_at(bytes, at + 4);
    }
    assert_eq!((at, kinds.len()), (end, u32_at(bytes, start + 44)));
    Frame {
        file: file.to_owned(),
        seq: u64::from_le_bytes(bytes[start + 8..start + 16].try_into().unwrap()),
        start: start as u64,
        end: end as u64,
        kinds,
    }
}
