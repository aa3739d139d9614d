//! What this node is and has promised, and its answers to Hello, Claim and Admit.

use std::sync::{Arc, OnceLock};

use atoll_env::Env;
use atoll_env::net::{Code, Status};
use atoll_env::watch;
use atoll_types::{ClusterId, NodeId, NodeUuid};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::Clocks;
use crate::address_book::AddressBook;
use crate::identity::{Claim, DataDir, Hints, Ident, IdentityError, Member};

/// How far this directory has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Only a uuid.
    Fresh,
    /// Promised to a set, but not known yet whether all of it is.
    Claimed(Claim),
    /// Part of a cluster.
    Admitted(Ident, Option<Claim>),
}

impl Standing {
    fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Fresh => None,
            Self::Claimed(claim) => Some(claim),
            Self::Admitted(_, claim) => claim.as_ref(),
        }
    }
}

/// What a node says of itself, asked or unasked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Its cluster and node id, once admitted.
    pub(crate) ident: Option<(ClusterId, NodeId)>,
    /// Its directory.
    pub(crate) uuid: NodeUuid,
    /// Which start of it this is.
    pub(crate) incarnation: u64,
    /// Where it is.
    pub(crate) address: String,
    /// Whom it has seen.
    pub(crate) known: Vec<Member>,
    /// The claim it holds while it is not admitted.
    pub(crate) claim: Option<(ClusterId, Vec<Member>)>,
    /// Its wall clock, in answers only; 0: not told.
    pub(crate) wall_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Progress {
    Waiting,
    /// Every directory of the claimed set is known to hold the claim.
    Complete,
    Admitted,
}

/// This node's place among others. One claim at most is ever written.
pub(crate) struct Membership {
    env: Env,
    dir: DataDir,
    address: OnceLock<String>,
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
        let (claim, ident) = (dir.claim()?, dir.ident()?);
        let Hints { starts, nodes } = dir.hints();
        let uuid = dir.uuid();
        let hints = nodes.into_iter().filter(|hint| hint.uuid != uuid);
        let book = AddressBook::new(hints);
        let standing = match (ident, claim) {
            (Some(ident), claim) => Standing::Admitted(ident, claim),
            (None, Some(claim)) => Standing::Claimed(claim),
            (None, None) => Standing::Fresh,
        };
        if let Some(claim) = standing.claim() {
            book.add_hints(&claim.members, uuid);
        }
        let progress = match standing {
            Standing::Admitted(..) => Progress::Admitted,
            Standing::Fresh | Standing::Claimed(_) => Progress::Waiting,
        };
        let membership = Self {
            env: env.clone(),
            dir,
            address: OnceLock::new(),
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
    pub(crate) fn set_address(&self, address: String) {
        // Set by Node::start only, once.
        let _ = self.address.set(address);
    }

    /// Where this node is; empty until the server is bound.
    pub(crate) fn address(&self) -> &str {
        self.address.get().map_or("", String::as_str)
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
            Standing::Fresh | Standing::Claimed(_) => None,
        }
    }

    /// What this node says of itself.
    pub(crate) fn greeting(&self) -> Greeting {
        let standing = self.standing.read();
        let (ident, claim) = match &*standing {
            Standing::Fresh => (None, None),
            Standing::Claimed(claim) => (None, Some((claim.cluster, claim.members.clone()))),
            Standing::Admitted(ident, _) => (Some((ident.cluster, ident.node)), None),
        };
        Greeting {
            ident,
            uuid: self.dir.uuid(),
            incarnation: self.incarnation,
            address: self.address().to_owned(),
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
            Standing::Admitted(ident, _) => {
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
            Standing::Admitted(ident, held) => {
                let set = held.map_or_else(String::new, |held| {
                    let nodes = held.addresses();
                    format!(" (made of {nodes}; `atoll init --nodes {nodes}` answers with it)")
                });
                let refusal = format!(
                    "{} is node {} of cluster {}{set} already: leave it out of --nodes",
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
            Standing::Admitted(ident, _) => ident,
            Standing::Claimed(claim) => {
                let node = claim
                    .node_of(self.dir.uuid())
                    .expect("a claim names the directory that holds it");
                Ident {
                    cluster: claim.cluster,
                    node,
                }
            }
            Standing::Fresh => unreachable!("only a claimed set can be complete"),
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

/// What a person types to finish a claimed set.
pub(crate) fn init_command(claim: &Claim) -> String {
    format!("atoll init --nodes {}", claim.addresses())
}
