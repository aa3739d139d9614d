//! A connection between two processes.

use crate::watch;

/// The two ends: who dialled and who was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Dialer,
    Server,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Server,
            Self::Server => Self::Dialer,
        }
    }
}

/// How far one end has gone. Only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Open,
    /// Its receiver was dropped: what was sent still goes out, then the other end breaks.
    Closing,
    /// It knows that nothing arrives any more.
    Broken,
}

/// A process at an end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    pub(super) node: String,
    pub(super) incarnation: u64,
}

#[derive(Debug)]
struct End {
    process: Process,
    phase: watch::Sender<Phase>,
}

/// A connection, as long as anything uses it.
#[derive(Debug)]
pub(super) struct Conn {
    dialer: End,
    server: End,
    /// The listener that took it.
    pub(super) listener: u64,
    /// For unary calls, not for a link.
    pub(super) calls: bool,
}

impl Conn {
    pub(super) fn new(dialer: Process, server: Process, listener: u64, calls: bool) -> Self {
        let end = |process| End {
            process,
            phase: watch::Sender::new(Phase::Open),
        };
        Self {
            dialer: end(dialer),
            server: end(server),
            listener,
            calls,
        }
    }

    fn end(&self, side: Side) -> &End {
        match side {
            Side::Dialer => &self.dialer,
            Side::Server => &self.server,
        }
    }

    pub(super) fn node(&self, side: Side) -> &str {
        &self.end(side).process.node
    }

    pub(super) fn dialer(&self) -> &Process {
        &self.dialer.process
    }

    pub(super) fn side_of(&self, process: &Process) -> Option<Side> {
        [Side::Dialer, Side::Server]
            .into_iter()
            .find(|side| self.end(*side).process == *process)
    }

    pub(super) fn is_between(&self, a: &str, b: &str) -> bool {
        let (dialer, server) = (self.node(Side::Dialer), self.node(Side::Server));
        (dialer == a && server == b) || (dialer == b && server == a)
    }

    pub(super) fn phase(&self, side: Side) -> Phase {
        *self.end(side).phase.borrow()
    }

    pub(super) fn is_broken(&self, side: Side) -> bool {
        self.phase(side) == Phase::Broken
    }

    pub(super) fn break_side(&self, side: Side) {
        self.advance(side, Phase::Broken);
    }

    pub(super) fn break_both(&self) {
        self.break_side(Side::Dialer);
        self.break_side(Side::Server);
    }

    pub(super) fn close_side(&self, side: Side) {
        self.advance(side, Phase::Closing);
    }

    fn advance(&self, side: Side, to: Phase) {
        self.end(side).phase.send_if_modified(|phase| {
            let forward = *phase < to;
            *phase = to.max(*phase);
            forward
        });
    }

    /// Waits until an end has come to a phase.
    pub(super) async fn reached(&self, side: Side, phase: Phase) {
        let mut phases = self.end(side).phase.subscribe();
        // The sender is ours.
        let _ = phases.wait_for(|now| *now >= phase).await.map(drop);
    }
}
