//! `atoll dev`: a cluster on this machine.
//!
//! Every node is a real child process of the same executable, so that what is tried here (killing a
//! node, filling a disk, reading a log) is what happens in production. The parent only starts, waits,
//! tells and stops; it holds the write end of each child's standard input and never writes to it, so
//! that children notice when the parent is gone, however it went.

mod child;
mod layout;
mod ready;

use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_env::Env;
use clap::Args;
use futures_util::future::select_all;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::child::Child;
use self::layout::Layout;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  atoll dev                                 three nodes, data in ./atoll-dev, ports 7401 to 7403
  atoll dev                                 (again) the same cluster with its data
  atoll dev --nodes 1 --ephemeral           one node, its data is removed at the end
  atoll dev --dir /tmp/five --nodes 5 --base-port 9001

Ctrl-C stops all nodes. Kill one (its pid is shown) and the others go on.";

/// Nodes that were told to stop get this long.
const STOP_MAX: Duration = Duration::from_secs(10);
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
        let mut cluster = Cluster {
            env: &env,
            layout: &layout,
            children: Vec::new(),
            keep_log: self.keep_log,
        };
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
        cluster.start_all()?;
        let addresses = cluster.layout.addresses();
        tokio::select! {
            ready = ready::wait(cluster.env, &addresses, self.groups.unwrap_or(0)) => ready?,
            dead = next_death(&mut cluster.children) => return Err(cluster.early_death(dead)),
        }
        self.greet(cluster)?;
        self.supervise(cluster).await
    }

    fn greet(&self, cluster: &Cluster<'_>) -> Result {
        for line in ready::message(cluster.layout, &cluster.children, self.ephemeral) {
            say(&line)?;
        }
        Ok(())
    }

    /// Says when a node ends, until no node is left.
    async fn supervise(&self, cluster: &mut Cluster<'_>) -> Result {
        loop {
            let Death { number, how } = next_death(&mut cluster.children).await;
            cluster.children.retain(|child| child.number != number);
            say(&format!(
                "node {number} ended ({how}); its log: {}",
                cluster.layout.log(number).display()
            ))?;
            if self.restart {
                cluster.env.clock.sleep(RESTART_PAUSE).await;
                let child = cluster.spawn(number, true)?;
                say(&format!("node {number} was started again, pid {}", child.pid))?;
                cluster.children.push(child);
                continue;
            }
            if cluster.children.is_empty() {
                return Err(Failure::new(Exit::Internal, "every node has ended")
                    .next("read the logs; `atoll dev` starts the same cluster again"));
            }
            say("  the other nodes go on; start it again in another terminal with")?;
            say(&format!("  {}", cluster.layout.command_line(number)?))?;
        }
    }
}

/// The running children.
struct Cluster<'a> {
    env: &'a Env,
    layout: &'a Layout,
    children: Vec<Child>,
    keep_log: bool,
}

impl Cluster<'_> {
    fn start_all(&mut self) -> Result {
        for number in self.layout.numbers() {
            let child = self.spawn(number, self.keep_log)?;
            self.children.push(child);
        }
        Ok(())
    }

    fn spawn(&self, number: u16, keep_log: bool) -> Result<Child> {
        Child::spawn(
            number,
            &self.layout.arguments(number),
            &self.layout.log(number),
            keep_log,
        )
    }

    /// A node that ends before the cluster serves: its last words tell why.
    fn early_death(&self, death: Death) -> Failure {
        let Death { number, how } = death;
        let log = self.layout.log(number);
        let words = layout::last_lines(self.env, &log);
        let what = format!(
            "node {number} ended while starting ({how}); the end of {}:\n{words}",
            log.display()
        );
        Failure::new(Exit::Internal, what)
            .next("another `atoll dev` may hold these ports or this folder; see --base-port and --dir")
    }

    /// Tells all children to stop, waits, and kills those that take too long.
    async fn stop(&mut self) {
        for child in &mut self.children {
            child.tell_to_stop();
        }
        let all_ended = async {
            while !self.children.is_empty() {
                let Death { number, .. } = next_death(&mut self.children).await;
                self.children.retain(|child| child.number != number);
            }
        };
        // Dropping a child kills it.
        let _ = self.env.clock.timeout(STOP_MAX, all_ended).await;
    }
}

/// The end of a child.
struct Death {
    number: u16,
    how: String,
}

/// Waits for the next child that ends; for ever if there is none.
async fn next_death(children: &mut [Child]) -> Death {
    if children.is_empty() {
        return std::future::pending().await;
    }
    let (death, ..) = select_all(children.iter_mut().map(|child| {
        Box::pin(async {
            let how = child.ended().await;
            Death {
                number: child.number,
                how,
            }
        })
    }))
    .await;
    death
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

/// The path as a user would type it.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(' ') {
        format!("'{text}'")
    } else {
        text
    }
}
