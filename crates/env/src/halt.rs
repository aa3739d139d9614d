//! Stopping because going on would be worse: a failed fsync, a log that cannot be applied.

use std::convert::Infallible;
use std::sync::Arc;

/// Ends the process without unwinding, so that nothing is acknowledged on the way out.
#[derive(Clone)]
pub struct Halt(Option<Arc<Hook>>);

type Hook = dyn Fn(&str) + Send + Sync;

impl Halt {
    /// Aborts the operating system's process.
    pub fn abort() -> Self {
        Self(None)
    }

    /// Calls `hook` instead, which ends the simulated process.
    pub fn simulated(hook: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Logs the reason and ends the process. Never returns: in the simulator it waits to be dropped.
    pub async fn now(&self, reason: &str) -> Infallible {
        tracing::error!(reason, "the process stops here, on purpose");
        match &self.0 {
            None => std::process::abort(),
            Some(hook) => {
                hook(reason);
                std::future::pending().await
            }
        }
    }
}
