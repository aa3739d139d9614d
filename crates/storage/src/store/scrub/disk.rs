//! A file as the disk has it.

use std::io;
use std::sync::Arc;

use atoll_env::BoxFuture;
use atoll_env::vfs::File;
use parking_lot::Mutex;

/// Bytes read at once, at least: more than the system reads ahead, or what it has read ahead would look as if readers had it in
/// memory.
const WINDOW: usize = 1024 * 1024;

/// Reads what stands on the disk and not what is in memory of it, as far as the system lets it. What was in memory before is
/// there afterwards, and nothing else is: neither does scrubbing make readers wait, nor does it push out what they read.
/// For one reader that goes forward.
pub(super) struct OnDisk {
    file: Arc<dyn File>,
    window: Mutex<Window>,
}

/// What was read last.
#[derive(Default)]
struct Window {
    at: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Fills the buffer, if all of it is here.
    fn fill(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        let from = usize::try_from(offset.checked_sub(self.at)?).ok()?;
        let bytes = self.bytes.get(from..from.checked_add(buffer.len())?)?;
        buffer.copy_from_slice(bytes);
        Some(bytes.len())
    }
}

impl OnDisk {
    pub(super) fn new(file: Arc<dyn File>) -> Self {
        Self {
            file,
            window: Mutex::default(),
        }
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = buffer.len() as u64;
        let was_cached = self.file.try_read_at(buffer, offset)?.is_some();
        self.file.forget_range(offset, len)?;
        let read = self.file.read_at(buffer, offset)?;
        if !was_cached {
            self.file.forget_range(offset, len)?;
        }
        Ok(read)
    }
}

impl File for OnDisk {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut window = self.window.lock();
        if let Some(read) = window.fill(buffer, offset) {
            return Ok(read);
        }
        if buffer.len() >= WINDOW {
            return self.read(buffer, offset);
        }
        let mut bytes = std::mem::take(&mut window.bytes);
        bytes.resize(WINDOW, 0);
        let read = self.read(&mut bytes, offset)?;
        bytes.truncate(read);
        *window = Window { at: offset, bytes };
        let read = read.min(buffer.len());
        let (wanted, _) = buffer.split_at_mut(read);
        Ok(window.fill(wanted, offset).unwrap_or_default())
    }

    fn try_read_at(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn write_at<'a>(&'a self, _bytes: &'a [u8], _offset: u64) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(std::future::ready(Err(read_only())))
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(std::future::ready(Err(read_only())))
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.file.forget_cached()
    }

    fn allocate(&self, _len: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "scrubbing writes nothing")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Two and a half windows of bytes, and what was asked of them.
    #[derive(Default)]
    struct Spy {
        in_memory: AtomicBool,
        asked: Mutex<Vec<(&'static str, u64, u64)>>,
    }

    const LEN: u64 = WINDOW as u64 * 5 / 2;

    fn byte_at(at: u64) -> u8 {
        (at % 251) as u8
    }

    impl File for Spy {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.asked.lock().push(("read", offset, buffer.len() as u64));
            let read = (buffer.len() as u64).min(LEN.saturating_sub(offset));
            for (byte, at) in buffer.iter_mut().zip(offset..offset + read) {
                *byte = byte_at(at);
            }
            Ok(read as usize)
        }

        fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
            // What is in memory is wrong.
            buffer.fill(255);
            let left = LEN.saturating_sub(offset) as usize;
            let in_memory = self.in_memory.load(Ordering::Relaxed);
            Ok(in_memory.then_some(buffer.len().min(left)))
        }

        fn write_at<'a>(&'a self, _bytes: &'a [u8], _offset: u64) -> BoxFuture<'a, io::Result<()>> {
            panic!("nothing is written")
        }

        fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
            panic!("nothing is synced")
        }

        fn forget_cached(&self) -> io::Result<()> {
            panic!("too much is forgotten")
        }

        fn forget_range(&self, offset: u64, len: u64) -> io::Result<()> {
            self.asked.lock().push(("forget", offset, len));
            Ok(())
        }

        fn allocate(&self, _len: u64) -> io::Result<()> {
            panic!("nothing is allocated")
        }

        fn len(&self) -> io::Result<u64> {
            Ok(LEN)
        }
    }

    #[test]
    fn bytes_are_those_of_the_disk_wherever_they_are_asked_for() {
        for in_memory in [false, true] {
            let spy = Arc::new(Spy::default());
            spy.in_memory.store(in_memory, Ordering::Relaxed);
            let file = OnDisk::new(spy);
            let mut rng = 7_u64;
            for _ in 0..300 {
                rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Now and then more than a window.
                let (offset, more) = (rng % (LEN + 10), usize::from(rng.is_multiple_of(17)) * WINDOW);
                let len = (rng >> 40) as usize % 9_000 + more;
                let mut buffer = vec![9; len];
                let read = file.read_at(&mut buffer, offset).unwrap();
                assert_eq!(read as u64, (len as u64).min(LEN.saturating_sub(offset)));
                let wrong = (offset..)
                    .zip(&buffer[..read])
                    .find(|(at, byte)| byte_at(*at) != **byte);
                assert_eq!(wrong, None, "{len} at {offset}");
            }
        }
    }

    #[test]
    fn what_was_in_memory_stays_there_and_nothing_else_does() {
        let window = WINDOW as u64;
        let around = [
            ("forget", 100, window),
            ("read", 100, window),
            ("forget", 100, window),
        ];
        for (in_memory, expected) in [(false, &around[..]), (true, &around[..2])] {
            let spy = Arc::new(Spy::default());
            spy.in_memory.store(in_memory, Ordering::Relaxed);
            let file = OnDisk::new(spy.clone());
            for offset in [100, 600, window] {
                assert_eq!(file.read_at(&mut [0; 100], offset).unwrap(), 100);
            }
            assert_eq!(*spy.asked.lock(), expected);
        }
    }
}
