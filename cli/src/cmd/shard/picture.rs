//! The shard map together with what its nodes say.

use std::collections::BTreeMap;

use atoll_client::admin;
use atoll_env::Env;
use atoll_proto::v1::{GroupInfo, NodeInfo, ShardMap};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, Result};
use crate::survey::{GroupView, Survey};

/// The shard map together with what its nodes say.
pub(super) struct Picture {
    map: ShardMap,
    views: BTreeMap<u64, GroupView>,
}

/// Slots from the first up to and with the last.
pub(super) type Run = (u32, u32);

impl Picture {
    /// Asks every node for its state and one for the newest map.
    pub(super) async fn take(env: &Env, endpoints: &[String]) -> Result<Self> {
        let survey = Survey::take(env, endpoints).await?;
        let newest = survey
            .nodes
            .iter()
            .filter_map(|seen| Some((seen.answer.as_ref().ok()?.map_epoch, &seen.address)))
            .max();
        let map = match newest {
            Some((_, address)) => admin::map(env, address).await?,
            None => None,
        };
        let map = map.filter(|map| !map.groups.is_empty()).ok_or_else(|| {
            Failure::new(Exit::Unavailable, "there is no shard map yet")
                .next("make a cluster with `atoll init`, or wait until it serves (`atoll status`)")
        })?;
        let views = survey
            .groups()
            .into_iter()
            .map(|view| (view.group, view))
            .collect();
        Ok(Self { map, views })
    }

    /// The number of this state of the map.
    pub(super) fn epoch(&self) -> u64 {
        self.map.epoch
    }

    /// Groups in the order of their ids; the control plane has no slots and is left out.
    pub(super) fn groups(&self) -> impl Iterator<Item = &GroupInfo> {
        self.map.groups.iter().filter(|group| group.group != 0)
    }

    /// The group that has a slot.
    pub(super) fn owner(&self, slot: u32) -> Option<&GroupInfo> {
        let run = self
            .map
            .slots
            .iter()
            .find(|run| (run.first..=run.last).contains(&slot))?;
        self.group(run.group)
    }

    /// A group by its id.
    pub(super) fn group(&self, group: u64) -> Option<&GroupInfo> {
        self.map.groups.iter().find(|known| known.group == group)
    }

    /// What the nodes say of a group; nothing if none of them has it.
    pub(super) fn view(&self, group: u64) -> GroupView {
        self.views.get(&group).cloned().unwrap_or_default()
    }

    /// A node by its id.
    pub(super) fn node(&self, node: u64) -> Option<&NodeInfo> {
        self.map.nodes.iter().find(|known| known.node == node)
    }

    /// The leader that the nodes know, else the one the map remembers.
    pub(super) fn leader(&self, group: &GroupInfo) -> u64 {
        match self.view(group.group).leader {
            0 => group.leader_node,
            leader => leader,
        }
    }

    /// The group's slots.
    pub(super) fn runs(&self, group: u64) -> Vec<Run> {
        let runs = self.map.slots.iter().filter(|run| run.group == group);
        runs.map(|run| (run.first, run.last)).collect()
    }

    /// A group for programs.
    pub(super) fn json(&self, group: &GroupInfo) -> Value {
        let leader = self.leader(group);
        let view = self.view(group.group);
        let runs = self.runs(group.group);
        let replicas = group.replicas.iter().map(|replica| {
            let node = self.node(replica.node);
            json!({
                "replica": replica.replica.to_string(),
                "node": replica.node.to_string(),
                "address": node.map(|node| &node.address),
                "zone": node.map(|node| &node.zone),
                "leader": replica.node == leader,
                "running": view.applied.contains_key(&replica.node),
            })
        });
        json!({
            "group": group.group.to_string(),
            "generation": group.generation,
            "leader": (leader != 0).then(|| leader.to_string()),
            "keys": view.keys.to_string(),
            "slots": slots(&runs),
            "ranges": runs,
            "replicas": replicas.collect::<Vec<_>>(),
        })
    }
}

/// How many slots.
pub(super) fn slots(runs: &[Run]) -> u32 {
    runs.iter().map(|(first, last)| last - first + 1).sum()
}

/// `0-12 40 51-99`
pub(super) fn in_words(runs: &[Run]) -> String {
    let runs = runs.iter().map(|&(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    runs.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_in_words() {
        let runs = [(0, 12), (40, 40), (51, 99)];
        assert_eq!(in_words(&runs), "0-12 40 51-99");
        assert_eq!(slots(&runs), 13 + 1 + 49);
    }
}
