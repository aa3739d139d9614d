//! Starting and ending nodes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use atoll_env::{Env, Instant};
use parking_lot::{Mutex, MutexGuard};
use rustix::process::Signal;

use super::life::Life;
use super::process::Process;
use crate::net::Net;
use crate::options::Options;

/// A node that was asked to stop gets this long before it is killed.
const STOP_MAX: Duration = Duration::from_secs(25);
/// Between two looks at a process that is about to end.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The nodes of one run.
pub struct Cluster {
    pub(super) env: Env,
    net: Arc<dyn Net>,
    options: Arc<Options>,
    dir: PathBuf,
    began: Instant,
    pub(super) nodes: Vec<Node>,
    /// Ids inside the cluster, by number; known after `launch`.
    pub(super) ids: Mutex<Vec<u64>>,
}

#[derive(Default)]
pub(super) struct Node {
    pub(super) life: Mutex<Life>,
    /// How often its address was changed.
    addresses: AtomicU32,
}

/// Leave to keep one node down, given back with [`Cluster::up`].
#[derive(Debug)]
#[must_use = "a node stays down until this is given back"]
pub struct Down {
    node: u16,
}

impl Down {
    /// The node.
    pub fn node(&self) -> u16 {
        self.node
    }
}

impl Cluster {
    /// Makes the folders of `options.nodes` nodes in `dir`, which exists. Nothing runs yet.
    pub fn prepare(
        env: &Env,
        net: Arc<dyn Net>,
        options: Arc<Options>,
        dir: &Path,
        began: Instant,
    ) -> io::Result<Self> {
        let cluster = Self {
            env: env.clone(),
            net,
            // The current folder of a process that is started through a namespace may be another.
            dir: std::path::absolute(dir)?,
            began,
            nodes: (0..options.nodes).map(|_| Node::default()).collect(),
            ids: Mutex::default(),
            options,
        };
        for node in cluster.numbers() {
            env.vfs.create_dir_all(&cluster.data_dir(node))?;
        }
        Ok(cluster)
    }

    /// How many nodes there are: 1 to this.
    pub fn nodes(&self) -> u16 {
        self.options.nodes
    }

    /// All numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        1..=self.options.nodes
    }

    /// Where a node keeps everything.
    pub fn data_dir(&self, node: u16) -> PathBuf {
        self.dir.join("data").join(format!("node-{node}"))
    }

    /// What a node says, in all its lives.
    pub fn log(&self, node: u16) -> PathBuf {
        self.dir.join(format!("node-{node}.log"))
    }

    /// The file that tells a build with faults which of them to have.
    pub fn fault_file(&self, node: u16) -> PathBuf {
        self.dir.join(format!("node-{node}.faults.json"))
    }

    /// `host:port` under which others know a node now.
    pub fn address(&self, node: u16) -> String {
        self.net.advertised(node, self.addresses(node))
    }

    /// `host:port` at which a node itself listens: no fault of links between nodes lies before it.
    pub(super) fn own_address(&self, node: u16) -> String {
        let arguments = self.net.arguments(node, self.addresses(node));
        let mut after = arguments.iter().skip_while(|argument| *argument != "--listen");
        after.nth(1).cloned().unwrap_or_else(|| self.address(node))
    }

    /// Its process id, if it runs.
    pub fn pid(&self, node: u16) -> Option<u32> {
        self.life(node)?.process.as_ref().map(Process::pid)
    }

    /// Whether a node's process is there; it may be paused.
    pub fn runs(&self, node: u16) -> bool {
        self.pid(node).is_some()
    }

    /// Starts a node that does not run. Fails if somebody holds it down, or if the program cannot be started.
    pub fn start(&self, node: u16) -> io::Result<()> {
        let Some(mut life) = self.life(node) else {
            return Err(no_such(node));
        };
        if life.held {
            return Err(io::Error::other(format!("node {node} is held down")));
        }
        self.start_locked(node, &mut life)
    }

    fn start_locked(&self, node: u16, life: &mut Life) -> io::Result<()> {
        if life.process.is_none() {
            let faults = self.fault_file(node).display().to_string();
            let mut line = self.line(node);
            line.extend(life.arguments.iter().cloned());
            let settings = [("ATOLL_FAULTS".to_owned(), faults)];
            life.process = Some(Process::spawn(&line, &settings, &self.log(node))?);
        }
        Ok(())
    }

    /// The whole command that starts a node.
    fn line(&self, node: u16) -> Vec<String> {
        let mut line = self.net.prefix(node);
        line.push(self.options.binary.display().to_string());
        line.extend(["start".to_owned(), "--data-dir".to_owned()]);
        line.push(self.data_dir(node).display().to_string());
        line.extend(self.net.arguments(node, self.addresses(node)));
        let others: Vec<_> = self.numbers().filter(|other| *other != node).collect();
        if !others.is_empty() {
            let others: Vec<_> = others.into_iter().map(|other| self.address(other)).collect();
            line.extend(["--join".to_owned(), others.join(",")]);
        }
        // Many nodes share this machine: one thread each, and journals that begin small.
        let small = ["--threads", "1", "--segment-mib", "8", "--no-preallocate"];
        line.extend(small.map(str::to_owned));
        line.push("--exit-with-stdin".to_owned());
        line
    }

    /// SIGKILL, and gone when this returns. A node that does not run stays as it is.
    pub fn kill(&self, node: u16) {
        if let Some(mut life) = self.life(node)
            && let Some(mut process) = life.process.take()
        {
            process.signal(Signal::KILL);
            process.reap();
        }
    }

    /// SIGTERM, and gone when this returns: killed if it takes too long. False if it had to be killed.
    pub async fn stop(&self, node: u16) -> bool {
        self.told_to_end(node, Signal::TERM);
        let gone = async {
            while self.runs(node) {
                self.env.clock.sleep(LOOK_EVERY).await;
            }
        };
        let in_time = self.env.clock.timeout(STOP_MAX, gone).await.is_ok();
        self.kill(node);
        in_time
    }

    fn told_to_end(&self, node: u16, signal: Signal) {
        if let Some(mut life) = self.life(node)
            && let Some(process) = &mut life.process
        {
            let told = std::mem::replace(&mut process.told_to_end, true);
            // A second SIGTERM would make it end at once, not in order.
            if !told || signal == Signal::KILL {
                process.signal(signal);
            }
            // A paused process would not hear of it.
            if process.pauses > 0 && signal != Signal::KILL {
                process.signal(Signal::CONT);
            }
        }
    }

    /// SIGSTOP: it stands still, its connections stay open. False if it does not run. Each pause needs a `resume`.
    pub fn pause(&self, node: u16) -> bool {
        let Some(mut life) = self.life(node) else {
            return false;
        };
        let Some(process) = &mut life.process else {
            return false;
        };
        process.pauses += 1;
        process.signal(Signal::STOP);
        true
    }

    /// SIGCONT, once nobody else wants it to stand still. A node that was started again meanwhile runs anyway.
    pub fn resume(&self, node: u16) {
        if let Some(mut life) = self.life(node)
            && let Some(process) = &mut life.process
            && process.pauses > 0
        {
            process.pauses -= 1;
            if process.pauses == 0 {
                process.signal(Signal::CONT);
            }
        }
    }

    /// Kills a node and keeps it down until [`Cluster::up`]. `None` if somebody else does.
    pub fn hold_down(&self, node: u16) -> Option<Down> {
        self.hold_all_down(&[node])?.pop()
    }

    /// Kills several nodes at the same moment and keeps them down. `None`, and nothing done, if somebody else
    /// holds one of them.
    pub fn hold_all_down(&self, nodes: &[u16]) -> Option<Vec<Down>> {
        let claimed = nodes.iter().take_while(|node| self.claim(**node)).count();
        if claimed < nodes.len() {
            for &node in nodes.iter().take(claimed) {
                self.let_go(node);
            }
            return None;
        }
        for &node in nodes {
            self.told_to_end(node, Signal::KILL);
        }
        for &node in nodes {
            self.kill(node);
        }
        Some(nodes.iter().map(|&node| Down { node }).collect())
    }

    fn claim(&self, node: u16) -> bool {
        self.life(node)
            .is_some_and(|mut life| !std::mem::replace(&mut life.held, true))
    }

    fn let_go(&self, node: u16) {
        if let Some(mut life) = self.life(node) {
            life.held = false;
        }
    }

    /// Gives a node back and starts it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what is given back cannot be used again"
    )]
    pub fn up(&self, down: Down) -> io::Result<()> {
        let Down { node } = down;
        self.let_go(node);
        self.start(node)
    }

    /// From its next start on, which is its holder's business, the node has another address.
    pub fn change_address(&self, down: &Down) {
        if let Some(node) = self.node(down.node) {
            node.addresses.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// From its next start on, which is its holder's business, the node has these options more; none: as it was.
    pub fn set_arguments(&self, down: &Down, arguments: Vec<String>) {
        if let Some(mut life) = self.life(down.node) {
            life.arguments = arguments;
        }
    }

    /// Starts again, as a service manager would, what ended without anybody's doing. One that was excused is left to
    /// the nemesis that did it.
    pub(super) fn tend(&self) {
        for node in self.numbers() {
            let Some(mut life) = self.life(node) else { continue };
            if life.process.is_none() && !life.held && life.excuses.is_empty() && !life.deaths.is_empty() {
                // What keeps it from starting keeps the cluster from recovering, which is asked for later.
                let _ = self.start_locked(node, &mut life);
            }
        }
    }

    /// Undoes everything that was done to processes: nobody holds one down, none is paused, all run. Gives what
    /// could not be started.
    pub fn heal(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for node in self.numbers() {
            let Some(mut life) = self.life(node) else { continue };
            life.held = false;
            if let Some(process) = life.process.as_mut().filter(|process| process.pauses > 0) {
                process.pauses = 0;
                process.signal(Signal::CONT);
            }
            if let Err(error) = self.start_locked(node, &mut life) {
                problems.push(format!("node {node} cannot be started: {error}"));
            }
        }
        problems
    }

    /// Asks all nodes to stop, waits for them, and kills those that take too long.
    pub async fn stop_all(&self) {
        for node in self.numbers() {
            self.told_to_end(node, Signal::TERM);
        }
        for node in self.numbers() {
            self.stop(node).await;
        }
    }

    fn addresses(&self, node: u16) -> u32 {
        self.node(node)
            .map_or(0, |node| node.addresses.load(Ordering::Relaxed))
    }

    fn node(&self, node: u16) -> Option<&Node> {
        self.nodes.get(usize::from(node).checked_sub(1)?)
    }

    /// A node as it is now: what has ended by itself was noticed.
    pub(super) fn life(&self, node: u16) -> Option<MutexGuard<'_, Life>> {
        let mut life = self.node(node)?.life.lock();
        let now = self.env.clock.now().since(self.began);
        life.look(node, u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        Some(life)
    }
}

fn no_such(node: u16) -> io::Error {
    io::Error::other(format!("there is no node {node}"))
}
