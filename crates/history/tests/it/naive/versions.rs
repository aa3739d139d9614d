//! Versions as the order of writes, by looking at all pairs.

use atoll_history::{Call, Operation, Outcome};

use super::{Kind, Shown, absences, end, happened_or_may_have, is_weak, shown, some_choice};

/// A write, by its invocation, and a version that it is shown to have.
type Fact = (u64, u64);

pub(crate) fn judge(all: &[Operation]) -> Kind {
    let stored: Vec<&str> = all.iter().filter_map(|op| op.call.stored()).collect();
    let repeats = (1..stored.len()).any(|number| stored[..number].contains(&stored[number]));
    if repeats || all.iter().any(|op| shown(op) == Shown::Gap) {
        return Kind::Unknown;
    }
    let facts = facts(all);
    let fine = reads_fit(all)
        && facts_agree(&facts)
        && looked_at_fits(all, &facts)
        && time_fits(all, &facts)
        && all.iter().all(|op| condition_fits(op, all, &facts));
    if fine { Kind::Ok } else { Kind::Violation }
}

fn writer<'a>(value: &str, all: &'a [Operation]) -> Option<&'a Operation> {
    all.iter().find(|op| op.call.stored() == Some(value))
}

fn facts(all: &[Operation]) -> Vec<Fact> {
    let told = all.iter().filter_map(|op| match op.outcome {
        Outcome::Written { version } => Some((op.invoked.index, version?)),
        _ => None,
    });
    let read = all.iter().filter_map(|op| match &op.outcome {
        Outcome::Read(Some(seen)) => Some((writer(&seen.value, all)?.invoked.index, seen.version?)),
        _ => None,
    });
    told.chain(read).collect()
}

fn reads_fit(all: &[Operation]) -> bool {
    all.iter().all(|op| match &op.outcome {
        Outcome::Read(Some(seen)) => writer(&seen.value, all)
            .is_some_and(|write| happened_or_may_have(write) && write.invoked.index < end(op)),
        _ => true,
    })
}

fn facts_agree(facts: &[Fact]) -> bool {
    let agree = |(write, version): &Fact, (other, other_version): &Fact| {
        (write == other) == (version == other_version)
    };
    facts
        .iter()
        .all(|fact| facts.iter().all(|other| agree(fact, other)))
}

/// The version of a write that happened.
fn own(op: &Operation, facts: &[Fact]) -> Option<u64> {
    let known = facts.iter().find(|(write, _)| *write == op.invoked.index);
    known
        .map(|(_, version)| *version)
        .filter(|_| happened_or_may_have(op))
}

/// A version that an operation found on a value.
fn looked_at(op: &Operation, facts: &[Fact]) -> Option<u64> {
    let version = match (&op.call, &op.outcome) {
        (_, Outcome::Conflict { actual }) => *actual,
        (Call::Cas { expected, .. }, _) if own(op, facts).is_some() => expected.version,
        _ => 0,
    };
    (version != 0).then_some(version)
}

fn nameless(all: &[Operation], facts: &[Fact]) -> Vec<u64> {
    let looked_at = all.iter().filter_map(|op| looked_at(op, facts));
    let mut versions: Vec<u64> = looked_at
        .filter(|version| facts.iter().all(|(_, known)| known != version))
        .collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

fn looked_at_fits(all: &[Operation], facts: &[Fact]) -> bool {
    let named_fit = all.iter().all(|op| {
        let version = looked_at(op, facts);
        let fact = facts.iter().find(|(_, known)| Some(*known) == version);
        let Some(write) = fact.and_then(|(write, _)| all.iter().find(|op| op.invoked.index == *write)) else {
            return true;
        };
        !write.call.removes() && write.invoked.index < end(op)
    });
    let options: Vec<Vec<u64>> = nameless(all, facts)
        .into_iter()
        .map(|version| {
            let seen = all
                .iter()
                .filter(|op| looked_at(op, facts) == Some(version))
                .map(end)
                .min();
            let unknown = all.iter().filter(|op| {
                let untold = op.outcome == Outcome::Unknown && own(op, facts).is_none();
                untold && op.call.stored().is_some() && Some(op.invoked.index) < seen
            });
            unknown.map(|op| op.invoked.index).collect()
        })
        .collect();
    let all_different =
        |chosen: &[u64]| (1..chosen.len()).all(|number| !chosen[..number].contains(&chosen[number]));
    named_fit && some_choice(&options, &all_different)
}

/// For each pair of operations one before the other: the later one's version is not lower, and
/// higher if it is a write.
fn time_fits(all: &[Operation], facts: &[Fact]) -> bool {
    let dated: Vec<(&Operation, Vec<u64>)> = all
        .iter()
        .filter_map(|op| match shown(op) {
            Shown::Version(version) => Some((op, vec![version])),
            Shown::Absent if !is_weak(op) => Some((op, absences(op, all))),
            _ => Some((op, vec![own(op, facts)?])),
        })
        .collect();
    let options: Vec<Vec<u64>> = dated.iter().map(|(_, options)| options.clone()).collect();
    some_choice(&options, &|chosen| {
        let mut pairs = (0..dated.len()).flat_map(|a| (0..dated.len()).map(move |b| (a, b)));
        pairs.all(|(a, b)| {
            let (earlier, later) = (dated[a].0, dated[b].0);
            if end(earlier) > later.invoked.index || is_weak(later) {
                return true;
            }
            chosen[b] > chosen[a] || (chosen[b] == chosen[a] && !happened_or_may_have(later))
        })
    })
}

fn condition_fits(op: &Operation, all: &[Operation], facts: &[Fact]) -> bool {
    let Call::Cas { expected, .. } = &op.call else {
        return true;
    };
    if let Outcome::Conflict { actual } = op.outcome {
        return actual != expected.version || expected.value.is_some();
    }
    let Some(version) = own(op, facts) else {
        return true;
    };
    let mut known = nameless(all, facts);
    known.extend(facts.iter().map(|(_, version)| *version));
    if expected.version == 0 {
        let Some(previous) = known.into_iter().filter(|other| *other < version).max() else {
            return true;
        };
        return all.iter().filter(|other| other.call.removes()).any(|removal| {
            let unknown = removal.outcome == Outcome::Unknown && removal.invoked.index < end(op);
            unknown || own(removal, facts) == Some(previous)
        });
    }
    let alone = all.iter().all(|other| match &other.call {
        Call::Cas { expected: same, .. } if same.version == expected.version => {
            other == op || own(other, facts).is_none()
        }
        _ => true,
    });
    let follows = known
        .iter()
        .all(|other| *other <= expected.version || *other >= version);
    alone && follows && version > expected.version
}
