//! A cluster in memory that misbehaves on command.

mod group;
mod net;
mod world;

pub(crate) use world::{Action, World, error};

use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Client, Options};
use atoll_env::{Clock, Env, Halt, Rng, Spawn};

/// An environment over paused time in which only `world`'s nodes can be reached.
pub(crate) fn env(world: &Arc<World>) -> Env {
    let clock = Clock::simulated(1.0, 0);
    let spawn = Spawn::tokio();
    Env {
        net: Arc::new(net::FakeNet::new(Arc::clone(world), spawn.clone())),
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
