//! How long the checkers take over a long history of a correct database:
//! 100,000 operations of six processes on 50 keys, of which 2 % get no answer.
//!
//! `cargo run --release -p atoll-history --example measure -- [OPERATIONS [KEYS [PERCENT_UNKNOWN [STALE_READS]]]]`
//!
//! The last argument makes so many of 100,000 reads show the value before the present one.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a command line program that measures"
)]

use std::time::Duration;

use atoll_history::check::{self, Budget};
use atoll_history::{Call, Event, Expected, History, Origin, Outcome, Phase, Problem, Seen, Verdict};
use fastrand::Rng;

const PROCESSES: u32 = 6;

#[derive(Clone, Default)]
struct Register {
    version: u64,
    value: Option<String>,
    before: Option<Seen>,
}

impl Register {
    fn seen(&self) -> Option<Seen> {
        let value = self.value.clone()?;
        let version = Some(self.version);
        Some(Seen { value, version })
    }
}

struct World {
    rng: Rng,
    history: History,
    registers: Vec<Register>,
    open: Vec<Option<(Event, Option<Outcome>)>>,
    unknown_percent: u64,
    stale_reads: u64,
    index: u64,
    versions: u64,
}

fn main() -> Result<(), Problem> {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u64>().unwrap_or(0));
    let operations = arguments.next().unwrap_or(100_000);
    let keys = arguments.next().unwrap_or(50);
    let unknown_percent = arguments.next().unwrap_or(2);
    let stale_reads = arguments.next().unwrap_or(0);
    let mut world = World {
        rng: Rng::with_seed(1),
        history: History::default(),
        registers: vec![Register::default(); keys as usize],
        open: (0..PROCESSES).map(|_| None).collect(),
        unknown_percent,
        stale_reads,
        index: 0,
        versions: 0,
    };
    while (world.history.operations().len() as u64) < operations {
        world.step()?;
    }
    println!("{operations} operations, {keys} keys, {unknown_percent} % unknown");
    measure("linearizable", || {
        check::linearizable(&world.history, Budget::default())
    });
    measure("versions", || check::versions(&world.history));
    measure("sessions", || check::sessions(&world.history));
    Ok(())
}

fn measure(name: &str, check: impl FnOnce() -> Verdict) {
    let begin = std::time::Instant::now();
    let verdict = check();
    let elapsed: Duration = begin.elapsed();
    let found = match &verdict {
        Verdict::Violation(found) => found.len(),
        Verdict::Unknown(open) => open.len(),
        Verdict::Ok { .. } => 0,
    };
    let code = verdict.exit_code();
    println!(
        "{name}: {:.3} s, exit code {code}, {found} found",
        elapsed.as_secs_f64()
    );
}

impl World {
    /// Some process invokes, is served, or completes.
    fn step(&mut self) -> Result<(), Problem> {
        let process = self.rng.u32(..PROCESSES);
        let open = self.open.get_mut(process as usize).and_then(Option::take);
        let next = match open {
            None => Some((self.invoke(process)?, None)),
            Some((event, None)) => {
                let outcome = self.serve(&event);
                Some((event, Some(outcome)))
            }
            Some((mut event, Some(outcome))) => {
                let unknown = self.rng.u64(..100) < self.unknown_percent;
                let outcome = if unknown { Outcome::Unknown } else { outcome };
                event.phase = Phase::Complete(outcome);
                self.push(event)?;
                None
            }
        };
        if let Some(open) = self.open.get_mut(process as usize) {
            *open = next;
        }
        Ok(())
    }

    fn push(&mut self, mut event: Event) -> Result<(), Problem> {
        event.index = self.index;
        event.time_ns = self.index * 1000;
        self.index += 1;
        self.history.push(event)
    }

    fn invoke(&mut self, process: u32) -> Result<Event, Problem> {
        let key = self.rng.usize(..self.registers.len());
        let value = self.index.to_string();
        let call = match self.rng.u32(..100) {
            0..35 => Call::Put { value },
            35..40 => Call::Delete,
            40..60 => Call::Cas {
                expected: Expected {
                    version: self.registers.get(key).map_or(0, |register| register.version),
                    value: None,
                },
                value: Some(value),
            },
            _ => Call::GET,
        };
        let event = Event {
            index: 0,
            time_ns: 0,
            process,
            key: key.to_string(),
            call,
            phase: Phase::Invoke,
            origin: Origin::default(),
            error: None,
        };
        self.push(event.clone())?;
        Ok(event)
    }

    fn serve(&mut self, event: &Event) -> Outcome {
        if self.rng.u64(..100) * 2 < self.unknown_percent {
            return Outcome::Unknown;
        }
        let key = event.key.parse().unwrap_or(0);
        let Some(register) = self.registers.get_mut(key) else {
            return Outcome::Failed;
        };
        match &event.call {
            Call::Get { .. } => {
                if self.rng.u64(..100_000) < self.stale_reads {
                    return Outcome::Read(register.before.clone());
                }
                return Outcome::Read(register.seen());
            }
            Call::Cas { expected, .. } if expected.version != register.version => {
                return Outcome::Conflict {
                    actual: register.version,
                };
            }
            _ => {}
        }
        self.versions += 1;
        register.before = register.seen();
        register.value = event.call.stored().map(ToOwned::to_owned);
        register.version = if register.value.is_some() {
            self.versions
        } else {
            0
        };
        Outcome::Written {
            version: Some(self.versions),
        }
    }
}
