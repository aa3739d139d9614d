//! Sessions and staleness, by looking at all pairs.

use atoll_history::{Level, Operation};

use super::{Kind, Shown, absences, end, happened_or_may_have, is_weak, shown, some_choice};

fn is_session(op: &Operation) -> bool {
    !is_weak(op) || op.call.level() == Some(Level::Session)
}

fn kind(fine: bool, gap: bool) -> Kind {
    match (fine, gap) {
        (false, _) => Kind::Violation,
        (true, true) => Kind::Unknown,
        (true, false) => Kind::Ok,
    }
}

pub(crate) fn judge_sessions(all: &[Operation]) -> Kind {
    let gap = all.iter().any(|op| shown(op) == Shown::Gap);
    let dated: Vec<(&Operation, Vec<u64>)> = all
        .iter()
        .filter_map(|op| match shown(op) {
            Shown::Version(version) => Some((op, vec![version])),
            Shown::Absent if is_session(op) => Some((op, absences(op, all))),
            _ => None,
        })
        .collect();
    let options: Vec<Vec<u64>> = dated.iter().map(|(_, options)| options.clone()).collect();
    let fine = some_choice(&options, &|chosen| {
        let mut pairs = (0..dated.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        pairs.all(|(a, b)| {
            let (earlier, later) = (dated[a].0, dated[b].0);
            if earlier.process != later.process {
                true
            } else if happened_or_may_have(later) {
                chosen[b] > chosen[a]
            } else {
                !is_session(earlier) || !is_session(later) || chosen[b] >= chosen[a]
            }
        })
    });
    kind(fine, gap)
}

pub(crate) fn judge_staleness(all: &[Operation]) -> Kind {
    let mut bounded = all.iter().filter_map(|op| match op.call.level() {
        Some(Level::Bounded { max_age_ns }) => Some((op, max_age_ns)),
        Some(Level::Eventual) => Some((op, op.origin.age_ns?)),
        _ => None,
    });
    let gap = all.iter().any(|op| shown(op) == Shown::Gap) && bounded.clone().count() > 0;
    let fine = bounded.all(|(op, max_age_ns)| is_fresh(op, max_age_ns, all));
    kind(fine, gap)
}

fn is_fresh(op: &Operation, max_age_ns: u64, all: &[Operation]) -> bool {
    let options = match shown(op) {
        Shown::Nothing => return true,
        Shown::Version(version) => vec![version],
        Shown::Absent => absences(op, all),
        Shown::Gap => vec![u64::MAX],
    };
    let age_ns = op.origin.age_ns.unwrap_or(max_age_ns);
    if age_ns > max_age_ns {
        return false;
    }
    let missed = |found: u64| {
        all.iter()
            .any(|earlier| match (shown(earlier), earlier.completed) {
                (Shown::Version(version), Some(point)) => {
                    end(earlier) < u64::MAX && point.time_ns + age_ns <= op.invoked.time_ns && version > found
                }
                _ => false,
            })
    };
    options.into_iter().any(|found| !missed(found))
}
