//! Starts, kills and asks real nodes. Every process started here is ended here, by its own handle.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use atoll_client::{Client, Options, admin};
use atoll_env::Env;
use atoll_proto::v1;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_atoll");

/// How long anything may take on a slow, loaded machine before a test calls it broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Addresses nobody listens on right now.
pub(crate) fn free_addresses(count: usize) -> Vec<String> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|listener| listener.local_addr().unwrap().to_string())
        .collect()
}

/// The first of so many ports in a row that nobody listens on right now.
pub(crate) fn free_ports_in_a_row(count: u16) -> u16 {
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Below the range that the system gives out by itself; tests that run at once begin elsewhere.
    let begin = 10_000 + (std::process::id() as u16 % 1000) * 20;
    let mut bases = (begin..begin + 1000).step_by(usize::from(count));
    bases
        .find(|base| (*base..base + count).all(free))
        .expect("some ports are free")
}

/// Runs the binary to its end.
pub(crate) fn atoll(arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One node's process, killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
}

impl Process {
    pub(crate) fn start(data_dir: &Path, address: &str, join: &[String]) -> Self {
        Self::start_with(data_dir, address, join, &[])
    }

    /// With more in its environment.
    fn start_with(data_dir: &Path, address: &str, join: &[String], more: &[(&str, &str)]) -> Self {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(data_dir.with_extension("log"))
            .unwrap();
        let child = Command::new(BINARY)
            .arg("start")
            .arg("--data-dir")
            .arg(data_dir)
            .args([
                "--listen",
                address,
                "--join",
                &join.join(","),
                "--segment-mib",
                "8",
                "--threads",
                "1",
            ])
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    /// SIGKILL, and gone when this returns.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A cluster in a folder that goes with it.
pub(crate) struct Cluster {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) addresses: Vec<String>,
    pub(crate) nodes: Vec<Option<Process>>,
    pub(crate) env: Env,
}

impl Cluster {
    /// Nodes that were never started.
    pub(crate) fn stopped(count: usize) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            addresses: free_addresses(count),
            nodes: (0..count).map(|_| None).collect(),
            env: Env::real(),
        }
    }

    /// Processes that wait for `init`.
    pub(crate) fn fresh(count: usize) -> Self {
        let mut cluster = Self::stopped(count);
        for node in 0..count {
            cluster.start(node);
        }
        cluster
    }

    /// A cluster that serves.
    pub(crate) async fn serving(count: usize) -> Self {
        Self::with_groups(count, 2 * count).await
    }

    /// A cluster of so many nodes and data groups that serves.
    pub(crate) async fn with_groups(count: usize, groups: usize) -> Self {
        let cluster = Self::fresh(count);
        cluster.init(groups).await;
        cluster
    }

    /// Makes a cluster of all nodes with so many data groups, and waits until it serves.
    pub(crate) async fn init(&self, groups: usize) {
        self.wait_answering().await;
        let output = atoll(&[
            "init",
            "--endpoints",
            &self.addresses[0],
            "--nodes",
            &self.addresses.join(","),
            "--groups",
            &groups.to_string(),
        ]);
        assert!(
            output.status.success(),
            "init: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        self.wait_serving().await;
    }

    pub(crate) fn data_dir(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("node-{node}"))
    }

    pub(crate) fn start(&mut self, node: usize) {
        self.start_with(node, &[]);
    }

    /// Starts a node with more in its environment.
    pub(crate) fn start_with(&mut self, node: usize, more: &[(&str, &str)]) {
        let process = Process::start_with(&self.data_dir(node), &self.addresses[node], &self.addresses, more);
        self.nodes[node] = Some(process);
    }

    /// Gives a node that does not run another address, for its next start.
    pub(crate) fn readdress(&mut self, node: usize) {
        assert!(self.nodes[node].is_none());
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        self.addresses[node] = held.local_addr().unwrap().to_string();
    }

    pub(crate) fn kill(&mut self, node: usize) {
        if let Some(process) = self.nodes[node].take() {
            process.kill();
        }
    }

    pub(crate) async fn client(&self, deadline: Duration) -> Client {
        let options = Options {
            deadline,
            ..Options::default()
        };
        Client::connect(&self.env, &self.addresses, options)
            .await
            .unwrap()
    }

    pub(crate) async fn status(&self, node: usize) -> Option<v1::StatusReply> {
        admin::status(&self.env, &self.addresses[node]).await.ok()
    }

    pub(crate) async fn wait_answering(&self) {
        for node in 0..self.nodes.len() {
            eventually("the node answers", async || self.status(node).await.is_some()).await;
        }
    }

    /// Every data group has a leader that the nodes which run agree on.
    pub(crate) async fn wait_serving(&self) {
        for node in (0..self.nodes.len()).filter(|node| self.nodes[*node].is_some()) {
            eventually("the node serves", async || self.serves(node).await).await;
        }
    }

    async fn serves(&self, node: usize) -> bool {
        let Some(status) = self.status(node).await else {
            return false;
        };
        // Of groups without a replica on it a node does not know who leads.
        let mut hosted = status.groups.iter().filter(|group| group.hosted);
        let led = hosted.all(|group| group.leader_node != 0);
        status.state == "serving" && status.groups.len() > 1 && led
    }

    /// The node (position) that leads most data groups.
    pub(crate) async fn busiest(&self) -> usize {
        let mut led = Vec::new();
        for node in (0..self.nodes.len()).filter(|node| self.nodes[*node].is_some()) {
            let status = self.status(node).await.unwrap();
            let own = |group: &&v1::GroupStatus| group.group != 0 && group.leader_node == status.node;
            led.push((status.groups.iter().filter(own).count(), node));
        }
        led.into_iter().max().unwrap().1
    }

    pub(crate) fn any_running(&self) -> usize {
        self.nodes.iter().position(Option::is_some).unwrap()
    }
}

/// Asks until the answer is yes. The pause only spares the machine; nothing depends on its length.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
