//! Lets two checkers judge the same histories: ours, and one that others wrote.
//!
//! `cargo run --release -- [--porcupine PROGRAM] [HISTORY.jsonl...]` in this folder. Transactions on lists are judged as
//! strictly serializable, by ours and by `adya`; with the program of the folder `porcupine`, registers too, as linearizable.
//! Judged are the files given, and histories made here: of a correct database, and the same with a fault planted. The two
//! must agree on all of them, and call every planted fault wrong. Exit code 0 if so, 1 if not, 2 for what cannot be read.

mod make;
mod plant;
mod registers;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use adya::{Opts, Valid, Workload};
use atoll_history::check::{self, Budget, linearizable};
use atoll_history::{History, Parts, Verdict, export};

/// Histories made, and in each every kind of fault is planted once.
const SEEDS: u64 = 100;

/// What a checker says of a history that it is not about.
const NOTHING: Verdict = Verdict::Ok { judged: 0 };

fn main() -> ExitCode {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    let mut table = Table::default();
    if paths.first().is_some_and(|first| first == "--porcupine") && paths.len() > 1 {
        table.porcupine = Some(PathBuf::from(paths.remove(1)));
        paths.remove(0);
    }
    match table.judge_all(&paths) {
        Ok(()) => table.print(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn read(path: &str) -> Result<History, String> {
    let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
    History::read(BufReader::new(file)).map_err(|error| format!("{path}: {error}"))
}

/// By name: histories, transactions, how often each checker said right, and how often they were not as expected.
#[derive(Default)]
struct Table {
    rows: BTreeMap<String, Row>,
    porcupine: Option<PathBuf>,
}

#[derive(Default)]
struct Row {
    histories: usize,
    operations: usize,
    ours_right: usize,
    theirs_right: usize,
    unlike: usize,
}

impl Table {
    fn judge_all(&mut self, paths: &[String]) -> Result<(), String> {
        for path in paths {
            let before = self.unlike();
            let history = read(path)?;
            let parts = Parts::new(&history).map_err(|problem| format!("{path}: {problem}"))?;
            if check::append(&history) != NOTHING {
                self.judge_lists("lists, runs given", &history, None);
            }
            if linearizable(parts.history(), Budget { steps: 0 }) != NOTHING {
                self.judge_registers("registers, runs given", parts.history(), None)?;
            }
            if self.unlike() > before {
                eprintln!("... in {path}");
            }
        }
        for seed in 0..SEEDS {
            let history = make::history(seed);
            self.judge_lists("lists, correct", &history, Some(true));
            for (name, plant) in plant::FAULTS {
                match plant(&history) {
                    Some(faulty) => self.judge_lists(name, &faulty, Some(false)),
                    None => eprintln!("seed {seed}: nowhere to plant: {name}"),
                }
            }
            let history = registers::history(seed);
            self.judge_registers("registers, correct", &history, Some(true))?;
            for (name, plant) in registers::FAULTS {
                match plant(&history) {
                    Some(faulty) => self.judge_registers(name, &faulty, Some(false))?,
                    None => eprintln!("seed {seed}: nowhere to plant: {name}"),
                }
            }
        }
        Ok(())
    }

    fn unlike(&self) -> usize {
        self.rows.values().map(|row| row.unlike).sum()
    }

    fn judge_lists(&mut self, name: &str, history: &History, expected: Option<bool>) {
        let ours = match check::append(history) {
            Verdict::Ok { .. } => Some(true),
            Verdict::Violation(_) => Some(false),
            Verdict::Unknown(_) => None,
        };
        let (theirs, why) = theirs(history);
        self.note(name, history, [ours, theirs], expected, &why);
    }

    fn judge_registers(
        &mut self,
        name: &str,
        history: &History,
        expected: Option<bool>,
    ) -> Result<(), String> {
        let Some(program) = &self.porcupine else {
            return Ok(());
        };
        let theirs = registers::theirs(program, history)?;
        self.note(name, history, [registers::ours(history), theirs], expected, "");
        Ok(())
    }

    fn note(
        &mut self,
        name: &str,
        history: &History,
        said: [Option<bool>; 2],
        expected: Option<bool>,
        why: &str,
    ) {
        let [ours, theirs] = said;
        let row = self.rows.entry(name.to_owned()).or_default();
        row.histories += 1;
        row.operations += history.operations().len();
        row.ours_right += usize::from(ours == Some(true));
        row.theirs_right += usize::from(theirs == Some(true));
        if ours.is_none() || ours != theirs || expected.is_some_and(|expected| Some(expected) != ours) {
            row.unlike += 1;
            eprintln!("{name}: ours says {ours:?}, the other {theirs:?} {why}");
        }
    }

    fn print(&self) -> ExitCode {
        println!(
            "| histories | count | operations | right for ours | right for the other | not as expected |"
        );
        println!("|---|---|---|---|---|---|");
        for (name, row) in &self.rows {
            let Row {
                histories,
                operations,
                ours_right,
                theirs_right,
                unlike,
            } = row;
            println!("| {name} | {histories} | {operations} | {ours_right} | {theirs_right} | {unlike} |");
        }
        ExitCode::from(u8::from(self.unlike() > 0))
    }
}

fn theirs(history: &History) -> (Option<bool>, String) {
    let mut edn = Vec::new();
    if let Err(error) = export::elle(history, &mut edn) {
        return (None, error.to_string());
    }
    match adya::History::from_edn(&String::from_utf8_lossy(&edn)) {
        Ok(parsed) => {
            let report = adya::check(&parsed, Workload::ListAppend, &Opts::default());
            let valid = match report.valid {
                Valid::True => Some(true),
                Valid::False => Some(false),
                Valid::Unknown => None,
            };
            (valid, report.anomaly_types.join(", "))
        }
        Err(error) => (None, error.to_string()),
    }
}
