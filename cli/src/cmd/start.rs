//! `atoll start`

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_server::{Node, NodeConfig, StartError};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::{Exit, Failure, Result};
use crate::settings::{Field, SettingFlags, failure};
use crate::{keys, runtime, telemetry};

const EXAMPLES: &str = "\
Examples:
  atoll start --data-dir /var/lib/atoll --listen 127.0.0.1:7401
  atoll start --data-dir d2 --listen 127.0.0.1:7402 --join 127.0.0.1:7401,127.0.0.1:7403
  atoll start --data-dir d --listen 0.0.0.0:7401 --advertise db1.internal:7401 --insecure
  atoll start --config /etc/atoll.toml --zone b
  atoll start --data-dir d --encryption-key-file /etc/atoll/keys

A fresh node waits for `atoll init`, or joins the cluster that --join leads to. Options go before the
environment, that before the file, that before defaults. A node that was stopped or killed is started the same way again
and has its data. SIGTERM and Ctrl-C stop it gracefully; a second one at once.";

/// A graceful stop that takes longer is cut short; what was acknowledged is on disk anyway.
const STOP_MAX: Duration = Duration::from_secs(20);

/// Run one node in the foreground.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Start {
    #[command(flatten)]
    settings: Box<SettingFlags>,

    /// Stop when standard input closes, so that a node cannot outlive the process that started it.
    #[arg(long, hide = true)]
    exit_with_stdin: bool,

    /// Dial address A at B instead: proxies in between, for tests that break links.
    #[arg(long, hide = true, value_name = "A=B,…", value_delimiter = ',', value_parser = detour)]
    dial_map: Vec<(String, String)>,
}

/// Reads one pair of `--dial-map`; the addresses are checked with the other settings.
fn detour(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((address, dialed)) => Ok((address.trim().to_owned(), dialed.trim().to_owned())),
        None => Err(
            "a pair is ADDRESS=DIALED, both host:port, for example 127.0.0.1:7402=127.0.0.1:9402; pairs are \
             separated by commas"
                .to_owned(),
        ),
    }
}

impl Start {
    /// Serves until told to stop.
    pub(crate) fn run(self) -> Result {
        let resolved = self.settings.resolve().map_err(|problems| failure(&problems))?;
        telemetry::init(&resolved.log, resolved.log_format)?;
        telemetry::abort_on_panic();
        let key_file = resolved.text(Field::EncryptionKeyFile);
        let key_command = resolved.text(Field::EncryptionKeyCommand);
        let mut config = resolved.config;
        config.data_dir = std::path::absolute(&config.data_dir)?;
        config.dial_map = self.dial_map;
        runtime::run(resolved.threads, async {
            let file = key_file.as_deref().map(Path::new);
            let keys = keys::load(&Env::real(), file, key_command.as_deref()).await?;
            config.keys = keys.map(Arc::new);
            serve(config, self.exit_with_stdin).await
        })
    }
}

async fn serve(config: NodeConfig, exit_with_stdin: bool) -> Result {
    let env = crate::faults::env();
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
        | StartError::DiskTooSmall(_)
        | StartError::Keys(_)
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
