//! What group 0's log says.
//!
//! Little-endian: version u8 (1), kind u8, base epoch u64, then by kind
//! 1 Bootstrap: cluster u128, wanted groups u32, node count u32, per node (node u64, uuid u128,
//! address u16 + UTF-8), replica count u32, per replica of group 0 (replica u64, node u64);
//! 2 CreateGroup: group u64, node count u32, per node u64, the preferred leader first;
//! 3 SetSlots: run count u32, per run (first u16, last u16, group u64), ascending;
//! 4 SetNodeAddress: node u64, address;
//! 5 Bootstrap with zones: as 1, and after each node's address its zone in the same form;
//! 6 SetNodeZone: node u64, zone;
//! 7 AddNode: uuid u128, address, zone. Its id comes from the state's counter.
//!
//! A cluster whose nodes name no zones is made by kind 1, which older versions know.

use atoll_types::{ClusterId, Epoch, GroupId, NodeId, NodeUuid, ReplicaId};

use crate::codec::{Malformed, Reader, Writer};
use crate::identity::Member;

const VERSION: u8 = 1;
const BOOTSTRAP: u8 = 1;
const CREATE_GROUP: u8 = 2;
const SET_SLOTS: u8 = 3;
const SET_NODE_ADDRESS: u8 = 4;
const BOOTSTRAP_ZONES: u8 = 5;
const SET_NODE_ZONE: u8 = 6;
const ADD_NODE: u8 = 7;

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
    /// A node is in another zone.
    SetNodeZone { node: NodeId, zone: String },
    /// A directory joins, as a node that hosts nothing yet.
    AddNode {
        uuid: NodeUuid,
        address: String,
        zone: String,
    },
}

impl ControlCommand {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION);
        out.u8(self.change.kind());
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
            BOOTSTRAP => decode_bootstrap(&mut input, false)?,
            BOOTSTRAP_ZONES => decode_bootstrap(&mut input, true)?,
            CREATE_GROUP => decode_create_group(&mut input)?,
            SET_SLOTS => decode_set_slots(&mut input)?,
            SET_NODE_ADDRESS => Change::SetNodeAddress {
                node: NodeId(input.u64()?),
                address: input.text()?,
            },
            SET_NODE_ZONE => Change::SetNodeZone {
                node: NodeId(input.u64()?),
                zone: input.text()?,
            },
            ADD_NODE => Change::AddNode {
                uuid: NodeUuid(input.u128()?),
                address: input.text()?,
                zone: input.text()?,
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
            Self::SetNodeZone { .. } => "set node zone",
            Self::AddNode { .. } => "add node",
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Bootstrap { nodes, .. } if nodes.iter().any(|node| !node.zone.is_empty()) => {
                BOOTSTRAP_ZONES
            }
            Self::Bootstrap { .. } => BOOTSTRAP,
            Self::CreateGroup { .. } => CREATE_GROUP,
            Self::SetSlots { .. } => SET_SLOTS,
            Self::SetNodeAddress { .. } => SET_NODE_ADDRESS,
            Self::SetNodeZone { .. } => SET_NODE_ZONE,
            Self::AddNode { .. } => ADD_NODE,
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
                encode_nodes(nodes, self.kind() == BOOTSTRAP_ZONES, out);
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
            Self::SetNodeAddress { node, address: text } | Self::SetNodeZone { node, zone: text } => {
                out.u64(node.0);
                out.text(text);
            }
            Self::AddNode { uuid, address, zone } => {
                out.u128(uuid.0);
                out.text(address);
                out.text(zone);
            }
        }
    }
}

fn encode_nodes(nodes: &[Member], zones: bool, out: &mut Writer) {
    out.u32(nodes.len() as u32);
    for node in nodes {
        out.u64(node.node.0);
        out.u128(node.uuid.0);
        out.text(&node.address);
        if zones {
            out.text(&node.zone);
        }
    }
}

fn decode_bootstrap(input: &mut Reader<'_>, zones: bool) -> Result<Change, Malformed> {
    let (cluster, groups) = (ClusterId(input.u128()?), input.u32()?);
    let count = input.count(8 + 16 + 2)?;
    let nodes: Result<_, Malformed> = (0..count)
        .map(|_| {
            Ok(Member {
                node: NodeId(input.u64()?),
                uuid: NodeUuid(input.u128()?),
                address: input.text()?,
                zone: if zones { input.text()? } else { String::new() },
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
