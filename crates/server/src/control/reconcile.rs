//! The loop on group 0's leader that makes the cluster what it should be.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::watch;
use atoll_env::{Clock, Env};
use atoll_raft::{Group, ProposeError};
use atoll_types::{NodeId, Outcome};

use super::plan::next_step;
use super::{ControlCommand, ControlState};
use crate::identity::Member;
use crate::membership::Membership;

/// Between looks when nothing happens.
const IDLE: Duration = Duration::from_secs(5);
/// After a step that did not succeed.
const RETRY: Duration = Duration::from_millis(200);

/// Looks, steps, and begins again, for as long as this node runs group 0.
pub(crate) struct Reconciler {
    env: Env,
    node: NodeId,
    group: Group,
    state: watch::Receiver<Arc<ControlState>>,
    membership: Arc<Membership>,
}

impl Reconciler {
    pub(crate) fn new(
        env: &Env,
        node: NodeId,
        group: Group,
        state: watch::Receiver<Arc<ControlState>>,
        membership: Arc<Membership>,
    ) -> Self {
        Self {
            env: env.clone(),
            node,
            group,
            state,
            membership,
        }
    }

    /// Ends when the group stops.
    pub(crate) async fn run(mut self) {
        let mut leader = self.group.watch_leader();
        let Some(claim) = self.membership.initial_set() else {
            return;
        };
        let own = Some(self.group.replica());
        while leader.wait_for(|leader| *leader == own).await.is_ok() {
            let state = self.state.borrow_and_update().clone();
            match next_step(&state, &claim, &self.seen()) {
                Some(step) => self.take(&step).await,
                None if rest(&self.env.clock, &mut self.state, &mut leader).await => {}
                None => return,
            }
        }
    }

    /// Where nodes are by their own word, this one among them.
    fn seen(&self) -> Vec<Member> {
        let mut seen = self.membership.book().confirmed();
        let (node, uuid) = (self.node, self.membership.dir().uuid());
        seen.push(Member {
            node,
            uuid,
            address: self.membership.address().to_owned(),
            zone: self.membership.zone().to_owned(),
        });
        seen
    }

    async fn take(&self, step: &ControlCommand) {
        match self.group.propose(step.encode().into()).await.as_deref() {
            Ok([Outcome::Done { version }]) => {
                tracing::info!(node = %self.node, group = 0, epoch = version.0, change = step.change.name(), "the map changed");
                return;
            }
            // Somebody else was faster, or this leader had not applied everything yet.
            Ok([Outcome::GuardFailed { .. }]) | Err(ProposeError::NotLeader { .. }) => {}
            Ok(outcomes) => tracing::warn!(group = 0, ?outcomes, ?step, "a step was refused"),
            Err(error) => tracing::warn!(group = 0, %error, "a step has no outcome"),
        }
        self.env
            .clock
            .sleep(RETRY.mul_f64(0.5 + self.env.rng.fraction()))
            .await;
    }
}

/// Waits for news, or for a while. False once the group's state machine is gone: a replica that stopped
/// over an error may go on calling itself the leader, and nothing would ever wait here again.
async fn rest<S, L>(clock: &Clock, state: &mut watch::Receiver<S>, leader: &mut watch::Receiver<L>) -> bool {
    let idle = clock.sleep(IDLE);
    tokio::select! {
        biased;
        changed = state.changed() => changed.is_ok(),
        changed = leader.changed() => changed.is_ok(),
        () = idle => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_state_machine_that_is_gone_ends_the_loop_instead_of_spinning_it() {
        let clock = Clock::simulated(1.0, 0);
        let ((state, mut states), (leader, mut leaders)) = (watch::channel(1), watch::channel(1));
        let began = clock.now();
        assert!(rest(&clock, &mut states, &mut leaders).await);
        assert_eq!(clock.now().since(began), IDLE, "without news it waits");
        state.send_replace(2);
        assert!(rest(&clock, &mut states, &mut leaders).await);
        states.borrow_and_update();
        leader.send_replace(2);
        assert!(rest(&clock, &mut states, &mut leaders).await);
        leaders.borrow_and_update();
        drop(state);
        assert!(!rest(&clock, &mut states, &mut leaders).await);
    }
}
