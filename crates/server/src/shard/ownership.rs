//! Which slots the group owns, at which point of its log.
//!
//! A reader must judge ownership in the very state it reads: a slot given away one entry later must
//! still be served from the earlier view, and a slot received later must not be served from a view
//! that lacks its rows. So a table is filed under the log index of the entry that made it, *before*
//! that entry's rows are published, and a reader takes the newest table not above its view.

use std::sync::Arc;

use atoll_env::trouble;
use atoll_types::limits::SLOTS;
use atoll_types::{Epoch, GroupKey, ReplicaId, SlotId};
use parking_lot::RwLock;

use super::state::facts;

/// The slots owned from one log index on.
#[derive(Debug)]
pub(crate) struct Ownership {
    since: u64,
    /// Per slot its epoch, `None` when the group does not own it; empty before genesis.
    epochs: Box<[Option<Epoch>]>,
    owned: usize,
    newest: Epoch,
}

impl Ownership {
    /// Owns nothing, from the beginning.
    pub(crate) fn nothing() -> Self {
        Self {
            since: 0,
            epochs: Box::default(),
            owned: 0,
            newest: Epoch(0),
        }
    }

    /// Asks `owns` for every slot.
    pub(crate) fn collect(since: u64, owns: impl Fn(SlotId) -> Option<Epoch>) -> Self {
        let epochs: Box<[Option<Epoch>]> = (0..SLOTS).map(|slot| owns(SlotId(slot))).collect();
        let owned = epochs.iter().flatten().count();
        let newest = epochs.iter().flatten().max().copied().unwrap_or_default();
        Self {
            since,
            epochs,
            owned,
            newest,
        }
    }

    /// The epoch in which the group owns a slot.
    pub(crate) fn epoch(&self, slot: SlotId) -> Option<Epoch> {
        self.epochs.get(usize::from(slot.0)).copied().flatten()
    }

    /// Number of slots owned.
    pub(crate) fn owned(&self) -> usize {
        self.owned
    }

    /// Tells the simulator, one fact per run of slots of one epoch.
    pub(crate) fn tell(&self, key: GroupKey, replica: ReplicaId) {
        if !trouble::ON {
            return;
        }
        let mut slot = 0;
        for run in self.epochs.chunk_by(|before, after| before == after) {
            let last = slot + run.len() as u64 - 1;
            if let Some(Some(epoch)) = run.first() {
                let [group, generation, replica, since, epoch] = facts(key, replica, self.since, epoch.0);
                let fact = [group, generation, replica, since, epoch, slot, last];
                trouble::note("shard owns", &fact);
            }
            slot = last + 1;
        }
    }

    /// The highest epoch of any slot owned.
    pub(crate) fn newest(&self) -> Epoch {
        self.newest
    }
}

/// The last few tables. More than two are needed only by a reader that sleeps between taking its view
/// and asking here while ownership changes again and again; it then starts over with a new view.
pub(crate) struct Ownerships(RwLock<Vec<Arc<Ownership>>>);

const KEPT: usize = 4;

impl Ownerships {
    /// Nothing is owned yet.
    pub(crate) fn new() -> Self {
        Self(RwLock::new(vec![Arc::new(Ownership::nothing())]))
    }

    /// Files a new table. Call before the rows of entry `since` are published.
    pub(crate) fn file(&self, table: Ownership) {
        let mut tables = self.0.write();
        if tables.len() == KEPT {
            tables.remove(0);
        }
        tables.push(Arc::new(table));
    }

    /// The table that held at a log index; `None` if it is forgotten.
    pub(crate) fn at(&self, applied_index: u64) -> Option<Arc<Ownership>> {
        self.0
            .read()
            .iter()
            .rev()
            .find(|table| table.since <= applied_index)
            .cloned()
    }

    /// The newest table.
    pub(crate) fn newest(&self) -> Arc<Ownership> {
        let tables = self.0.read();
        tables
            .last()
            .cloned()
            .expect("there is always a table: new() files one and file() never empties")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(since: u64, slot: u16) -> Ownership {
        Ownership::collect(since, |s| (s.0 == slot).then_some(Epoch(since)))
    }

    #[test]
    fn a_view_sees_the_table_of_its_own_index() {
        let tables = Ownerships::new();
        tables.file(table(5, 1));
        tables.file(table(9, 2));
        let owned = |index, slot| tables.at(index).and_then(|t| t.epoch(SlotId(slot)));
        assert_eq!(owned(4, 1), None);
        assert_eq!(owned(5, 1), Some(Epoch(5)));
        assert_eq!(owned(8, 1), Some(Epoch(5)));
        assert_eq!(owned(9, 1), None);
        assert_eq!(owned(9, 2), Some(Epoch(9)));
        assert_eq!(tables.newest().epoch(SlotId(2)), Some(Epoch(9)));
    }

    #[test]
    fn forgotten_tables_are_not_guessed() {
        let tables = Ownerships::new();
        for since in 1..=KEPT as u64 {
            tables.file(table(since * 10, 1));
        }
        assert!(tables.at(9).is_none());
        assert!(tables.at(10).is_some());
    }

    #[test]
    fn counts_and_the_newest_epoch() {
        let table = Ownership::collect(1, |slot| (slot.0 < 10).then_some(Epoch(u64::from(slot.0))));
        assert_eq!((table.owned(), table.newest()), (10, Epoch(9)));
        assert_eq!(
            (
                Ownership::nothing().owned(),
                Ownership::nothing().epoch(SlotId(0))
            ),
            (0, None)
        );
    }
}
