//! The mutation gate: every deliberate bug must be found.
//!
//! A build with deliberate bugs in it is one of its own, in a folder of its own: the ordinary one starts
//! it. There, each search is a process of its own, because some bugs end in a panic, which ends the
//! process.
#![expect(clippy::print_stdout, reason = "this is what the command is for")]

use std::process::{Command, ExitCode};

use clap::Args;

/// Wakes every deliberate bug in turn and runs seeds until it is found.
#[derive(Args, Clone, Debug)]
pub(crate) struct Gate {
    /// Only these bugs.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Runs per bug at most.
    #[arg(long, default_value_t = 300)]
    runs: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Simulated seconds with faults of each run.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Searches at a time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

#[cfg(not(feature = "mutants"))]
impl Gate {
    /// Builds the simulator with deliberate bugs and runs it with the same arguments.
    pub(crate) fn run(&self) -> ExitCode {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
        let status = Command::new(cargo)
            .args([
                "run",
                "--quiet",
                "--profile",
                "gate",
                "-p",
                "atoll-sim",
                "--features",
                "mutants",
            ])
            .args(["--target-dir", &format!("{target}/faults"), "--", "mutants"])
            .args(self.arguments())
            .status();
        match status {
            Ok(status) => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                ExitCode::from(code.unwrap_or(2))
            }
            Err(error) => {
                println!("cargo does not start: {error}");
                ExitCode::from(2)
            }
        }
    }
}

#[cfg(not(feature = "mutants"))]
impl Gate {
    fn arguments(&self) -> Vec<String> {
        let numbers = [
            ("--runs", self.runs),
            ("--first-seed", self.first_seed),
            ("--seconds", self.seconds),
            ("--jobs", self.jobs as u64),
        ];
        let mut arguments: Vec<String> = numbers
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value.to_string()])
            .collect();
        if !self.only.is_empty() {
            arguments.extend(["--only".to_owned(), self.only.join(",")]);
        }
        arguments
    }
}

#[cfg(feature = "mutants")]
mod woken;
#[cfg(feature = "mutants")]
pub(crate) use woken::Hunter;
