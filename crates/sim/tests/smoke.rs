//! Small runs with crashes and cuts: eventful, and the same every time.

use std::collections::BTreeMap;
use std::process::Command;

use atoll_sim::{Options, Report, run};

const SEEDS: std::ops::Range<u64> = 1..31;

fn is_eventful(report: &Report) {
    assert_eq!(report.violations, Vec::<String>::new(), "seed {}", report.seed);
    let operations = |outcome| report.operations_with(outcome);
    let checked = |invariant| report.checks_of(invariant);
    assert!(report.faults_like("crashes") >= 4, "{report:?}");
    assert!(report.faults_like("cuts") >= 1, "{report:?}");
    assert!(
        operations("writes") >= 100 && operations("reads") >= 100,
        "{report:?}"
    );
    assert!(checked("state machine safety") >= 300, "{report:?}");
    assert!(checked("commit on a durable majority") >= 100, "{report:?}");
    assert!(checked("durable entries survive") >= 8, "{report:?}");
}

#[test]
fn nothing_acknowledged_is_lost_whatever_breaks() {
    let (mut conflicts, mut unclear) = (0, 0);
    for seed in SEEDS {
        let report = run(seed, &Options::smoke());
        is_eventful(&report);
        let operations = |outcome| report.operations_with(outcome);
        conflicts += operations("conflicts");
        unclear += operations("unknown") + operations("failed");
    }
    assert!(
        conflicts > 0 && unclear > 0,
        "the seeds are too gentle: {conflicts} conflicts, {unclear} unclear"
    );
}

#[test]
fn a_seed_repeats_its_run_to_the_last_frame() {
    let options = Options {
        keep_trace: true,
        ..Options::smoke()
    };
    let (first, second) = (run(101, &options), run(101, &options));
    for (ours, theirs) in first.trace.iter().zip(&second.trace) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(first, second);
    // Another thread has other thread-local state, and its own runtime anyway.
    let options = Options::smoke();
    let elsewhere = std::thread::scope(|scope| {
        scope
            .spawn(|| run(101, &options))
            .join()
            .expect("the run does not panic")
    });
    assert_eq!(elsewhere.trace_hash, first.trace_hash);
    assert_ne!(run(102, &options).trace_hash, first.trace_hash);
    is_eventful(&first);
}

/// What the program says of some seeds.
fn ask(arguments: &[&str]) -> BTreeMap<String, String> {
    let said = Command::new(env!("CARGO_BIN_EXE_atoll-sim"))
        .args(arguments)
        .output()
        .expect("the program runs");
    let lines = String::from_utf8(said.stdout).expect("it speaks UTF-8");
    let hash = |line: &str| {
        let (seed, rest) = line.strip_prefix("seed ")?.split_once(": trace ")?;
        Some((seed.to_owned(), rest.split_once(',')?.0.to_owned()))
    };
    lines.lines().filter_map(hash).collect()
}

/// Runs with every kind of trouble, in this process, in two others, and on several threads.
#[test]
fn a_seed_is_the_same_run_in_every_process() {
    let campaign = ["campaign", "--seeds", "1..9", "--seconds", "8", "--jobs"];
    let one = ask(&[&campaign[..], &["1"]].concat());
    let two = ask(&[&campaign[..], &["2"]].concat());
    assert_eq!(one.len(), 8, "{one:?}");
    assert_eq!(one, two);
    for seed in [3, 6] {
        let options = Options {
            length: std::time::Duration::from_secs(8),
            ..Options::default()
        };
        let hash = format!("{:016x}", run(seed, &options).trace_hash);
        assert_eq!(one.get(&seed.to_string()), Some(&hash), "seed {seed}");
    }
}
