//! The running nodes: starting them, noticing their end, ending them.

use std::time::Duration;

use atoll_env::Env;
use futures_util::future::select_all;

use super::child::Child;
use super::layout::{Layout, last_lines};
use crate::failure::{Exit, Failure, Result};

/// Nodes that were told to stop get this long.
const STOP_MAX: Duration = Duration::from_secs(10);

/// The running children.
pub(super) struct Cluster<'a> {
    env: &'a Env,
    layout: &'a Layout,
    children: Vec<Child>,
    keep_log: bool,
}

/// The end of a child.
pub(super) struct Death {
    /// Which node.
    pub(super) number: u16,
    /// With what exit code or signal.
    pub(super) how: String,
}

impl<'a> Cluster<'a> {
    /// Nothing runs yet.
    pub(super) fn new(env: &'a Env, layout: &'a Layout, keep_log: bool) -> Self {
        Self {
            env,
            layout,
            children: Vec::new(),
            keep_log,
        }
    }

    /// The outside world.
    pub(super) fn env(&self) -> &'a Env {
        self.env
    }

    /// Folders and addresses.
    pub(super) fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// Those that run.
    pub(super) fn children(&self) -> &[Child] {
        &self.children
    }

    /// Starts every node.
    pub(super) fn start_all(&mut self) -> Result {
        self.layout
            .numbers()
            .try_for_each(|number| self.start(number, self.keep_log).map(|_| ()))
    }

    /// Starts a node that ended, and gives its process id. What it said before stays in its log.
    pub(super) fn start_again(&mut self, number: u16) -> Result<u32> {
        self.start(number, true)
    }

    fn start(&mut self, number: u16, keep_log: bool) -> Result<u32> {
        let child = Child::spawn(
            number,
            &self.layout.arguments(number),
            &self.layout.log(number),
            keep_log,
        )?;
        let pid = child.pid;
        self.children.push(child);
        Ok(pid)
    }

    /// Waits for the next child that ends; for ever if there is none. May be given up.
    pub(super) async fn next_death(&mut self) -> Death {
        if self.children.is_empty() {
            return std::future::pending().await;
        }
        let ends = self.children.iter_mut().map(|child| Box::pin(child.ended()));
        let (how, index, _) = select_all(ends).await;
        let number = self.children.remove(index).number;
        Death { number, how }
    }

    /// A node that ends before the cluster serves: its last words tell why.
    pub(super) fn early_death(&self, death: &Death) -> Failure {
        let Death { number, how } = death;
        let log = self.layout.log(*number);
        let words = last_lines(self.env, &log);
        let place = log.display();
        let what = format!("node {number} ended while starting ({how}); the end of {place}:\n{words}");
        Failure::new(Exit::Internal, what)
            .next("another `atoll dev` may hold these ports or this folder; see --base-port and --dir")
    }

    /// Tells all children to stop, waits, and kills those that take too long.
    pub(super) async fn stop(&mut self) {
        for child in &mut self.children {
            child.tell_to_stop();
        }
        let clock = self.env.clock.clone();
        let all_ended = async {
            while !self.children.is_empty() {
                self.next_death().await;
            }
        };
        // What is left is killed when dropped.
        let _ = clock.timeout(STOP_MAX, all_ended).await;
    }
}
