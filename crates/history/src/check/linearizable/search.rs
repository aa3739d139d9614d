//! The search over one key. It can be paused and continued.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::entries::Entries;
use super::plan::{Plan, Step};
use super::state::{Effect, Fit, Needs, State, ValueId};

/// How far a search came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// An order was found.
    Linearizable,
    /// There is no order.
    Stuck(Stuck),
    /// The steps granted did not suffice.
    Paused,
}

/// The longest order found, by the operations' positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stuck {
    pub(super) order: Vec<usize>,
    /// The next operation to end; it fits nowhere from here.
    pub(super) blocked: Option<usize>,
    /// How many operations are not in the order although they must be in any.
    pub(super) missing: usize,
}

pub(super) struct Search {
    plan: Plan,
    /// Operations that must be in the order, and those that may be left out.
    certain: Entries,
    optional: Entries,
    now: Situation,
    path: Vec<Frame>,
    /// By version of an unknown write: how many placed operations looked at it.
    watched: BTreeMap<u64, usize>,
    /// Situations, with the set of operations placed, that were entered before. A 128-bit hash stands
    /// for each; among n of them two collide with a chance of about n² / 2^129.
    visited: FxHashSet<u128>,
    placed: u128,
    missing: usize,
    best: Option<Stuck>,
    steps: u64,
    spent: u64,
}

/// Between two operations of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Situation {
    state: State,
    /// The last operation may be left out and makes sense only if the next one looks at the state.
    must_look: bool,
}

struct Frame {
    /// What was placed to come here, and the situation before; nothing for the first frame.
    placed: Option<(usize, Situation)>,
    choices: Vec<Choice>,
    next: usize,
}

#[derive(Clone, Copy)]
struct Choice {
    step: usize,
    fit: Fit,
}

impl Search {
    pub(super) fn new(plan: Plan) -> Self {
        let mut search = Self {
            certain: Entries::new(&plan.steps, true),
            optional: Entries::new(&plan.steps, false),
            missing: plan.steps.iter().filter(|step| step.ended.is_some()).count(),
            plan,
            now: Situation {
                state: State::Absent,
                must_look: false,
            },
            path: Vec::new(),
            watched: BTreeMap::new(),
            visited: FxHashSet::default(),
            placed: 0,
            best: None,
            steps: 0,
            spent: 0,
        };
        search.enter(None);
        search
    }

    /// Steps of the last run.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    /// Steps of all runs.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Searches on for so many steps.
    pub(super) fn run(&mut self, granted: u64) -> Progress {
        self.spent = 0;
        let progress = self.search(granted);
        self.steps += self.spent;
        progress
    }

    fn search(&mut self, granted: u64) -> Progress {
        while self.missing > 0 {
            if self.spent == granted {
                return Progress::Paused;
            }
            let Some(frame) = self.path.last_mut() else {
                return Progress::Stuck(self.best.take().unwrap_or_default());
            };
            let Some(choice) = frame.choices.get(frame.next).copied() else {
                self.remember_longest();
                self.leave();
                continue;
            };
            frame.next += 1;
            self.spent += 1;
            self.try_next(choice);
        }
        Progress::Linearizable
    }

    fn try_next(&mut self, choice: Choice) {
        let before = self.now;
        self.place(choice);
        if self.visited.insert(self.placed ^ self.now.hash()) {
            self.enter(Some((choice.step, before)));
        } else {
            self.take_back(choice.step, before);
        }
    }

    fn enter(&mut self, placed: Option<(usize, Situation)>) {
        let choices = self.choices();
        self.path.push(Frame {
            placed,
            choices,
            next: 0,
        });
    }

    fn leave(&mut self) {
        if let Some((step, before)) = self.path.pop().and_then(|frame| frame.placed) {
            self.take_back(step, before);
        }
    }

    fn step(&self, number: usize) -> &Step {
        self.plan.steps.get(number).expect("steps are numbered")
    }

    fn place(&mut self, choice: Choice) {
        let step = self.step(choice.step);
        let (needs, effect, certain) = (step.needs, step.effect, step.ended.is_some());
        self.now = Situation {
            state: self.now.state.after(choice.fit, effect),
            must_look: !certain,
        };
        self.missing -= usize::from(certain);
        if let Some(version) = self.unowned(needs) {
            *self.watched.entry(version).or_default() += 1;
        }
        self.placed ^= scatter(0, choice.step as u64);
        let entries = if certain {
            &mut self.certain
        } else {
            &mut self.optional
        };
        entries.lift(choice.step);
    }

    fn take_back(&mut self, number: usize, before: Situation) {
        let step = self.step(number);
        let (needs, certain) = (step.needs, step.ended.is_some());
        self.now = before;
        self.missing += usize::from(certain);
        if let Some(version) = self.unowned(needs)
            && let Some(watched) = self.watched.get_mut(&version)
        {
            *watched -= 1;
        }
        self.placed ^= scatter(0, number as u64);
        let entries = if certain {
            &mut self.certain
        } else {
            &mut self.optional
        };
        entries.put_back(number);
    }

    /// The version an operation looks at, if no write is known to have it.
    fn unowned(&self, needs: Needs) -> Option<u64> {
        match needs {
            Needs::Present { version, .. } => version.filter(|version| !self.plan.owned.contains(version)),
            _ => None,
        }
    }

    /// What may be placed now, most promising first.
    fn choices(&self) -> Vec<Choice> {
        let mut found = Vec::new();
        let mut wanted = Wanted::default();
        for number in self.certain.callable() {
            let step = self.step(number);
            self.want(&mut wanted, step.needs);
            let Some(fit) = self.fit(step) else {
                continue;
            };
            let choice = Choice { step: number, fit };
            if step.effect == Effect::Nothing && fit == Fit::Yes {
                return vec![choice];
            }
            found.push((step.hint, choice));
        }
        // What may be left out helps only an operation that comes right after it, or after more such.
        if wanted != Wanted::default() {
            let hint = (wanted.version.unwrap_or(u64::MAX), true);
            found.extend(
                self.optional_choices(&wanted)
                    .into_iter()
                    .map(|choice| (hint, choice)),
            );
        }
        found.sort_by_key(|(hint, _)| *hint);
        found.into_iter().map(|(_, choice)| choice).collect()
    }

    fn want(&self, wanted: &mut Wanted, needs: Needs) {
        match needs {
            Needs::Absent => wanted.absent = true,
            Needs::Present {
                value: Some(value), ..
            } => wanted.values.push(value),
            Needs::Present {
                version: Some(version),
                ..
            } if !self.is_taken(version) => {
                wanted.version = Some(wanted.version.map_or(version, |lowest| lowest.min(version)));
            }
            _ => {}
        }
    }

    /// What may be placed now, may be left out, and leaves what is wanted now.
    fn optional_choices(&self, wanted: &Wanted) -> Vec<Choice> {
        let first_end = self.certain.first_to_end();
        let end = first_end.and_then(|number| self.step(number).ended).unwrap_or(0);
        let callable = || {
            let all = self.optional.callable().map(|number| (number, self.step(number)));
            all.take_while(|(_, step)| step.called < end)
        };
        let mut wanted = wanted.clone();
        for (_, step) in callable() {
            self.want(&mut wanted, step.needs);
        }
        let mut anonymous = Anonymous::default();
        callable()
            .filter(|(_, step)| wanted.is_met_by(step.effect))
            .filter(|(_, step)| !step.anonymous || anonymous.is_first(step))
            .filter_map(|(step, it)| self.fit(it).map(|fit| Choice { step, fit }))
            .collect()
    }

    fn fit(&self, step: &Step) -> Option<Fit> {
        let optional = step.ended.is_none();
        let removes = matches!(step.effect, Effect::Remove { .. });
        if optional && removes && self.now.state == State::Absent {
            return None;
        }
        if self.now.must_look && step.needs == Needs::Nothing {
            return None;
        }
        match self.now.state.fit(step.needs) {
            Fit::No => None,
            Fit::IfVersion(version) if self.is_taken(version) => None,
            fit => Some(fit),
        }
    }

    /// Whether a version belongs to a known write or was looked at before, when it was another's.
    fn is_taken(&self, version: u64) -> bool {
        self.plan.owned.contains(&version) || self.watched.get(&version).is_some_and(|watched| *watched > 0)
    }

    fn remember_longest(&mut self) {
        if self
            .best
            .as_ref()
            .is_some_and(|best| best.missing <= self.missing)
        {
            return;
        }
        let placed = self.path.iter().filter_map(|frame| frame.placed);
        self.best = Some(Stuck {
            order: placed.map(|(step, _)| self.step(step).operation).collect(),
            blocked: self.certain.first_to_end().map(|step| self.step(step).operation),
            missing: self.missing,
        });
    }
}

/// What operations that may be called now want to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    absent: bool,
    /// The lowest of the versions whose write is not known.
    version: Option<u64>,
    values: Vec<ValueId>,
}

impl Wanted {
    fn is_met_by(&self, effect: Effect) -> bool {
        match effect {
            Effect::Store { value, .. } => self.version.is_some() || self.values.contains(&value),
            Effect::Remove { .. } => self.absent,
            Effect::Nothing => false,
        }
    }
}

/// Which kinds of operations that nobody can tell apart were met.
#[derive(Default)]
struct Anonymous {
    put: bool,
    removal: bool,
}

impl Anonymous {
    fn is_first(&mut self, step: &Step) -> bool {
        let removes = matches!(step.effect, Effect::Remove { .. });
        let met = if removes { &mut self.removal } else { &mut self.put };
        !std::mem::replace(met, true)
    }
}

impl Situation {
    fn hash(self) -> u128 {
        let state = match self.state {
            State::Absent => 0,
            State::Present { value, version: None } => scatter(1, value.into()),
            State::Present {
                value,
                version: Some(version),
            } => scatter(2, value.into()) ^ scatter(3, version),
        };
        state ^ scatter(4, self.must_look.into())
    }
}

/// 128 well mixed bits of a number, others in each domain.
fn scatter(domain: u64, number: u64) -> u128 {
    let high = mix(number ^ mix(2 * domain + 1));
    let low = mix(number ^ mix(2 * domain + 2));
    u128::from(high) << 64 | u128::from(low)
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood, 2014), a bijection.
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
