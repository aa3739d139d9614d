//! Gives node ids to directories that join.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Env, watch};
use atoll_raft::{Group, ProposeError};
use atoll_types::{NodeId, NodeUuid, Outcome};

use super::{Change, ControlCommand, ControlState};
use crate::identity::MEMBERS_MAX;
use crate::membership::Newcomer;

/// Each try loses only against another change of the map.
const TRIES: u32 = 10;
const RETRY: Duration = Duration::from_millis(100);

/// Why a directory has no node id yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegisterError {
    /// Ask the leader of group 0.
    #[error("this node does not lead the control plane")]
    NotLeader,
    /// Safe to ask again.
    #[error("{0}")]
    Later(String),
    /// It never will.
    #[error("{0}")]
    Never(String),
    #[error("the cluster has {MEMBERS_MAX} nodes, as many as it may have")]
    Full,
}

/// Where group 0 has a replica. One uuid gets one id: the state looks it up in the same entry that
/// would give it.
#[derive(Clone)]
pub(crate) struct Registrar {
    env: Env,
    group: Group,
    state: watch::Receiver<Arc<ControlState>>,
}

impl Registrar {
    pub(crate) fn new(env: &Env, group: Group, state: watch::Receiver<Arc<ControlState>>) -> Self {
        Self {
            env: env.clone(),
            group,
            state,
        }
    }

    /// The id of a directory's node, and a state that has it. Safe to repeat.
    pub(crate) async fn register(
        &self,
        newcomer: &Newcomer,
    ) -> Result<(NodeId, Arc<ControlState>), RegisterError> {
        for _ in 0..TRIES {
            let state = self.state.borrow().clone();
            if let Some(node) = known(&state, newcomer.uuid)? {
                return Ok((node, state));
            }
            if !self.group.is_leader() {
                return Err(RegisterError::NotLeader);
            }
            let change = Change::AddNode {
                uuid: newcomer.uuid,
                address: newcomer.address.clone(),
                zone: newcomer.zone.clone(),
            };
            let base = state.map.epoch;
            let command = ControlCommand { base, change };
            match self.group.propose(command.encode().into()).await.as_deref() {
                // The next look finds it.
                Ok([Outcome::Done { .. } | Outcome::GuardFailed { .. }]) => {}
                Err(ProposeError::NotLeader { .. }) => return Err(RegisterError::NotLeader),
                Ok(_) => {
                    return Err(RegisterError::Never(
                        "the control plane refuses this node".to_owned(),
                    ));
                }
                // It may have happened: a repeated call finds out.
                Err(error) => return Err(RegisterError::Later(error.to_string())),
            }
            if self.state.borrow().map.epoch == base {
                self.env.clock.sleep(RETRY).await;
            }
        }
        Err(RegisterError::Later("the map is changing too fast".to_owned()))
    }
}

/// The id that a directory has already. `Ok(None)`: it may be given one.
fn known(state: &ControlState, uuid: NodeUuid) -> Result<Option<NodeId>, RegisterError> {
    if state.map.runs().is_empty() {
        return Err(RegisterError::Later("the cluster is still being made".to_owned()));
    }
    let Some(node) = state.node_of(uuid) else {
        if state.map.nodes.len() >= MEMBERS_MAX {
            return Err(RegisterError::Full);
        }
        return Ok(None);
    };
    let mut groups = state.map.groups.values();
    let hosts = groups.any(|group| group.replicas.values().any(|host| *host == node));
    // A fresh directory of this name has lost a log, and with it votes.
    if node.0 <= state.initial_nodes || hosts {
        return Err(RegisterError::Never(format!(
            "directory {uuid} is node {node}, which has data, but it comes without any: its log is lost; start with an \
             empty directory, which becomes another node"
        )));
    }
    Ok(Some(node))
}

#[cfg(test)]
mod tests {
    use atoll_types::{ClusterId, GroupId, ReplicaId};

    use super::*;
    use crate::identity::Member;

    fn cluster() -> ControlState {
        let mut state = ControlState::default();
        let member = |n: u64| Member {
            node: NodeId(n),
            uuid: NodeUuid(u128::from(n)),
            address: format!("h:{n}"),
            zone: String::new(),
        };
        let changes = [
            Change::Bootstrap {
                cluster: ClusterId(1),
                groups: 1,
                nodes: (1..=3).map(member).collect(),
                control: vec![(ReplicaId(1), NodeId(1))],
            },
            Change::CreateGroup {
                group: GroupId(1),
                nodes: vec![NodeId(2)],
            },
            Change::SetSlots {
                runs: vec![(0, 16_383, GroupId(1))],
            },
        ];
        for change in changes {
            apply(&mut state, change).unwrap();
        }
        state
    }

    fn apply(state: &mut ControlState, change: Change) -> Result<(), super::super::state::Rejected> {
        let base = state.map.epoch;
        let bytes = ControlCommand { base, change }.encode();
        state.apply(&ControlCommand::decode(&bytes).unwrap()).map(|_| ())
    }

    fn add(uuid: u128) -> Change {
        Change::AddNode {
            uuid: NodeUuid(uuid),
            address: "n:1".to_owned(),
            zone: "a".to_owned(),
        }
    }

    #[test]
    fn ids_are_given_once_per_uuid_and_never_again() {
        let mut state = cluster();
        assert_eq!(known(&state, NodeUuid(70)), Ok(None));
        apply(&mut state, add(70)).unwrap();
        assert_eq!(known(&state, NodeUuid(70)), Ok(Some(NodeId(4))));
        let before = state.clone();
        assert!(apply(&mut state, add(70)).is_err());
        assert_eq!(state, before);
        apply(&mut state, add(71)).unwrap();
        assert_eq!(known(&state, NodeUuid(71)), Ok(Some(NodeId(5))));
        // Groups stay where they are.
        assert_eq!(state.map.groups, before.map.groups);
        assert_eq!(state.map.slots, before.map.slots);
        assert_eq!(state.map.nodes[&NodeId(5)].zone, "a");
    }

    #[test]
    fn a_node_that_has_data_does_not_come_back_without_it() {
        let mut state = cluster();
        for initial in 1..=3 {
            assert!(matches!(
                known(&state, NodeUuid(initial)),
                Err(RegisterError::Never(_))
            ));
        }
        apply(&mut state, add(70)).unwrap();
        let placed = Change::CreateGroup {
            group: GroupId(2),
            nodes: vec![NodeId(4)],
        };
        apply(&mut state, placed).unwrap();
        assert!(matches!(
            known(&state, NodeUuid(70)),
            Err(RegisterError::Never(_))
        ));
    }

    #[test]
    fn there_are_bounds() {
        let mut state = cluster();
        for uuid in 100..100 + MEMBERS_MAX as u128 - 3 {
            apply(&mut state, add(uuid)).unwrap();
        }
        assert_eq!(known(&state, NodeUuid(99)), Err(RegisterError::Full));
        assert!(apply(&mut state, add(99)).is_err());
        let mut fresh = ControlState::default();
        assert!(apply(&mut fresh, add(1)).is_err(), "there is no cluster yet");
        assert!(matches!(known(&fresh, NodeUuid(1)), Err(RegisterError::Later(_))));
    }

    #[test]
    fn zones_and_addresses_have_a_form() {
        let mut state = cluster();
        for (address, zone) in [("", ""), ("a:1", "two words"), ("a:1", &"z".repeat(64))] {
            let change = Change::AddNode {
                uuid: NodeUuid(9),
                address: address.to_owned(),
                zone: zone.to_owned(),
            };
            assert!(apply(&mut state, change).is_err(), "{address} {zone}");
        }
        let zone = |node, zone: &str| Change::SetNodeZone {
            node: NodeId(node),
            zone: zone.to_owned(),
        };
        assert!(apply(&mut state, zone(1, "a/b")).is_err());
        assert!(apply(&mut state, zone(9, "a")).is_err());
        apply(&mut state, zone(1, "eu-west_1.a")).unwrap();
        assert_eq!(state.map.nodes[&NodeId(1)].zone, "eu-west_1.a");
    }
}
