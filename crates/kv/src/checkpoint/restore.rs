//! Making a machine from system rows.

use atoll_types::{ClientId, ClusterId, GroupKey, Key};

use super::fields::Flaw;
use super::group::{self, GroupRow};
use super::row::{SystemKey, SystemRow};
use super::{Freezes, RestoreError, history, ownership, session};
use crate::fingerprint::Fingerprint;
use crate::history::History;
use crate::ownership::Genesis;
use crate::session::Session;
use crate::sessions::Sessions;
use crate::{Machine, SessionLimits};

/// A machine that is being made, row by row, for a caller that gets them piece by piece. Nothing can be done with it
/// before all of them are there.
#[derive(Debug)]
pub struct Restoration {
    cluster: ClusterId,
    group: GroupKey,
    limits: SessionLimits,
    last_key: Option<Key>,
    /// From the group's row on.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    /// What the other rows must fit.
    row: GroupRow,
    machine: Machine,
}

impl Machine {
    /// The machine that system rows describe, each a key and its newest value, in the order of keys, without those that
    /// are gone. Rows of other checkpoints among them are not always noticed.
    pub fn restore<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        cluster: ClusterId,
        group: GroupKey,
        limits: SessionLimits,
        rows: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, RestoreError> {
        let mut restoration = Restoration::new(cluster, group, limits);
        for (key, value) in rows {
            restoration.row(key.as_ref(), value.as_ref())?;
        }
        restoration.finish()
    }
}

impl Restoration {
    /// Waits for the first row. Rows of anything else than this group under these limits are refused.
    pub fn new(cluster: ClusterId, group: GroupKey, limits: SessionLimits) -> Self {
        Self {
            cluster,
            group,
            limits,
            last_key: None,
            begun: None,
        }
    }

    /// Takes the next row: its key and its newest value. After an error nothing can be made of it any more.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), RestoreError> {
        let parsed = SystemKey::parse(key).ok_or(RestoreError::NoKey(key.len()))?;
        let (name, format) = known(&parsed)?;
        if self.last_key.as_ref().is_some_and(|last| last.as_bytes() >= key) {
            return Err(RestoreError::Order);
        }
        self.last_key = Some(Key::from_unchecked(key));
        let damaged = |Flaw(what)| RestoreError::Damaged { row: name, what };
        let (version, fields) =
            SystemRow::unseal(key, value).ok_or_else(|| damaged(Flaw("its sum does not match")))?;
        if version != format {
            return Err(RestoreError::UnknownVersion { row: name, version });
        }
        if parsed.kind == SystemKey::GROUP {
            return self.begin(GroupRow::decode(fields).map_err(damaged)?);
        }
        let begun = self.begun.as_mut().ok_or(RestoreError::NoGroup)?;
        if parsed.kind == SystemKey::HISTORY {
            return begun.history(history::decode(fields).map_err(damaged)?);
        }
        match session::client(parsed.id) {
            Some(client) => begun.session(client, session::decode(fields).map_err(damaged)?),
            None => begun.genesis(ownership::decode(fields).map_err(damaged)?),
        }
    }

    /// The machine, if all rows were there.
    pub fn finish(self) -> Result<Machine, RestoreError> {
        let Begun { row, mut machine } = self.begun.ok_or(RestoreError::NoGroup)?;
        let found = machine.sessions.len();
        if found != row.sessions {
            let expected = row.sessions;
            return Err(RestoreError::SessionCount { found, expected });
        }
        if machine.ownership.has_genesis() != row.genesis {
            return Err(RestoreError::Contradiction("the genesis is missing"));
        }
        if machine.history.is_some() != row.history {
            return Err(RestoreError::Contradiction("history is missing, or is not kept"));
        }
        machine.freezes = Freezes::restored(row.genesis, row.history);
        Ok(machine)
    }

    fn begin(&mut self, row: GroupRow) -> Result<(), RestoreError> {
        if row.cluster != self.cluster {
            return Err(RestoreError::OtherCluster {
                found: row.cluster,
                expected: self.cluster,
            });
        }
        if row.group != self.group {
            return Err(RestoreError::OtherGroup {
                found: row.group,
                expected: self.group,
            });
        }
        if row.limits != self.limits {
            return Err(RestoreError::OtherLimits {
                found: row.limits,
                expected: self.limits,
            });
        }
        if row.horizon > row.last {
            return Err(RestoreError::Contradiction(
                "the horizon is above the last version",
            ));
        }
        // One session may be open whatever the limit.
        if row.sessions > row.limits.max.max(1) {
            return Err(RestoreError::Contradiction(
                "there are more sessions than the limits allow",
            ));
        }
        let mut machine = Machine::with_limits(self.cluster, self.group, self.limits);
        machine.now_ms = row.now_ms;
        machine.last = row.last;
        machine.fingerprint = Fingerprint::restored(row.fingerprint);
        machine.sessions = Sessions::restored(self.limits, row.horizon);
        self.begun = Some(Begun { row, machine });
        Ok(())
    }
}

impl Begun {
    fn genesis(&mut self, genesis: Genesis) -> Result<(), RestoreError> {
        if genesis.version > self.row.last {
            return Err(RestoreError::Contradiction(
                "the genesis is above the last version",
            ));
        }
        self.machine.ownership.begin(genesis);
        Ok(())
    }

    fn history(&mut self, history: History) -> Result<(), RestoreError> {
        let newest = history.marks.back().copied().unwrap_or_default();
        if newest.version > self.row.last || newest.time_ms > self.row.now_ms {
            return Err(RestoreError::Contradiction(
                "history goes on behind the group's last version",
            ));
        }
        self.machine.history = Some(history);
        Ok(())
    }

    fn session(&mut self, client: ClientId, session: Session) -> Result<(), RestoreError> {
        let expected = self.row.sessions;
        let found = self.machine.sessions.len() + 1;
        if found > expected {
            return Err(RestoreError::SessionCount { found, expected });
        }
        if session.reached > self.row.last {
            return Err(RestoreError::Contradiction(
                "a session reached more than the last version",
            ));
        }
        if session.used_ms > self.row.now_ms {
            return Err(RestoreError::Contradiction(
                "a session was used after the group's time",
            ));
        }
        if self.machine.sessions.is_over(session.used_ms, self.row.now_ms) {
            return Err(RestoreError::Contradiction("a session should have expired"));
        }
        self.machine.sessions.put_back(client, session);
        Ok(())
    }
}

/// Name and format version of a row, if this version knows it.
fn known(key: &SystemKey<'_>) -> Result<(&'static str, u8), RestoreError> {
    let SystemKey { slot, kind, id } = *key;
    match (slot, kind, id.len()) {
        (SystemKey::GROUP_WIDE, SystemKey::GROUP, 0) => Ok(("group", group::FORMAT)),
        (SystemKey::GROUP_WIDE, SystemKey::OWNERSHIP, 0) => Ok(("ownership", ownership::FORMAT)),
        (SystemKey::GROUP_WIDE, SystemKey::SESSION, 16) => Ok(("session", session::FORMAT)),
        (SystemKey::GROUP_WIDE, SystemKey::HISTORY, 0) => Ok(("history", history::FORMAT)),
        _ => Err(RestoreError::UnknownKind { slot, kind }),
    }
}
