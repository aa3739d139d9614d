//! `atoll verify`: this program breaks a cluster of itself.

use std::ffi::OsString;
use std::process::ExitCode;

use atoll_jepsen::args::{self, Program};
use atoll_jepsen::program;
use clap::Args;

use crate::failure::Result;
use crate::runtime;

/// Proxies, clients and checkers share these.
const THREADS: usize = 2;

const PROGRAM: Program = Program {
    name: "atoll verify",
    binary: program::itself,
};

/// Break a cluster made for that on this machine, and judge what its clients saw.
#[derive(Debug, Args)]
#[command(after_help = args::EXAMPLES.replace("PROGRAM", PROGRAM.name))]
pub(crate) struct Verify {
    #[command(flatten)]
    args: args::Args,
}

impl Verify {
    /// Runs to the end. Its exit codes are its own.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let work = async { Ok(Box::pin(self.args.run(&PROGRAM)).await) };
        runtime::run(THREADS, work).map(ExitCode::from)
    }
}

/// Whether a command line, this program's name first, is one of this command.
pub(crate) fn is_asked(mut line: impl Iterator<Item = OsString>) -> bool {
    line.nth(1).is_some_and(|command| command == "verify")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_command_line_is_known_from_others() {
        let asked = |line: &str| is_asked(line.split(' ').map(OsString::from));
        assert!(asked("atoll verify --such"));
        assert!(!asked("atoll get verify --such") && !asked("atoll"));
    }
}
