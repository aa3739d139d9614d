//! Waiting until nodes have come somewhere.

use std::time::Duration;

use atoll_types::GroupKey;
use bytes::Bytes;

use super::{GROUP, World, ms, payload};

impl World {
    /// Waits until something is so.
    pub async fn until(&self, what: &str, limit: Duration, so: impl Fn() -> bool) {
        let end = self.clock.now() + limit;
        while !so() {
            assert!(self.clock.now() < end, "not within {limit:?}: {what}");
            self.clock.sleep(ms(1)).await;
        }
    }

    /// Waits until a node leads and its group has applied the first entry of its term.
    pub async fn leads(&self, node: u64, key: GroupKey) {
        let group = self.group_of(node, key);
        self.until(&format!("n{node} leads {key}"), ms(20_000), || {
            let status = group.status();
            status.is_leader && status.applied_index == status.last_index && status.last_index > 0
        })
        .await;
        // New proposals are refused until a quorum has answered once.
        let probe = group.reads();
        self.on(node, async move { probe.wait().await }).await.unwrap();
    }

    /// Waits until one of these nodes leads [`GROUP`], and a quorum says so: one that was cut off may think that it
    /// leads and be deposed as soon as it is heard again.
    pub async fn leader_among(&self, nodes: &[u64]) -> u64 {
        let end = self.clock.now() + ms(20_000);
        loop {
            let status = |node: &&u64| self.group(**node).status();
            let leaders = nodes.iter().filter(|node| status(node).is_leader);
            let leader = leaders.max_by_key(|node| status(node).term).copied();
            if self.is_confirmed(leader).await {
                let leader = leader.expect("nobody is not confirmed");
                self.leads(leader, GROUP).await;
                return leader;
            }
            assert!(self.clock.now() < end, "not within 20 s: one of {nodes:?} leads");
            self.clock.sleep(ms(1)).await;
        }
    }

    async fn is_confirmed(&self, leader: Option<u64>) -> bool {
        let Some(leader) = leader else { return false };
        let probe = self.group(leader).reads();
        self.on(leader, async move { probe.wait().await }).await.is_ok()
    }

    /// Waits until these nodes have applied exactly these texts.
    pub async fn all_have(&self, nodes: &[u64], texts: &[&str]) {
        let wanted: Vec<Bytes> = texts.iter().map(|text| payload(text)).collect();
        self.until(&format!("{nodes:?} have {texts:?}"), ms(20_000), || {
            nodes.iter().all(|node| self.payloads(*node) == wanted)
        })
        .await;
    }
}
