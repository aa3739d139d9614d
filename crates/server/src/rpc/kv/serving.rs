//! What pipes and unary calls share: which group serves a request, and where that group is.

use std::sync::Arc;

use atoll_env::Env;
use atoll_placement::ShardMap;
use atoll_types::{Epoch, GroupId, NodeId, ReplicaId};

use super::super::convert::Request;
use super::super::error::Locate;
use super::traffic::Traffic;
use crate::directory::Directory;
use crate::shard::{Failure, ReadOp, Shard};
use crate::store::Registry;

/// The parts of a node that serve data.
pub(crate) struct Serving {
    pub(crate) env: Env,
    pub(crate) registry: Arc<Registry>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) traffic: Arc<Traffic>,
}

impl Serving {
    /// The local replica of a group, or what to tell the caller instead.
    pub(crate) fn shard(&self, map: &ShardMap, group: GroupId) -> Result<Arc<Shard>, Failure> {
        if let Some(shard) = self.registry.get(group) {
            return Ok(shard);
        }
        let local = self.directory.local_node();
        let meant = map
            .groups
            .get(&group)
            .is_some_and(|entry| entry.replicas.values().any(|&node| node == local));
        if meant {
            return Err(Failure::Unavailable(format!(
                "group {group} is starting on this node"
            )));
        }
        Err(Failure::NotHere { group })
    }

    /// Where replicas are.
    pub(crate) fn places(&self) -> Arc<dyn Locate> {
        self.directory.clone()
    }
}

impl Locate for Directory {
    fn locate(&self, group: GroupId, replica: ReplicaId) -> Option<(NodeId, Option<String>)> {
        let node = self.node_of(group, replica)?;
        Some((node, self.address(node)))
    }

    fn map_epoch(&self) -> Epoch {
        self.map().epoch
    }
}

/// The group to ask: the one named, else the one that the map gives the keys. The map is a hint; the
/// group itself says what it owns.
pub(crate) fn route(map: &ShardMap, named: GroupId, request: &Request) -> Result<GroupId, Failure> {
    if named == GroupId::CONTROL {
        by_keys(map, request)
    } else {
        Ok(named)
    }
}

fn by_keys(map: &ShardMap, request: &Request) -> Result<GroupId, Failure> {
    let of_slot = |slot| {
        map.group_of(slot)
            .ok_or_else(|| Failure::Unavailable(format!("slot {slot} has no group yet")))
    };
    let read = match request {
        Request::Write(command) => return of_slot(command.slot),
        Request::OpenSession(..) => return only_group(map),
        Request::Read(read) => read,
    };
    match &read.op {
        ReadOp::Get { slot, .. } => of_slot(*slot),
        ReadOp::Scan(_) => only_group(map),
        ReadOp::MultiGet { keys } => {
            let mut groups = keys.iter().map(|(_, slot)| of_slot(*slot));
            let first = groups.next().unwrap_or_else(|| only_group(map))?;
            for group in groups {
                if group? != first {
                    return Err(Failure::Invalid(SPANS_GROUPS.into()));
                }
            }
            Ok(first)
        }
    }
}

const SPANS_GROUPS: &str = "the keys of one multi-get must be in one group: give them the same {tag}, ask for \
                            each group's keys by themselves, or use a client that does";

/// For requests that name no key: clear only while there is one data group.
fn only_group(map: &ShardMap) -> Result<GroupId, Failure> {
    let mut groups = map.groups.keys().filter(|&&group| group != GroupId::CONTROL);
    match (groups.next(), groups.next()) {
        (Some(&group), None) => Ok(group),
        (None, _) => Err(Failure::Unavailable("there are no data groups yet".into())),
        _ => Err(Failure::Invalid(
            "the request must name a group: see Admin.GetMap for their numbers".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::convert::{Level, ReadRequest};
    use crate::shard::Consistency;
    use atoll_kv::Command;
    use atoll_placement::{GroupEntry, SlotOwner, SlotRun, Slots, slot_of};
    use atoll_types::ClientId;
    use bytes::Bytes;

    /// The lower half of the slots in group 1, the upper half in group 2.
    fn two_halves() -> ShardMap {
        let run = |first, last, group| SlotRun {
            first,
            last,
            owner: SlotOwner {
                group: GroupId(group),
                epoch: Epoch(1),
            },
        };
        let slots = [
            run(0.into_slot(), 8191.into_slot(), 1),
            run(8192.into_slot(), 16383.into_slot(), 2),
        ];
        let mut map = ShardMap {
            slots: Slots::from_runs(slots).unwrap(),
            ..ShardMap::default()
        };
        for group in 0..3 {
            map.groups.insert(GroupId(group), GroupEntry::default());
        }
        map
    }

    trait IntoSlot {
        fn into_slot(self) -> atoll_types::SlotId;
    }

    impl IntoSlot for u16 {
        fn into_slot(self) -> atoll_types::SlotId {
            atoll_types::SlotId(self)
        }
    }

    fn read(op: ReadOp) -> Request {
        Request::Read(ReadRequest {
            op,
            level: Level::Plain(Consistency::Linearizable),
            at: None,
            slot_epoch: Epoch(0),
        })
    }

    fn multi_get(keys: &[&'static [u8]]) -> Request {
        let keys = keys
            .iter()
            .map(|key| (Bytes::from_static(key), slot_of(key)))
            .collect();
        read(ReadOp::MultiGet { keys })
    }

    #[test]
    fn keys_go_to_the_group_of_their_slot() {
        let map = two_halves();
        // Slots 12182, 5061 and 866.
        assert_eq!(
            by_keys(&map, &Request::Write(Command::write(slot_of(b"foo"), Vec::new()))),
            Ok(GroupId(2))
        );
        assert_eq!(by_keys(&map, &multi_get(&[b"bar", b"hello"])), Ok(GroupId(1)));
    }

    #[test]
    fn a_multi_get_over_groups_names_the_tag_rule() {
        let Err(Failure::Invalid(message)) = by_keys(&two_halves(), &multi_get(&[b"foo", b"bar"])) else {
            panic!()
        };
        assert!(message.contains("{tag}"));
    }

    #[test]
    fn what_names_no_key_must_name_a_group() {
        let open = Request::OpenSession(ClientId(1), atoll_types::Version::ZERO);
        assert!(matches!(by_keys(&two_halves(), &open), Err(Failure::Invalid(_))));
        let mut one = two_halves();
        one.groups.remove(&GroupId(2));
        assert_eq!(route(&one, GroupId(9), &open), Ok(GroupId(9)));
        assert_eq!(by_keys(&one, &open), Ok(GroupId(1)));
        assert!(matches!(
            by_keys(&ShardMap::default(), &open),
            Err(Failure::Unavailable(_))
        ));
    }
}
