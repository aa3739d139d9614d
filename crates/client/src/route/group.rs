//! One group as the client knows it, and its guess at who leads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use atoll_types::{Epoch, GroupId};
use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::pipe::{Peer, Wires};

/// A group's replicas and the guess at its leader. Shared by all calls, and by successive maps as
/// long as the group's replicas stay the same.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    /// The newest epoch of the slots the map gives to this group, if it gives any.
    pub(crate) slot_epoch: Option<Epoch>,
    replicas: Vec<Arc<Peer>>,
    leader: RwLock<Option<Arc<Peer>>>,
    /// Which replica to ask while nobody is known to lead.
    turn: AtomicUsize,
    /// Wakes calls that wait for a leader.
    changed: Notify,
}

impl Group {
    pub(super) fn new(
        id: GroupId,
        slot_epoch: Option<Epoch>,
        replicas: Vec<Arc<Peer>>,
        leader: Option<Arc<Peer>>,
    ) -> Self {
        let leader = RwLock::new(leader);
        Self {
            id,
            slot_epoch,
            replicas,
            leader,
            turn: AtomicUsize::new(id.0 as usize),
            changed: Notify::new(),
        }
    }

    /// Whom to ask: the leader if it is known, else the replicas in turn, those that look alive first.
    pub(crate) fn target(&self, wires: &Wires) -> Option<Arc<Peer>> {
        if let Some(leader) = &*self.leader.read() {
            return Some(Arc::clone(leader));
        }
        let turn = self.turn.load(Relaxed);
        let in_turn = (0..self.replicas.len())
            .filter_map(|step| self.replicas.get((turn + step) % self.replicas.len()));
        let mut first = None;
        for peer in in_turn {
            if peer.looks_alive(wires) {
                return Some(Arc::clone(peer));
            }
            first.get_or_insert(peer);
        }
        first.cloned()
    }

    /// The same group with another guess at its leader.
    pub(super) fn led_by(mut self, leader: Arc<Peer>) -> Self {
        *self.leader.get_mut() = Some(leader);
        self
    }

    /// The guess at the leader.
    pub(super) fn leader(&self) -> Option<Arc<Peer>> {
        self.leader.read().clone()
    }

    /// True if `peer` is one of the group's replicas.
    pub(super) fn has(&self, peer: &Arc<Peer>) -> bool {
        self.replicas.iter().any(|replica| Arc::ptr_eq(replica, peer))
    }

    /// `peer` did what only a leader does, or passed it on to the leader.
    pub(crate) fn answered(&self, peer: &Arc<Peer>) {
        if self.leader.read().is_none() {
            self.leads(peer);
        }
    }

    /// `peer` leads, as another replica says; wakes whoever waits for a leader.
    pub(crate) fn leads(&self, peer: &Arc<Peer>) {
        if self
            .leader
            .read()
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, peer))
        {
            return;
        }
        *self.leader.write() = Some(Arc::clone(peer));
        self.changed.notify_waiters();
    }

    /// `peer` did not answer or says that it does not lead: ask the next replica.
    pub(crate) fn failed(&self, peer: &Arc<Peer>) {
        let mut leader = self.leader.write();
        match &*leader {
            Some(known) if !Arc::ptr_eq(known, peer) => {}
            _ => {
                *leader = None;
                self.turn.fetch_add(1, Relaxed);
            }
        }
    }

    /// Waits until the guess at the leader changes.
    pub(crate) async fn leader_changed(&self) {
        self.changed.notified().await;
    }
}
