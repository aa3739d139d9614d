//! What group 0's log says.
//!
//! Little-endian: version u8 (1), kind u8, base epoch u64, then by kind
//! 1 Bootstrap: cluster u128, wanted groups u32, node count u32, per node (node u64, uuid u128,
//! address u16 + UTF-8), replica count u32, per replica of group 0 (replica u64, node u64);
//! 2 CreateGroup: group u64, node count u32, per node u64, the preferred leader first;
//! 3 SetSlots: run count u32, per run (first u16, last u16, group u64), ascending;
//! 4 SetNodeAddress: node u64, address.

use atoll_types::{ClusterId, Epoch, GroupId, NodeId, NodeUuid, ReplicaId};

use crate::codec::{Malformed, Reader, Writer};
use crate::identity::Member;

const VERSION: u8 = 1;
const BOOTSTRAP: u8 = 1;
const CREATE_GROUP: u8 = 2;
const SET_SLOTS: u8 = 3;
const SET_NODE_ADDRESS: u8 = 4;

/// A change, and the epoch of the state it was decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ControlCommand {
    pub(crate) base: Epoch,
    pub(crate) change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The first entry of every cluster.
    Bootstrap {
        cluster: ClusterId,
        /// Data groups to make.
        groups: u32,
        nodes: Vec<Member>,
        /// Group 0's own replicas.
        control: Vec<(ReplicaId, NodeId)>,
    },
    /// Places a new group. Its replica ids come from the state's counter.
    CreateGroup { group: GroupId, nodes: Vec<NodeId> },
    /// Gives all slots out for the first time.
    SetSlots { runs: Vec<(u16, u16, GroupId)> },
    /// A node is somewhere else.
    SetNodeAddress { node: NodeId, address: String },
}

impl ControlCommand {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION);
        out.u8(match &self.change {
            Change::Bootstrap { .. } => BOOTSTRAP,
            Change::CreateGroup { .. } => CREATE_GROUP,
            Change::SetSlots { .. } => SET_SLOTS,
            Change::SetNodeAddress { .. } => SET_NODE_ADDRESS,
        });
        out.u64(self.base.0);
        self.change.encode(&mut out);
        out.finish()
    }

    /// Fails on anything this version does not know: the replica must stop, not skip.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = Reader::new(bytes);
        let version = input.u8()?;
        if version != VERSION {
            return Err(Malformed::new(format!(
                "a control command of version {version}; this program knows {VERSION}"
            )));
        }
        let kind = input.u8()?;
        let base = Epoch(input.u64()?);
        let change = match kind {
            BOOTSTRAP => decode_bootstrap(&mut input)?,
            CREATE_GROUP => decode_create_group(&mut input)?,
            SET_SLOTS => decode_set_slots(&mut input)?,
            SET_NODE_ADDRESS => Change::SetNodeAddress {
                node: NodeId(input.u64()?),
                address: input.text()?,
            },
            other => {
                return Err(Malformed::new(format!(
                    "a control command of the unknown kind {other}"
                )));
            }
        };
        input.end()?;
        Ok(Self { base, change })
    }
}

impl Change {
    /// For logs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Bootstrap { .. } => "bootstrap",
            Self::CreateGroup { .. } => "create group",
            Self::SetSlots { .. } => "set slots",
            Self::SetNodeAddress { .. } => "set node address",
        }
    }

    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Bootstrap {
                cluster,
                groups,
                nodes,
                control,
            } => {
                out.u128(cluster.0);
                out.u32(*groups);
                out.u32(nodes.len() as u32);
                for node in nodes {
                    out.u64(node.node.0);
                    out.u128(node.uuid.0);
                    out.text(&node.address);
                }
                out.u32(control.len() as u32);
                for (replica, node) in control {
                    out.u64(replica.0);
                    out.u64(node.0);
                }
            }
            Self::CreateGroup { group, nodes } => {
                out.u64(group.0);
                out.u32(nodes.len() as u32);
                for node in nodes {
                    out.u64(node.0);
                }
            }
            Self::SetSlots { runs } => {
                out.u32(runs.len() as u32);
                for (first, last, group) in runs {
                    out.u16(*first);
                    out.u16(*last);
                    out.u64(group.0);
                }
            }
            Self::SetNodeAddress { node, address } => {
                out.u64(node.0);
                out.text(address);
            }
        }
    }
}

fn decode_bootstrap(input: &mut Reader<'_>) -> Result<Change, Malformed> {
    let (cluster, groups) = (ClusterId(input.u128()?), input.u32()?);
    let count = input.count(8 + 16 + 2)?;
    let nodes: Result<_, Malformed> = (0..count)
        .map(|_| {
            Ok(Member {
                node: NodeId(input.u64()?),
                uuid: NodeUuid(input.u128()?),
                address: input.text()?,
            })
        })
        .collect();
    let nodes = nodes?;
    let count = input.count(8 + 8)?;
    let control: Result<_, Malformed> = (0..count)
        .map(|_| Ok((ReplicaId(input.u64()?), NodeId(input.u64()?))))
        .collect();
    Ok(Change::Bootstrap {
        cluster,
        groups,
        nodes,
        control: control?,
    })
}

fn decode_create_group(input: &mut Reader<'_>) -> Result<Change, Malformed> {
    let group = GroupId(input.u64()?);
    let count = input.count(8)?;
    let nodes: Result<_, Malformed> = (0..count).map(|_| Ok(NodeId(input.u64()?))).collect();
    Ok(Change::CreateGroup { group, nodes: nodes? })
}

fn decode_set_slots(input: &mut Reader<'_>) -> Result<Change, Malformed> {
    let count = input.count(2 + 2 + 8)?;
    let runs: Result<_, Malformed> = (0..count)
        .map(|_| Ok((input.u16()?, input.u16()?, GroupId(input.u64()?))))
        .collect();
    Ok(Change::SetSlots { runs: runs? })
}
