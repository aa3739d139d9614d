//! Asking nodes how they are, and the cluster's first hours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::admin::{self, InitOptions};
use atoll_env::{Instant, Task};
use atoll_proto::v1::StatusReply;
use futures_util::future::join_all;
use parking_lot::Mutex;

use super::Cluster;
use super::whole::{Look, Marks, Recovery, leads};
use crate::field::Field;
use crate::record::LeaderSample;

/// A node that does not answer in this time is not asked any longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two questions to the same node.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);
/// Between two looks while waiting for something.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// As many samples are kept as an hour of five nodes with ten groups makes; later ones are not.
const SAMPLES_MAX: usize = 1_000_000;

/// A fresh cluster serves after a few seconds, on a busy machine later.
const LAUNCH_MAX: Duration = Duration::from_secs(90);

impl Cluster {
    /// What a node says of itself; `None` if it says nothing in time. Asked past the links that faults lie on.
    pub async fn status(&self, node: u16) -> Option<StatusReply> {
        let address = self.own_address(node);
        let asked = admin::status(&self.env, &address);
        self.env.clock.timeout(PATIENCE, asked).await.ok()?.ok()
    }

    /// Who leads each group now: of those who believe so, the one with the highest term.
    pub async fn leaders(&self) -> BTreeMap<u64, u16> {
        let asked = self
            .numbers()
            .map(|node| async move { (node, self.status(node).await) });
        let mut leaders = BTreeMap::<u64, (u64, u16)>::new();
        for (node, reply) in join_all(asked).await {
            let Some(reply) = reply else { continue };
            for (group, term) in led(&reply) {
                let best = leaders.entry(group).or_default();
                *best = (*best).max((term, node));
            }
        }
        leaders
            .into_iter()
            .map(|(group, (_, node))| (group, node))
            .collect()
    }

    /// Who leads one group now.
    pub async fn leader(&self, group: u64) -> Option<u16> {
        self.leaders().await.get(&group).copied()
    }

    /// The id that a node has inside the cluster.
    pub fn id(&self, node: u16) -> Option<u64> {
        let ids = self.ids.lock();
        ids.get(usize::from(node).checked_sub(1)?).copied()
    }

    /// The node that has an id inside the cluster.
    pub fn numbered(&self, id: u64) -> Option<u16> {
        let position = self.ids.lock().iter().position(|known| *known == id)?;
        Some(position as u16 + 1)
    }

    /// Starts all nodes, makes a cluster of them, and waits until it serves.
    pub async fn launch(&self, groups: u32) -> Result<(), String> {
        for node in self.numbers() {
            self.start(node)
                .map_err(|error| format!("node {node} cannot be started: {error}"))?;
        }
        let work = async {
            for node in self.numbers() {
                self.answering(node).await?;
            }
            self.init(groups).await
        };
        let made = self.env.clock.timeout(LAUNCH_MAX, work).await;
        made.unwrap_or_else(|_| Err("some node does not answer".to_owned()))?;
        self.recovered(LAUNCH_MAX).await.missing.map_or(Ok(()), Err)
    }

    async fn answering(&self, node: u16) -> Result<(), String> {
        while self.status(node).await.is_none() {
            if !self.runs(node) {
                let log = self.log(node);
                return Err(format!("node {node} ended while starting, see {}", log.display()));
            }
            self.env.clock.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn init(&self, groups: u32) -> Result<(), String> {
        let addresses: Vec<String> = self.numbers().map(|node| self.address(node)).collect();
        let options = InitOptions {
            addresses: addresses.clone(),
            groups,
            ..InitOptions::default()
        };
        let reply = admin::init(&self.env, &self.own_address(1), options)
            .await
            .map_err(|error| format!("the cluster cannot be made: {error}"))?;
        let id = |address: &String| Some(reply.nodes.iter().find(|node| node.address == *address)?.node);
        let ids: Option<Vec<u64>> = addresses.iter().map(id).collect();
        *self.ids.lock() = ids.ok_or("the new cluster has other nodes than were asked for")?;
        Ok(())
    }

    /// Waits until the cluster is whole (`whole` says what that is), at most so long.
    pub async fn recovered(&self, most: Duration) -> Recovery {
        let began = self.env.clock.now();
        let mut marks = Marks::default();
        loop {
            let look = self.look().await;
            let missing = look.missing(&mut marks);
            let took = self.env.clock.now().since(began);
            if missing.is_none() || took >= most {
                let late = |what| format!("{what}, {} s after everything was healed", most.as_secs());
                return Recovery {
                    took,
                    missing: missing.map(late),
                    spared: look.spared(&marks),
                };
            }
            self.env.clock.sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&self) -> Look {
        let asked = self
            .numbers()
            .map(|node| async move { (node, self.status(node).await) });
        Look {
            spoiled: self.spoiled().into_iter().collect(),
            said: join_all(asked).await,
        }
    }
}

/// The groups that the answering node believes it leads, with their terms.
fn led(reply: &StatusReply) -> impl Iterator<Item = (u64, u64)> {
    let own = reply.groups.iter().filter(|group| leads(reply, group));
    own.map(|group| (group.group, group.term))
}

/// What nodes said of their groups, asked several times a second.
#[derive(Default)]
pub struct Looks {
    samples: Mutex<Vec<LeaderSample>>,
    /// By group and node, what was said last.
    latest: Mutex<BTreeMap<(u64, u16), LeaderSample>>,
}

impl Looks {
    /// Everything said so far, in the order in which it was noted.
    pub fn samples(&self) -> Vec<LeaderSample> {
        self.samples.lock().clone()
    }

    /// Who led each group when last heard of, by the highest term.
    pub fn leaders(&self) -> BTreeMap<u64, u16> {
        let mut best = BTreeMap::<u64, LeaderSample>::new();
        for sample in self.latest.lock().values().filter(|sample| sample.leads) {
            let known = best.entry(sample.group).or_insert(*sample);
            if sample.term >= known.term {
                *known = *sample;
            }
        }
        best.into_iter()
            .map(|(group, sample)| (group, sample.node))
            .collect()
    }

    fn note(&self, node: u16, time_ns: u64, reply: &StatusReply) {
        for group in reply.groups.iter().filter(|group| group.hosted) {
            let sample = LeaderSample {
                time_ns,
                node,
                group: group.group,
                term: group.term,
                leads: leads(reply, group),
            };
            self.latest.lock().insert((group.group, node), sample);
            let mut samples = self.samples.lock();
            if samples.len() < SAMPLES_MAX {
                samples.push(sample);
            }
        }
    }
}

/// Asks every node until dropped, and starts again those that ended without anybody's doing.
pub struct Sampler {
    /// What was heard.
    pub looks: Arc<Looks>,
    tasks: Vec<Task<()>>,
}

impl Sampler {
    /// Begins to ask.
    pub fn start(field: &Field) -> Self {
        let looks = Arc::<Looks>::default();
        let ask = |node| {
            let (field, looks) = (field.clone(), Arc::clone(&looks));
            field
                .env
                .clone()
                .spawn
                .spawn(async move { ask_on(&field, &looks, node).await })
        };
        let mut tasks: Vec<_> = field.cluster.numbers().map(ask).collect();
        let field = field.clone();
        tasks.push(field.env.clone().spawn.spawn(async move {
            loop {
                field.cluster.tend();
                field.env.clock.sleep(SAMPLE_EVERY).await;
            }
        }));
        Self { looks, tasks }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.tasks.iter().for_each(Task::stop);
    }
}

async fn ask_on(field: &Field, looks: &Looks, node: u16) {
    let clock = &field.env.clock;
    let mut next: Instant = clock.now();
    loop {
        if let Some(reply) = field.cluster.status(node).await {
            looks.note(node, field.now_ns(), &reply);
        }
        next = (next + SAMPLE_EVERY).max(clock.now());
        clock.sleep_until(next).await;
    }
}
