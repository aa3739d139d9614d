//! `atoll start`

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use atoll_env::Env;
use atoll_server::{Node, NodeConfig, StartError};
use clap::Args;
use clap::builder::FalseyValueParser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::{Exit, Failure, Result};
use crate::telemetry::LogFormat;
use crate::units::parse_address;
use crate::{runtime, telemetry};

const EXAMPLES: &str = "\
Examples:
  atoll start --data-dir /var/lib/atoll --listen 127.0.0.1:7401
  atoll start --data-dir d2 --listen 127.0.0.1:7402 --join 127.0.0.1:7401,127.0.0.1:7403
  atoll start --data-dir d --listen 0.0.0.0:7401 --advertise db1.internal:7401 --insecure

A fresh node waits for `atoll init`. A node that was stopped or killed is started the same way again
and has its data. SIGTERM and Ctrl-C stop it gracefully; a second one at once.";

/// More threads than this bring nothing for one node.
const THREADS_DEFAULT_MAX: usize = 4;
/// openraft tells every message at `info`.
const LOG_DEFAULT: &str = "info,openraft=warn";
/// A graceful stop that takes longer is cut short; what was acknowledged is on disk anyway.
const STOP_MAX: Duration = Duration::from_secs(20);

/// Run one node in the foreground.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Start {
    /// Where the node keeps everything; made if absent.
    #[arg(long, env = "ATOLL_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,

    /// The address to serve at.
    #[arg(long, env = "ATOLL_LISTEN", default_value = "127.0.0.1:7401", value_parser = parse_address)]
    #[arg(value_name = "HOST:PORT")]
    listen: String,

    /// The address other nodes and clients reach it at [default: the one it serves at].
    #[arg(long, env = "ATOLL_ADVERTISE", value_parser = parse_address, value_name = "HOST:PORT")]
    advertise: Option<String>,

    /// Addresses of other nodes.
    #[arg(long, env = "ATOLL_JOIN", value_delimiter = ',', value_parser = parse_address)]
    #[arg(value_name = "HOST:PORT,…")]
    join: Vec<String>,

    /// Allow addresses that are not loopback: anyone who reaches them can read and write everything.
    #[arg(long, env = "ATOLL_INSECURE", value_parser = FalseyValueParser::new())]
    insecure: bool,

    /// Threads for requests, replication and apply [default: the number of cores, at most 4].
    #[arg(long, env = "ATOLL_THREADS", value_parser = parse_threads, value_name = "N")]
    threads: Option<usize>,

    /// Size of one journal segment in MiB.
    #[arg(long, env = "ATOLL_SEGMENT_MIB", default_value_t = 64, value_name = "MIB")]
    #[arg(value_parser = clap::value_parser!(u32).range(8..=1024))]
    segment_mib: u32,

    /// Grow journal segments as they fill instead of filling them with zeros ahead of time.
    #[arg(long, env = "ATOLL_NO_PREALLOCATE", value_parser = FalseyValueParser::new())]
    no_preallocate: bool,

    /// What to log: a level, or pairs such as atoll_raft=warn,info; release builds have no debug level.
    #[arg(long, env = "ATOLL_LOG", default_value = LOG_DEFAULT, value_name = "FILTER")]
    log: String,

    /// How log lines look.
    #[arg(long, env = "ATOLL_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,

    /// Stop when standard input closes, so that a node cannot outlive the process that started it.
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
}

fn parse_threads(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=256) => Ok(threads),
        _ => Err(format!("'{text}' is not a number of threads from 1 to 256")),
    }
}

impl Start {
    /// Serves until told to stop.
    pub(crate) fn run(self) -> Result {
        telemetry::init(&self.log, self.log_format)?;
        telemetry::abort_on_panic();
        let config = self.config()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.unwrap_or(cores.min(THREADS_DEFAULT_MAX));
        runtime::run(threads, serve(config, self.exit_with_stdin))
    }

    fn config(&self) -> Result<NodeConfig> {
        let mut config = NodeConfig::new(std::path::absolute(&self.data_dir)?, self.listen.clone());
        config.advertise.clone_from(&self.advertise);
        config.join.clone_from(&self.join);
        config.insecure = self.insecure;
        config.segment_bytes = self.segment_mib * 1024 * 1024;
        config.preallocate = !self.no_preallocate;
        config
            .validate()
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(config)
    }
}

async fn serve(config: NodeConfig, exit_with_stdin: bool) -> Result {
    let env = Env::real();
    let mut stop = Stop::new(&env, exit_with_stdin)?;
    let node = tokio::select! {
        node = Box::pin(Node::start(env.clone(), config)) => node.map_err(|error| start_failure(&error))?,
        reason = stop.wait() => {
            tracing::info!(reason, "stopped before it had started");
            return Ok(());
        }
    };
    tracing::info!(address = node.address(), "serving");
    let reason = stop.wait().await;
    tracing::info!(reason, "stopping");
    tokio::select! {
        done = env.clock.timeout(STOP_MAX, Box::pin(node.shutdown())) => {
            tracing::info!(in_time = done.is_ok(), "stopped");
        }
        reason = stop.wait_signal() => tracing::warn!(reason, "stopped at once"),
    }
    Ok(())
}

/// Settings that do not fit this machine or directory are the caller's; damage is not.
fn start_failure(error: &StartError) -> Failure {
    let exit = match error {
        StartError::Config(_)
        | StartError::Locked(_)
        | StartError::Listen { .. }
        | StartError::BadFolder(_)
        | StartError::NotAdmitted { .. }
        | StartError::OtherCluster { .. } => Exit::Usage,
        _ => Exit::Internal,
    };
    Failure::new(exit, format!("the node does not start: {error}"))
}

/// The ways a server is told to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    stdin: Option<oneshot::Receiver<()>>,
}

impl Stop {
    fn new(env: &Env, with_stdin: bool) -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            stdin: with_stdin.then(|| stdin_closed(env)),
        })
    }

    /// Waits for whichever comes first.
    async fn wait(&mut self) -> &'static str {
        let Self {
            interrupt,
            terminate,
            stdin,
        } = self;
        let closed = async {
            match stdin {
                // Closed or broken: either way there is no parent any more.
                Some(stdin) => drop(stdin.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            () = closed => "standard input closed",
        }
    }

    /// Waits for a signal only.
    async fn wait_signal(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Fires when standard input ends. On a thread of its own, because such a read cannot be cancelled
/// and would hold one of the few blocking threads for ever.
fn stdin_closed(env: &Env) -> oneshot::Receiver<()> {
    let (closed, receiver) = oneshot::channel();
    env.spawn.dedicated("stdin", async move {
        let mut scratch = [0; 64];
        let mut stdin = std::io::stdin().lock();
        loop {
            match stdin.read(&mut scratch) {
                Ok(1..) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        // The receiver is gone when the process already stops.
        let _ = closed.send(());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_bounds() {
        assert_eq!(parse_threads("1"), Ok(1));
        for bad in ["0", "257", "-1", "many", ""] {
            assert!(parse_threads(bad).is_err(), "{bad}");
        }
    }
}
