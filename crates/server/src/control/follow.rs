//! How a node outside group 0 gets the map.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;

use crate::directory::Directory;
use crate::rpc::PeerClient;

const EVERY: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(1);

/// Asks the nodes of group 0 in turn, about once a second, for a map newer than the one held. A node that
/// joined knows them from its first map, which any node has.
pub(crate) async fn run(env: Env, directory: Arc<Directory>, peers: PeerClient) {
    let mut turn = env.rng.below(64) as usize;
    loop {
        let sources = directory.map_sources();
        let source = sources.get(turn.checked_rem(sources.len()).unwrap_or(0));
        if let Some(address) = source {
            let known = directory.map().epoch.0;
            match peers.map(address, known, LIMIT).await {
                Ok(Some(map)) if map.cluster == directory.cluster() => directory.publish(Arc::new(map)),
                Ok(Some(map)) => tracing::error!(other = %map.cluster, address, "a map of another cluster"),
                Ok(None) => {}
                Err(_) => directory.unreachable(address),
            }
        }
        turn += 1;
        env.clock
            .sleep(EVERY.mul_f64(0.8 + 0.4 * env.rng.fraction()))
            .await;
    }
}
