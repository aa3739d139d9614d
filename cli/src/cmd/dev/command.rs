//! Options of `dev`, and its course: start, wait, greet, watch, stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use atoll_env::Env;
use clap::Args;
use futures_util::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::cluster::{Cluster, Death};
use super::layout::Layout;
use super::ready;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  atoll dev                                 three nodes, data in ./atoll-dev, ports 7401 to 7403
  atoll dev                                 (again) the same cluster with its data
  atoll dev --nodes 1 --ephemeral           one node, its data is removed at the end
  atoll dev --dir /tmp/five --nodes 5 --base-port 9001

Ctrl-C stops all nodes. Kill one (its pid is shown) and the others go on.";

/// A node that is restarted automatically waits this long first, so that a node that cannot start
/// does not keep the machine busy.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Run a whole cluster on this machine for development.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Dev {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
    nodes: u16,

    /// Where the nodes keep everything [default: ./atoll-dev].
    #[arg(long)]
    dir: Option<PathBuf>,

    /// The first node's port; the others follow.
    #[arg(long, default_value_t = 7401, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    base_port: u16,

    /// Data groups to make in a new cluster [default: two per node].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    groups: Option<u32>,

    /// Keep everything in a temporary folder that is removed at the end.
    #[arg(long, conflicts_with = "dir")]
    ephemeral: bool,

    /// Append to the nodes' log files instead of beginning anew.
    #[arg(long)]
    keep_log: bool,

    /// Start a node again when it ends by itself.
    #[arg(long)]
    restart: bool,
}

impl Dev {
    /// Runs the cluster until a signal.
    pub(crate) async fn run(self) -> Result {
        let env = Env::real();
        let temporary = self.ephemeral.then(tempfile::tempdir).transpose()?;
        let dir = match (&temporary, &self.dir) {
            (Some(temporary), _) => temporary.path().to_owned(),
            (None, Some(dir)) => dir.clone(),
            (None, None) => PathBuf::from("atoll-dev"),
        };
        let layout = Layout::prepare(&env, &dir, self.nodes, self.base_port)?;
        let mut stop = Stop::new()?;
        let mut cluster = Cluster::new(&env, &layout, self.keep_log);
        let result = tokio::select! {
            result = self.serve(&mut cluster) => result,
            () = stop.wait() => Ok(()),
        };
        if result.is_ok() {
            // Without a reader of stdout the nodes are stopped all the same.
            let _ = say("stopping");
        }
        tokio::select! {
            () = cluster.stop() => {}
            () = stop.wait() => {}
        }
        // Children that are still there are killed when dropped, before the folder goes.
        drop(cluster);
        drop(temporary);
        result
    }

    async fn serve(&self, cluster: &mut Cluster<'_>) -> Result {
        let (env, addresses) = (cluster.env(), cluster.layout().addresses());
        ready::check_free(env, &addresses).await?;
        cluster.start_all()?;
        let ids = tokio::select! {
            ready = ready::wait(env, &addresses, self.groups.unwrap_or(0)) => ready?,
            dead = cluster.next_death() => return Err(cluster.early_death(&dead)),
        };
        for line in ready::message(cluster.layout(), cluster.children(), &ids, self.ephemeral) {
            say(&line)?;
        }
        self.supervise(cluster, &ids).await
    }

    /// Says when a node ends, until no node is left.
    async fn supervise(&self, cluster: &mut Cluster<'_>, ids: &BTreeMap<String, u64>) -> Result {
        let layout = cluster.layout();
        loop {
            let Death { number, how } = cluster.next_death().await;
            let node = ids.get(&layout.address(number)).copied().unwrap_or_default();
            say(&format!(
                "node {node} ended ({how}); its log: {}",
                layout.log(number).display()
            ))?;
            if self.restart {
                cluster.env().clock.sleep(RESTART_PAUSE).await;
                let pid = cluster.start_again(number)?;
                say(&format!("node {node} was started again, pid {pid}"))?;
                continue;
            }
            if cluster.children().is_empty() {
                return Err(Failure::new(Exit::Internal, "every node has ended")
                    .next("read the logs; `atoll dev` starts the same cluster again"));
            }
            say("  the other nodes go on; start it again in another terminal with")?;
            say(&format!("  {}", layout.command_line(number)?))?;
        }
    }
}

/// The signals that end the parent.
struct Stop {
    signals: [Signal; 3],
}

impl Stop {
    fn new() -> Result<Self> {
        Ok(Self {
            signals: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ],
        })
    }

    async fn wait(&mut self) {
        select_all(self.signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}

fn say(line: &str) -> Result {
    let mut output = Output::stdout();
    output.line(line)?;
    output.finish()
}
