//! A cluster in memory that misbehaves on command.

mod group;
mod net;
mod world;

pub(crate) use world::{Action, World, error};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Client, Options};
use atoll_env::{Clock, Env, Halt, Rng, Spawn};
use atoll_proto::v1::pipe_request_item::Operation;
use parking_lot::Mutex;

/// An environment over paused time in which only `world`'s nodes can be reached.
pub(crate) fn env(world: &Arc<World>) -> Env {
    let clock = Clock::simulated(1.0, 0);
    let spawn = Spawn::tokio();
    Env {
        net: Arc::new(net::FakeNet::new(Arc::clone(world), spawn.clone(), clock.clone())),
        clock,
        rng: Rng::seeded(42),
        spawn,
        vfs: Arc::new(atoll_env::vfs::OsVfs),
        halt: Halt::abort(),
    }
}

/// A client of `world`.
pub(crate) async fn client(world: &Arc<World>) -> Client {
    client_with(world, Options::default()).await
}

pub(crate) async fn client_with(world: &Arc<World>, options: Options) -> Client {
    Client::connect(&env(world), &["n1".to_owned()], options)
        .await
        .unwrap()
}

/// Reads each node has received, counted from the moment of the call.
pub(crate) fn count_reads(world: &World) -> Arc<Mutex<BTreeMap<String, u64>>> {
    let reads: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let counted = Arc::clone(&reads);
    world.script(move |node, item| {
        if matches!(item.operation, Some(Operation::Get(_))) {
            *counted.lock().entry(node.to_owned()).or_default() += 1;
        }
        Action::Serve
    });
    reads
}

/// Milliseconds of the paused clock that `work` takes.
pub(crate) async fn timed<F: Future>(env: &Env, work: F) -> (F::Output, Duration) {
    let begin = env.clock.now();
    let output = work.await;
    (output, env.clock.now().since(begin))
}

/// The first `count` keys of the form `{prefix}{number}` that the world gives to `group`.
pub(crate) fn keys_of(world: &World, group: u64, count: usize) -> Vec<String> {
    let keys = (0..).map(|number: u32| format!("key-{number}"));
    keys.filter(|key| world.group_of(key.as_bytes()) == group)
        .take(count)
        .collect()
}
