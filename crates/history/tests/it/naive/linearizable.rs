//! Every order of every choice of the operations that may be left out, with every version that the
//! writes may have had whose version nobody was told.

use atoll_history::{Call, Operation, Outcome};

use super::{end, happened_or_may_have, is_weak};

/// A register: version and value, if it holds one.
type Register<'a> = Option<(u64, &'a str)>;

pub(crate) fn is_linearizable(all: &[Operation]) -> bool {
    let ops: Vec<&Operation> = all
        .iter()
        .filter(|op| !is_weak(op) && op.outcome != Outcome::Failed)
        .filter(|op| op.call.is_write() || op.outcome != Outcome::Unknown)
        .collect();
    let told: Vec<u64> = ops.iter().filter_map(|op| told_version(op)).collect();
    if (1..told.len()).any(|number| told[..number].contains(&told[number])) {
        return false;
    }
    let mentioned = ops.iter().flat_map(|op| mentioned_versions(op));
    let mut candidates: Vec<u64> = mentioned.filter(|version| !told.contains(version)).collect();
    candidates.sort_unstable();
    candidates.dedup();
    assign(&ops, &candidates, &mut Vec::new())
}

fn told_version(op: &Operation) -> Option<u64> {
    match op.outcome {
        Outcome::Written { version } => version,
        _ => None,
    }
}

fn mentioned_versions(op: &Operation) -> Vec<u64> {
    let mut versions = Vec::new();
    if let Call::Cas { expected, .. } = &op.call {
        versions.push(expected.version);
    }
    match &op.outcome {
        Outcome::Read(Some(seen)) => versions.extend(seen.version),
        Outcome::Conflict { actual } => versions.push(*actual),
        _ => {}
    }
    versions.retain(|version| *version != 0);
    versions
}

/// Gives each operation the version it leaves, if it is a write: what it was told, or one that others
/// mention, or one that nobody does.
fn assign(ops: &[&Operation], candidates: &[u64], versions: &mut Vec<u64>) -> bool {
    let number = versions.len();
    let Some(op) = ops.get(number) else {
        return order(ops, versions, 0, None);
    };
    let of_its_own = 1_000_000 + number as u64;
    let mut options = vec![told_version(op).unwrap_or(of_its_own)];
    if happened_or_may_have(op) && op.call.stored().is_some() && told_version(op).is_none() {
        options.extend(candidates);
    }
    options.into_iter().any(|version| {
        if versions.contains(&version) {
            return false;
        }
        versions.push(version);
        let found = assign(ops, candidates, versions);
        versions.pop();
        found
    })
}

fn order<'a>(ops: &[&'a Operation], versions: &[u64], placed: u32, register: Register<'a>) -> bool {
    let open = |number: &usize| placed & (1 << number) == 0;
    let left = (0..ops.len()).filter(open);
    if left.clone().all(|number| end(ops[number]) == u64::MAX) {
        return true;
    }
    let earliest_end = left
        .clone()
        .map(|number| end(ops[number]))
        .min()
        .unwrap_or(u64::MAX);
    left.filter(|number| ops[*number].invoked.index < earliest_end)
        .any(|number| match apply(ops[number], versions[number], register) {
            Some(after) => order(ops, versions, placed | 1 << number, after),
            None => false,
        })
}

/// What the register holds afterwards, if the answer is what it would have answered.
fn apply<'a>(op: &'a Operation, version: u64, register: Register<'a>) -> Option<Register<'a>> {
    let held = register.map_or(0, |(version, _)| version);
    let as_expected = match &op.call {
        Call::Cas { expected, .. } => {
            let value = expected.value.as_deref();
            held == expected.version && (value.is_none() || value == register.map(|(_, value)| value))
        }
        _ => true,
    };
    match &op.outcome {
        Outcome::Written { .. } | Outcome::Unknown => {
            as_expected.then(|| op.call.stored().map(|value| (version, value)))
        }
        Outcome::Conflict { actual } => (!as_expected && held == *actual).then_some(register),
        Outcome::Read(None) => register.is_none().then_some(register),
        Outcome::Read(Some(seen)) => {
            let (version, value) = register?;
            (value == seen.value && seen.version.is_none_or(|seen| seen == version)).then_some(register)
        }
        _ => None,
    }
}
