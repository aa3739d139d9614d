//! New runs of a group, for those who write them beside the maintenance thread's flushes.

use std::io;
use std::sync::Arc;

use atoll_types::LogId;

use super::group::GroupStore;
use crate::manifest::NewFile;
use crate::run::{Run, RunWriter};

/// A run that is being written.
pub(crate) struct NewRun {
    file: NewFile,
    pub(crate) writer: RunWriter,
}

/// The folder is held for a moment only: whoever merges or installs may be waiting for it. A flush holds it all the time, and
/// creates and publishes its run by itself.
impl GroupStore {
    /// Begins a run of about so many rows; 0: nobody knows.
    pub(crate) async fn create_run(&self, rows: usize) -> io::Result<NewRun> {
        let file = self.0.folder.lock().await.create_run().await?;
        let identity = self.run_identity(file.number());
        let salt = self.0.node.env.rng.bits64();
        let writer = RunWriter::create(file.file(), identity, salt, rows);
        Ok(NewRun { file, writer })
    }

    /// Makes a run durable and opens it; the log up to `covers` is in it.
    pub(crate) async fn publish_run(&self, run: NewRun, covers: LogId) -> io::Result<Arc<Run>> {
        let identity = self.run_identity(run.file.number());
        run.writer.finish(covers).await?;
        let file = self.0.folder.lock().await.publish(run.file).await?;
        let run = Run::open(file, identity, self.0.node.cache.clone()).map_err(io::Error::other)?;
        Ok(Arc::new(run))
    }
}
