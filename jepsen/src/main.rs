//! `cargo run --release -p atoll-jepsen`: breaks a real cluster and judges what its clients saw.

use std::process::ExitCode;

use atoll_jepsen::args::{self, Args, EXAMPLES, Program};
use atoll_jepsen::program;
use clap::{CommandFactory, FromArgMatches, Parser};

/// Break a real cluster and judge what its clients saw.
#[derive(Debug, Parser)]
#[command(name = "atoll-jepsen", version)]
struct Line {
    #[command(flatten)]
    args: Args,
}

const PROGRAM: Program = Program {
    name: "cargo run --release -p atoll-jepsen --",
    binary: program::beside,
};

fn main() -> ExitCode {
    let command = Line::command().after_help(EXAMPLES.replace("PROGRAM", "atoll-jepsen"));
    let line = command
        .try_get_matches()
        .and_then(|matches| Line::from_arg_matches(&matches));
    let line = match line {
        Ok(line) => line,
        Err(error) => return args::misused(&error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(Box::pin(line.args.run(&PROGRAM)));
            // Whatever still waits for an answer waits for nothing.
            runtime.shutdown_background();
            ExitCode::from(code)
        }
        Err(_) => ExitCode::from(2),
    }
}
