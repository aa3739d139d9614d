//! Encryption at rest, as a node uses it: which files are sealed, and under which key.
//!
//! The engine does the work (`atoll_storage::sealed`). Here a node's file system is put under it, once, before the data
//! directory is opened; and before anything reads the journal, every file still under an older key comes under the newest.

use std::path::Path;
use std::sync::Arc;

use atoll_env::{Env, Vfs};
use atoll_storage::sealed::{self, KeyRing, SealedVfs};
use tokio::sync::oneshot;

use crate::config::NodeConfig;
use crate::identity::DataDir;
use crate::node::StartError;

/// Lets everything that reads or writes the data directory go through its keys. Returns the file system below.
pub(crate) fn seal(env: &mut Env, data: &Path, keys: &Arc<KeyRing>) -> Arc<dyn Vfs> {
    let below = env.vfs.clone();
    let sealed = SealedVfs::new(below.clone(), data, keys.clone(), env.rng.clone());
    env.vfs = Arc::new(sealed);
    below
}

/// Opens the data directory of a node, through its keys if it has any.
pub(crate) async fn open(env: &mut Env, config: &NodeConfig) -> Result<DataDir, StartError> {
    let Some(keys) = &config.keys else {
        return Ok(DataDir::open(env, &config.data_dir).await?);
    };
    let below = seal(env, &config.data_dir, keys);
    let dir = DataDir::open(env, &config.data_dir).await?;
    rotate(env, below, (&config.data_dir, dir), keys).await
}

/// Brings every file under the newest key. The data directory is locked, and nothing else uses it yet. It stays locked until the
/// last write of this has ended, also if nobody waits for that any more: a start that came in between would draw keys that
/// this thread overwrites.
async fn rotate(
    env: &Env,
    below: Arc<dyn Vfs>,
    (path, dir): (&Path, DataDir),
    keys: &Arc<KeyRing>,
) -> Result<DataDir, StartError> {
    let (done, rotated) = oneshot::channel();
    let (path, ring, rng) = (path.to_owned(), keys.clone(), env.rng.clone());
    env.spawn.dedicated("rotate-keys", async move {
        let rotated = sealed::rotate(&*below, &path, &ring, &rng).await;
        // Nobody waits any more only when the node is going away.
        let _ = done.send((rotated, dir));
    });
    let (rotated, dir) = rotated
        .await
        .map_err(|_| StartError::DataDir("the process is ending".to_owned()))?;
    let changed = rotated.map_err(|error| StartError::Keys(error.to_string()))?;
    tracing::info!(key = %keys.newest(), changed, "files are encrypted; `changed` came under this key now");
    Ok(dir)
}
