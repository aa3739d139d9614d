//! How a node outside group 0 gets the map.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;

use crate::directory::Directory;
use crate::rpc::PeerClient;

const EVERY: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(1);

/// Asks the nodes of group 0 in turn, about once a second, for a map newer than the one held.
pub(crate) async fn run(env: Env, directory: Arc<Directory>, peers: PeerClient) {
    let control = directory.control_nodes().to_vec();
    let mut turn = env.rng.below(control.len() as u64) as usize;
    loop {
        if let Some(address) = control.get(turn).and_then(|node| directory.address(*node)) {
            let known = directory.map().epoch.0;
            match peers.map(&address, known, LIMIT).await {
                Ok(Some(map)) if map.cluster == directory.cluster() => directory.publish(Arc::new(map)),
                Ok(Some(map)) => tracing::error!(other = %map.cluster, address, "a map of another cluster"),
                Ok(None) => {}
                Err(_) => directory.unreachable(&address),
            }
        }
        turn = (turn + 1) % control.len().max(1);
        env.clock
            .sleep(EVERY.mul_f64(0.8 + 0.4 * env.rng.fraction()))
            .await;
    }
}
