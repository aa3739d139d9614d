//! One group as the client knows it, and its guess at who leads.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use atoll_proto::v1;
use atoll_types::{GroupGen, GroupId, GroupKey};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::choose::{Choice, Replica};
use crate::pipe::{Peer, Wires};
use crate::session::Sessions;
use crate::token::Mark;

/// What is kept of one incarnation of a group over all maps that have it.
#[derive(Default)]
pub(crate) struct Lasting {
    /// The highest applied index in any proof of this incarnation.
    applied: AtomicU64,
    sessions: Sessions,
    /// Counts reads that go to the replicas in turn.
    turn: AtomicUsize,
}

/// A group's replicas and the guess at its leader. Shared by all calls, and by successive maps as
/// long as the group's replicas stay the same.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) generation: GroupGen,
    pub(super) lasting: Arc<Lasting>,
    /// The newest state that any proof came from, of whatever incarnation: a replica may know of the next
    /// one before the map does, and until something of it was seen, the last one's state counts.
    seen: Arc<Mutex<Option<Mark>>>,
    replicas: Vec<Replica>,
    leader: RwLock<Option<Arc<Peer>>>,
    /// Which replica to ask while nobody is known to lead.
    turn: AtomicUsize,
    /// Wakes calls that wait for a leader.
    changed: Notify,
}

impl Group {
    pub(super) fn new(
        (id, generation): (GroupId, GroupGen),
        replicas: Vec<Replica>,
        leader: Option<Arc<Peer>>,
    ) -> Self {
        let leader = RwLock::new(leader);
        Self {
            id,
            generation,
            lasting: Arc::default(),
            seen: Arc::default(),
            replicas,
            leader,
            turn: AtomicUsize::new(id.0 as usize),
            changed: Notify::new(),
        }
    }

    /// Notes how far the group was in the state that a reply came from.
    pub(crate) fn saw(&self, proof: &v1::Proof) {
        let ours = proof.generation == self.generation.0;
        // Most replies come with an index that is known already: they share an entry.
        let known = ours && proof.applied_index <= self.lasting.applied.load(Acquire);
        if known || proof.group != self.id.0 || proof.applied_index == 0 {
            return;
        }
        let mark = Mark {
            generation: GroupGen(proof.generation),
            applied_index: proof.applied_index,
        };
        {
            let mut seen = self.seen.lock();
            *seen = seen.max(Some(mark));
        }
        if ours {
            // After the mark, which others take to be there if they find this.
            self.lasting.applied.fetch_max(proof.applied_index, Release);
        }
    }

    /// How far this client has seen the group.
    pub(crate) fn mark(&self) -> Option<Mark> {
        *self.seen.lock()
    }

    /// Its id and incarnation.
    pub(crate) fn key(&self) -> GroupKey {
        GroupKey::new(self.id, self.generation)
    }

    /// This client's session in the group.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.lasting.sessions
    }

    /// Whom to send a read to that any replica may answer.
    pub(crate) fn reader(&self, choice: &Choice<'_>) -> Option<Arc<Peer>> {
        choice.among(&self.replicas, &self.lasting.turn)
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
        for Replica { peer, .. } in in_turn {
            if peer.looks_alive(wires) {
                return Some(Arc::clone(peer));
            }
            first.get_or_insert(peer);
        }
        first.cloned()
    }

    /// The same group, with what was learned of it under an older map.
    pub(super) fn after(mut self, old: &Self) -> Self {
        self.seen = Arc::clone(&old.seen);
        if old.generation == self.generation {
            self.lasting = Arc::clone(&old.lasting);
        }
        if let Some(leader) = old.leader().filter(|leader| self.has(leader)) {
            *self.leader.get_mut() = Some(leader);
        }
        self
    }

    /// The guess at the leader.
    pub(super) fn leader(&self) -> Option<Arc<Peer>> {
        self.leader.read().clone()
    }

    /// True if `peer` is one of the group's replicas.
    pub(super) fn has(&self, peer: &Arc<Peer>) -> bool {
        self.replicas
            .iter()
            .any(|replica| Arc::ptr_eq(&replica.peer, peer))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn group(generation: u32) -> Group {
        Group::new((GroupId(7), GroupGen(generation)), Vec::new(), None)
    }

    fn proof(group: u64, generation: u32, applied_index: u64) -> v1::Proof {
        v1::Proof {
            group,
            generation,
            applied_index,
            ..v1::Proof::default()
        }
    }

    fn mark(generation: u32, applied_index: u64) -> Mark {
        let generation = GroupGen(generation);
        Mark {
            generation,
            applied_index,
        }
    }

    #[test]
    fn the_newest_incarnation_seen_counts_and_within_it_the_highest_index() {
        let group = group(2);
        assert_eq!(group.mark(), None);
        for (shown, kept) in [
            (proof(8, 2, 50), None),
            (proof(7, 2, 0), None),
            (proof(7, 1, 99), Some(mark(1, 99))),
            (proof(7, 2, 20), Some(mark(2, 20))),
            (proof(7, 2, 10), Some(mark(2, 20))),
            (proof(7, 1, 100), Some(mark(2, 20))),
            // A replica knows of the next incarnation before the map does.
            (proof(7, 3, 4), Some(mark(3, 4))),
            (proof(7, 2, 21), Some(mark(3, 4))),
            (proof(7, 3, 5), Some(mark(3, 5))),
        ] {
            group.saw(&shown);
            assert_eq!(group.mark(), kept, "after {shown:?}");
        }
    }

    #[test]
    fn what_was_seen_outlasts_maps_and_incarnations() {
        let first = group(1);
        first.saw(&proof(7, 1, 30));
        let second = group(2).after(&first);
        assert_eq!(second.mark(), Some(mark(1, 30)), "nothing newer was seen yet");
        first.saw(&proof(7, 1, 31));
        assert_eq!(
            second.mark(),
            Some(mark(1, 31)),
            "a call of before the new map ends"
        );
        second.saw(&proof(7, 2, 3));
        let third = group(2).after(&second);
        assert_eq!(third.mark(), Some(mark(2, 3)));
        third.saw(&proof(7, 2, 2));
        assert_eq!(third.mark(), Some(mark(2, 3)));
    }
}
