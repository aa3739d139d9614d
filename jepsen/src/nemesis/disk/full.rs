//! A node whose quota is used up.

use std::time::Duration;

use atoll_env::{BoxFuture, Rng};

use super::{broken, running, taken};
use crate::cluster::Down;
use crate::field::Field;
use crate::nemesis::{Installed, Refusal};

/// Every journal that was written to for a moment has more than nine tenths of this.
const QUOTA_MIB: &str = "1";
/// Where a node tells, as an error, that its quota is used up.
const QUOTA_ERROR: &str = "atoll_server::room::disk_room";
/// How long somebody else may keep the node down before this gives up giving back its quota.
const HOLD_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

struct Full {
    node: u16,
}

pub(super) fn begin(field: &Field, rng: &Rng) -> Result<Box<dyn Installed<Field>>, Refusal> {
    let node = running(field, rng)?;
    let down = field.cluster.hold_down(node).ok_or_else(|| taken(node))?;
    let quota = ["--disk-quota-mib", QUOTA_MIB].map(str::to_owned);
    field.cluster.set_arguments(&down, quota.to_vec());
    field.cluster.expect_errors(node, QUOTA_ERROR);
    field.cluster.up(down).map_err(|error| broken(node, &error))?;
    Ok(Box::new(Full { node }))
}

impl Installed<Field> for Full {
    fn what(&self) -> String {
        format!("restart node {} with a disk quota of {QUOTA_MIB} MiB", self.node)
    }

    fn nodes(&self) -> Vec<u16> {
        vec![self.node]
    }

    fn mend(self: Box<Self>, field: &Field) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let node = self.node;
            let down = held(field, node)
                .await
                .ok_or_else(|| format!("node {node} was held down by another fault for too long"))?;
            field.cluster.set_arguments(&down, Vec::new());
            field
                .cluster
                .up(down)
                .map_err(|error| format!("node {node} cannot be started: {error}"))
        })
    }
}

async fn held(field: &Field, node: u16) -> Option<Down> {
    let wait = async {
        loop {
            if let Some(down) = field.cluster.hold_down(node) {
                return down;
            }
            field.env.clock.sleep(LOOK_EVERY).await;
        }
    };
    field.env.clock.timeout(HOLD_MAX, wait).await.ok()
}
