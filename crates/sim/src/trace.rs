//! Everything that happened, as one number, and as text if wanted.

use std::fmt::Write as _;
use std::sync::Arc;

use atoll_env::Clock;
use atoll_env::net::MemNet;
use parking_lot::Mutex;

/// A line for every event: when, who, what, and how much the network had carried. Clones share it.
#[derive(Clone)]
pub(crate) struct Trace {
    clock: Clock,
    net: MemNet,
    lines: Arc<Mutex<Lines>>,
}

struct Lines {
    hash: u64,
    kept: Option<Vec<String>>,
}

impl Trace {
    /// An empty trace that starts now; `keep` to have the text too.
    pub(crate) fn new(net: MemNet, keep: bool) -> Self {
        let lines = Lines {
            hash: 0xcbf2_9ce4_8422_2325,
            kept: keep.then(Vec::new),
        };
        Self {
            clock: Clock::simulated(1.0, 0),
            net,
            lines: Arc::new(Mutex::new(lines)),
        }
    }

    /// Adds an event.
    pub(crate) fn event(&self, who: &str, what: &str) {
        let micros = self.clock.now().as_nanos() / 1000;
        let mut line = format!("{:>6}.{:03} ms  {who:<6} {what}", micros / 1000, micros % 1000);
        // All frames until now count too, so that the first differing line is close to the cause.
        let (frames, network) = (self.net.deliveries(), self.net.trace());
        let _ = write!(line, "  [{frames} frames, {network:016x}]");
        let mut lines = self.lines.lock();
        for byte in line.bytes().chain([b'\n']) {
            lines.hash = (lines.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if let Some(kept) = &mut lines.kept {
            kept.push(line);
        }
    }

    /// Adds a line for readers only.
    pub(crate) fn remark(&self, line: String) {
        if let Some(kept) = &mut self.lines.lock().kept {
            kept.push(line);
        }
    }

    /// The number, and the text if it was kept.
    pub(crate) fn take(&self) -> (u64, Vec<String>) {
        let mut lines = self.lines.lock();
        (lines.hash, lines.kept.take().unwrap_or_default())
    }
}
