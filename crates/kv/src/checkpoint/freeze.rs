//! Writing down what changed.

use atoll_types::ClientId;

use super::group::GroupRow;
use super::row::SystemRow;
use super::{history, ownership, session};
use crate::Machine;

/// Names a freeze of one machine; later ones are higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FreezeId(u64);

/// What a freeze gives.
#[derive(Debug)]
#[must_use = "rows that are not written are lost unless the machine is told so"]
pub struct Frozen {
    /// To be told to the machine when the rows are durable.
    pub id: FreezeId,
    /// In the order of their keys, each key once.
    pub rows: Vec<SystemRow>,
}

/// What of a machine was written down, as far as it knows.
#[derive(Debug, Default)]
pub(crate) struct Freezes {
    newest: FreezeId,
    /// A row of the genesis was frozen and not lost. It never changes after that.
    genesis: bool,
    /// There may be a row of history, which was not removed since.
    history: bool,
    /// Freezes not known to be durable, oldest first.
    pending: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    id: FreezeId,
    clients: Vec<ClientId>,
    removes_history: bool,
}

impl Freezes {
    /// Everything there is came from a durable checkpoint.
    pub(crate) fn restored(genesis: bool, history: bool) -> Self {
        Self {
            genesis,
            history,
            ..Self::default()
        }
    }
}

impl Machine {
    /// System rows of all that changed since the last freeze, at the point of the log that the machine has reached.
    /// The first one gives everything, unless the machine was restored.
    ///
    /// It takes time in proportion to the sessions used since then. Until [`Self::frozen_durable`] says that this is not
    /// needed any more, the machine keeps 16 bytes for each of them.
    pub fn freeze(&mut self) -> Frozen {
        let clients = self.sessions.take_changed();
        let mut rows = Vec::with_capacity(clients.len() + 3);
        rows.push(GroupRow::of(self).encode());
        if let Some(genesis) = self.ownership.genesis()
            && !self.freezes.genesis
        {
            rows.push(ownership::encode(genesis));
            self.freezes.genesis = true;
        }
        rows.extend(clients.iter().map(|&client| self.session_row(client)));
        let removes_history = self.history.is_none() && self.freezes.history;
        match &self.history {
            Some(kept) => rows.push(history::encode(kept)),
            None if removes_history => rows.push(history::removed()),
            None => {}
        }
        self.freezes.history = self.history.is_some();
        let id = FreezeId(self.freezes.newest.0 + 1);
        self.freezes.newest = id;
        self.freezes.pending.push(Pending {
            id,
            clients,
            removes_history,
        });
        Frozen { id, rows }
    }

    /// The rows of this freeze and of all before it are durable and in force.
    pub fn frozen_durable(&mut self, id: FreezeId) {
        self.freezes.pending.retain(|pending| pending.id > id);
    }

    /// Rows of a freeze will not become durable. All that is not known to be durable comes again with the next freeze,
    /// as it is then. The caller drops later freezes that it has not put in force yet: without the lost one they are no
    /// checkpoint.
    pub fn frozen_failed(&mut self) {
        self.freezes.genesis = false;
        for pending in self.freezes.pending.drain(..) {
            self.freezes.history |= pending.removes_history;
            self.sessions.change_again(&pending.clients);
        }
    }

    /// System rows of everything, in the order of their keys: a checkpoint by itself. Does not count as a freeze.
    pub fn checkpoint_all(&self) -> impl Iterator<Item = SystemRow> {
        let group = GroupRow::of(self).encode();
        let genesis = self.ownership.genesis().map(ownership::encode);
        let clients = self.sessions.clients().into_iter();
        let sessions = clients.map(|client| self.session_row(client));
        let history = self.history.as_ref().map(history::encode);
        [group].into_iter().chain(genesis).chain(sessions).chain(history)
    }

    fn session_row(&self, client: ClientId) -> SystemRow {
        match self.sessions.get(client) {
            Some(open) => session::encode(client, open),
            None => SystemRow::removed(session::key(client)),
        }
    }
}
