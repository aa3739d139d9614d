//! The process that runs.

use std::fs;
use std::time::Duration;

use atoll_env::Clock;

use super::{number_in, pause};
use crate::Result;

/// How often to look whether something is written.
const LOOK: Duration = Duration::from_millis(50);
/// So long nothing was written: then nothing is under way.
const QUIET: Duration = Duration::from_secs(1);

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident: u64,
    /// The most since the process began.
    pub(crate) peak: u64,
}

impl Memory {
    /// Of this process.
    pub(crate) fn now() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let bytes = |name| number_in(&status, name).map(|kib| kib * 1024);
        Ok(Self {
            resident: bytes("VmRSS").ok_or("/proc/self/status has no VmRSS")?,
            peak: bytes("VmHWM").ok_or("/proc/self/status has no VmHWM")?,
        })
    }
}

/// What this process wrote so far.
pub(super) struct Io {
    /// Bytes given to write calls, of which no engine avoids any by mapping files.
    pub(super) called: u64,
    /// Bytes in pages that became dirty and were not dropped before they were written. A short write may make a folio of
    /// many pages dirty, so this can be far more than what goes to the disk.
    pub(super) dirtied: u64,
}

impl Io {
    pub(super) fn now() -> Result<Self> {
        let io = fs::read_to_string("/proc/self/io")?;
        let bytes = |name| number_in(&io, name).ok_or_else(|| format!("/proc/self/io has no {name}"));
        Ok(Self {
            called: bytes("wchar")?,
            dirtied: bytes("write_bytes")?.saturating_sub(bytes("cancelled_write_bytes")?),
        })
    }
}

/// How the writes that others caused came to an end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// Time until the last write, or until nobody waited any longer.
    pub(crate) took: Duration,
    /// False if it still writes.
    pub(crate) quiet: bool,
}

/// Waits until this process has written nothing for a second, so that what earlier writes caused in the background is
/// done, but not longer than `patience`: some engines find something to rewrite for ever.
pub(crate) fn wait_until_quiet(clock: &Clock, patience: Duration) -> Result<Settled> {
    let begun = clock.now();
    let (mut last, mut changed) = (Io::now()?.called, begun);
    loop {
        pause(LOOK);
        let (now, called) = (clock.now(), Io::now()?.called);
        if called != last {
            (last, changed) = (called, now);
        }
        if now.since(changed) >= QUIET {
            let took = changed.since(begun);
            return Ok(Settled { took, quiet: true });
        }
        if now.since(begun) >= patience {
            let took = now.since(begun);
            return Ok(Settled { took, quiet: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends() {
        let patience = QUIET / 4;
        let settled = wait_until_quiet(&Clock::boot(), patience).unwrap();
        assert!(settled.took >= patience && !settled.quiet, "{settled:?}");
    }

    #[test]
    fn memory_that_is_used_is_seen() {
        let before = Memory::now().unwrap();
        let used = vec![7_u8; 64 << 20];
        let after = Memory::now().unwrap();
        assert!(
            after.resident >= before.resident + (32 << 20),
            "{before:?} {after:?}"
        );
        assert!(after.peak >= after.resident / 2);
        assert_eq!(used.iter().map(|byte| u64::from(*byte)).max(), Some(7));
    }
}
