//! Leaves leading to others while this node's wall clock is apart from theirs.

use std::sync::Weak;
use std::time::Duration;

use atoll_env::Env;

use crate::membership::Membership;
use crate::running::Running;

const EVERY: Duration = Duration::from_secs(2);
/// How long a round of hand-overs is waited for.
const HAND_OVER: Duration = Duration::from_secs(2);

/// Looks at the clocks until the node's parts are gone. Elections may bring a leadership back; the next
/// look hands it over again.
pub(crate) async fn run(env: Env, running: Weak<Running>, membership: std::sync::Arc<Membership>) {
    let mut was_apart = false;
    loop {
        env.clock
            .sleep(EVERY.mul_f64(0.8 + 0.4 * env.rng.fraction()))
            .await;
        let Some(running) = running.upgrade() else { return };
        let now = env.clock.now();
        let apart = membership.clocks().own_is_apart(now);
        if apart != was_apart {
            tell(apart, membership.clocks().own_offset_ms(now));
        }
        was_apart = apart;
        if apart {
            let agreeing = |node| membership.clocks().agrees(node, env.clock.now());
            running
                .give_leaderships_away(&membership, agreeing, HAND_OVER)
                .await;
        }
    }
}

fn tell(apart: bool, offset_ms: Option<i64>) {
    if apart {
        tracing::error!(
            offset_ms,
            "this node's wall clock is apart from the others': it leaves leading to them; check its time service"
        );
    } else {
        tracing::info!(offset_ms, "this node's wall clock agrees with the others' again");
    }
}
