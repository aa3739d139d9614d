//! The judgement of a run: what checkers say, what logs say, and whether it was a test.

use atoll_history::{Verdict, Violation};

use super::course::Failed;
use super::faults::Installations;
use super::gate::{self, Evidence, Span};
use super::logs::Logs;
use super::stage::Stage;
use crate::cluster::Recovery;
use crate::judge::{Rules, judge};
use crate::nemesis::{Chosen, clock};
use crate::record::{Check, Demand, Record};
use crate::workload::Notes;

/// What the phases leave for the judgement.
pub(super) struct Played {
    pub(super) notes: Notes,
    pub(super) installations: Installations,
    pub(super) spans: [Span; 3],
    pub(super) recovery: Recovery,
    pub(super) demands: Vec<Demand>,
}

impl Stage {
    /// What was done to nodes that changes what they may answer.
    fn rules(&self, installations: &Installations) -> Rules {
        let slow = installations
            .faults
            .iter()
            .any(|fault| fault.name == "clock/rate");
        Rules {
            drift: if slow { clock::SLOWER_MAX } else { 0.0 },
            spoiled: self
                .field
                .cluster
                .spoiled()
                .into_iter()
                .map(|(node, _)| node)
                .collect(),
        }
    }

    /// Judges everything.
    pub(super) async fn conclude(
        &self,
        record: &mut Record,
        chosen: &[Chosen],
        played: Played,
        interrupted: bool,
    ) -> Result<(), Failed> {
        let (history, notes) = (record.history.clone(), played.notes);
        let rules = self.rules(&played.installations);
        let judged = move || judge(&history, &notes, &rules);
        record.checks = self.field.env.spawn.blocking(judged).await;
        if !interrupted {
            record.checks.push(recovery(&played.recovery));
        }
        self.look_into_logs(record, &played.recovery)
            .map_err(|error| Failed::Setup(error.to_string()))?;
        record.spared = played.recovery.spared;
        let options = &self.field.options;
        record.gate = gate::demands(&Evidence {
            history: &record.history,
            chosen,
            installations: &played.installations,
            leaders: &record.leaders,
            rate: options.rate,
            time: options.time,
            nodes: options.nodes,
            spans: played.spans,
            interrupted,
        });
        record.gate.extend(played.demands);
        let broken = &played.installations.broken;
        record
            .not_injected
            .extend(broken.iter().map(|what| format!("went wrong: {what}")));
        Ok(())
    }

    /// What logs must not hold, and what they say of a cluster that did not recover.
    fn look_into_logs(&self, record: &mut Record, recovery: &Recovery) -> std::io::Result<()> {
        let logs = Logs {
            cluster: &self.field.cluster,
            began_unix_ms: record.began_unix_ms,
        };
        record.log_findings = logs.findings()?;
        let phase = record.phases.iter().find(|phase| phase.name == RECOVERY);
        if let Some(phase) = phase.filter(|_| recovery.missing.is_some()) {
            record.last_words = logs.last_words(phase.end_ns)?;
        }
        Ok(())
    }
}

/// The phase and the check.
const RECOVERY: &str = "recovery";

fn recovery(recovery: &Recovery) -> Check {
    let verdict = match &recovery.missing {
        None => Verdict::Ok { judged: 1 },
        Some(what) => Verdict::Violation(vec![Violation {
            checker: RECOVERY,
            key: String::new(),
            message: what.clone(),
            operation: None,
            prefix: Vec::new(),
        }]),
    };
    Check {
        name: RECOVERY.to_owned(),
        about: "Once everything is healed, every undamaged node serves, every group has a leader, and every replica catches up.",
        verdict,
    }
}
