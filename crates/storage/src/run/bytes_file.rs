//! A file that is nothing but bytes, for tests and fuzz targets: reading only.

use std::io;

use atoll_env::BoxFuture;
use atoll_env::vfs::File;

/// The bytes.
pub(super) struct BytesFile(pub(super) Vec<u8>);

fn read_only<'a>() -> BoxFuture<'a, io::Result<()>> {
    Box::pin(async { Err(io::ErrorKind::PermissionDenied.into()) })
}

impl File for BytesFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.0.get(at..));
        let rest = rest.unwrap_or_default();
        io::Read::read(&mut &*rest, buffer)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.read_at(buffer, offset).map(Some)
    }

    fn write_at<'a>(&'a self, _bytes: &'a [u8], _offset: u64) -> BoxFuture<'a, io::Result<()>> {
        read_only()
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        read_only()
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}
