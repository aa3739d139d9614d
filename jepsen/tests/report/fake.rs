//! Records that look like those of real runs, made from a seed without any cluster.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure ends the test"
)]

use std::collections::BTreeMap;

use atoll_history::check::{Budget, counter, linearizable, set};
use atoll_history::{Call, Event, Expected, History, Level, Origin, Outcome, Phase as Half, Seen, Verdict};
use atoll_jepsen::record::{Check, Demand, Fault, LeaderSample, Phase, Record};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000 * MS;

/// A small generator: the tests must not depend on one of a library.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What kind of run.
pub(crate) struct Shape {
    pub(crate) seed: u64,
    pub(crate) operations: usize,
    pub(crate) processes: u32,
    /// A read of this key, halfway, answers what was there long before.
    pub(crate) stale_key: Option<&'static str>,
    /// Whether the checkers look at it; else it passes.
    pub(crate) judged: bool,
}

pub(crate) const LENGTH_NS: u64 = 80 * S;

/// A store as simple as it gets: an operation takes effect at one moment between its two events.
struct Store {
    dice: Dice,
    version: u64,
    values: BTreeMap<String, Seen>,
    before: BTreeMap<String, Seen>,
    faults: Vec<Fault>,
    stale: Option<(String, u64)>,
    planted: bool,
}

impl Store {
    fn call(&mut self, number: usize) -> (String, Call) {
        let key = format!("register-{}", self.dice.below(7));
        let call = match self.dice.below(10) {
            0..=2 => Call::Put {
                value: format!("a{number}"),
            },
            3 => Call::Cas {
                expected: Expected {
                    version: self.values.get(&key).and_then(|seen| seen.version).unwrap_or(0)
                        - self.dice.below(2).min(self.values.get(&key).map_or(0, |_| 1)),
                    value: None,
                },
                value: Some(format!("c{number}")),
            },
            4..=6 => Call::GET,
            7 => Call::Get {
                level: Level::Session,
            },
            8 => Call::CounterAdd { amount: 1 },
            _ => Call::SetAdd {
                element: format!("e{number}"),
            },
        };
        match call {
            Call::CounterAdd { .. } => ("counter-1".to_owned(), call),
            Call::SetAdd { .. } => ("set-1".to_owned(), call),
            _ => (key, call),
        }
    }

    /// How many faults that hurt are in place.
    fn hurt(&self, at_ns: u64) -> u64 {
        let on = |fault: &&Fault| fault.begin_ns <= at_ns && at_ns < fault.end_ns;
        self.faults.iter().filter(on).count() as u64
    }

    fn apply(&mut self, key: &str, call: &Call, at_ns: u64) -> Outcome {
        self.version += 1;
        let version = Some(self.version);
        match call {
            Call::Put { value } => self.store(key, value),
            Call::Cas { expected, value } => {
                let actual = self.values.get(key).and_then(|seen| seen.version).unwrap_or(0);
                if actual != expected.version {
                    return Outcome::Conflict { actual };
                }
                self.store(key, value.as_deref().unwrap());
            }
            Call::Get { level } => {
                let wanted = self
                    .stale
                    .as_ref()
                    .is_some_and(|(stale, from)| stale == key && at_ns > *from);
                let old = self.before.get(key).cloned();
                if wanted && !self.planted && *level == Level::Linearizable && old.is_some() {
                    self.planted = true;
                    return Outcome::Read(old);
                }
                return Outcome::Read(self.values.get(key).cloned());
            }
            _ => {}
        }
        Outcome::Written { version }
    }

    fn store(&mut self, key: &str, value: &str) {
        let seen = Seen {
            value: value.to_owned(),
            version: Some(self.version),
        };
        if let Some(old) = self.values.insert(key.to_owned(), seen) {
            self.before.insert(key.to_owned(), old);
        }
    }
}

/// An operation under way.
struct Open {
    key: String,
    call: Call,
    from_ns: u64,
    until_ns: u64,
    outcome: Option<Outcome>,
    error: Option<String>,
    node: u64,
}

/// Plays the history of a shape, one event after the other.
pub(crate) fn history(shape: &Shape, faults: &[Fault]) -> History {
    let mut store = Store {
        dice: Dice::new(shape.seed),
        version: 0,
        values: BTreeMap::new(),
        before: BTreeMap::new(),
        faults: faults.to_vec(),
        stale: shape.stale_key.map(|key| (key.to_owned(), LENGTH_NS / 2)),
        planted: false,
    };
    let mut history = History::default();
    let mut open: Vec<Option<Open>> = (0..shape.processes).map(|_| None).collect();
    let rest_ns = (LENGTH_NS - 16 * S) * u64::from(shape.processes) / (shape.operations as u64).max(1);
    // When each process begins or ends something next.
    let mut next: Vec<u64> = (0..shape.processes)
        .map(|process| u64::from(process) * 3 * MS)
        .collect();
    let (mut invoked, mut index) = (0, 0);
    while invoked < shape.operations || open.iter().any(Option::is_some) {
        let process = (0..next.len()).min_by_key(|process| next[*process]).unwrap();
        let now = next[process];
        let (event_key, call, half, origin, error) = match open[process].take() {
            None if invoked == shape.operations => {
                next[process] = u64::MAX;
                continue;
            }
            None => {
                invoked += 1;
                let begun = begin(&mut store, invoked, now);
                next[process] = begun.until_ns;
                let result = (
                    begun.key.clone(),
                    begun.call.clone(),
                    Half::Invoke,
                    Origin::default(),
                    None,
                );
                open[process] = Some(begun);
                result
            }
            Some(done) => {
                let outcome = done
                    .outcome
                    .unwrap_or_else(|| store.apply(&done.key, &done.call, now));
                let origin = Origin {
                    node: Some(done.node),
                    ..Origin::default()
                };
                let took = now - done.from_ns;
                next[process] = now + rest_ns.saturating_sub(took) / 2 + store.dice.below(rest_ns);
                (done.key, done.call, Half::Complete(outcome), origin, done.error)
            }
        };
        index += 1;
        let event = Event {
            index,
            time_ns: now,
            process: process as u32,
            key: event_key,
            call,
            phase: half,
            origin,
            error,
        };
        history.push(event).unwrap();
    }
    history
}

fn begin(store: &mut Store, number: usize, now: u64) -> Open {
    let (key, call) = store.call(number);
    let hurt = store.hurt(now);
    let usual = MS + store.dice.below(MS) * (1 + store.dice.below(6));
    let tail = if store.dice.chance(2 + 3 * hurt) {
        store.dice.below(300 * MS)
    } else {
        0
    };
    let mut open = Open {
        key,
        call,
        from_ns: now,
        until_ns: now + usual + tail,
        outcome: None,
        error: None,
        node: 1 + store.dice.below(5),
    };
    if store.dice.chance(3 * hurt) {
        open.outcome = Some(Outcome::Failed);
        open.error = Some("not the leader of this slot, and nobody knows who is".to_owned());
    } else if store.dice.chance(2 * hurt) {
        open.until_ns = now + S + store.dice.below(S / 2);
        // A coin is thrown whether it happens all the same.
        if store.dice.chance(50) {
            store.apply(&open.key, &open.call, now);
        }
        open.outcome = Some(Outcome::Unknown);
        open.error = Some("deadline exceeded <after the request was sent>".to_owned());
    }
    open
}

pub(crate) fn faults(seed: u64) -> Vec<Fault> {
    const KINDS: [(&str, &str); 9] = [
        ("partition/halves", "nodes 1, 2 from 3, 4, 5"),
        ("partition/leader", "isolate node 3 from 1, 2, 4, 5"),
        ("partition/one-way", "drop what node 2 sends to 4"),
        ("kill/leader", "SIGKILL node 3"),
        ("kill/minority", "SIGKILL nodes 2, 5"),
        ("pause/leader", "SIGSTOP node 1"),
        ("link/delay", "50 ms ± 20 ms on every link of node 4"),
        ("disk/slow", "every fsync of node 2 takes 400 ms"),
        ("cluster/leader-transfer", "group 2 from node 1 to node 4"),
    ];
    let mut dice = Dice::new(seed + 7);
    let mut faults: Vec<Fault> = (0..24)
        .map(|_| {
            let (name, what) = KINDS[dice.below(KINDS.len() as u64) as usize];
            let begin_ns = 8 * S + dice.below(52 * S);
            Fault {
                name: name.to_owned(),
                what: what.to_owned(),
                nodes: what
                    .bytes()
                    .filter(u8::is_ascii_digit)
                    .map(|digit| u16::from(digit - b'0'))
                    .take(2)
                    .collect(),
                begin_ns,
                end_ns: (begin_ns + S / 2 + dice.below(7 * S)).min(68 * S),
            }
        })
        .collect();
    faults.sort_by_key(|fault| fault.begin_ns);
    faults
}

fn leaders(seed: u64) -> Vec<LeaderSample> {
    let mut dice = Dice::new(seed + 13);
    let mut samples = Vec::new();
    let mut leader = [1_u16, 2, 3, 4];
    let mut term = [2_u64, 2, 3, 2];
    let mut down_until = [0_u64; 6];
    for tick in 0..400 {
        let time_ns = tick * LENGTH_NS / 400;
        if dice.chance(3) && time_ns > 8 * S && time_ns < 68 * S {
            down_until[1 + dice.below(5) as usize] = time_ns + 4 * S;
        }
        for group in 0..4 {
            if down_until[leader[group] as usize] > time_ns || dice.chance(1) {
                leader[group] = 1 + dice.below(5) as u16;
                term[group] += 1;
            }
            for node in (1..=5).filter(|node| down_until[*node as usize] <= time_ns) {
                samples.push(LeaderSample {
                    time_ns,
                    node,
                    group: group as u64,
                    term: term[group],
                    leads: node == leader[group],
                });
            }
        }
    }
    samples
}

fn check(name: &str, about: &'static str, verdict: Verdict) -> Check {
    Check {
        name: name.to_owned(),
        about,
        verdict,
    }
}

fn checks(history: &History) -> Vec<Check> {
    vec![
        check(
            "linearizable",
            "Registers: some order of all writes and linearizable reads of a key explains every answer.",
            linearizable(history, Budget::default()),
        ),
        check(
            "counter",
            "Counters: every read lies between what was certainly and what was possibly added.",
            counter(history),
        ),
        check(
            "set",
            "Sets: no acknowledged element is lost, none appears from nowhere.",
            set(history),
        ),
    ]
}

fn gate() -> Vec<Demand> {
    vec![
        Demand::at_least(
            "successful operations per second before the first fault",
            20.0,
            104.3,
        ),
        Demand::at_least(
            "successful operations per second while faults were on",
            5.0,
            61.75,
        ),
        Demand::at_most("faults that could not be mended", 0.0, 0.0),
        Demand::at_most(
            "seconds until every group served again after the last fault",
            30.0,
            2.4,
        ),
        Demand::at_least("times partition/leader was in place", 1.0, 4.0),
    ]
}

pub(crate) fn record(shape: &Shape) -> Record {
    let faults = faults(shape.seed);
    let history = history(shape, &faults);
    let checks = if shape.judged {
        checks(&history)
    } else {
        let judged = shape.operations;
        vec![check("nothing", "Not looked at.", Verdict::Ok { judged })]
    };
    let phase = |name, begin_ns, end_ns| Phase {
        name,
        begin_ns,
        end_ns,
    };
    Record {
        workloads: vec!["register".to_owned(), "set".to_owned(), "counter".to_owned()],
        nemeses: vec![
            "partition".to_owned(),
            "kill".to_owned(),
            "pause".to_owned(),
            "disk/slow".to_owned(),
        ],
        seed: shape.seed,
        nodes: 5,
        groups: 3,
        program: "atoll 0.1.0".to_owned(),
        command: format!(
            "atoll verify --workload register,set,counter --nemesis partition,kill,pause,disk/slow --time 60 --seed {} --nodes 5",
            shape.seed
        ),
        began_unix_ms: 1_763_756_583_000,
        history,
        faults,
        leaders: leaders(shape.seed),
        phases: vec![
            phase("warm-up", 0, 8 * S),
            phase("faults", 8 * S, 68 * S),
            phase("recovery", 68 * S, 74 * S),
            phase("final reads", 74 * S, LENGTH_NS),
        ],
        checks,
        gate: gate(),
        not_injected: vec![
            "clock/offset: needs a build with the feature `faults`".to_owned(),
            "disk/full: needs root or a quota".to_owned(),
        ],
        spared: Vec::new(),
        log_findings: Vec::new(),
        last_words: Vec::new(),
    }
}

pub(crate) fn pass() -> Record {
    record(&Shape {
        seed: 7,
        operations: 8_000,
        processes: 12,
        stale_key: None,
        judged: true,
    })
}

pub(crate) fn violation() -> Record {
    record(&Shape {
        seed: 11,
        operations: 8_000,
        processes: 12,
        stale_key: Some("register-3"),
        judged: true,
    })
}

pub(crate) fn empty() -> Record {
    Record {
        history: History::default(),
        faults: Vec::new(),
        leaders: Vec::new(),
        phases: Vec::new(),
        checks: Vec::new(),
        gate: Vec::new(),
        not_injected: Vec::new(),
        nemeses: Vec::new(),
        ..pass()
    }
}

pub(crate) fn large() -> Record {
    record(&Shape {
        seed: 3,
        operations: 200_000,
        processes: 64,
        stale_key: None,
        judged: false,
    })
}
