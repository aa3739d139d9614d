//! One machine: its disk, its clock, and the process that runs on it, if one does.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Scope;
use atoll_env::vfs::{DiskFaults, DiskTrouble, MemVfs};
use atoll_server::{Node, NodeView};
use parking_lot::Mutex;

/// Mutating operations after which something was certainly written, synced and followed by more.
const SETTLED: u64 = 8;

/// What outlives a process.
pub(super) struct Machine {
    pub(super) disk: MemVfs,
    /// How fast its clock runs.
    pub(super) rate: f64,
    pub(super) processes: u64,
    pub(super) processes_before_healing: u64,
    pub(super) process: Option<Process>,
    /// Operations of the disk when it was last seen to spoil something.
    spoiled_at: u64,
    damages: u64,
}

/// A running process.
pub(super) struct Process {
    pub(super) scope: Scope,
    /// There once it has started.
    pub(super) node: Arc<Mutex<Option<Node>>>,
    /// What the disk had done before.
    faults_before: DiskFaults,
    /// Pauses that are not over.
    pub(super) pauses: u64,
    /// It was told to end.
    pub(super) leaving: bool,
}

impl Process {
    /// One pause is over; others may not be.
    pub(super) fn resume(&mut self) {
        self.pauses = self.pauses.saturating_sub(1);
        if self.pauses == 0 {
            self.scope.resume();
        }
    }

    /// Nothing holds it up any more.
    pub(super) fn set_free(&mut self) {
        self.pauses = 0;
        self.scope.resume();
        self.scope.slow_down(Duration::ZERO);
    }
}

impl Machine {
    pub(super) fn new(disk: MemVfs, rate: f64) -> Self {
        Self {
            disk,
            rate,
            processes: 0,
            processes_before_healing: 0,
            process: None,
            spoiled_at: 0,
            damages: 0,
        }
    }

    pub(super) fn begin(&mut self, scope: Scope) -> Arc<Mutex<Option<Node>>> {
        let node = Arc::new(Mutex::new(None));
        self.process = Some(Process {
            scope,
            node: Arc::clone(&node),
            faults_before: self.disk.faults(),
            pauses: 0,
            leaving: false,
        });
        node
    }

    /// Bytes on this disk are not what was written, and nobody was told.
    pub(super) fn is_damaged(&self) -> bool {
        self.disk.faults().damages() > 0
    }

    /// Bytes on this disk are not what was written, or could not be read: its node may say so.
    pub(super) fn is_unreadable(&self) -> bool {
        self.is_damaged() || self.disk.faults().read_errors > 0
    }

    /// An operation failed that this process knows of: it may end for that.
    pub(super) fn has_failed(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| self.disk.faults().errors() > process.faults_before.errors())
    }

    /// Notices damage. Call often.
    pub(super) fn look(&mut self) {
        let damages = self.disk.faults().damages();
        if damages != self.damages {
            self.damages = damages;
            self.spoiled_at = self.disk.operations();
        }
    }

    /// False while the newest bytes on the disk may be damaged: then even a careful program takes
    /// them for a torn write if the process ends, and forgets what it promised with them.
    pub(super) fn may_crash(&mut self) -> bool {
        self.look();
        self.damages == 0 || self.disk.operations() >= self.spoiled_at + SETTLED
    }

    /// An honest disk with room, and a process that runs as fast as it can.
    pub(super) fn heal(&mut self) {
        self.processes_before_healing = self.processes;
        self.disk.set_trouble(DiskTrouble::default());
        self.disk.set_free_bytes(u64::MAX);
        if let Some(process) = &mut self.process {
            process.set_free();
        }
    }

    pub(super) fn view(&self) -> Option<NodeView> {
        let node = self.process.as_ref()?.node.lock();
        Some(node.as_ref()?.inspect())
    }

    pub(super) fn state(&self) -> Option<&'static str> {
        let node = self.process.as_ref()?.node.lock();
        Some(node.as_ref()?.state())
    }
}
