//! Makes groups checkpoint that have the most rows in memory and no entries just now.

use std::time::Duration;

use atoll_env::Clock;
use atoll_raft::RaftHost;
use atoll_storage::Store;

/// How long to wait for one that applies entries slowly. It makes its checkpoint then nevertheless, and the next call is
/// passed on meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);

/// Passes the store's calls on, until stopped.
pub(crate) async fn run(clock: Clock, store: Store, host: RaftHost) {
    loop {
        let key = store.called().await;
        // One that is gone has no rows in memory.
        let Some(group) = host.group(key.id) else {
            continue;
        };
        if let Ok(Err(error)) = clock.timeout(PATIENCE, group.checkpoint()).await {
            tracing::debug!(group = %key, %error, "no checkpoint was made for memory");
        }
    }
}
