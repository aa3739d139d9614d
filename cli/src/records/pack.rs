//! Packed output in parts: each part can be unpacked by itself and all of them together, so that a
//! file can be cut after any of them and continued.

use std::io::{self, BufWriter, Write};

use flate2::write::GzEncoder;

use super::BUFFER_BYTES;
use super::layout::Compression;

type Out = BufWriter<Box<dyn Write>>;

/// Packs what is written to it.
pub(super) struct Packer {
    compression: Compression,
    /// `None` only while one part ends and the next begins.
    part: Option<Part>,
}

enum Part {
    Plain(Out),
    Gz(GzEncoder<Out>),
    Zst(zstd::stream::write::Encoder<'static, Out>),
}

impl Packer {
    /// Begins the first part.
    pub(super) fn new(out: Box<dyn Write>, compression: Compression) -> io::Result<Self> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, out);
        let part = Some(begin(out, compression)?);
        Ok(Self { compression, part })
    }

    /// Ends the part; everything written so far is at its destination. Then begins the next.
    pub(super) fn next_part(&mut self) -> io::Result<()> {
        let out = self.end_part()?;
        self.part = Some(begin(out, self.compression)?);
        Ok(())
    }

    /// Ends the last part.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.end_part().map(drop)
    }

    fn end_part(&mut self) -> io::Result<Out> {
        let mut out = match self.part.take().ok_or_else(closed)? {
            Part::Plain(out) => out,
            Part::Gz(encoder) => encoder.finish()?,
            Part::Zst(encoder) => encoder.finish()?,
        };
        out.flush()?;
        Ok(out)
    }

    fn inner(&mut self) -> io::Result<&mut dyn Write> {
        match &mut self.part {
            Some(Part::Plain(out)) => Ok(out),
            Some(Part::Gz(encoder)) => Ok(encoder),
            Some(Part::Zst(encoder)) => Ok(encoder),
            None => Err(closed()),
        }
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner()?.write(bytes)
    }

    /// Does nothing: packing in small pieces would pack badly. [`Packer::next_part`] really flushes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn begin(out: Out, compression: Compression) -> io::Result<Part> {
    Ok(match compression {
        Compression::None => Part::Plain(out),
        Compression::Gz => Part::Gz(GzEncoder::new(out, flate2::Compression::default())),
        Compression::Zst => {
            let mut encoder = zstd::stream::write::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            encoder.include_checksum(true)?;
            Part::Zst(encoder)
        }
    })
}

fn closed() -> io::Error {
    io::Error::other("the output could not be continued after an earlier error")
}
