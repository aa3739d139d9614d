//! One file or folder per command: its options, its help, what it does.
//!
//! A command is a struct of options with `run`. Those that ask a cluster run in a [`Context`] on one
//! thread; servers and load generators build a runtime of as many threads as they are told to use.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod dev;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod man;
pub(crate) mod placement;
pub(crate) mod reference;
pub(crate) mod shard;
pub(crate) mod shell;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod storage;
pub(crate) mod transfer_leader;
pub(crate) mod verify;

use std::process::ExitCode;

use crate::args::{Command, Query};
use crate::context::Context;
use crate::failure::Result;
use crate::screen::Screen;
use crate::{runtime, telemetry};

/// Runs one command to its end.
pub(crate) fn run(command: Command, screen: Screen) -> Result<ExitCode> {
    // A server brings its own log settings.
    if !matches!(command, Command::Start(_)) {
        telemetry::init_from_environment()?;
    }
    let done = match command {
        Command::Start(start) => start.run(),
        // It has exit codes of its own.
        Command::Verify(verify) => return verify.run(),
        Command::Bench(bench) => bench.run(screen),
        Command::Dev(dev) => runtime::run(1, dev.run()),
        Command::Init(init) => runtime::run(1, init.run()),
        Command::Query(asked) => runtime::run(1, async { query(asked, &Context::once(screen)).await }),
        Command::Config(config) => config.run(screen),
        Command::Storage(storage) => storage.run(screen),
        Command::Placement(placement) => placement.run(screen),
        Command::Shell(shell) => shell.run(screen),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
        Command::Reference(reference) => reference.run(),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Runs one command that asks a cluster. Boxed, so that a command is as large as it is, and not as the
/// largest of all.
pub(crate) async fn query(query: Query, context: &Context) -> Result {
    match query {
        Query::Get(get) => Box::pin(get.run(context)).await,
        Query::Put(put) => Box::pin(put.run(context)).await,
        Query::Del(del) => Box::pin(del.run(context)).await,
        Query::Cas(cas) => Box::pin(cas.run(context)).await,
        Query::Incr(incr) => Box::pin(incr.run(context)).await,
        Query::Append(append) => Box::pin(append.run(context)).await,
        Query::Min(min) => Box::pin(min.run(context)).await,
        Query::Max(max) => Box::pin(max.run(context)).await,
        Query::Count(count) => Box::pin(count.run(context)).await,
        Query::Scan(scan) => Box::pin(scan.run(context)).await,
        Query::Status(status) => Box::pin(status.run(context)).await,
        Query::Shard(shard) => Box::pin(shard.run(context)).await,
        Query::TransferLeader(transfer) => Box::pin(transfer.run(context)).await,
        Query::Import(import) => Box::pin(import.run(context)).await,
        Query::Export(export) => Box::pin(export.run(context)).await,
    }
}
