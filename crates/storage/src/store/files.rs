//! New files of a group, for those who write them beside the maintenance thread.

use std::io;
use std::sync::Arc;

use atoll_types::LogId;

use super::group::GroupStore;
use crate::manifest::{NewFile, ValueFileEntry};
use crate::run::{Run, RunWriter};
use crate::value_file::{ValueFile, ValueWriter};

/// A run that is being written.
pub(crate) struct NewRun {
    file: NewFile,
    pub(crate) writer: RunWriter,
}

/// A value file that is being written.
pub(crate) struct NewValues {
    /// Its number in the group.
    pub(crate) number: u32,
    file: NewFile,
    pub(crate) writer: ValueWriter,
}

/// A value file that is durable under its name.
pub(crate) struct PublishedValues {
    pub(crate) file: Arc<ValueFile>,
    /// What a manifest says of it.
    pub(crate) entry: ValueFileEntry,
}

/// The folder is held for a moment only: whoever merges or installs may be waiting for it.
impl GroupStore {
    pub(crate) async fn create_run(&self) -> io::Result<NewRun> {
        let file = self.0.folder.lock().await.create_run().await?;
        let identity = self.run_identity(file.number());
        let salt = self.0.node.env.rng.bits64();
        let writer = RunWriter::create(file.file(), identity, salt, 0);
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

    pub(crate) async fn create_values(&self) -> io::Result<NewValues> {
        let file = self.0.folder.lock().await.create_value_file().await?;
        let number = u32::try_from(file.number()).map_err(io::Error::other)?;
        let writer = ValueWriter::create(&self.0.node.env, file.file(), self.values_id(number))?;
        Ok(NewValues { number, file, writer })
    }

    /// Makes a value file durable and opens it. All of its values count.
    pub(crate) async fn publish_values(&self, values: NewValues) -> io::Result<PublishedValues> {
        let finished = values.writer.finish().await?;
        let file = self.0.folder.lock().await.publish(values.file).await?;
        let file = ValueFile::open(file, self.values_id(values.number)).map_err(io::Error::other)?;
        Ok(PublishedValues {
            file: Arc::new(file),
            entry: ValueFileEntry {
                number: values.number,
                len: finished.len,
                live_bytes: finished.value_bytes,
                dead_bytes: 0,
            },
        })
    }
}
