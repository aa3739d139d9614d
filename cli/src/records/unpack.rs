//! The bytes of an input, unpacked, while what is read is counted and possibly kept.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::BUFFER_BYTES;
use super::layout::Compression;

/// Unpacks what `input` gives. Several packed parts one after the other are one input.
pub(super) fn unpack(
    input: impl Read + Send + 'static,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gz => {
            let input = BufReader::with_capacity(BUFFER_BYTES, input);
            Box::new(flate2::bufread::MultiGzDecoder::new(input))
        }
        Compression::Zst => {
            let input = BufReader::with_capacity(BUFFER_BYTES, input);
            Box::new(zstd::stream::read::Decoder::with_buffer(input)?)
        }
    })
}

/// Counts what is read; keeps a copy where one is wanted.
pub(super) struct Tap<R> {
    /// Where the bytes come from.
    pub(super) input: R,
    /// Bytes read so far.
    pub(super) taken: Arc<AtomicU64>,
    /// Takes the same bytes.
    pub(super) copy: Option<Arc<File>>,
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        if let (Some(copy), Some(bytes)) = (&self.copy, buffer.get(..read)) {
            copy.as_ref().write_all(bytes)?;
        }
        Ok(read)
    }
}
