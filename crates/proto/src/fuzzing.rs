//! What messages and their conversions promise about bytes of any kind, as a check that panics if it does
//! not hold. Shared by a fuzz target (`fuzz/`) and the test that replays its corpus.

use std::fmt::Debug;

use atoll_placement::{GroupEntry, NodeEntry, ShardMap, SlotOwner, SlotRun, Slots};
use atoll_types::{ClientId, ClusterId, Epoch, GroupGen, GroupId, NodeId, NodeUuid, ReplicaId, SlotId};
use bytes::Bytes;
use prost::Message;

use crate::convert::{ConvertError, cluster_id, join_client, split_client};
use crate::v1;

/// A message of the type that the first byte says is refused, or read to something that is encoded to
/// bytes that mean the same; what has a plain type becomes that, or an error, and comes back equal.
pub fn message(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 16 {
        0 => same(bytes, shard_map),
        1 => same(bytes, node_info),
        2 => same(bytes, group_info),
        3 => same(bytes, slot_run),
        4 => same(bytes, session),
        5 => same(bytes, |request: v1::PipeRequest| drop(request)),
        6 => same(bytes, |reply: v1::PipeReply| drop(reply)),
        7 => same(bytes, |request: v1::HelloRequest| {
            drop(cluster_id(&request.cluster_id));
        }),
        8 => same(bytes, |reply: v1::HelloReply| {
            reply.known.into_iter().for_each(node_info);
        }),
        9 => same(bytes, |request: v1::ClaimRequest| {
            request.set.into_iter().for_each(node_info);
        }),
        10 => same(bytes, |reply: v1::StatusReply| drop(reply)),
        11 => same(bytes, |request: v1::WriteRequest| drop(request)),
        12 => same(bytes, |request: v1::ScanRequest| drop(request)),
        13 => same(bytes, |reply: v1::GetMapReply| {
            reply.map.into_iter().for_each(shard_map);
        }),
        14 => same(bytes, |request: v1::ForwardRequest| drop(request)),
        _ => same(bytes, |detail: v1::ErrorDetail| drop(detail)),
    }
}

fn same<M: Message + Default + PartialEq + Clone>(bytes: &[u8], convert: impl Fn(M)) {
    let Ok(message) = M::decode(Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let encoded = message.encode_to_vec();
    assert_eq!(encoded.len(), message.encoded_len());
    let again = M::decode(encoded.as_slice()).expect("what was encoded can be read");
    assert_eq!(again.encode_to_vec(), encoded);
    convert(message);
}

fn shard_map(wire: v1::ShardMap) {
    if let Ok(map) = ShardMap::try_from(wire) {
        assert_eq!(map.validate(), Ok(()));
        assert_eq!(ShardMap::try_from(v1::ShardMap::from(&map)).as_ref(), Ok(&map));
    }
}

fn node_info(wire: v1::NodeInfo) {
    comes_back(wire, |(node, entry): &(NodeId, NodeEntry)| (*node, entry).into());
}

fn group_info(wire: v1::GroupInfo) {
    comes_back(wire, |(group, entry): &(GroupId, GroupEntry)| {
        (*group, entry).into()
    });
}

fn slot_run(wire: v1::SlotRun) {
    comes_back(wire, |run: &SlotRun| (*run).into());
}

fn comes_back<W, T>(wire: W, back: impl Fn(&T) -> W)
where
    T: TryFrom<W, Error = ConvertError> + PartialEq + Debug,
{
    if let Ok(plain) = T::try_from(wire) {
        assert_eq!(T::try_from(back(&plain)).as_ref(), Ok(&plain));
    }
}

fn session(wire: v1::Session) {
    if let Some(client) = wire.client() {
        assert_eq!(split_client(client), (wire.client_high, wire.client_low));
        assert_eq!(v1::Session::new(client, wire.seq, wire.ack), wire);
    }
    let (high, low) = (wire.client_high, wire.client_low);
    assert_eq!(split_client(join_client(high, low)), (high, low));
}

fn a_map() -> ShardMap {
    let node = |id: u64| {
        let entry = NodeEntry {
            uuid: NodeUuid(u128::from(id) << 100),
            address: format!("h{id}:1"),
            zone: format!("z{id}"),
        };
        (NodeId(id), entry)
    };
    let group = |id: u64| {
        let replicas = (1..=2).map(|node| (ReplicaId(id * 10 + node), NodeId(node)));
        let entry = GroupEntry {
            generation: GroupGen(id as u32),
            replicas: replicas.collect(),
        };
        (GroupId(id), entry)
    };
    let mut slots = Slots::default();
    for (slot, group) in [(0, 1), (1, 2), (2, 1), (16_383, 2)] {
        let owner = SlotOwner {
            group: GroupId(group),
            epoch: Epoch(1),
        };
        slots.set(SlotId(slot), owner);
    }
    ShardMap {
        epoch: Epoch(9),
        cluster: ClusterId(77 << 90),
        nodes: (1..=2).map(node).collect(),
        groups: (0..=2).map(group).collect(),
        slots,
    }
}

/// One of every operation of a write, and an answer to it.
fn a_write() -> (v1::WriteRequest, v1::PipeReply) {
    let op = |kind: v1::write_op::Kind| v1::WriteOp {
        kind: kind as i32,
        key: Bytes::from_static(b"{t}a"),
        value: Bytes::from_static(b"value"),
        number: -9,
        end: Bytes::from_static(b"{t}b"),
        limit: 7,
    };
    let kinds = (0..7).filter_map(|kind| v1::write_op::Kind::try_from(kind).ok());
    let request = v1::WriteRequest {
        ops: kinds.map(op).collect(),
        ..v1::WriteRequest::default()
    };
    let reply = |number: Option<i64>, misfit: v1::Misfit| v1::PipeReplyItem {
        id: 3,
        result: Some(v1::pipe_reply_item::Result::Write(v1::WriteReply {
            applied: number.is_some(),
            version: 8,
            number,
            misfit: misfit as i32,
            misfit_op: 2,
            ..v1::WriteReply::default()
        })),
    };
    let items = vec![reply(Some(0), v1::Misfit::None), reply(None, v1::Misfit::TooLong)];
    (request, v1::PipeReply { items })
}

/// Inputs worth starting from: one of everything that has a shape of its own.
pub fn message_seeds() -> Vec<(String, Vec<u8>)> {
    fn seed(name: &str, kind: u8, message: &impl Message) -> (String, Vec<u8>) {
        (name.to_owned(), [&[kind][..], &message.encode_to_vec()].concat())
    }
    let map = v1::ShardMap::from(&a_map());
    let session = v1::Session::new(ClientId(5 << 64 | 7), 3, 2);
    let put = v1::PutRequest {
        key: Bytes::from_static(b"key"),
        value: Bytes::from_static(b"value"),
        session: Some(session),
        after: 5,
    };
    let hello = v1::HelloReply {
        cluster_id: map.cluster_id.clone(),
        known: map.nodes.clone(),
        claimed_set: map.nodes.clone(),
        ..v1::HelloReply::default()
    };
    let claim = v1::ClaimRequest {
        cluster_id: map.cluster_id.clone(),
        set: map.nodes.clone(),
        groups: 4,
    };
    let forward = v1::ForwardRequest {
        method: crate::method::PUT.to_owned(),
        request: put.encode_to_vec().into(),
        deadline_ms: 100,
    };
    let node = map.nodes.first().cloned().unwrap_or_default();
    let group = map.groups.last().cloned().unwrap_or_default();
    let run = map.slots.first().copied().unwrap_or_default();
    let reply = v1::GetMapReply {
        map: Some(map.clone()),
    };
    let (write, written) = a_write();
    vec![
        seed("shard-map", 0, &map),
        seed("node", 1, &node),
        seed("group", 2, &group),
        seed("slot-run", 3, &run),
        seed("session", 4, &session),
        seed("written", 6, &written),
        seed("hello", 8, &hello),
        seed("claim", 9, &claim),
        seed("write", 11, &write),
        seed("get-map", 13, &reply),
        seed("forward", 14, &forward),
    ]
}
