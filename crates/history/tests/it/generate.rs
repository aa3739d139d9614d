//! Random small histories of one key: what a correct database does, and then perhaps a change or two.

use atoll_history::{Call, Expected, Level, Outcome, Seen};
use fastrand::Rng;

use crate::script::Op;

/// What histories to make.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) operations: usize,
    pub(crate) processes: usize,
    /// In percent, how many reads are of a weaker level.
    pub(crate) weak_reads: u32,
    /// In percent, how many writes have an unknown outcome.
    pub(crate) unknown: u32,
    /// Values are stored more than once.
    pub(crate) repeat_values: bool,
    /// Answers to writes and reads do not tell the version.
    pub(crate) hide_versions: bool,
}

/// A register, and what it was.
struct Register {
    now: Option<(u64, String)>,
    last_version: u64,
    past: Vec<Option<(u64, String)>>,
}

struct Open {
    op: Op,
    /// What became of it, if it was decided.
    result: Option<Outcome>,
    lost_answer: bool,
    never: bool,
}

pub(crate) struct Generator<'a> {
    rng: &'a mut Rng,
    shape: Shape,
    register: Register,
    open: Vec<Open>,
    /// Completed without an answer, and not yet applied.
    late: Vec<Op>,
    done: Vec<Op>,
    values: u64,
    now: u64,
}

pub(crate) fn percent(rng: &mut Rng, share: u32) -> bool {
    rng.u32(..100) < share
}

impl<'a> Generator<'a> {
    pub(crate) fn new(rng: &'a mut Rng, shape: Shape) -> Self {
        Self {
            rng,
            shape,
            register: Register {
                now: None,
                last_version: 0,
                past: vec![None],
            },
            open: Vec::new(),
            late: Vec::new(),
            done: Vec::new(),
            values: 0,
            now: 0,
        }
    }

    /// A history that a correct database may give.
    pub(crate) fn correct(mut self) -> Vec<Op> {
        let mut invoked = 0;
        while invoked < self.shape.operations || !self.open.is_empty() {
            let can_invoke = invoked < self.shape.operations && self.open.len() < self.shape.processes;
            match self.rng.u32(..4) {
                0 | 1 if can_invoke => {
                    self.invoke();
                    invoked += 1;
                }
                2 => self.apply_something(),
                _ if !self.open.is_empty() => self.complete(),
                _ => {}
            }
        }
        self.done
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn invoke(&mut self) {
        let busy: Vec<u32> = self.open.iter().filter_map(|open| open.op.process).collect();
        let free: Vec<u32> = (0..self.shape.processes as u32)
            .filter(|process| !busy.contains(process))
            .collect();
        let process = *self.rng.choice(&free).unwrap();
        let call = self.call();
        let from = self.tick();
        let lost_answer = percent(self.rng, self.shape.unknown);
        let op = Op {
            from,
            to: 0,
            process: Some(process),
            call,
            outcome: Outcome::Failed,
            age_ns: None,
        };
        self.open.push(Open {
            op,
            result: None,
            lost_answer,
            never: percent(self.rng, if lost_answer { 40 } else { 7 }),
        });
    }

    fn value(&mut self) -> String {
        self.values += 1;
        let number = if self.shape.repeat_values {
            self.values % 2
        } else {
            self.values
        };
        number.to_string()
    }

    fn call(&mut self) -> Call {
        match self.rng.u32(..10) {
            0..3 => Call::Put { value: self.value() },
            3 => Call::Delete,
            4..6 => {
                let expected = self.expected();
                let value = (self.rng.u32(..8) > 0).then(|| self.value());
                Call::Cas { expected, value }
            }
            _ => Call::Get { level: self.level() },
        }
    }

    fn expected(&mut self) -> Expected {
        let known = self.rng.choice(&self.register.past).cloned().flatten();
        let current = self.register.now.clone();
        let chosen = if self.rng.bool() { current } else { known };
        let guess = self.register.last_version + self.rng.u64(..3);
        match chosen {
            _ if percent(self.rng, 15) => Expected {
                version: guess,
                value: None,
            },
            Some((version, value)) => Expected {
                version,
                value: percent(self.rng, 20).then_some(value),
            },
            None => Expected {
                version: 0,
                value: None,
            },
        }
    }

    fn level(&mut self) -> Level {
        if !percent(self.rng, self.shape.weak_reads) {
            return Level::Linearizable;
        }
        match self.rng.u32(..3) {
            0 => Level::Session,
            1 => Level::Bounded {
                max_age_ns: self.rng.u64(..8) * 10,
            },
            _ => Level::Eventual,
        }
    }

    fn apply_something(&mut self) {
        if !self.late.is_empty() && self.rng.bool() {
            let op = self.late.swap_remove(self.rng.usize(..self.late.len()));
            self.apply(&op.call);
            return;
        }
        if self.open.is_empty() {
            return;
        }
        let number = self.rng.usize(..self.open.len());
        self.decide(number);
    }

    fn decide(&mut self, number: usize) {
        if self.open[number].result.is_none() && !self.open[number].never {
            let call = self.open[number].op.call.clone();
            let result = self.apply(&call);
            self.open[number].result = Some(result);
        }
    }

    fn complete(&mut self) {
        let number = self.rng.usize(..self.open.len());
        if !self.open[number].lost_answer {
            self.decide(number);
        }
        let Open {
            mut op,
            result,
            lost_answer,
            ..
        } = self.open.swap_remove(number);
        op.to = self.tick();
        // Whatever was not applied in time still may be.
        if lost_answer && result.is_none() && percent(self.rng, 50) {
            self.late.push(op.clone());
        }
        op.outcome = match result {
            _ if lost_answer => Outcome::Unknown,
            Some(result) => result,
            None => Outcome::Failed,
        };
        self.done.push(op);
    }

    fn store(&mut self, value: Option<String>) -> Outcome {
        self.register.last_version += self.rng.u64(1..3);
        let version = self.register.last_version;
        self.register.now = value.map(|value| (version, value));
        self.register.past.push(self.register.now.clone());
        Outcome::Written {
            version: Some(version).filter(|_| !self.shape.hide_versions),
        }
    }

    fn apply(&mut self, call: &Call) -> Outcome {
        match call {
            Call::Put { value } => self.store(Some(value.clone())),
            Call::Delete => self.store(None),
            Call::Cas { expected, value } => {
                let (version, held) = self.register.now.clone().unwrap_or_default();
                let fits = expected.value.as_ref().is_none_or(|value| *value == held);
                if version == expected.version && fits {
                    self.store(value.clone())
                } else {
                    Outcome::Conflict { actual: version }
                }
            }
            Call::Get { level } => {
                let weak = *level != Level::Linearizable && self.rng.bool();
                let state = if weak {
                    self.rng.choice(&self.register.past).cloned().flatten()
                } else {
                    self.register.now.clone()
                };
                Outcome::Read(state.map(|(version, value)| Seen {
                    value,
                    version: Some(version).filter(|_| !self.shape.hide_versions),
                }))
            }
            _ => Outcome::Failed,
        }
    }
}

/// Changes an answer, or the kind of an answer.
pub(crate) fn spoil(rng: &mut Rng, ops: &mut [Op]) {
    let versions: Vec<u64> = (0..8).collect();
    let values = ["0", "1", "2", "3", "4"];
    let number = rng.usize(..ops.len());
    let version = *rng.choice(&versions).unwrap();
    let value = *rng.choice(&values).unwrap();
    let op = &mut ops[number];
    op.outcome = match (&op.call, &op.outcome) {
        (Call::Get { .. }, _) => match rng.u32(..6) {
            0 => Outcome::Read(None),
            1 => Outcome::Read(Some(Seen {
                value: value.to_owned(),
                version: None,
            })),
            _ => Outcome::Read(Some(Seen {
                value: value.to_owned(),
                version: Some(version.max(1)),
            })),
        },
        (Call::Cas { .. }, Outcome::Written { .. }) => Outcome::Conflict { actual: version },
        (Call::Cas { .. }, Outcome::Conflict { .. }) if rng.bool() => Outcome::Conflict { actual: version },
        (_, Outcome::Unknown) => Outcome::Failed,
        (_, Outcome::Failed) if rng.bool() => Outcome::Unknown,
        _ => Outcome::Written {
            version: Some(version.max(1)),
        },
    };
}

/// A history, half of them spoilt, with moments moved apart now and then.
pub(crate) fn small(rng: &mut Rng, shape: Shape) -> Vec<Op> {
    let mut ops = Generator::new(rng, shape).correct();
    for _ in 0..2 {
        if percent(rng, 45) {
            spoil(rng, &mut ops);
        }
    }
    for op in &mut ops {
        let bounded = matches!(
            op.call,
            Call::Get {
                level: Level::Bounded { .. }
            }
        );
        if bounded && percent(rng, 30) {
            op.age_ns = Some(rng.u64(..8) * 10);
        }
    }
    ops
}
