//! The file: what is written is read back, and what is malformed is refused with its line.

use atoll_history::{Call, Event, Expected, History, Level, Origin, Outcome, Phase, Seen};
use fastrand::Rng;

fn text(rng: &mut Rng) -> String {
    let letters = ['a', '"', '\\', '\n', '\u{7f}', 'é', '😀', '\0', ' ', '-'];
    (0..rng.usize(..6))
        .map(|_| *rng.choice(&letters).unwrap())
        .collect()
}

fn some<T>(rng: &mut Rng, make: impl Fn(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| make(rng))
}

/// All 64 bits, and small ones.
fn number(rng: &mut Rng) -> u64 {
    rng.u64(..) >> rng.u32(..64)
}

fn level(rng: &mut Rng) -> Level {
    match rng.u32(..4) {
        0 => Level::Linearizable,
        1 => Level::Session,
        2 => Level::Bounded {
            max_age_ns: number(rng),
        },
        _ => Level::Eventual,
    }
}

fn call(rng: &mut Rng) -> Call {
    match rng.u32(..8) {
        0 => Call::Put { value: text(rng) },
        1 => Call::Delete,
        2 => Call::Cas {
            expected: Expected {
                version: number(rng),
                value: some(rng, text),
            },
            value: some(rng, text),
        },
        3 => Call::Get { level: level(rng) },
        4 => Call::CounterAdd {
            amount: number(rng).cast_signed(),
        },
        5 => Call::CounterRead { level: level(rng) },
        6 => Call::SetAdd { element: text(rng) },
        _ => Call::SetRead { level: level(rng) },
    }
}

fn outcome(rng: &mut Rng, call: &Call) -> Outcome {
    let version = some(rng, |rng| number(rng).max(1));
    match call {
        _ if rng.u32(..4) == 0 => Outcome::Failed,
        _ if rng.u32(..4) == 0 => Outcome::Unknown,
        Call::Cas { .. } if rng.bool() => Outcome::Conflict { actual: number(rng) },
        Call::Get { .. } => Outcome::Read(some(rng, text).map(|value| Seen { value, version })),
        Call::CounterRead { .. } => Outcome::Counted(number(rng).cast_signed()),
        Call::SetRead { .. } => Outcome::Elements((0..rng.usize(..4)).map(|_| text(rng)).collect()),
        _ => Outcome::Written { version },
    }
}

fn origin(rng: &mut Rng) -> Origin {
    Origin {
        node: some(rng, number),
        group: some(rng, number),
        applied: some(rng, number),
        age_ns: some(rng, number),
    }
}

fn random(rng: &mut Rng) -> History {
    let mut history = History::default();
    let mut open: Vec<Event> = Vec::new();
    let (mut index, mut time_ns) = (0, 0);
    for process in 0..rng.u32(1..12) {
        let call = call(rng);
        let begun = Event {
            index,
            time_ns,
            process,
            key: text(rng),
            call,
            phase: Phase::Invoke,
            origin: origin(rng),
            error: some(rng, text),
        };
        history.push(begun.clone()).unwrap();
        open.push(begun);
        if rng.bool() {
            let mut ended = open.swap_remove(rng.usize(..open.len()));
            ended.phase = Phase::Complete(outcome(rng, &ended.call));
            ended.index = index + 1;
            (ended.origin, ended.error) = (origin(rng), some(rng, text));
            ended.time_ns = time_ns;
            history.push(ended).unwrap();
        }
        index += 2 + number(rng) / 32;
        time_ns += number(rng) / 32;
    }
    history
}

fn lines(history: &History) -> Vec<u8> {
    let mut lines = Vec::new();
    history.write(&mut lines).unwrap();
    lines
}

#[test]
fn every_history_is_read_back_as_it_was() {
    for seed in 0..20_000 {
        let history = random(&mut Rng::with_seed(seed));
        let lines = lines(&history);
        let read = History::read(lines.as_slice()).unwrap();
        assert_eq!(read, history, "seed {seed}: {}", String::from_utf8_lossy(&lines));
    }
}

/// Damaged files are refused or read as another history; nothing panics.
#[test]
fn damage_does_not_panic() {
    let mut refused = 0;
    for seed in 0..20_000 {
        let mut rng = Rng::with_seed(seed);
        let mut lines = lines(&random(&mut rng));
        let at = rng.usize(..lines.len());
        match rng.u32(..3) {
            0 => lines.truncate(at),
            1 => lines[at] ^= 1 << rng.u32(..8),
            _ => drop(lines.remove(at)),
        }
        refused += u32::from(History::read(lines.as_slice()).is_err());
    }
    assert!(refused > 10_000, "{refused}");
}

const GOLDEN: &str = r#"{"index":"0","time":"5","process":1,"type":"invoke","operation":"put","key":"k","value":"v"}
{"index":"1","time":"6","process":2,"type":"invoke","operation":"cas","key":"k","value":"w","expected":"18446744073709551615"}
{"index":"2","time":"7","process":1,"type":"ok","operation":"put","key":"k","value":"v","version":"9007199254740993","node":"3"}
{"index":"3","time":"8","process":2,"type":"fail","operation":"cas","key":"k","value":"w","expected":"18446744073709551615","actual":"0"}
{"index":"4","time":"9","process":2,"type":"invoke","operation":"get","key":"k","level":"bounded","max_age":"50"}
{"index":"5","time":"9","process":2,"type":"info","operation":"get","key":"k","level":"bounded","max_age":"50","error":"timeout"}
"#;

#[test]
fn the_format_stays_what_it_is() {
    let history = History::read(GOLDEN.as_bytes()).unwrap();
    let [put, cas, get] = history.operations() else {
        panic!("{history:?}");
    };
    let version = Some(9_007_199_254_740_993);
    assert_eq!(put.outcome, Outcome::Written { version });
    assert_eq!((put.origin.node, put.ended()), (Some(3), 2));
    assert_eq!(cas.outcome, Outcome::Conflict { actual: 0 });
    assert_eq!((&get.outcome, get.ended()), (&Outcome::Unknown, u64::MAX));
    assert_eq!(String::from_utf8(lines(&history)).unwrap(), GOLDEN);
}

#[track_caller]
fn refuses(line: u64, message: &str, text: &str) {
    let error = History::read(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
    assert!(error.starts_with(&format!("history line {line}:")), "{error}");
}

/// The golden lines with a change in one.
fn changed(from: &str, to: &str) -> String {
    assert!(GOLDEN.contains(from));
    GOLDEN.replacen(from, to, 1)
}

#[test]
fn malformed_lines_are_named() {
    refuses(2, "index 0 after 0", &changed(r#""index":"1""#, r#""index":"0""#));
    refuses(3, "time 1 after 6", &changed(r#""time":"7""#, r#""time":"1""#));
    refuses(
        2,
        "while another is open",
        &changed(r#""process":2"#, r#""process":1"#),
    );
    refuses(
        3,
        "has none open",
        &changed(r#""process":1,"type":"ok""#, r#""process":7,"type":"ok""#),
    );
    refuses(
        3,
        "another operation",
        &changed(r#""value":"v","version""#, r#""value":"x","version""#),
    );
    refuses(
        3,
        "does not fit",
        &changed(r#""version":"9007199254740993""#, r#""version":"0""#),
    );
    refuses(1, "`value` is missing", &changed(r#","value":"v""#, ""));
    refuses(5, "`max_age` is missing", &changed(r#","max_age":"50""#, ""));
    refuses(
        1,
        "`version`",
        &changed(r#""value":"v""#, r#""value":"v","version":"1""#),
    );
    refuses(
        1,
        "unknown field `colour`",
        &changed(r#""value":"v""#, r#""value":"v","colour":"1""#),
    );
    refuses(1, "string", &changed(r#""index":"0""#, r#""index":0"#));
    refuses(4, "64-bit", &changed(r#""actual":"0""#, r#""actual":"-1""#));
    refuses(6, "EOF", GOLDEN.trim_end().trim_end_matches('}'));
}

#[test]
fn an_endless_line_is_not_read_to_its_end() {
    let endless = std::io::BufReader::new(std::io::repeat(b' '));
    let error = History::read(endless).unwrap_err().to_string();
    assert_eq!(error, "history line 1: longer than 16777216 bytes");
}
