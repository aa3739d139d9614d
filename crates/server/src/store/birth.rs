//! A group's first entry.
//!
//! Every initial replica may write it. What they write says the same, the voters, under an id of its own
//! (term 0, its writer); it makes nobody a leader, and a replica that has a log or has voted refuses it.
//! If two write it, the first elected leader's stands and the other is cut like any entry that was never
//! committed. They take turns only so that one of them stands for election before the others. That a
//! group comes to life must not hang on one node.

use std::collections::BTreeSet;
use std::time::Duration;

use atoll_env::Env;
use atoll_raft::Group;
use atoll_types::ReplicaId;

/// How much later than the replica before it a replica begins: time enough to elect a leader.
const TURN: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_millis(300);

/// Makes the group with exactly these voters, of whom this replica is one, unless a leader appears
/// before its turn. Returns once nothing is left to make here. `voters` must be the set that the group
/// was created with: another set would make another group of the same name.
pub(crate) async fn make(env: &Env, group: &Group, voters: &BTreeSet<ReplicaId>) {
    let before = voters
        .iter()
        .take_while(|voter| **voter != group.replica())
        .count();
    let mut leader = group.watch_leader();
    let turn = TURN.saturating_mul(before as u32);
    let led = env
        .clock
        .timeout(turn, leader.wait_for(Option::is_some))
        .await
        .is_ok();
    if led {
        return;
    }
    while let Err(error) = group.initialize(voters).await {
        tracing::warn!(group = %group.key(), %error, "the group was not made");
        if !group.status().running {
            return;
        }
        env.clock.sleep(RETRY).await;
    }
}
