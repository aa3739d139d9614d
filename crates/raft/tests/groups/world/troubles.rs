//! What a test does to disks and links, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::NoNet;
use atoll_env::vfs::{Crash, DiskTrouble, MemVfs};
use atoll_env::{Env, Halt, Rng, Scope, Spawn};
use atoll_storage::JournalOptions;
use atoll_types::LogId;

use super::{GROUP, World, ms, name, open_journal};

impl World {
    /// What a node's log of [`GROUP`] would be after a power cut now.
    pub async fn durable_log(&self, node: u64) -> Vec<LogId> {
        self.durable_logs(&[node]).await.remove(0)
    }

    /// What these nodes' logs of [`GROUP`] would be if the power went now, everywhere at once.
    pub async fn durable_logs(&self, nodes: &[u64]) -> Vec<Vec<LogId>> {
        let disks: Vec<MemVfs> = nodes.iter().map(|node| self.disk(*node).fork(99)).collect();
        let mut logs = Vec::new();
        for (node, disk) in nodes.iter().zip(disks) {
            disk.set_trouble(DiskTrouble::default());
            let disk = disk.crash(Crash::LoseAll);
            let scope = Scope::new(Rng::seeded(1));
            let env = Env {
                clock: self.clock.clone(),
                rng: scope.rng().clone(),
                net: Arc::new(NoNet),
                spawn: Spawn::simulated(scope.clone()),
                vfs: Arc::new(disk.clone()),
                halt: Halt::simulated(|reason| panic!("{reason}")),
            };
            let journal = open_journal(&env, *node, JournalOptions::dev()).await;
            let log = journal.group(GROUP).unwrap();
            let end = log.state().last.map_or(0, |last| last.index + 1);
            logs.push((0..end).filter_map(|index| log.log_id_at(index)).collect());
            scope.end();
            disk.destroy();
        }
        logs
    }

    /// Makes every sync of a node's disk take this long.
    pub fn stall_disk(&self, node: u64, stall: Duration) {
        self.disk(node).set_trouble(DiskTrouble {
            stalls: 1_000_000,
            stall: stall..stall + ms(1),
            ..DiskTrouble::default()
        });
    }

    /// Cuts a node off from all others.
    pub fn isolate(&self, node: u64) {
        self.net.isolate(&name(node));
    }

    /// Everything is reachable and no disk is slow.
    pub fn heal(&self) {
        self.net.heal_all();
        for machine in self.nodes.values() {
            machine.disk.set_trouble(DiskTrouble::default());
        }
    }

    /// Two replicas that applied different things at one index, ever.
    pub fn forks(&self) -> Vec<String> {
        self.forks.lock().clone()
    }

    /// Processes that ended themselves.
    pub fn halts(&self) -> Vec<String> {
        self.halts.lock().clone()
    }

    /// The same, and forgets them: they were to be.
    pub fn take_halts(&self) -> Vec<String> {
        std::mem::take(&mut *self.halts.lock())
    }

    /// Nothing forked, and no process gave up.
    pub fn assert_sound(&self) {
        assert_eq!(self.forks(), Vec::<String>::new());
        assert_eq!(self.halts(), Vec::<String>::new());
    }
}
