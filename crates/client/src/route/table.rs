//! A shard map, compiled for look-ups.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use atoll_types::{ClusterId, Epoch, GroupId, NodeId, SlotId};

use super::choose::Replica;
use super::router::Fetched;
use super::{Group, Share};
use crate::pipe::{Peer, Pool};
use crate::token::SessionToken;

/// A shard map, compiled: slot → group, group → replicas, node → address.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) epoch: Epoch,
    pub(crate) cluster: ClusterId,
    /// For each slot an index into `groups`, out of range where nobody owns it, and since which epoch
    /// the group has it.
    slots: Vec<(u32, Epoch)>,
    groups: Vec<Arc<Group>>,
    /// Both are worked out by the first scan that needs them.
    shares: OnceLock<Vec<Share>>,
    shares_by_epoch: OnceLock<Vec<Share>>,
    nodes: BTreeMap<NodeId, Arc<Peer>>,
}

impl Table {
    /// Compiles a map. What was learned of groups is taken over from `old`, guesses at leaders else from
    /// the map's hints. `zone` is the client's.
    pub(super) fn new(fetched: &Fetched, old: &Self, pool: &Pool, zone: &str) -> Self {
        let map = &fetched.map;
        let nodes: BTreeMap<_, _> = map
            .nodes
            .iter()
            .map(|(&node, entry)| (node, pool.peer(&entry.address)))
            .collect();
        let mut slots = vec![(u32::MAX, Epoch::default()); map.slots.iter().count()];
        let positions: BTreeMap<GroupId, u32> = map.groups.keys().copied().zip(0..).collect();
        for (slot, owner) in map.slots.iter() {
            let Some(owner) = owner else { continue };
            if let (Some(place), Some(&position)) =
                (slots.get_mut(usize::from(slot.0)), positions.get(&owner.group))
            {
                *place = (position, owner.epoch);
            }
        }
        let groups = map.groups.iter().map(|(&id, entry)| {
            let replica = |node: &NodeId| {
                let near = map.nodes.get(node).is_some_and(|entry| entry.zone == zone);
                Some(Replica {
                    peer: Arc::clone(nodes.get(node)?),
                    near: near && !zone.is_empty(),
                })
            };
            let replicas = entry.replicas.values().filter_map(replica).collect();
            let hint = fetched.leaders.get(&id).and_then(|node| nodes.get(node));
            let group = Group::new((id, entry.generation), replicas, hint.cloned());
            Arc::new(match old.group(id) {
                Some(old) => group.after(old),
                None => group,
            })
        });
        let groups = groups.collect();
        Self {
            epoch: map.epoch,
            cluster: map.cluster,
            slots,
            groups,
            shares: OnceLock::new(),
            shares_by_epoch: OnceLock::new(),
            nodes,
        }
    }

    /// The group that serves a slot.
    pub(crate) fn group_of(&self, slot: SlotId) -> Option<&Arc<Group>> {
        self.owner_of(slot).map(|(group, _)| group)
    }

    /// The group that serves a slot, and since which epoch it does.
    pub(crate) fn owner_of(&self, slot: SlotId) -> Option<(&Arc<Group>, Epoch)> {
        let (position, epoch) = *self.slots.get(usize::from(slot.0))?;
        Some((self.groups.get(position as usize)?, epoch))
    }

    /// What this client has seen of every group.
    pub(crate) fn token(&self) -> SessionToken {
        let seen = self
            .groups
            .iter()
            .filter_map(|group| Some((group.id, group.mark()?)));
        SessionToken::new(self.epoch, seen)
    }

    /// A group by id.
    pub(crate) fn group(&self, id: GroupId) -> Option<&Arc<Group>> {
        let position = self.groups.binary_search_by_key(&id, |group| group.id).ok()?;
        self.groups.get(position)
    }

    /// Who owns which slots. `by_epoch`: slots that a group has had for different times are told apart.
    pub(crate) fn shares(&self, by_epoch: bool) -> &[Share] {
        let shares = if by_epoch {
            &self.shares_by_epoch
        } else {
            &self.shares
        };
        shares.get_or_init(|| Share::of(self.owners(), by_epoch))
    }

    fn owners(&self) -> impl Iterator<Item = Option<(GroupId, Epoch)>> {
        let owner = |&(position, epoch): &(u32, Epoch)| Some((self.groups.get(position as usize)?.id, epoch));
        self.slots.iter().map(owner)
    }

    /// A node by id.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Arc<Peer>> {
        self.nodes.get(&id)
    }

    /// Every node's address.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.nodes.values().map(|peer| peer.address())
    }
}
