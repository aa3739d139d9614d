//! One look at every node of a cluster.
//!
//! A node knows its own replicas exactly and others by hearsay, so the picture is put together from
//! every node's own words. Nodes that do not answer are part of the picture.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_client::admin;
use atoll_env::Env;
use atoll_proto::v1::{Counters, GroupStatus, StatusReply};
use futures_util::future::join_all;

use crate::failure::{Exit, Failure, Result};

/// How long one node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the nodes of a cluster said.
#[derive(Debug)]
pub(crate) struct Survey {
    /// In the order of node ids; before `init` in the order of the endpoints.
    pub(crate) nodes: Vec<Surveyed>,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Surveyed {
    /// Where it was asked.
    pub(crate) address: String,
    /// Its id; 0 before it belongs to a cluster.
    pub(crate) node: u64,
    /// The failure domain it is in; empty: not told.
    pub(crate) zone: String,
    /// Its answer, or why there is none.
    pub(crate) answer: std::result::Result<StatusReply, String>,
}

/// One group, put together from its replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupView {
    /// The group; 0 is the control plane.
    pub(crate) group: u64,
    /// Slots it serves.
    pub(crate) slots: u32,
    /// The node that leads; 0: none known.
    pub(crate) leader: u64,
    /// The highest term seen.
    pub(crate) term: u64,
    /// The leader's last log index, or the highest seen.
    pub(crate) last_index: u64,
    /// The highest committed index seen.
    pub(crate) committed_index: u64,
    /// What each answering replica has applied, by node.
    pub(crate) applied: BTreeMap<u64, u64>,
    /// How old the state of each answering replica may be, in milliseconds, by node; absent: it does not
    /// know.
    pub(crate) ages: BTreeMap<u64, u64>,
    /// What each answering replica has in files, by node.
    pub(crate) checkpoints: BTreeMap<u64, CheckpointView>,
    /// The nodes that have a replica, and its id, as the map tells.
    pub(crate) placed: BTreeMap<u64, u64>,
    /// Keys, of the replica that has applied most.
    pub(crate) keys: u64,
    /// Client sessions, of the same replica.
    pub(crate) sessions: u64,
}

/// What a replica has in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckpointView {
    /// The last entry that a restart need not apply again; 0: none.
    pub(crate) index: u64,
    /// Sorted files.
    pub(crate) runs: u32,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl GroupView {
    /// Entries the slowest answering replica still has to apply.
    pub(crate) fn lag(&self) -> u64 {
        let slowest = self.applied.values().min().copied().unwrap_or(self.last_index);
        self.last_index.saturating_sub(slowest)
    }
}

impl Survey {
    /// Asks the endpoints, then everyone they name. Fails only if no one answers.
    pub(crate) async fn take(env: &Env, endpoints: &[String]) -> Result<Self> {
        let mut asked = ask_all(env, endpoints.iter().map(|endpoint| (0, endpoint.clone()))).await;
        let best = asked
            .iter()
            .filter_map(|seen| seen.answer.as_ref().ok())
            .max_by_key(|reply| reply.map_epoch);
        let Some(best) = best else {
            let reasons: Vec<_> = asked
                .iter()
                .filter_map(|seen| seen.answer.as_ref().err().cloned())
                .collect();
            return Err(Failure::new(
                Exit::Unavailable,
                format!("no node answers: {}", reasons.join("; ")),
            )
            .next("start one (`atoll dev`), or name running nodes with --endpoints"));
        };
        let members: Vec<(u64, String)> = best
            .nodes
            .iter()
            .filter_map(|status| status.info.as_ref())
            .map(|info| (info.node, info.address.clone()))
            .collect();
        let zones: BTreeMap<u64, String> = best
            .nodes
            .iter()
            .filter_map(|status| status.info.as_ref())
            .map(|info| (info.node, info.zone.clone()))
            .collect();
        if members.is_empty() {
            return Ok(Self { nodes: asked });
        }
        let mut nodes = Vec::new();
        let mut missing = Vec::new();
        for (node, address) in members {
            match asked.iter().position(|seen| seen.is_node(node)) {
                Some(at) => nodes.push(asked.swap_remove(at)),
                None => missing.push((node, address)),
            }
        }
        nodes.extend(ask_all(env, missing).await);
        nodes.sort_by_key(|seen| seen.node);
        for seen in &mut nodes {
            seen.zone = zones.get(&seen.node).cloned().unwrap_or_default();
        }
        Ok(Self { nodes })
    }

    /// The answers.
    pub(crate) fn answers(&self) -> impl Iterator<Item = &StatusReply> {
        self.nodes.iter().filter_map(|seen| seen.answer.as_ref().ok())
    }

    /// Each answering node's counters.
    pub(crate) fn counters(&self) -> BTreeMap<u64, Counters> {
        self.answers()
            .filter_map(|reply| Some((reply.node, reply.counters?)))
            .collect()
    }

    /// Every group anyone knows, by id.
    pub(crate) fn groups(&self) -> Vec<GroupView> {
        let mut groups = BTreeMap::<u64, GroupView>::new();
        for reply in self.answers() {
            for status in &reply.groups {
                let view = groups.entry(status.group).or_default();
                merge(view, reply.node, status);
            }
        }
        groups.into_values().collect()
    }

    /// The address of the node that leads a group.
    pub(crate) fn leader_address(&self, group: u64) -> Option<&str> {
        let leader = self.groups().into_iter().find(|view| view.group == group)?.leader;
        let node = self
            .nodes
            .iter()
            .find(|seen| seen.node == leader && leader != 0)?;
        Some(&node.address)
    }

    /// True if every node serves and every group has a leader that answers.
    pub(crate) fn all_serving(&self) -> bool {
        let serving = |seen: &Surveyed| seen.answer.as_ref().is_ok_and(|reply| reply.state == "serving");
        let groups = self.groups();
        self.nodes.iter().all(serving)
            && groups.iter().any(|view| view.group != 0)
            && groups
                .iter()
                .all(|view| self.leader_address(view.group).is_some())
    }
}

impl Surveyed {
    fn is_node(&self, node: u64) -> bool {
        self.answer.is_ok() && self.node == node
    }
}

fn merge(view: &mut GroupView, node: u64, status: &GroupStatus) {
    view.group = status.group;
    view.slots = view.slots.max(status.slots);
    let placed = status
        .replicas
        .iter()
        .map(|replica| (replica.node, replica.replica));
    view.placed.extend(placed);
    if status.term >= view.term {
        // Of two replicas in one term, one may not have heard of the leader yet.
        if status.leader_node != 0 || status.term > view.term {
            view.leader = status.leader_node;
        }
        view.term = status.term;
    }
    if status.hosted {
        view.last_index = view.last_index.max(status.last_index);
        view.committed_index = view.committed_index.max(status.committed_index);
        if view
            .applied
            .values()
            .all(|&applied| applied <= status.applied_index)
        {
            view.keys = status.keys;
            view.sessions = status.sessions;
        }
        view.applied.insert(node, status.applied_index);
        let checkpoint = CheckpointView {
            index: status.checkpoint_index,
            runs: status.runs,
            bytes: status.run_bytes,
        };
        view.checkpoints.insert(node, checkpoint);
        if let Some(age) = status.age_ms {
            view.ages.insert(node, age);
        }
    }
}

async fn ask_all(env: &Env, nodes: impl IntoIterator<Item = (u64, String)>) -> Vec<Surveyed> {
    join_all(nodes.into_iter().map(|(node, address)| ask(env, node, address))).await
}

async fn ask(env: &Env, node: u64, address: String) -> Surveyed {
    let answer = match env.clock.timeout(PATIENCE, admin::status(env, &address)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("{address}: no answer within {} s", PATIENCE.as_secs())),
    };
    let node = answer.as_ref().map_or(node, |reply| reply.node);
    Surveyed {
        address,
        node,
        zone: String::new(),
        answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(group: u64, term: u64, leader: u64, last: u64, applied: u64) -> GroupStatus {
        GroupStatus {
            group,
            term,
            leader_node: leader,
            last_index: last,
            committed_index: last,
            applied_index: applied,
            keys: applied,
            hosted: true,
            ..GroupStatus::default()
        }
    }

    fn node(node: u64, state: &str, groups: Vec<GroupStatus>) -> Surveyed {
        let reply = StatusReply {
            node,
            state: state.to_owned(),
            groups,
            ..StatusReply::default()
        };
        Surveyed {
            address: format!("h{node}:1"),
            node,
            zone: String::new(),
            answer: Ok(reply),
        }
    }

    fn healthy() -> Survey {
        let nodes = [(1, 90), (2, 100), (3, 70)].map(|(id, applied)| {
            node(
                id,
                "serving",
                vec![group(0, 3, 1, 5, 5), group(1, 4, 2, 100, applied)],
            )
        });
        Survey { nodes: nodes.into() }
    }

    #[test]
    fn groups_are_put_together_from_every_replica() {
        let groups = healthy().groups();
        let [control, data] = &groups[..] else {
            panic!("{groups:?}")
        };
        assert_eq!((control.group, control.leader, control.lag()), (0, 1, 0));
        assert_eq!(
            (data.leader, data.term, data.last_index, data.keys, data.lag()),
            (2, 4, 100, 100, 30)
        );
    }

    #[test]
    fn a_higher_term_without_leader_overrides_an_older_leader() {
        let survey = Survey {
            nodes: vec![
                node(1, "serving", vec![group(1, 5, 0, 9, 9)]),
                node(2, "serving", vec![group(1, 4, 3, 9, 9)]),
            ],
        };
        assert_eq!(survey.groups()[0].leader, 0);
        assert_eq!(survey.leader_address(1), None);
        let heard = Survey {
            nodes: vec![
                node(1, "serving", vec![group(1, 5, 0, 9, 9)]),
                node(2, "serving", vec![group(1, 5, 2, 9, 9)]),
            ],
        };
        assert_eq!(heard.leader_address(1), Some("h2:1"));
    }

    #[test]
    fn serving_means_every_node_and_every_group() {
        assert!(healthy().all_serving());
        let mut starting = healthy();
        starting.nodes.push(node(4, "starting", vec![]));
        assert!(!starting.all_serving());
        let mut gone = healthy();
        gone.nodes[0].answer = Err("gone".to_owned());
        assert!(!gone.all_serving());
        let mut leaderless = healthy();
        for seen in &mut leaderless.nodes {
            seen.answer.as_mut().unwrap().groups[1].leader_node = 0;
        }
        assert!(!leaderless.all_serving());
        assert!(
            !Survey {
                nodes: vec![node(1, "serving", vec![])]
            }
            .all_serving()
        );
    }
}
