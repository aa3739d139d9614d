//! A key's operations, reduced to what the search needs.

use std::collections::{BTreeMap, BTreeSet};

use super::state::{Effect, Needs, ValueId};
use crate::event::{Call, Outcome};
use crate::operation::Operation;

/// One operation as the search sees it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Position in the list that the plan was made of.
    pub(super) operation: usize,
    /// Index of the invocation.
    pub(super) called: u64,
    /// Index of the event before which it took effect; `None` if it may be left out.
    pub(super) ended: Option<u64>,
    pub(super) needs: Needs,
    pub(super) effect: Effect,
    /// Where versions say that it belongs; lower is tried first.
    pub(super) hint: (u64, bool),
    /// A put or delete that may be left out and that no answer tells from another such.
    pub(super) anonymous: bool,
}

/// What is to be searched.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order of their invocations.
    pub(super) steps: Vec<Step>,
    /// Versions that belong to a write known by name.
    pub(super) owned: BTreeSet<u64>,
}

impl Plan {
    /// Fails with a message if no search is needed to see a contradiction.
    pub(super) fn new(operations: &[&Operation]) -> Result<Self, String> {
        let mut builder = Builder::default();
        for (position, operation) in operations.iter().enumerate() {
            builder.add(position, operation);
        }
        builder.count_values();
        builder.learn_versions();
        builder.end_observed_writes();
        let owned = builder.owned_versions()?;
        builder.drop_what_nobody_can_see(&owned);
        builder.mark_anonymous();
        let mut steps = builder.steps;
        for step in &mut steps {
            step.hint = hint(step);
        }
        Ok(Self { steps, owned })
    }
}

fn hint(step: &Step) -> (u64, bool) {
    let needed = match step.needs {
        Needs::Present { version, .. } => version,
        _ => None,
    };
    (
        step.effect.version().or(needed).unwrap_or(u64::MAX),
        step.effect == Effect::Nothing,
    )
}

#[derive(Default)]
struct Builder<'a> {
    steps: Vec<Step>,
    values: BTreeMap<&'a str, ValueId>,
    /// By value: how many operations may have stored it.
    writers: BTreeMap<ValueId, usize>,
    /// By value: the first end of an operation that certainly saw it.
    seen_by: BTreeMap<ValueId, u64>,
    /// By version, the same.
    version_seen_by: BTreeMap<u64, u64>,
}

impl<'a> Builder<'a> {
    fn value(&mut self, value: &'a str) -> ValueId {
        let next = self.values.len() as ValueId;
        *self.values.entry(value).or_insert(next)
    }

    fn add(&mut self, position: usize, operation: &'a Operation) {
        let (needs, effect) = match &operation.outcome {
            Outcome::Read(None) => (Needs::Absent, Effect::Nothing),
            Outcome::Read(Some(seen)) => {
                let needs = Needs::Present {
                    value: Some(self.value(&seen.value)),
                    version: seen.version,
                    not: None,
                };
                (needs, Effect::Nothing)
            }
            Outcome::Conflict { actual } => (self.conflict(&operation.call, *actual), Effect::Nothing),
            Outcome::Written { .. } | Outcome::Unknown if operation.call.is_write() => {
                self.write(&operation.call, &operation.outcome)
            }
            _ => return,
        };
        let ended = Some(operation.ended()).filter(|ended| *ended < u64::MAX);
        self.steps.push(Step {
            operation: position,
            called: operation.invoked.index,
            ended,
            needs,
            effect,
            hint: (0, false),
            anonymous: false,
        });
    }

    fn conflict(&mut self, call: &'a Call, actual: u64) -> Needs {
        let Call::Cas { expected, .. } = call else {
            return Needs::Impossible;
        };
        if actual == 0 {
            let refused = expected.version != 0;
            return if refused { Needs::Absent } else { Needs::Impossible };
        }
        let not = match (&expected.value, expected.version == actual) {
            (_, false) => None,
            (Some(value), true) => Some(self.value(value)),
            (None, true) => return Needs::Impossible,
        };
        Needs::Present {
            value: None,
            version: Some(actual),
            not,
        }
    }

    fn write(&mut self, call: &'a Call, outcome: &Outcome) -> (Needs, Effect) {
        let version = match outcome {
            Outcome::Written { version } => *version,
            _ => None,
        };
        let needs = match call {
            Call::Cas { expected, .. } if expected.version == 0 && expected.value.is_some() => {
                Needs::Impossible
            }
            Call::Cas { expected, .. } if expected.version == 0 => Needs::Absent,
            Call::Cas { expected, .. } => Needs::Present {
                value: expected.value.as_deref().map(|value| self.value(value)),
                version: Some(expected.version),
                not: None,
            },
            _ => Needs::Nothing,
        };
        let effect = match call.stored() {
            Some(value) => Effect::Store {
                value: self.value(value),
                version,
            },
            None => Effect::Remove { version },
        };
        (needs, effect)
    }

    fn count_values(&mut self) {
        for step in &self.steps {
            if let Effect::Store { value, .. } = step.effect {
                *self.writers.entry(value).or_default() += 1;
            }
        }
    }

    fn stored_once(&self, value: ValueId) -> bool {
        self.writers.get(&value) == Some(&1)
    }

    /// An answer that shows a value with a version tells the version of the value's only write.
    fn learn_versions(&mut self) {
        let mut shown = BTreeMap::new();
        for step in self.steps.iter().filter(|step| step.ended.is_some()) {
            if let Needs::Present {
                value: Some(value),
                version: Some(version),
                ..
            } = step.needs
            {
                shown.entry(value).or_insert(version);
            }
        }
        let writers = &self.writers;
        for step in &mut self.steps {
            if let Effect::Store {
                value,
                version: version @ None,
            } = &mut step.effect
                && writers.get(value) == Some(&1)
            {
                *version = shown.get(value).copied();
            }
        }
    }

    /// A write of unknown outcome whose value or version was shown took effect before that.
    fn end_observed_writes(&mut self) {
        for step in &self.steps {
            let (Needs::Present { value, version, .. }, Some(ended)) = (step.needs, step.ended) else {
                continue;
            };
            if let Some(value) = value {
                let first = self.seen_by.entry(value).or_insert(ended);
                *first = ended.min(*first);
            }
            if let Some(version) = version {
                let first = self.version_seen_by.entry(version).or_insert(ended);
                *first = ended.min(*first);
            }
        }
        let mut steps = std::mem::take(&mut self.steps);
        for step in steps.iter_mut().filter(|step| step.ended.is_none()) {
            let Effect::Store { value, version } = step.effect else {
                continue;
            };
            if self.stored_once(value) {
                let by_value = self.seen_by.get(&value);
                let by_version = version.and_then(|version| self.version_seen_by.get(&version));
                step.ended = by_value.into_iter().chain(by_version).min().copied();
            }
        }
        self.steps = steps;
    }

    fn owned_versions(&self) -> Result<BTreeSet<u64>, String> {
        let mut owned = BTreeSet::new();
        for version in self.steps.iter().filter_map(|step| step.effect.version()) {
            if !owned.insert(version) {
                return Err(format!("two writes have version {version}"));
            }
        }
        Ok(owned)
    }

    /// Drops writes of unknown outcome that no answer can be about.
    fn drop_what_nobody_can_see(&mut self, owned: &BTreeSet<u64>) {
        // The last ends of operations that look at absence, at a version of an unknown write, at a value.
        let (mut absence, mut version_unowned) = (0, 0);
        let mut by_value: BTreeMap<ValueId, u64> = BTreeMap::new();
        for step in &self.steps {
            let ended = step.ended.unwrap_or(u64::MAX);
            match step.needs {
                Needs::Absent => absence = ended.max(absence),
                Needs::Present {
                    value: Some(value), ..
                } => {
                    let last = by_value.entry(value).or_default();
                    *last = ended.max(*last);
                }
                Needs::Present {
                    version: Some(version),
                    ..
                } if !owned.contains(&version) => {
                    version_unowned = ended.max(version_unowned);
                }
                _ => {}
            }
        }
        self.steps.retain(|step| {
            let last = match step.effect {
                Effect::Remove { .. } => absence,
                Effect::Store { value, .. } => {
                    version_unowned.max(by_value.get(&value).copied().unwrap_or(0))
                }
                Effect::Nothing => u64::MAX,
            };
            step.ended.is_some() || last > step.called
        });
    }

    fn mark_anonymous(&mut self) {
        let mut named: BTreeSet<ValueId> = BTreeSet::new();
        for step in &self.steps {
            if let Needs::Present { value, not, .. } = step.needs {
                named.extend(value.into_iter().chain(not));
            }
        }
        for step in &mut self.steps {
            let alike = match step.effect {
                Effect::Store { value, version: None } => !named.contains(&value),
                Effect::Remove { .. } => true,
                _ => false,
            };
            step.anonymous = alike && step.ended.is_none() && step.needs == Needs::Nothing;
        }
    }
}
