//! What can be chosen about a disk in memory.

use std::ops::Range;
use std::time::Duration;

use crate::Clock;

/// How a [`MemVfs`](super::MemVfs) behaves.
#[derive(Clone, Debug)]
pub struct MemVfsOptions {
    /// Decides what crashes leave, which part of a failed write is done, and latencies.
    pub seed: u64,
    /// Room for bytes of files.
    pub capacity_bytes: u64,
    /// How often, in a thousand times, a read that must not wait finds that it would have to.
    pub cold_reads_permille: u64,
    /// What the disk writes whole or not at all, nearly always: 512 or 4,096 bytes.
    pub sector_bytes: u64,
    /// If set, writes and syncs take time.
    pub latency: Option<MemLatency>,
}

impl Default for MemVfsOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            capacity_bytes: u64::MAX,
            cold_reads_permille: 0,
            sector_bytes: 512,
            latency: None,
        }
    }
}

/// How long writes and syncs take: each an even draw from a range.
#[derive(Clone, Debug)]
pub struct MemLatency {
    /// The node's clock.
    pub clock: Clock,
    /// Of one write.
    pub write: Range<Duration>,
    /// Of one sync.
    pub sync: Range<Duration>,
}

/// How a process ends, and what its disk keeps of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Only the process ends: the operating system keeps everything, still un-synced.
    Process,
    /// The power goes, and all that was not synced is lost.
    LoseAll,
    /// The power goes, and each un-synced sector and name is kept, lost or torn by luck.
    Random,
}

/// An operation that fails with an I/O error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A read.
    Read,
    /// A write. Some of it may have been done.
    Write,
    /// A sync. What it should have made durable is lost though it still reads back, and a later
    /// sync succeeds without it, as on Linux (Rebello et al., ATC 2020).
    Sync,
}

/// How a disk misbehaves, in times per million operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskTrouble {
    /// Reads that fail.
    pub read_errors: u64,
    /// Writes that fail, half done.
    pub write_errors: u64,
    /// Syncs that fail, and lose what they should have made durable.
    pub sync_errors: u64,
    /// Writes that succeed and land elsewhere in some file.
    pub misdirected: u64,
    /// Syncs that take as long as `stall` says.
    pub stalls: u64,
    /// How long those take.
    pub stall: Range<Duration>,
}

/// What a disk did to its users, counted over all processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Reads that failed.
    pub read_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Syncs that failed.
    pub sync_errors: u64,
    /// Writes and reservations for which there was no room.
    pub full: u64,
    /// Writes that landed elsewhere.
    pub misdirected: u64,
    /// Bits flipped at rest.
    pub flipped: u64,
    /// Syncs that stalled.
    pub stalls: u64,
}

impl DiskFaults {
    /// Operations that failed, and said so.
    pub fn errors(&self) -> u64 {
        self.read_errors + self.write_errors + self.sync_errors + self.full
    }

    /// Bytes changed that nobody was told of.
    pub fn damages(&self) -> u64 {
        self.misdirected + self.flipped
    }
}
