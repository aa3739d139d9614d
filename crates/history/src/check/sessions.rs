//! What one process may expect of its own operations on a key (Terry et al., "Session guarantees for
//! weakly consistent replicated data", 1994), by versions:
//! - read your writes: a read sees at least what the process was told it wrote;
//! - monotonic reads: a read sees at least what an earlier read of the process saw;
//! - monotonic writes, writes follow reads: a write is newer than what the process wrote or read.
//!
//! The first two are asked of reads of the levels session and linearizable, of conflicts, and of what
//! those saw; bounded and eventual reads are free. The others hold for every write.

use std::collections::BTreeMap;

use super::by_key;
use super::order::{Removals, Sighting, sighting};
use crate::event::{Call, Level};
use crate::history::History;
use crate::operation::Operation;
use crate::verdict::{Findings, Verdict};

/// Judges the registers, by process and key. A key where an answer lacks its version is
/// [`Verdict::Unknown`] unless something else is wrong.
pub fn sessions(history: &History) -> Verdict {
    let mut findings = Findings::new("sessions");
    for (key, operations) in by_key(history, Call::is_register) {
        let removals = Removals::new(&operations);
        let mut sessions: BTreeMap<u32, Session> = BTreeMap::new();
        for operation in operations {
            findings.judged(usize::from(is_session(operation)));
            let session = sessions.entry(operation.process).or_default();
            match session.next(operation, &removals) {
                Step::Fine => {}
                Step::Wrong(what) => {
                    let message = format!("{what}: {operation}");
                    findings.wrong(key, message, Some(operation.invoked.index));
                }
                Step::Unclear => findings.unknown(key, format!("an answer without version: {operation}")),
            }
        }
    }
    findings.verdict()
}

fn is_session(operation: &Operation) -> bool {
    operation.is_linearizable() || operation.call.level() == Some(Level::Session)
}

/// What a process knows of a key.
#[derive(Default)]
struct Session {
    /// The newest version it wrote or read in a session.
    known: u64,
    /// The same with reads of all levels.
    read: u64,
}

enum Step {
    Fine,
    Wrong(String),
    Unclear,
}

impl Session {
    fn next(&mut self, operation: &Operation, removals: &Removals) -> Step {
        let in_session = is_session(operation);
        match sighting(operation) {
            Sighting::Unversioned => Step::Unclear,
            Sighting::Absent if in_session => {
                let Some(oldest) = removals.oldest(self.known, operation.ended()) else {
                    return Step::Wrong(format!("absent after its process knew version {}", self.known));
                };
                self.known = oldest;
                self.read = self.read.max(oldest);
                Step::Fine
            }
            Sighting::Absent | Sighting::Nothing => Step::Fine,
            Sighting::Version(version) => {
                let (known, read) = (self.known, self.read);
                self.read = read.max(version);
                if in_session {
                    self.known = known.max(version);
                }
                if operation.call.is_write() && operation.may_have_written() {
                    let newer = version > read;
                    return Self::judge(newer, version, read);
                }
                Self::judge(!in_session || version >= known, version, known)
            }
        }
    }

    fn judge(fine: bool, version: u64, known: u64) -> Step {
        if fine {
            return Step::Fine;
        }
        Step::Wrong(format!(
            "version {version} after its process knew version {known}"
        ))
    }
}
