//! What an operator does to a healthy cluster while it works: leaderships moved, a node given another address.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use atoll_client::admin;
use atoll_env::{BoxFuture, Rng, Task};
use atoll_types::{GroupId, NodeId};

use super::pick;
use super::{Installed, Lack, Means, Nemesis, Refusal};
use crate::field::Field;

/// Between two hand-overs, at most; and at least a quarter of it.
const TRANSFER_EVERY: Duration = Duration::from_millis(800);
/// A hand-over that is not answered in this time is given up.
const TRANSFER_MAX: Duration = Duration::from_secs(3);

/// Leaderships and addresses.
pub struct Operator;

impl Nemesis<Field> for Operator {
    fn family(&self) -> &'static str {
        "cluster"
    }

    fn variants(&self) -> &'static [&'static str] {
        &["transfer", "address"]
    }

    fn missing(&self, means: &Means<'_>, variant: &str) -> Option<Lack> {
        let alone = variant == "transfer" && means.options.nodes < 2;
        let fixed = variant == "address" && means.net.advertised(1, 0) == means.net.advertised(1, 1);
        if alone {
            Some(Lack::Nodes(2))
        } else {
            fixed.then_some(Lack::Proxies("a node has one address only on these links"))
        }
    }

    fn begin<'a>(
        &'a self,
        field: &'a Field,
        variant: &'a str,
        rng: &'a Rng,
    ) -> BoxFuture<'a, Result<Box<dyn Installed<Field>>, Refusal>> {
        Box::pin(async move {
            match variant {
                "address" => move_node(field, rng),
                _ => begin_transfers(field, rng).await,
            }
        })
    }
}

fn move_node(field: &Field, rng: &Rng) -> Result<Box<dyn Installed<Field>>, Refusal> {
    let node = 1 + rng.below(u64::from(field.cluster.nodes())) as u16;
    let down = field
        .cluster
        .hold_down(node)
        .ok_or_else(|| Refusal::NotNow(format!("another fault has node {node}")))?;
    let before = field.cluster.address(node);
    field.cluster.change_address(&down);
    let after = field.cluster.address(node);
    let up = field.cluster.up(down);
    up.map_err(|error| Refusal::Broken(format!("node {node} cannot be started: {error}")))?;
    let what = format!("restart node {node} at {after}, until now at {before}");
    Ok(Box::new(Moved { node, what }))
}

/// A node that has another address now, and keeps it.
struct Moved {
    node: u16,
    what: String,
}

impl Installed<Field> for Moved {
    fn what(&self) -> String {
        self.what.clone()
    }

    fn nodes(&self) -> Vec<u16> {
        vec![self.node]
    }

    fn mend(self: Box<Self>, _: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

async fn begin_transfers(field: &Field, rng: &Rng) -> Result<Box<dyn Installed<Field>>, Refusal> {
    transfer(field, rng).await.map_err(Refusal::NotNow)?;
    let (done, count) = (Arc::<AtomicBool>::default(), Arc::new(AtomicU32::new(1)));
    let (told, counted) = (Arc::clone(&done), Arc::clone(&count));
    let rng = Rng::seeded(rng.bits64());
    let world = field.clone();
    let task = field.env.spawn.spawn(async move {
        while !told.load(Ordering::Relaxed) {
            let rest = TRANSFER_EVERY.mul_f64(0.25 + 0.75 * rng.fraction());
            world.env.clock.sleep(rest).await;
            // Refused while other faults are about; only what was accepted is counted.
            if transfer(&world, &rng).await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Ok(Box::new(Transfers { count, done, task }))
}

/// Hands a random group over to a random other replica of it.
async fn transfer(field: &Field, rng: &Rng) -> Result<(), String> {
    let leaders: Vec<(u64, u16)> = field.cluster.leaders().await.into_iter().collect();
    let (group, leader) = pick::one(&leaders, rng).ok_or("nobody leads anything now")?;
    let status = field
        .cluster
        .status(leader)
        .await
        .ok_or("the leader does not answer")?;
    let replicas = status.groups.iter().filter(|known| known.group == group);
    let others: Vec<u64> = replicas
        .flat_map(|known| known.replicas.iter().map(|replica| replica.node))
        .filter(|node| *node != status.node)
        .collect();
    let to = pick::one(&others, rng).ok_or("the group has one replica only")?;
    let address = field.cluster.address(leader);
    let asked = admin::transfer_leader(&field.env, &address, GroupId(group), NodeId(to));
    match field.env.clock.timeout(TRANSFER_MAX, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

struct Transfers {
    count: Arc<AtomicU32>,
    done: Arc<AtomicBool>,
    task: Task<()>,
}

impl Installed<Field> for Transfers {
    fn what(&self) -> String {
        format!(
            "hand leaderships over ({} times)",
            self.count.load(Ordering::Relaxed)
        )
    }

    fn nodes(&self) -> Vec<u16> {
        Vec::new()
    }

    fn mend(self: Box<Self>, _: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.done.store(true, Ordering::Relaxed);
            // Stopped tasks are none of anybody's.
            let _ = self.task.await;
            Ok(())
        })
    }
}
