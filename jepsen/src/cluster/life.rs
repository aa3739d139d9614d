//! What is known about one node over all its lives.

use std::collections::BTreeSet;

use super::process::Process;

/// A node's process ended though nobody had asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// When it was noticed.
    pub time_ns: u64,
    /// The node.
    pub node: u16,
    /// With what exit code or signal.
    pub how: String,
    /// A fault for which a node may end was or had been in place.
    pub excused: bool,
}

/// One node.
#[derive(Default)]
pub(super) struct Life {
    /// The present process.
    pub(super) process: Option<Process>,
    /// Some nemesis keeps it down.
    pub(super) held: bool,
    /// Why its disk can never be trusted again.
    pub(super) spoiled: Option<String>,
    /// Why it may end by itself and say so.
    pub(super) excuses: BTreeSet<String>,
    /// Options that its next start has and others have not.
    pub(super) arguments: Vec<String>,
    /// What an error in its log may be about, though nothing excuses others.
    pub(super) expected: BTreeSet<&'static str>,
    /// Ends that nobody asked for.
    pub(super) deaths: Vec<Death>,
}

impl Life {
    /// Forgets a process that has ended; notes its death if nobody had asked for it.
    pub(super) fn look(&mut self, node: u16, time_ns: u64) {
        let Some(process) = &mut self.process else {
            return;
        };
        let Some(status) = process.ended() else {
            return;
        };
        if !process.told_to_end {
            self.deaths.push(Death {
                time_ns,
                node,
                how: status.to_string(),
                excused: !self.excuses.is_empty(),
            });
        }
        self.process = None;
    }
}
