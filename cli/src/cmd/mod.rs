//! One file or folder per command: its options, its help, what it does.
//!
//! A command is a struct of options with `run`, which builds its own runtime: data commands need one
//! thread, servers and load generators as many as they are told to use.

pub(crate) mod bench;
pub(crate) mod cas;
pub(crate) mod del;
pub(crate) mod dev;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod put;
pub(crate) mod scan;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod transfer_leader;

use crate::args::Command;
use crate::failure::Result;
use crate::{runtime, telemetry};

/// Runs one command to its end.
pub(crate) fn run(command: Command) -> Result {
    // A server brings its own log settings.
    if let Command::Start(start) = command {
        return start.run();
    }
    telemetry::init_from_environment()?;
    match command {
        Command::Start(start) => start.run(),
        Command::Bench(bench) => bench.run(),
        Command::Dev(dev) => runtime::run(1, dev.run()),
        Command::Init(init) => runtime::run(1, init.run()),
        Command::Status(status) => runtime::run(1, status.run()),
        Command::TransferLeader(transfer) => runtime::run(1, transfer.run()),
        Command::Get(get) => runtime::run(1, get.run()),
        Command::Put(put) => runtime::run(1, put.run()),
        Command::Del(del) => runtime::run(1, del.run()),
        Command::Cas(cas) => runtime::run(1, cas.run()),
        Command::Scan(scan) => runtime::run(1, scan.run()),
        Command::Import(import) => runtime::run(1, import.run()),
    }
}

/// How writes answer.
pub(crate) mod written {
    use atoll_types::Version;

    use crate::failure::Result;
    use crate::output::{Format, Output};

    /// Prints the version a write got.
    pub(crate) fn print(format: Format, version: Version) -> Result {
        let mut output = Output::stdout();
        match format {
            Format::Table => output.line(&format!("ok, version {version}"))?,
            Format::Raw => output.line(&version.to_string())?,
            Format::Json => {
                output.json(&serde_json::json!({ "applied": true, "version": version.to_string() }))?;
            }
        }
        output.finish()
    }
}
