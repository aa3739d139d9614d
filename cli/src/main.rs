//! The `atoll` command: server, administration and data access in one binary.
//!
//! `args` says what can be asked, `options` what several commands share, `cmd` has one file or folder
//! per command, `output` and `failure` say how every command answers, `records` is files of records. Nothing here knows how data is replicated: servers come from
//! `atoll-server`, everything else goes through `atoll-client`.

mod args;
mod cmd;
mod context;
mod encoding;
mod failure;
mod faults;
mod keys;
mod options;
mod output;
mod records;
mod runtime;
mod screen;
mod settings;
mod survey;
mod telemetry;
mod units;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::screen::Screen;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What ships has no deliberate bugs in it, not even sleeping ones.
const _: () = assert!(
    faults::BUILD || !atoll_types::mutant::COMPILED_IN,
    "the feature `mutants` is for the simulator only; for real processes it is `faults`"
);

fn main() -> ExitCode {
    let matches = args::with_plain_usage(args::Cli::command()).try_get_matches();
    let cli = match matches.and_then(|matches| args::Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        // Its exit code 2 has another meaning.
        Err(error) if cmd::verify::is_asked(std::env::args_os()) => {
            return atoll_jepsen::args::misused(&error);
        }
        Err(error) => error.exit(),
    };
    let screen = Screen::detect(cli.color);
    match cmd::run(cli.command, screen) {
        Ok(code) => code,
        Err(failure) => failure.report(screen),
    }
}
