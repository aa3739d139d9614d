use proptest::prelude::*;
use prost::Message;

use super::*;

fn a_map(nodes: u64, groups: u64, cuts: &[u16]) -> ShardMap {
    let node = |id: u64| {
        (
            NodeId(id),
            NodeEntry {
                uuid: NodeUuid(u128::from(id) << 100),
                address: format!("h{id}:1"),
                zone: format!("z{id}"),
            },
        )
    };
    let group = |id: u64| {
        let replicas = (1..=nodes).map(|node| (ReplicaId(id * 1_000 + node), NodeId(node)));
        (
            GroupId(id),
            GroupEntry {
                generation: GroupGen(id as u32),
                replicas: replicas.collect(),
            },
        )
    };
    let mut slots = Slots::default();
    for (&slot, number) in cuts.iter().zip(0..) {
        slots.set(
            SlotId(slot),
            SlotOwner {
                group: GroupId(1 + number % groups),
                epoch: Epoch(number % 9),
            },
        );
    }
    ShardMap {
        epoch: Epoch(9),
        cluster: ClusterId(77 << 90),
        nodes: (1..=nodes).map(node).collect(),
        groups: (0..=groups).map(group).collect(),
        slots,
    }
}

/// One thing wrong at a time.
fn spoil(wire: &mut v1::ShardMap, how: usize) {
    match how {
        0 => wire.cluster_id.push('0'),
        1 => wire.nodes.push(wire.nodes[0].clone()),
        2 => wire.groups.push(wire.groups[0].clone()),
        3 => wire.nodes[0].uuid = "no".to_owned(),
        4 => wire.nodes[0].node = 0,
        5 => wire.groups[1].replicas[0].node = 999,
        6 => {
            let replica = wire.groups[1].replicas[0];
            wire.groups[1].replicas.push(replica);
        }
        7 => wire.slots[0].last = 16_384,
        8 => wire.slots[0].group = 999,
        9 => wire.slots[0].group = 0,
        10 => wire.slots[0].slot_epoch = 10,
        11 => wire.slots.push(wire.slots[0]),
        _ => wire.slots[0].first = 70_000,
    }
}

#[test]
fn every_contradiction_is_refused() {
    let good = v1::ShardMap::from(&a_map(3, 2, &[1, 2, 3]));
    assert!(ShardMap::try_from(good.clone()).is_ok());
    for how in 0..=12 {
        let mut bad = good.clone();
        spoil(&mut bad, how);
        assert!(ShardMap::try_from(bad).is_err(), "{how}");
    }
}

#[test]
fn a_session_of_zeroes_is_none() {
    assert_eq!(v1::Session::default().client(), None);
    let client = ClientId(5 << 64);
    assert_eq!(v1::Session::new(client, 1, 1).client(), Some(client));
    assert_eq!(v1::Session::new(ClientId(0), 1, 1).client(), Some(ClientId(0)));
}

proptest! {
    #[test]
    fn a_map_comes_back_equal(
        nodes in 1..6_u64,
        groups in 1..9_u64,
        cuts in prop::collection::vec(0..SLOTS, 0..400),
    ) {
        let map = a_map(nodes, groups, &cuts);
        let wire = v1::ShardMap::decode(v1::ShardMap::from(&map).encode_to_vec().as_slice()).unwrap();
        prop_assert_eq!(ShardMap::try_from(wire).unwrap(), map);
    }

    #[test]
    fn a_client_comes_back_equal(id in any::<u128>()) {
        let (high, low) = split_client(ClientId(id));
        prop_assert_eq!(join_client(high, low), ClientId(id));
    }

    /// Bytes from anywhere: no panic, and what is accepted is valid.
    #[test]
    fn bytes_from_anywhere(
        cuts in prop::collection::vec(0..SLOTS, 0..40),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = v1::ShardMap::from(&a_map(3, 2, &cuts)).encode_to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for bytes in [bytes, noise] {
            if let Ok(wire) = v1::ShardMap::decode(bytes.as_slice())
                && let Ok(map) = ShardMap::try_from(wire)
            {
                prop_assert!(map.validate().is_ok());
                prop_assert_eq!(ShardMap::try_from(v1::ShardMap::from(&map)).unwrap(), map);
            }
        }
    }
}
