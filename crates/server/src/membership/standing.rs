//! What this node is and has promised: its answers to Hello, Claim and Admit, and its joining.

use std::sync::{Arc, OnceLock};

use atoll_env::Env;
use atoll_env::net::{Code, Status};
use atoll_env::watch;
use atoll_types::{ClusterId, NodeId};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::{Clocks, Greeting, Newcomer, Standing, init_command};
use crate::address_book::AddressBook;
use crate::identity::{Claim, DataDir, Hints, Ident, IdentityError, Member};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Progress {
    Waiting,
    /// Every directory of the claimed set is known to hold the claim, or a cluster gave a node id.
    Complete,
    Admitted,
}

#[derive(Debug)]
struct Place {
    address: String,
    zone: String,
}

/// This node's place among others. One promise at most is ever written, a claim or a join.
pub(crate) struct Membership {
    env: Env,
    dir: DataDir,
    place: OnceLock<Place>,
    incarnation: u64,
    book: AddressBook,
    clocks: Clocks,
    standing: RwLock<Standing>,
    /// Held while a claim or identity is written, so that decisions come one after the other.
    deciding: Mutex<()>,
    progress: watch::Sender<Progress>,
}

impl Membership {
    /// Reads the directory and counts this start.
    pub(crate) async fn open(env: &Env, dir: DataDir) -> Result<Arc<Self>, IdentityError> {
        let (claim, join, ident) = (dir.claim()?, dir.join()?, dir.ident()?);
        let Hints { starts, nodes } = dir.hints();
        let uuid = dir.uuid();
        let hints = nodes.into_iter().filter(|hint| hint.uuid != uuid);
        let book = AddressBook::new(hints);
        let standing = match (ident, claim, join) {
            (Some(ident), claim, _) => Standing::Admitted(ident, claim),
            (None, Some(claim), _) => Standing::Claimed(claim),
            (None, None, Some(ident)) => Standing::Joining(ident),
            (None, None, None) => Standing::Fresh,
        };
        if let Some(claim) = standing.claim() {
            book.add_hints(&claim.members, uuid);
        }
        let progress = match standing {
            Standing::Admitted(..) => Progress::Admitted,
            Standing::Joining(_) => Progress::Complete,
            Standing::Fresh | Standing::Claimed(_) => Progress::Waiting,
        };
        let membership = Self {
            env: env.clone(),
            dir,
            place: OnceLock::new(),
            incarnation: starts + 1,
            book,
            clocks: Clocks::default(),
            standing: RwLock::new(standing),
            deciding: Mutex::default(),
            progress: watch::Sender::new(progress),
        };
        membership.save_hints().await?;
        Ok(Arc::new(membership))
    }

    /// Once the server is bound: where this node is.
    pub(crate) fn set_place(&self, address: String, zone: String) {
        // Set by Node::start only, once.
        let _ = self.place.set(Place { address, zone });
    }

    /// Where this node is; empty until the server is bound.
    pub(crate) fn address(&self) -> &str {
        self.place.get().map_or("", |place| &place.address)
    }

    /// The failure domain this node is in; empty if it was not told.
    pub(crate) fn zone(&self) -> &str {
        self.place.get().map_or("", |place| &place.zone)
    }

    pub(crate) fn dir(&self) -> &DataDir {
        &self.dir
    }

    pub(crate) fn book(&self) -> &AddressBook {
        &self.book
    }

    /// What is known of wall clocks.
    pub(crate) fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.read().clone()
    }

    pub(crate) fn ident(&self) -> Option<Ident> {
        match &*self.standing.read() {
            Standing::Admitted(ident, _) => Some(*ident),
            Standing::Fresh | Standing::Claimed(_) | Standing::Joining(_) => None,
        }
    }

    /// What this node says of itself.
    pub(crate) fn greeting(&self) -> Greeting {
        let standing = self.standing.read();
        let (ident, claim) = match &*standing {
            Standing::Fresh | Standing::Joining(_) => (None, None),
            Standing::Claimed(claim) => (None, Some((claim.cluster, claim.members.clone()))),
            Standing::Admitted(ident, _) => (Some((ident.cluster, ident.node)), None),
        };
        Greeting {
            ident,
            uuid: self.dir.uuid(),
            incarnation: self.incarnation,
            address: self.address().to_owned(),
            zone: self.zone().to_owned(),
            known: self.book.confirmed(),
            claim,
            wall_ms: self.env.clock.wall_ms(),
        }
    }

    /// Answers a greeting. Of another cluster nothing is learned and nothing is told.
    pub(crate) fn answer_greeting(&self, from: &Greeting) -> Result<Greeting, Status> {
        let ours = self.ident();
        match (ours, from.ident) {
            (Some(ours), Some((theirs, node))) if ours.cluster != theirs => {
                let refusal = format!(
                    "this is node {} of cluster {}, not of cluster {theirs}: node {node} at {} has the data \
                     directory of another cluster or the wrong --join",
                    ours.node, ours.cluster, from.address
                );
                tracing::warn!(cluster = %ours.cluster, other = %theirs, address = from.address, "greeted by a node of another cluster");
                return Err(Status::new(Code::FailedPrecondition, refusal));
            }
            (Some(ours), Some((_, node))) if ours.node == node && from.incarnation != self.incarnation => {
                tracing::error!(%node, address = from.address, "another process runs with this node's identity");
                let refusal = format!("node {node} runs here; a data directory must not be copied");
                return Err(Status::new(Code::AlreadyExists, refusal));
            }
            _ => self.heard(from),
        }
        Ok(self.greeting())
    }

    /// Learns from a greeting of a node of the same cluster or set.
    pub(crate) fn heard(&self, from: &Greeting) {
        let Some((cluster, node)) = from.ident else { return };
        match self.standing() {
            Standing::Fresh => {}
            // It could be admitted only because all of the set held the claim.
            Standing::Claimed(claim) => {
                if claim.cluster == cluster && claim.node_of(from.uuid).is_some() {
                    self.set_complete();
                }
            }
            Standing::Joining(ident) | Standing::Admitted(ident, _) => {
                if ident.cluster == cluster && ident.node != node {
                    self.learn(node, from);
                }
            }
        }
    }

    fn learn(&self, node: NodeId, from: &Greeting) {
        // It is starting and does not know its own address yet.
        if from.address.is_empty() {
            return;
        }
        let sender = Member {
            node,
            uuid: from.uuid,
            address: from.address.clone(),
            zone: from.zone.clone(),
        };
        if self.book.greeted(&sender, from.incarnation, self.env.clock.now()) {
            tracing::info!(%node, address = from.address, "node found");
        }
        let own = self.dir.uuid();
        for rumour in from.known.iter().filter(|rumour| rumour.uuid != own) {
            self.book.rumour(rumour);
        }
    }

    /// Promises this directory to a set, durably, or says to which one it is promised.
    pub(crate) async fn claim(&self, wanted: Claim) -> Result<Claim, Status> {
        wanted
            .check()
            .map_err(|reason| Status::new(Code::InvalidArgument, reason))?;
        if wanted.node_of(self.dir.uuid()).is_none() {
            let refusal = format!(
                "the set does not contain this node's directory ({})",
                self.dir.uuid()
            );
            return Err(Status::new(Code::FailedPrecondition, refusal));
        }
        let _deciding = self.deciding.lock().await;
        match self.standing() {
            Standing::Fresh => self.claim_first(wanted).await,
            Standing::Claimed(held) | Standing::Admitted(_, Some(held)) if held.same_set(&wanted.members) => {
                Ok(held)
            }
            Standing::Claimed(held) => Err(self.promised_elsewhere(&held)),
            Standing::Joining(ident) | Standing::Admitted(ident, None) => Err(self.joined(ident)),
            Standing::Admitted(ident, Some(held)) => {
                let nodes = held.addresses();
                let refusal = format!(
                    "{} is node {} of cluster {} (made of {nodes}; `atoll init --nodes {nodes}` answers with it) \
                     already: leave it out of --nodes",
                    self.address(),
                    ident.node,
                    ident.cluster
                );
                Err(Status::new(Code::FailedPrecondition, refusal))
            }
        }
    }

    async fn claim_first(&self, wanted: Claim) -> Result<Claim, Status> {
        if let Err(error) = self.dir.write_claim(&wanted).await {
            // It may or may not be on the disk; only a restart can tell.
            self.env
                .halt
                .now(&format!("the claim cannot be written: {error}"))
                .await;
        }
        tracing::info!(cluster = %wanted.cluster, set = wanted.addresses(), "claimed");
        self.book.add_hints(&wanted.members, self.dir.uuid());
        *self.standing.write() = Standing::Claimed(wanted.clone());
        Ok(wanted)
    }

    /// What this directory tells a cluster that it wants to join.
    pub(crate) fn newcomer(&self) -> Newcomer {
        Newcomer {
            uuid: self.dir.uuid(),
            address: self.address().to_owned(),
            zone: self.zone().to_owned(),
        }
    }

    /// Promises this directory to a cluster that has given it a node id, durably. Of this and
    /// [`Membership::claim`] only the first to get here succeeds.
    pub(crate) async fn join(&self, ident: Ident) -> Result<(), Status> {
        let _deciding = self.deciding.lock().await;
        match self.standing() {
            Standing::Fresh => {}
            Standing::Joining(held) | Standing::Admitted(held, _) if held == ident => return Ok(()),
            Standing::Claimed(held) => return Err(self.promised_elsewhere(&held)),
            Standing::Joining(held) | Standing::Admitted(held, _) => return Err(self.joined(held)),
        }
        if let Err(error) = self.dir.write_join(ident).await {
            // It may or may not be on the disk; only a restart can tell.
            self.env
                .halt
                .now(&format!("the promise to a cluster cannot be written: {error}"))
                .await;
        }
        tracing::info!(cluster = %ident.cluster, node = %ident.node, "joining");
        *self.standing.write() = Standing::Joining(ident);
        self.set_complete();
        Ok(())
    }

    fn joined(&self, ident: Ident) -> Status {
        let refusal = format!(
            "{} joined cluster {} as node {}: leave it out of `atoll init --nodes`, or, if joining was a mistake, stop \
             this node and start it with an empty data directory",
            self.address(),
            ident.cluster,
            ident.node
        );
        Status::new(Code::FailedPrecondition, refusal)
    }

    fn promised_elsewhere(&self, held: &Claim) -> Status {
        let refusal = format!(
            "{} is promised to another initial set ({}) of cluster {}; finish that one with `{}`, or, if it was a \
             mistake, stop this node and empty its data directory",
            self.address(),
            held.addresses(),
            held.cluster,
            init_command(held)
        );
        Status::new(Code::FailedPrecondition, refusal)
    }

    /// Takes part: whoever asks knows that all of the set hold the claim. Returns when the identity is
    /// durable.
    pub(crate) async fn admit(&self, cluster: ClusterId, set: &[Member]) -> Result<(), Status> {
        let refuse = |reason| Err(Status::new(Code::FailedPrecondition, reason));
        match self.standing() {
            Standing::Fresh => return refuse("this node holds no claim".to_owned()),
            Standing::Claimed(held) if held.cluster == cluster && held.same_set(set) => self.set_complete(),
            Standing::Admitted(ident, _) if ident.cluster == cluster => return Ok(()),
            Standing::Claimed(Claim { cluster: held, .. })
            | Standing::Joining(Ident { cluster: held, .. })
            | Standing::Admitted(Ident { cluster: held, .. }, _) => {
                return refuse(format!("this node belongs to cluster {held}, not {cluster}"));
            }
        }
        let mut progress = self.progress.subscribe();
        // The sender lives as long as self.
        let _ = progress
            .wait_for(|progress| *progress == Progress::Admitted)
            .await;
        Ok(())
    }

    /// All of the claimed set are known to hold the claim.
    pub(crate) fn set_complete(&self) {
        self.progress.send_if_modified(|progress| {
            let first = *progress < Progress::Complete;
            if first {
                *progress = Progress::Complete;
            }
            first
        });
    }

    /// Waits until this node may take part, and returns as whom.
    pub(crate) async fn completed(&self) -> Ident {
        let mut progress = self.progress.subscribe();
        // The sender lives as long as self.
        let _ = progress
            .wait_for(|progress| *progress >= Progress::Complete)
            .await;
        match self.standing() {
            Standing::Joining(ident) | Standing::Admitted(ident, _) => ident,
            Standing::Claimed(claim) => {
                let node = claim
                    .node_of(self.dir.uuid())
                    .expect("a claim names the directory that holds it");
                Ident {
                    cluster: claim.cluster,
                    node,
                }
            }
            Standing::Fresh => unreachable!("only a promised directory can be complete"),
        }
    }

    /// Writes the identity; the journal is durable by now.
    pub(crate) async fn become_admitted(&self, ident: Ident) -> Result<(), IdentityError> {
        let _deciding = self.deciding.lock().await;
        self.dir.write_ident(&ident).await?;
        {
            let mut standing = self.standing.write();
            let claim = standing.claim().cloned();
            *standing = Standing::Admitted(ident, claim);
        }
        tracing::info!(cluster = %ident.cluster, node = %ident.node, "admitted");
        self.progress.send_replace(Progress::Admitted);
        Ok(())
    }

    /// The initial set, known to its own nodes.
    pub(crate) fn initial_set(&self) -> Option<Claim> {
        self.standing.read().claim().cloned()
    }

    /// Remembers for the next start what is known now.
    pub(crate) async fn save_hints(&self) -> Result<(), IdentityError> {
        self.dir
            .write_hints(&Hints {
                starts: self.incarnation,
                nodes: self.book.all(),
            })
            .await
    }
}
