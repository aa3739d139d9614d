//! The asking side of `init`.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{CallError, Code, Status};
use atoll_env::{Env, Instant};
use atoll_types::limits::GROUPS_PER_NODE_MAX;
use atoll_types::{ClusterId, GroupId, NodeId};
use futures_util::future::join_all;

use super::{Greeting, Membership};
use crate::identity::{Claim, Member};
use crate::rpc::PeerClient;

/// Data groups per initial node unless told otherwise.
const GROUPS_PER_NODE: u32 = 2;
/// How long one node is given to answer before `init` fails.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the whole of it may take.
const LONGEST: Duration = Duration::from_secs(60);
const RETRY_EVERY: Duration = Duration::from_millis(200);
const CALL_LIMIT: Duration = Duration::from_secs(3);

/// A cluster that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) cluster: ClusterId,
    pub(crate) members: Vec<Member>,
    /// It existed when the call came.
    pub(crate) already: bool,
}

/// Carries out one `init`.
pub(crate) struct Initiator {
    env: Env,
    membership: Arc<Membership>,
    peers: PeerClient,
    /// The set when the caller names none, besides this node.
    join: Vec<String>,
}

impl Initiator {
    pub(crate) fn new(env: &Env, membership: Arc<Membership>, peers: PeerClient, join: &[String]) -> Self {
        Self {
            env: env.clone(),
            membership,
            peers,
            join: join.to_vec(),
        }
    }

    /// Makes the cluster, or finishes making it, or finds it made. `groups` 0: two per node.
    pub(crate) async fn run(
        &self,
        addresses: Vec<String>,
        groups: u32,
        limit: Option<Duration>,
    ) -> Result<Made, Status> {
        let limit = limit.map_or(LONGEST, |limit| limit.min(LONGEST));
        match self.env.clock.timeout(limit, self.steps(addresses, groups)).await {
            Ok(made) => made,
            Err(elapsed) => Err(Status::new(
                Code::DeadlineExceeded,
                format!("init: {elapsed}; it is safe to repeat"),
            )),
        }
    }

    async fn steps(&self, addresses: Vec<String>, groups: u32) -> Result<Made, Status> {
        let greetings = self.greet_all(addresses).await?;
        let already = greetings.iter().all(|greeting| greeting.ident.is_some());
        let wanted = self.wanted(&greetings, groups)?;
        let claim = self.claim_all(wanted).await?;
        self.admit_all(&claim).await;
        self.await_map(&claim).await?;
        if !already {
            tracing::info!(cluster = %claim.cluster, set = claim.addresses(), "the cluster is made");
        }
        Ok(Made {
            cluster: claim.cluster,
            members: claim.members,
            already,
        })
    }

    /// Who is at each address, each directory once.
    async fn greet_all(&self, mut addresses: Vec<String>) -> Result<Vec<Greeting>, Status> {
        let named = !addresses.is_empty();
        if !named {
            addresses.clone_from(&self.join);
            addresses.push(self.membership.address().to_owned());
        }
        addresses.sort_unstable();
        addresses.dedup();
        let asked = addresses.iter().map(|address| self.greet(address));
        let mut found: Vec<Greeting> = Vec::new();
        for (greeting, address) in join_all(asked).await.into_iter().zip(&addresses) {
            let greeting = greeting?;
            match found.iter().find(|other| other.uuid == greeting.uuid) {
                Some(other) if named => {
                    let refusal = format!("{address} and {} are the same node", other.address);
                    return Err(Status::new(Code::InvalidArgument, refusal));
                }
                Some(_) => {}
                None => found.push(greeting),
            }
        }
        Ok(found)
    }

    async fn greet(&self, address: &str) -> Result<Greeting, Status> {
        if address == self.membership.address() {
            return Ok(self.membership.greeting());
        }
        // Without an identity: whoever is asked shall say who it is, also if it is of another cluster.
        let anonymous = Greeting {
            uuid: self.membership.dir().uuid(),
            ..Greeting::default()
        };
        let mut greeting = self
            .persist(address, || self.peers.hello(address, &anonymous, CALL_LIMIT))
            .await?;
        if greeting.address.is_empty() {
            address.clone_into(&mut greeting.address);
        }
        Ok(greeting)
    }

    fn wanted(&self, greetings: &[Greeting], groups: u32) -> Result<Claim, Status> {
        let members: Vec<Member> = greetings
            .iter()
            .map(|greeting| Member {
                node: NodeId(0),
                uuid: greeting.uuid,
                address: greeting.address.clone(),
                zone: greeting.zone.clone(),
            })
            .collect();
        let default = GROUPS_PER_NODE
            .saturating_mul(members.len() as u32)
            .min(GROUPS_PER_NODE_MAX as u32);
        let groups = if groups == 0 { default } else { groups };
        let claim = Claim::new(ClusterId(self.env.rng.bits128()), groups, members);
        claim
            .check()
            .map_err(|reason| Status::new(Code::InvalidArgument, reason))?;
        Ok(claim)
    }

    /// Collects the claims in uuid order. The first answer decides everything that a claim says, zones
    /// included; every further claim carries that. So all claims of one cluster id are the same, and with
    /// them the voters of group 0 that follow from them.
    async fn claim_all(&self, mut claim: Claim) -> Result<Claim, Status> {
        for (position, member) in claim.members.clone().iter().enumerate() {
            let held = self.claim_one(member, &claim).await?;
            let cluster = held.cluster;
            if position == 0 {
                check_first(&held, &claim, member)?;
                claim = held;
            } else if cluster != claim.cluster {
                let broken = format!(
                    "{} holds a claim of the same set but of cluster {cluster}",
                    member.address
                );
                return Err(Status::new(Code::Internal, broken));
            }
        }
        Ok(claim)
    }

    async fn claim_one(&self, member: &Member, claim: &Claim) -> Result<Claim, Status> {
        if member.uuid == self.membership.dir().uuid() {
            return self.membership.claim(claim.clone()).await;
        }
        let address = &member.address;
        self.persist(address, || self.peers.claim(address, claim, CALL_LIMIT))
            .await
    }

    /// Tells everyone that the set is complete. Who cannot be told now finds out by greeting.
    async fn admit_all(&self, claim: &Claim) {
        let own = self.membership.dir().uuid();
        let told = claim.members.iter().map(|member| async move {
            if member.uuid == own {
                return self.membership.admit(claim.cluster, &claim.members).await;
            }
            self.persist(&member.address, || {
                self.peers.admit(&member.address, claim, CALL_LIMIT)
            })
            .await
        });
        for (result, member) in join_all(told).await.into_iter().zip(&claim.members) {
            if let Err(error) = result {
                tracing::warn!(address = member.address, %error, "not told that the set is complete");
            }
        }
    }

    /// Waits until group 0 has made all groups and given out all slots.
    async fn await_map(&self, claim: &Claim) -> Result<(), Status> {
        let control = claim.control_nodes();
        let addresses: Vec<&str> = claim
            .members
            .iter()
            .filter(|member| control.contains(&member.node))
            .map(|member| member.address.as_str())
            .collect();
        let until = self.env.clock.now() + PATIENCE + PATIENCE;
        while self.env.clock.now() < until {
            let seen = join_all(addresses.iter().map(|address| self.sees_all(address, claim))).await;
            if seen.contains(&true) {
                return Ok(());
            }
            self.env.clock.sleep(RETRY_EVERY).await;
        }
        let reason = format!(
            "all nodes are claimed for cluster {}, but it does not work yet; it completes by itself once a majority \
             of {} can reach each other; `atoll init` may be repeated",
            claim.cluster,
            addresses.join(",")
        );
        Err(Status::new(Code::Unavailable, reason))
    }

    async fn sees_all(&self, address: &str, claim: &Claim) -> bool {
        let Ok(Some(map)) = self.peers.map(address, 0, CALL_LIMIT).await else {
            return false;
        };
        let groups = map
            .groups
            .keys()
            .filter(|group| **group != GroupId::CONTROL)
            .count();
        map.cluster == claim.cluster && groups >= claim.groups as usize && !map.runs().is_empty()
    }

    /// Repeats a call that is safe to repeat until it is answered, within [`PATIENCE`].
    async fn persist<T, F>(&self, address: &str, call: impl Fn() -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let until: Instant = self.env.clock.now() + PATIENCE;
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(CallError::Status(status)) if status.code != Code::Unavailable => return Err(status),
                Err(error) => error,
            };
            if self.env.clock.now() >= until {
                return Err(Status::new(
                    Code::Unavailable,
                    format!("{address} does not answer: {error}"),
                ));
            }
            self.env.clock.sleep(RETRY_EVERY).await;
        }
    }
}

/// The first claim decides for all, so it must be one, and of the same directories.
fn check_first(held: &Claim, wanted: &Claim, holder: &Member) -> Result<(), Status> {
    let same = held.same_set(&wanted.members);
    let checked = held.check();
    if same && checked.is_ok() {
        return Ok(());
    }
    let reason = checked.err().unwrap_or_else(|| "it is of another set".to_owned());
    let broken = format!("{} holds a claim that cannot be used: {reason}", holder.address);
    Err(Status::new(Code::Internal, broken))
}
