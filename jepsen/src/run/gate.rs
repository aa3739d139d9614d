//! Whether a run was a test at all.
//!
//! A run that did nothing finds nothing. It is a test only if operations succeeded before, during and after the faults,
//! each family of faults that was asked for was really in place often enough, partitions had a leader on
//! both of their sides, everything was begun and mended as it should, and it ran to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_history::{History, Outcome};

use super::faults::Installations;
use crate::nemesis::Chosen;
use crate::record::{Demand, Fault, LeaderSample};

/// Of the rate that was aimed at, this share must succeed before and after the faults.
const SHARE_WELL: f64 = 0.2;
/// And this share during the faults, which may take whole seconds of every ten.
const SHARE_BROKEN: f64 = 0.02;
/// The least that is ever demanded, in operations per second.
const LEAST: f64 = 0.5;
/// One installation of each family is demanded for so much time,
const INSTALLED_EVERY: Duration = Duration::from_secs(20);
/// but not more than these.
const INSTALLED_MAX: u64 = 3;
/// Partitions must have a leader on both sides if there were so many of them: fewer say nothing.
const PARTITIONS_MIN: usize = 2;
/// Those that make two sides, and tell the smaller one.
const SPLITS: [&str; 3] = ["partition/halves", "partition/leader", "partition/minority"];

/// From when to when, in nanoseconds since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The beginning.
    pub(super) begin_ns: u64,
    /// The end.
    pub(super) end_ns: u64,
}

/// What the gate looks at.
pub(super) struct Evidence<'a> {
    /// All operations.
    pub(super) history: &'a History,
    /// What was asked for and could be injected here.
    pub(super) chosen: &'a [Chosen],
    /// What became of it.
    pub(super) installations: &'a Installations,
    /// Who led what.
    pub(super) leaders: &'a [LeaderSample],
    /// Operations per second that were aimed at.
    pub(super) rate: u32,
    /// How long faults were injected.
    pub(super) time: Duration,
    /// Nodes.
    pub(super) nodes: u16,
    /// Before the faults, while there were any, and after all was whole again.
    pub(super) spans: [Span; 3],
    /// It was stopped early.
    pub(super) interrupted: bool,
}

/// Everything that a run must have shown.
pub(super) fn demands(evidence: &Evidence<'_>) -> Vec<Demand> {
    let names = [
        "before the faults",
        "while there were faults",
        "after the cluster was whole again",
    ];
    let shares = [SHARE_WELL, SHARE_BROKEN, SHARE_WELL];
    let mut demands = Vec::new();
    for ((name, share), span) in names.into_iter().zip(shares).zip(evidence.spans) {
        let what = format!("successful operations per second {name}");
        let wanted = (f64::from(evidence.rate) * share).max(LEAST);
        let mut demand = Demand::at_least(what, wanted, rate(evidence.history, span));
        demand.span_ns = Some((span.begin_ns, span.end_ns));
        demands.push(demand);
    }
    demands.extend(installed(evidence));
    demands.extend(sides(evidence));
    let broken = &evidence.installations.broken;
    let what = "faults that could not be begun or mended";
    let mut mended = Demand::at_most(what, 0.0, broken.len() as f64);
    mended.details.clone_from(broken);
    demands.push(mended);
    let stopped = f64::from(u8::from(evidence.interrupted));
    demands.push(Demand::at_most("times the run was stopped early", 0.0, stopped));
    demands
}

/// Operations that succeeded in a span, per second.
pub(super) fn rate(history: &History, span: Span) -> f64 {
    let seconds = span.end_ns.saturating_sub(span.begin_ns) as f64 / 1e9;
    let within = |time: u64| (span.begin_ns..span.end_ns).contains(&time);
    let succeeded = history.operations().iter().filter(|operation| {
        succeeded(&operation.outcome) && operation.completed.is_some_and(|point| within(point.time_ns))
    });
    let count = succeeded.count();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

/// Whether somebody got what was asked for. A condition that did not hold is an answer, but does not count.
pub(super) fn succeeded(outcome: &Outcome) -> bool {
    !matches!(
        outcome,
        Outcome::Failed | Outcome::Unknown | Outcome::Conflict { .. } | Outcome::Refused { .. }
    )
}

fn installed(evidence: &Evidence<'_>) -> Vec<Demand> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for fault in &evidence.installations.faults {
        *counts.entry(family(fault)).or_default() += 1;
    }
    let wanted = (evidence.time.as_secs() / INSTALLED_EVERY.as_secs()).clamp(1, INSTALLED_MAX);
    let required = evidence.chosen.iter().filter(|one| one.required);
    required
        .map(|one| {
            let family = one.nemesis.family();
            let was = counts.get(family).copied().unwrap_or(0);
            let what = format!("{family} faults that were in place");
            let mut demand = Demand::at_least(what, wanted as f64, was as f64);
            let refused = evidence.installations.refused;
            if refused > 0 {
                let given_up = "faults of all families were given up because something stood in their way";
                demand.details.push(format!("{refused} {given_up}"));
            }
            demand
        })
        .collect()
}

/// The family of a fault's name.
pub(super) fn family(fault: &Fault) -> &str {
    fault.name.split('/').next().unwrap_or(&fault.name)
}

/// Partitions that put a leader with few, and such that left it with most: both are different stories.
fn sides(evidence: &Evidence<'_>) -> Vec<Demand> {
    let partitions: Vec<&Fault> = evidence
        .installations
        .faults
        .iter()
        .filter(|fault| SPLITS.contains(&&fault.name[..]))
        .filter(|fault| !fault.nodes.is_empty() && fault.nodes.len() * 2 < usize::from(evidence.nodes))
        .collect();
    if partitions.len() < PARTITIONS_MIN {
        return Vec::new();
    }
    let (mut minority, mut majority) = (0, 0);
    for fault in partitions {
        let leaders = leaders_at(evidence.leaders, fault.begin_ns);
        minority += usize::from(leaders.iter().any(|leader| fault.nodes.contains(leader)));
        majority += usize::from(leaders.iter().any(|leader| !fault.nodes.contains(leader)));
    }
    let demand = |side: &str, was: usize| {
        Demand::at_least(format!("partitions with a leader in the {side}"), 1.0, was as f64)
    };
    vec![demand("minority", minority), demand("majority", majority)]
}

/// The leaders of data groups, as last heard of before a moment.
fn leaders_at(samples: &[LeaderSample], time_ns: u64) -> Vec<u16> {
    let mut leaders = BTreeMap::<u64, (u64, u16)>::new();
    let before = samples.iter().filter(|sample| sample.time_ns <= time_ns);
    for sample in before.filter(|sample| sample.leads && sample.group != 0) {
        let known = leaders.entry(sample.group).or_default();
        if sample.term >= known.0 {
            *known = (sample.term, sample.node);
        }
    }
    leaders.into_values().map(|(_, node)| node).collect()
}

#[cfg(test)]
mod tests {
    use atoll_history::{Call, Event, Origin, Phase};

    use super::*;
    use crate::nemesis::choose;

    const SECOND: u64 = 1_000_000_000;

    /// `per_second` writes succeed in each of 30 seconds, and one in each is refused.
    fn history(per_second: u64) -> History {
        let mut history = History::default();
        let mut push = |time_ns, phase| {
            let index = history.events().len() as u64;
            let event = Event {
                index,
                time_ns,
                process: 0,
                key: "k".to_owned(),
                call: Call::Put {
                    value: "v".to_owned(),
                },
                phase,
                origin: Origin::default(),
                error: None,
            };
            history.push(event).unwrap();
        };
        for number in 0..30 * (per_second + 1) {
            let (second, number) = (number / (per_second + 1), number % (per_second + 1));
            let good = Outcome::Written {
                version: Some(1 + number),
            };
            let outcome = [good, Outcome::Failed][usize::from(number == per_second)].clone();
            push(second * SECOND + number, Phase::Invoke);
            push(second * SECOND + number, Phase::Complete(outcome));
        }
        history
    }

    fn span(begin: u64, end: u64) -> Span {
        Span {
            begin_ns: begin * SECOND,
            end_ns: end * SECOND,
        }
    }

    fn fault(name: &str, nodes: &[u16]) -> Fault {
        Fault {
            name: name.to_owned(),
            what: String::new(),
            nodes: nodes.to_vec(),
            begin_ns: 12 * SECOND,
            end_ns: 13 * SECOND,
        }
    }

    fn unmet(history: &History, faults: Vec<Fault>, change: impl FnOnce(&mut Evidence<'_>)) -> Vec<String> {
        let chosen = choose(&["kill".to_owned()]).unwrap();
        let installations = Installations {
            faults,
            ..Installations::default()
        };
        let leader = |group, node| LeaderSample {
            time_ns: SECOND,
            node,
            group,
            term: 1,
            leads: true,
        };
        let mut evidence = Evidence {
            history,
            chosen: &chosen,
            installations: &installations,
            leaders: &[leader(1, 1), leader(2, 2)],
            rate: 10,
            time: Duration::from_secs(10),
            nodes: 3,
            spans: [span(0, 10), span(10, 20), span(20, 30)],
            interrupted: false,
        };
        change(&mut evidence);
        let all = demands(&evidence).into_iter();
        all.filter(|demand| !demand.met())
            .map(|demand| demand.what)
            .collect()
    }

    #[test]
    fn a_busy_run_with_its_faults_is_a_test() {
        assert_eq!(unmet(&history(5), vec![fault("kill/one", &[1])], |_| ()), [""; 0]);
    }

    #[test]
    fn idle_motion_is_none() {
        let found = unmet(&history(0), vec![fault("kill/one", &[1])], |_| ());
        assert_eq!(found.len(), 3, "{found:?}");
        let slow = unmet(&history(1), vec![fault("kill/one", &[1])], |_| ());
        assert_eq!(slow.len(), 2, "before and after more is asked for: {slow:?}");
    }

    #[test]
    fn a_family_that_was_never_in_place_is_told() {
        let found = unmet(&history(5), vec![fault("pause/one", &[1])], |_| ());
        assert_eq!(found, ["kill faults that were in place"]);
        let found = unmet(&history(5), vec![fault("kill/one", &[1])], |evidence| {
            evidence.time = Duration::from_secs(60);
        });
        assert_eq!(found, ["kill faults that were in place"]);
    }

    #[test]
    fn a_leader_must_have_been_on_both_sides() {
        let with = |nodes: [&[u16]; 2]| {
            let mut faults: Vec<_> = nodes.map(|nodes| fault("partition/halves", nodes)).to_vec();
            faults.push(fault("kill/one", &[1]));
            unmet(&history(5), faults, |_| ())
        };
        assert_eq!(with([&[1], &[3]]), [""; 0]);
        assert_eq!(with([&[3], &[3]]), ["partitions with a leader in the minority"]);
        // Two of three are no minority: nothing is demanded of those.
        assert_eq!(with([&[3, 1], &[3]]), [""; 0]);
    }

    #[test]
    fn what_broke_and_what_was_stopped_is_told() {
        let broken = Installations {
            faults: vec![fault("kill/one", &[1])],
            broken: vec!["kill/one: no".to_owned()],
            ..Installations::default()
        };
        let history = history(5);
        let chosen = choose(&["kill".to_owned()]).unwrap();
        let evidence = Evidence {
            history: &history,
            chosen: &chosen,
            installations: &broken,
            leaders: &[],
            rate: 10,
            time: Duration::from_secs(10),
            nodes: 3,
            spans: [span(0, 10), span(10, 20), span(20, 30)],
            interrupted: true,
        };
        let unmet: Vec<_> = demands(&evidence)
            .into_iter()
            .filter(|demand| !demand.met())
            .collect();
        assert_eq!(unmet.len(), 2, "{unmet:?}");
    }
}
