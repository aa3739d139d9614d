//! What nemeses and workloads act on.

use std::sync::Arc;

use atoll_env::{Env, Instant};

use crate::cluster::Cluster;
use crate::nemesis::Means;
use crate::net::Net;
use crate::options::Options;

/// One run's world: processes, the links between them, and what was asked for. Cheap to clone.
#[derive(Clone)]
pub struct Field {
    /// Clock, tasks, files and links of this process.
    pub env: Env,
    /// The nodes.
    pub cluster: Arc<Cluster>,
    /// The links between them.
    pub net: Arc<dyn Net>,
    /// What was asked for.
    pub options: Arc<Options>,
    /// When the run began: zero of all times in its record.
    pub began: Instant,
}

impl Field {
    /// What there is to break things with.
    pub fn means(&self) -> Means<'_> {
        Means {
            options: &self.options,
            net: &*self.net,
        }
    }

    /// Nanoseconds since the run began, as the record keeps times.
    pub fn now_ns(&self) -> u64 {
        self.at_ns(self.env.clock.now())
    }

    /// A moment of this process's clock as the record keeps times.
    pub fn at_ns(&self, moment: Instant) -> u64 {
        u64::try_from(moment.since(self.began).as_nanos()).unwrap_or(u64::MAX)
    }
}
