//! Lets two checkers judge the same histories: ours, and `adya`, which knows nothing of ours.
//!
//! `cargo run --release -- [HISTORY.jsonl...]` in this folder. Judged are transactions on lists (as strictly
//! serializable), in the files given and in histories made here: of a correct database, and the same with a fault
//! planted. The two must agree on all of them, and call every planted fault wrong. Exit code 0 if so, else 1.

mod make;
mod plant;

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

use adya::{Opts, Valid, Workload};
use atoll_history::{History, Verdict, check, export};

/// Histories made, and in each every kind of fault is planted once.
const SEEDS: u64 = 100;

fn main() -> ExitCode {
    let mut table = Table::default();
    for path in std::env::args().skip(1) {
        let file = File::open(&path).map_err(|error| error.to_string());
        let read = |file| History::read(BufReader::new(file)).map_err(|error| error.to_string());
        match file.and_then(read) {
            Ok(history) => table.judge(&path, &history, None),
            Err(error) => {
                eprintln!("{path}: {error}");
                return ExitCode::from(2);
            }
        }
    }
    for seed in 0..SEEDS {
        let history = make::history(seed);
        table.judge("made here, correct", &history, Some(true));
        for (name, plant) in plant::FAULTS {
            match plant(&history) {
                Some(faulty) => table.judge(&format!("made here, {name}"), &faulty, Some(false)),
                None => eprintln!("seed {seed}: nowhere to plant: {name}"),
            }
        }
    }
    table.print()
}

/// By name: histories, transactions, how often each checker said right, and how often they were not as expected.
#[derive(Default)]
struct Table(std::collections::BTreeMap<String, Row>);

#[derive(Default)]
struct Row {
    histories: usize,
    transactions: usize,
    ours_right: usize,
    theirs_right: usize,
    unlike: usize,
}

impl Table {
    fn judge(&mut self, name: &str, history: &History, expected: Option<bool>) {
        let row = self.0.entry(name.to_owned()).or_default();
        let (ours, transactions) = match check::append(history) {
            Verdict::Ok { judged } => (true, judged),
            Verdict::Violation(_) | Verdict::Unknown(_) => (false, history.operations().len()),
        };
        let (theirs, why) = theirs(history);
        row.histories += 1;
        row.transactions += transactions;
        row.ours_right += usize::from(ours);
        row.theirs_right += usize::from(theirs);
        if ours != theirs || expected.is_some_and(|expected| expected != ours) {
            row.unlike += 1;
            eprintln!(
                "{name}: ours says {ours}, adya says {theirs} ({why}): {}",
                check::append(history)
            );
        }
    }

    fn print(&self) -> ExitCode {
        println!("| histories | count | transactions | right for ours | right for adya | not as expected |");
        println!("|---|---|---|---|---|---|");
        for (name, row) in &self.0 {
            let Row {
                histories,
                transactions,
                ours_right,
                theirs_right,
                unlike,
            } = row;
            println!("| {name} | {histories} | {transactions} | {ours_right} | {theirs_right} | {unlike} |");
        }
        ExitCode::from(u8::from(self.0.values().any(|row| row.unlike > 0)))
    }
}

fn theirs(history: &History) -> (bool, String) {
    let mut edn = Vec::new();
    if let Err(error) = export::elle(history, &mut edn) {
        return (false, error.to_string());
    }
    match adya::History::from_edn(&String::from_utf8_lossy(&edn)) {
        Ok(parsed) => {
            let report = adya::check(&parsed, Workload::ListAppend, &Opts::default());
            (report.valid == Valid::True, report.anomaly_types.join(", "))
        }
        Err(error) => (false, error.to_string()),
    }
}
