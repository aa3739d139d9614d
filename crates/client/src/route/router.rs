//! The current shard map, and how a newer one is had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Instant;
use atoll_env::net::CallError;
use atoll_placement::ShardMap;
use atoll_proto::{method, v1};
use atoll_types::{ClusterId, Epoch, GroupId, NodeId, SlotId};
use bytes::Bytes;
use parking_lot::RwLock;
use prost::Message;

use super::{Group, Table};
use crate::error::{Error, ErrorKind};
use crate::pipe::{Peer, Pool, Wires};
use crate::retry::Backoff;
use crate::stats::count;

/// How long one node may take to hand out the map before the next one is asked.
const FETCH: Duration = Duration::from_secs(1);

/// Knows the shard map and gets newer ones; one fetch at a time.
pub(crate) struct Router {
    wires: Wires,
    seeds: Vec<String>,
    /// Where this client is; empty: not told.
    zone: String,
    pub(crate) pool: Pool,
    table: RwLock<Arc<Table>>,
    fetching: tokio::sync::Mutex<Fetches>,
}

#[derive(Default)]
struct Fetches {
    /// When the last one ended.
    ended: Option<Instant>,
    not_before: Instant,
    /// Grows while fetches bring nothing new.
    backoff: Backoff,
}

/// What the map says about a slot or a group.
pub(crate) struct Way {
    pub(crate) group: Option<Arc<Group>>,
    /// Since when the group has the slot; 0 if no slot was asked for.
    pub(crate) slot_epoch: Epoch,
    /// Of the map.
    pub(crate) epoch: Epoch,
}

/// The map as fetched, with its hints.
pub(super) struct Fetched {
    pub(super) map: ShardMap,
    pub(super) leaders: BTreeMap<GroupId, NodeId>,
}

impl Router {
    pub(crate) fn new(wires: Wires, seeds: &[String], zone: &str) -> Self {
        Self {
            wires,
            seeds: seeds.to_vec(),
            zone: zone.to_owned(),
            pool: Pool::default(),
            table: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The current map.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read())
    }

    /// The group that serves a slot.
    pub(crate) fn way_to_slot(&self, slot: SlotId) -> Way {
        let table = self.table.read();
        let owner = table.owner_of(slot);
        Way {
            group: owner.map(|(group, _)| Arc::clone(group)),
            slot_epoch: owner.map(|(_, epoch)| epoch).unwrap_or_default(),
            epoch: table.epoch,
        }
    }

    /// A group by id.
    pub(crate) fn way_to_group(&self, id: GroupId) -> Way {
        let table = self.table.read();
        Way {
            group: table.group(id).cloned(),
            slot_epoch: Epoch::default(),
            epoch: table.epoch,
        }
    }

    /// The node a redirect names. Its address is fresher than the map's.
    pub(crate) fn named(&self, detail: &v1::ErrorDetail) -> Option<Arc<Peer>> {
        if detail.leader_address.is_empty() {
            return self.table.read().node(NodeId(detail.leader_node)).cloned();
        }
        Some(self.pool.peer(&detail.leader_address))
    }

    /// Fetches the first map, trying all seeds again and again until `deadline`.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<(), Error> {
        let clock = &self.wires.env.clock;
        let mut backoff = Backoff::default();
        loop {
            let why = match self.fetch().await {
                Ok(_) if !self.table().shares(false).is_empty() => return Ok(()),
                Ok(_) => "the cluster has no data groups yet".to_owned(),
                Err(error) => error,
            };
            let pause = backoff.next(&self.wires.env.rng);
            if clock.now() + pause >= deadline {
                return Err(Error::new(ErrorKind::Unavailable, format!("no shard map: {why}")));
            }
            clock.sleep(pause).await;
        }
    }

    /// Gets a map newer than `seen` if there is one. Callers share fetches, and fetches keep a
    /// growing, random distance as long as they bring nothing new.
    pub(crate) async fn refresh(&self, seen: Epoch) {
        let env = &self.wires.env;
        let asked = env.clock.now();
        let mut fetches = self.fetching.lock().await;
        if self.table.read().epoch > seen || fetches.ended.is_some_and(|ended| ended > asked) {
            return;
        }
        env.clock.sleep_until(fetches.not_before).await;
        match self.fetch().await {
            Ok(true) => fetches.backoff = Backoff::default(),
            Ok(false) => {}
            Err(error) => tracing::debug!(error, "no newer shard map"),
        }
        let pause = fetches.backoff.next(&env.rng);
        let now = env.clock.now();
        fetches.ended = Some(now);
        fetches.not_before = now + pause;
    }

    /// Asks one node after the other, from a random one on; true if the map is newer than before.
    async fn fetch(&self) -> Result<bool, String> {
        let table = self.table();
        // Nodes known from redirects only may be all that is left where the map and the seeds point to.
        let known = table.addresses().map(str::to_owned);
        let others = self.seeds.iter().cloned().chain(self.pool.connected());
        let addresses: BTreeSet<String> = known.chain(others).collect();
        let mut addresses: Vec<String> = addresses.into_iter().collect();
        if !addresses.is_empty() {
            let first = self.wires.env.rng.below(addresses.len() as u64) as usize;
            addresses.rotate_left(first);
        }
        let mut why = "no address to ask".to_owned();
        for address in addresses {
            match self.fetch_from(&address, &table).await {
                Ok(Some(fetched)) => return Ok(self.adopt(&fetched)),
                Ok(None) => return Ok(false),
                Err(error) => why = format!("{address}: {error}"),
            }
        }
        Err(why)
    }

    async fn fetch_from(&self, address: &str, table: &Table) -> Result<Option<Fetched>, String> {
        count(&self.wires.counters.map_fetches);
        let request = v1::GetMapRequest {
            known_epoch: table.epoch.0,
        };
        let request = Bytes::from(request.encode_to_vec());
        let reply = self
            .wires
            .env
            .net
            .call(address, method::GET_MAP, request, FETCH)
            .await;
        let reply = reply.map_err(|error: CallError| error.to_string())?;
        let reply = v1::GetMapReply::decode(reply).map_err(|error| error.to_string())?;
        let Some(wire) = reply.map else { return Ok(None) };
        let leaders = wire.groups.iter().filter(|group| group.leader_node != 0);
        let leaders = leaders
            .map(|group| (GroupId(group.group), NodeId(group.leader_node)))
            .collect();
        let map = ShardMap::try_from(wire).map_err(|error| error.to_string())?;
        if table.cluster != ClusterId::default() && map.cluster != table.cluster {
            return Err(format!("belongs to another cluster, {}", map.cluster));
        }
        Ok(Some(Fetched { map, leaders }))
    }

    /// Takes a map over if it is newer.
    fn adopt(&self, fetched: &Fetched) -> bool {
        let old = self.table();
        if fetched.map.epoch <= old.epoch {
            return false;
        }
        let table = Table::new(fetched, &old, &self.pool, &self.zone);
        *self.table.write() = Arc::new(table);
        true
    }
}
