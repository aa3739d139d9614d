//! The asking side of joining a cluster that exists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_env::net::{CallError, Code};
use atoll_placement::ShardMap;
use atoll_types::{ClusterId, NodeUuid};
use futures_util::future::join_all;

use super::{Greeting, Membership, Standing};
use crate::identity::{Ident, Member};
use crate::rpc::PeerClient;

const EVERY: Duration = Duration::from_secs(1);
const HELLO_LIMIT: Duration = Duration::from_secs(1);
/// Includes the commit of an entry of group 0, and one passing on.
const JOIN_LIMIT: Duration = Duration::from_secs(5);

/// A directory that wants to be a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Newcomer {
    pub(crate) uuid: NodeUuid,
    pub(crate) address: String,
    pub(crate) zone: String,
}

/// Asks the nodes that `--join` names, as long as this directory is fresh.
pub(crate) struct Joiner {
    env: Env,
    membership: Arc<Membership>,
    peers: PeerClient,
    join: Vec<String>,
    /// What was logged already.
    complained: BTreeSet<String>,
}

impl Joiner {
    pub(crate) fn new(env: &Env, membership: Arc<Membership>, peers: PeerClient, join: &[String]) -> Self {
        let own = membership.address();
        Self {
            env: env.clone(),
            join: join.iter().filter(|address| *address != own).cloned().collect(),
            membership,
            peers,
            complained: BTreeSet::new(),
        }
    }

    /// Ends once this directory is promised to somebody, by an answer or by an `init`.
    pub(crate) async fn run(mut self) {
        while !self.join.is_empty() && self.membership.standing() == Standing::Fresh {
            self.round().await;
            self.env
                .clock
                .sleep(EVERY.mul_f64(0.8 + 0.4 * self.env.rng.fraction()))
                .await;
        }
    }

    async fn round(&mut self) {
        let own = self.membership.greeting();
        let asked = self
            .join
            .iter()
            .map(|address| self.peers.hello(address, &own, HELLO_LIMIT));
        let answers: Vec<_> = join_all(asked).await.into_iter().zip(self.join.clone()).collect();
        let answers = answers
            .iter()
            .filter_map(|(answer, address)| Some((answer.as_ref().ok()?, address.as_str())));
        match choose(&own, answers) {
            Choice::Wait => {}
            Choice::Several(clusters) => {
                let clusters: Vec<String> = clusters.iter().map(ToString::to_string).collect();
                self.complain(&format!(
                    "--join names nodes of several clusters: {}",
                    clusters.join(", ")
                ));
            }
            Choice::Ask(cluster, addresses) => self.ask(cluster, &addresses).await,
        }
    }

    /// One after the other until one answers, beginning anywhere.
    async fn ask(&mut self, cluster: ClusterId, addresses: &[String]) {
        let newcomer = self.membership.newcomer();
        let start = self.env.rng.below(addresses.len().max(1) as u64) as usize;
        for address in addresses.iter().cycle().skip(start).take(addresses.len()) {
            match self.peers.join(address, &newcomer, false, JOIN_LIMIT).await {
                Ok((ident, map)) => return self.accept(cluster, ident, &map, address).await,
                Err(CallError::Status(status)) if status.code != Code::Unavailable => {
                    self.complain(&format!(
                        "{address} does not let this node join: {}",
                        status.message
                    ));
                }
                Err(error) => tracing::debug!(address, %error, "asked to join"),
            }
        }
    }

    async fn accept(&mut self, cluster: ClusterId, ident: Ident, map: &ShardMap, address: &str) {
        let listed = map.nodes.get(&ident.node).map(|entry| entry.uuid);
        let own = self.membership.dir().uuid();
        if ident.cluster != cluster || map.cluster != cluster || listed != Some(own) {
            return self.complain(&format!(
                "{address} answered with a map that does not have this node"
            ));
        }
        // Before the promise: a node that restarts after it asks nobody, and has only these.
        let hints: Vec<Member> = map
            .nodes
            .iter()
            .map(|(&node, entry)| Member {
                node,
                uuid: entry.uuid,
                address: entry.address.clone(),
                zone: entry.zone.clone(),
            })
            .collect();
        self.membership.book().add_hints(&hints, own);
        if let Err(error) = self.membership.save_hints().await {
            tracing::warn!(%error, "the address hints were not saved");
        }
        if let Err(status) = self.membership.join(ident).await {
            tracing::warn!(reason = status.message, "the cluster was not joined");
        }
    }

    fn complain(&mut self, what: &str) {
        if self.complained.insert(what.to_owned()) {
            tracing::error!("{what}");
        }
    }
}

/// What the answers of one round mean.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    /// Nobody is part of a cluster, or somebody holds a claim that names this directory.
    Wait,
    /// Of more than one cluster: a person must say which.
    Several(BTreeSet<ClusterId>),
    /// One cluster, and the addresses that answered for it.
    Ask(ClusterId, Vec<String>),
}

fn choose<'a>(own: &Greeting, answers: impl Iterator<Item = (&'a Greeting, &'a str)>) -> Choice {
    let mut clusters: BTreeMap<ClusterId, Vec<String>> = BTreeMap::new();
    for (answer, address) in answers {
        let names_us = |(_, set): &(ClusterId, Vec<Member>)| set.iter().any(|member| member.uuid == own.uuid);
        if answer.claim.as_ref().is_some_and(names_us) {
            return Choice::Wait;
        }
        if let Some((cluster, _)) = answer.ident {
            clusters.entry(cluster).or_default().push(address.to_owned());
        }
    }
    let several: BTreeSet<ClusterId> = clusters.keys().copied().collect();
    match clusters.pop_first() {
        None => Choice::Wait,
        Some((cluster, addresses)) if clusters.is_empty() => Choice::Ask(cluster, addresses),
        Some(_) => Choice::Several(several),
    }
}

#[cfg(test)]
mod tests {
    use atoll_types::NodeId;

    use super::*;

    fn of(cluster: u128) -> Greeting {
        Greeting {
            ident: Some((ClusterId(cluster), NodeId(1))),
            uuid: NodeUuid(1),
            ..Greeting::default()
        }
    }

    #[test]
    fn only_one_cluster_is_asked_and_none_while_an_init_names_this_node() {
        let own = Greeting {
            uuid: NodeUuid(7),
            ..Greeting::default()
        };
        let choice = |answers: &[Greeting]| choose(&own, answers.iter().map(|answer| (answer, "a:1")));
        assert_eq!(choice(&[]), Choice::Wait);
        assert_eq!(choice(std::slice::from_ref(&own)), Choice::Wait);
        let asked = Choice::Ask(ClusterId(1), vec!["a:1".to_owned(), "a:1".to_owned()]);
        assert_eq!(choice(&[of(1), own.clone(), of(1)]), asked);
        let both = BTreeSet::from([ClusterId(1), ClusterId(2)]);
        assert_eq!(choice(&[of(2), of(1)]), Choice::Several(both));
        let member = |uuid| Member {
            node: NodeId(1),
            uuid: NodeUuid(uuid),
            address: "b:1".to_owned(),
            zone: String::new(),
        };
        let claimed = |uuid| Greeting {
            claim: Some((ClusterId(3), vec![member(uuid)])),
            ..Greeting::default()
        };
        assert_eq!(choice(&[of(1), claimed(7)]), Choice::Wait);
        assert_eq!(choice(&[claimed(8), of(1), of(1)]), asked);
    }
}
