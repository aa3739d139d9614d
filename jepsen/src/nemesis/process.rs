//! Faults of processes: killed, paused, restarted.
//!
//! `kill` ends nodes with SIGKILL and keeps them down until mended; `pause` makes them stand still with SIGSTOP, their
//! connections open, for longer than any election timeout; `restart` stops nodes in order, one after the other,
//! and starts them again, as an upgrade would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use atoll_env::{BoxFuture, Rng, Task};

use super::pick;
use super::{Installed, Lack, Means, Nemesis, Refusal};
use crate::cluster::Down;
use crate::field::Field;

/// A paused node wakes up no earlier: longer than the longest election timeout, twice.
const PAUSE_MIN: Duration = Duration::from_millis(2_500);
/// A node that is restarted is waited for so long before the next one is.
const SERVING_MAX: Duration = Duration::from_secs(20);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between two deaths of a node that is killed again and again.
const AGAIN_EVERY: Duration = Duration::from_millis(700);

/// SIGKILL.
pub struct Kill;

impl Nemesis<Field> for Kill {
    fn family(&self) -> &'static str {
        "kill"
    }

    fn variants(&self) -> &'static [&'static str] {
        &["one", "leader", "minority", "majority", "all", "again"]
    }

    fn missing(&self, means: &Means<'_>, variant: &str) -> Option<Lack> {
        few(means, variant)
    }

    fn begin<'a>(
        &'a self,
        field: &'a Field,
        variant: &'a str,
        rng: &'a Rng,
    ) -> BoxFuture<'a, Result<Box<dyn Installed<Field>>, Refusal>> {
        Box::pin(async move {
            let nodes = victims(field, variant, rng).await?;
            let held = field.cluster.hold_all_down(&nodes);
            let held = held.ok_or_else(|| taken(&nodes))?;
            if variant == "again" {
                return Ok(Again::begin(field, nodes, held));
            }
            Ok(Box::new(Killed {
                variant: variant.to_owned(),
                held,
            }) as Box<dyn Installed<Field>>)
        })
    }
}

struct Killed {
    variant: String,
    held: Vec<Down>,
}

impl Installed<Field> for Killed {
    fn what(&self) -> String {
        format!("kill {} ({})", pick::named(&self.nodes()), self.variant)
    }

    fn nodes(&self) -> Vec<u16> {
        self.held.iter().map(Down::node).collect()
    }

    fn mend(self: Box<Self>, field: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let mut result = Ok(());
            for down in self.held {
                let node = down.node();
                let up = field.cluster.up(down);
                result = result.and(up.map_err(|error| format!("node {node} cannot be started: {error}")));
            }
            result
        })
    }
}

/// A node that starts and is killed, again and again.
struct Again {
    nodes: Vec<u16>,
    deaths: Arc<AtomicU32>,
    done: Arc<AtomicBool>,
    task: Task<Result<(), String>>,
}

impl Again {
    fn begin(field: &Field, nodes: Vec<u16>, held: Vec<Down>) -> Box<dyn Installed<Field>> {
        let deaths = Arc::new(AtomicU32::new(1));
        let done = Arc::<AtomicBool>::default();
        let (counted, told) = (Arc::clone(&deaths), Arc::clone(&done));
        let field = field.clone();
        let spawn = field.env.spawn.clone();
        let task = spawn.spawn(async move {
            for down in held {
                again(&field, down, &told, &counted).await?;
            }
            Ok(())
        });
        Box::new(Self {
            nodes,
            deaths,
            done,
            task,
        })
    }
}

async fn again(field: &Field, mut down: Down, done: &AtomicBool, deaths: &AtomicU32) -> Result<(), String> {
    let node = down.node();
    loop {
        field
            .cluster
            .up(down)
            .map_err(|error| format!("node {node} cannot be started: {error}"))?;
        field.env.clock.sleep(AGAIN_EVERY).await;
        if done.load(Ordering::Relaxed) {
            return Ok(());
        }
        match field.cluster.hold_down(node) {
            Some(held) => down = held,
            // Another fault has it now, and will start it.
            None => return Ok(()),
        }
        deaths.fetch_add(1, Ordering::Relaxed);
    }
}

impl Installed<Field> for Again {
    fn what(&self) -> String {
        let times = self.deaths.load(Ordering::Relaxed);
        format!(
            "kill {} again and again ({times} times)",
            pick::named(&self.nodes)
        )
    }

    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    fn mend(self: Box<Self>, _: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.done.store(true, Ordering::Relaxed);
            self.task.await.unwrap_or(Ok(()))
        })
    }
}

/// SIGSTOP.
pub struct Pause;

impl Nemesis<Field> for Pause {
    fn family(&self) -> &'static str {
        "pause"
    }

    fn variants(&self) -> &'static [&'static str] {
        &["one", "leader", "minority", "all"]
    }

    fn missing(&self, means: &Means<'_>, variant: &str) -> Option<Lack> {
        few(means, variant)
    }

    fn begin<'a>(
        &'a self,
        field: &'a Field,
        variant: &'a str,
        rng: &'a Rng,
    ) -> BoxFuture<'a, Result<Box<dyn Installed<Field>>, Refusal>> {
        Box::pin(async move {
            let wanted = victims(field, variant, rng).await?;
            let running = wanted.iter().copied().filter(|node| field.cluster.pause(*node));
            let nodes: Vec<u16> = running.collect();
            if nodes.is_empty() {
                return Err(taken(&wanted));
            }
            let until = field.env.clock.now() + PAUSE_MIN;
            let variant = variant.to_owned();
            Ok(Box::new(Paused {
                variant,
                nodes,
                until,
            }) as Box<dyn Installed<Field>>)
        })
    }
}

struct Paused {
    variant: String,
    nodes: Vec<u16>,
    until: atoll_env::Instant,
}

impl Installed<Field> for Paused {
    fn what(&self) -> String {
        format!("pause {} ({})", pick::named(&self.nodes), self.variant)
    }

    fn nodes(&self) -> Vec<u16> {
        self.nodes.clone()
    }

    fn mend(self: Box<Self>, field: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            field.env.clock.sleep_until(self.until).await;
            for node in self.nodes {
                field.cluster.resume(node);
            }
            Ok(())
        })
    }
}

/// Graceful stops and starts, one node after the other.
pub struct Restart;

impl Nemesis<Field> for Restart {
    fn family(&self) -> &'static str {
        "restart"
    }

    fn variants(&self) -> &'static [&'static str] {
        &["rolling"]
    }

    fn missing(&self, _: &Means<'_>, _: &str) -> Option<Lack> {
        None
    }

    fn begin<'a>(
        &'a self,
        field: &'a Field,
        _: &'a str,
        rng: &'a Rng,
    ) -> BoxFuture<'a, Result<Box<dyn Installed<Field>>, Refusal>> {
        Box::pin(async move {
            let order = pick::shuffled(field.cluster.numbers().collect(), rng);
            let (done, stopped) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
            let (told, counted) = (Arc::clone(&done), Arc::clone(&stopped));
            let (world, turns) = (field.clone(), order.clone());
            let task = field
                .env
                .spawn
                .spawn(async move { roll(&world, &turns, &told, &counted).await });
            Ok(Box::new(Rolling {
                order,
                stopped,
                done,
                task,
            }) as Box<dyn Installed<Field>>)
        })
    }
}

struct Rolling {
    order: Vec<u16>,
    stopped: Arc<AtomicU32>,
    done: Arc<AtomicBool>,
    task: Task<Result<(), String>>,
}

async fn roll(field: &Field, order: &[u16], done: &AtomicBool, stopped: &AtomicU32) -> Result<(), String> {
    for &node in order {
        // The first one at least, or nothing was restarted at all.
        if done.load(Ordering::Relaxed) && stopped.load(Ordering::Relaxed) > 0 {
            break;
        }
        field.cluster.stop(node).await;
        stopped.fetch_add(1, Ordering::Relaxed);
        // Held down by another fault meanwhile: that one starts it.
        if field.cluster.start(node).is_ok() {
            // With other faults about it may take longer, and the next node's turn comes all the same.
            let _ = field.env.clock.timeout(SERVING_MAX, serves(field, node)).await;
        }
    }
    Ok(())
}

/// Waits until a node serves, or has ended.
async fn serves(field: &Field, node: u16) {
    loop {
        let status = field.cluster.status(node).await;
        if status.is_some_and(|status| status.state == "serving") || !field.cluster.runs(node) {
            return;
        }
        field.env.clock.sleep(LOOK_EVERY).await;
    }
}

impl Installed<Field> for Rolling {
    fn what(&self) -> String {
        let count = self.stopped.load(Ordering::Relaxed) as usize;
        let done = self.order.get(..count).unwrap_or(&self.order);
        format!("restart one after the other: {}", pick::named(done))
    }

    fn nodes(&self) -> Vec<u16> {
        Vec::new()
    }

    fn mend(self: Box<Self>, _: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.done.store(true, Ordering::Relaxed);
            self.task.await.unwrap_or(Ok(()))
        })
    }
}

/// Whether a variant makes no sense with so few nodes.
fn few(means: &Means<'_>, variant: &str) -> Option<Lack> {
    let alone = means.options.nodes < 3 && ["minority", "majority"].contains(&variant);
    alone.then_some(Lack::Nodes(3))
}

/// Whom a variant hits.
async fn victims(field: &Field, variant: &str, rng: &Rng) -> Result<Vec<u16>, Refusal> {
    let nodes = usize::from(field.cluster.nodes());
    let count = match variant {
        "one" | "again" => 1,
        "minority" => nodes.saturating_sub(1) / 2,
        "majority" => nodes / 2 + 1,
        "leader" => {
            let leaders: BTreeMap<u64, u16> = field.cluster.leaders().await;
            let leaders: Vec<u16> = leaders.into_values().collect();
            let chosen = pick::one(&leaders, rng);
            return chosen
                .map(|node| vec![node])
                .ok_or_else(|| Refusal::NotNow("nobody leads anything now".to_owned()));
        }
        _ => nodes,
    };
    let mut nodes = pick::shuffled(field.cluster.numbers().collect(), rng);
    nodes.truncate(count);
    nodes.sort_unstable();
    Ok(nodes)
}

fn taken(nodes: &[u16]) -> Refusal {
    Refusal::NotNow(format!("another fault has {}", pick::named(nodes)))
}
