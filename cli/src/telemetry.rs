//! Logs on stderr, and a panic that ends the process.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, Result};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Logs from `filter` (`info`, `atoll_raft=debug,info`) on stderr.
pub(crate) fn init(filter: &str, format: LogFormat) -> Result {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!("the log filter '{filter}' is invalid: {error}"))
            .next("write a level (error, warn, info, debug, trace) or pairs such as atoll_raft=warn,info")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // A second initialisation can only come from a test; the first one stands.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    Ok(())
}

/// Logs of the commands that are no servers: silent unless `ATOLL_LOG` asks.
pub(crate) fn init_from_environment() -> Result {
    match std::env::var("ATOLL_LOG") {
        Ok(filter) if !filter.is_empty() => init(&filter, LogFormat::Text),
        _ => Ok(()),
    }
}

/// A panic anywhere in a server ends the process: a task that died silently would leave a node that
/// looks alive, answers some requests and keeps none of its promises.
pub(crate) fn abort_on_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tracing::error!(panic = %info, "a bug: this process ends here");
        default(info);
        std::process::abort();
    }));
}
