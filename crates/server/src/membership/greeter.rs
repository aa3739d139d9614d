//! Keeps addresses current, and lets a claimed node find out that its set is complete.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::Env;
use atoll_env::net::{CallError, Code};
use futures_util::future::join_all;

use super::{Greeting, Membership, Standing};
use crate::identity::Claim;
use crate::rpc::PeerClient;

const LIMIT: Duration = Duration::from_secs(1);
/// A clock read over a longer round trip is not read exactly enough.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(200);
/// While somebody is missing.
const SOON: Duration = Duration::from_secs(1);
/// When all are known.
const LATER: Duration = Duration::from_secs(5);
/// Between writes of the hint file, in rounds.
const ROUNDS_PER_SAVE: u32 = 10;

/// Greets everybody now and then, for the node's whole life.
pub(crate) struct Greeter {
    env: Env,
    membership: Arc<Membership>,
    peers: PeerClient,
    join: Vec<String>,
    /// Addresses whose refusal was logged.
    complained: BTreeSet<String>,
}

impl Greeter {
    pub(crate) fn new(env: &Env, membership: Arc<Membership>, peers: PeerClient, join: &[String]) -> Self {
        Self {
            env: env.clone(),
            membership,
            peers,
            join: join.to_vec(),
            complained: BTreeSet::new(),
        }
    }

    /// Never ends by itself.
    pub(crate) async fn run(mut self) {
        let mut saved = self.membership.book().all();
        let mut rounds_since_save = 0;
        loop {
            self.round().await;
            rounds_since_save += 1;
            let now = self.membership.book().all();
            if now != saved && rounds_since_save >= ROUNDS_PER_SAVE {
                (saved, rounds_since_save) = (now, 0);
                self.save().await;
            }
            let settled = self.membership.ident().is_some() && !self.membership.book().incomplete();
            let pause = if settled { LATER } else { SOON };
            // Nodes started together do not greet in step for ever.
            self.env
                .clock
                .sleep(pause.mul_f64(0.8 + 0.4 * self.env.rng.fraction()))
                .await;
        }
    }

    async fn save(&self) {
        if let Err(error) = self.membership.save_hints().await {
            tracing::warn!(%error, "the address hints were not saved");
        }
    }

    async fn round(&mut self) {
        let targets = self.targets();
        let own = self.membership.greeting();
        let asked = targets.iter().map(|address| self.greet(address, &own));
        let answers: Vec<_> = join_all(asked).await.into_iter().zip(&targets).collect();
        if let Standing::Claimed(claim) = self.membership.standing()
            && all_hold(
                &claim,
                &own,
                answers.iter().filter_map(|(answer, _)| answer.as_ref().ok()),
            )
        {
            self.membership.set_complete();
        }
        for (answer, address) in answers {
            self.take(address, answer);
        }
    }

    /// Greets one address, and compares clocks with who answers.
    async fn greet(&self, address: &str, own: &Greeting) -> Result<Greeting, CallError> {
        let clock = &self.env.clock;
        let (sent, wall_ms) = (clock.now(), clock.wall_ms());
        let answer = self.peers.hello(address, own, LIMIT).await?;
        let took = clock.now().since(sent);
        let same_cluster = |(cluster, _): &(_, _)| Some(*cluster) == own.ident.map(|(ours, _)| ours);
        if let Some((_, node)) = answer.ident.filter(same_cluster)
            && answer.wall_ms > 0
            && took <= ROUND_TRIP_MAX
        {
            let halfway_ms = wall_ms + took.as_millis() as u64 / 2;
            let ahead_ms = answer.wall_ms.wrapping_sub(halfway_ms).cast_signed();
            self.membership.clocks().note(node, ahead_ms, clock.now());
        }
        Ok(answer)
    }

    /// A fresh node has nobody to greet: it waits to be claimed.
    fn targets(&self) -> BTreeSet<String> {
        let mut targets = BTreeSet::new();
        // Whether to join a cluster is looked into elsewhere.
        if self.membership.standing() == Standing::Fresh {
            return targets;
        }
        targets.extend(self.membership.book().all().into_iter().map(|node| node.address));
        targets.extend(self.join.iter().cloned());
        targets.remove(self.membership.address());
        targets
    }

    fn take(&mut self, address: &str, answer: Result<Greeting, CallError>) {
        let book = self.membership.book();
        match answer {
            Ok(greeting) => {
                self.complained.remove(address);
                // Whoever moved away from this address is not here any more.
                let moved = book
                    .all()
                    .into_iter()
                    .any(|node| node.address == address && node.uuid != greeting.uuid);
                if moved {
                    book.failed(address);
                }
                self.membership.heard(&greeting);
            }
            Err(CallError::Status(status)) if status.code == Code::FailedPrecondition => {
                book.failed(address);
                if self.complained.insert(address.to_owned()) {
                    tracing::error!(address, reason = status.message, "refused by a node");
                }
            }
            Err(_) => book.failed(address),
        }
    }
}

/// True if everyone of the set was heard to hold the same claim.
fn all_hold<'a>(claim: &Claim, own: &Greeting, answers: impl Iterator<Item = &'a Greeting>) -> bool {
    let held = |greeting: &Greeting| {
        let same = |(cluster, set): &(_, Vec<_>)| *cluster == claim.cluster && claim.same_set(set);
        greeting.claim.as_ref().is_some_and(same)
            || greeting
                .ident
                .is_some_and(|(cluster, _)| cluster == claim.cluster)
    };
    let mut holders: BTreeSet<_> = answers
        .filter(|answer| held(answer))
        .map(|answer| answer.uuid)
        .collect();
    holders.insert(own.uuid);
    claim.members.iter().all(|member| holders.contains(&member.uuid))
}
