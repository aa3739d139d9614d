//! openraft pull request 1220, in 0.10.0-alpha.2: a leader that heard of a higher vote took it for its own,
//! and what a replica has as its own vote it grants to whoever asks for it. So a candidate whose log
//! lacked committed entries was elected, and the entries were lost.

use atoll_env::vfs::Crash;
use atoll_types::LogId;

use crate::frames::VoteRequest;
use crate::played::{Caller, Follower, Part, candidate};
use crate::world::{GROUP, Options, World, ms, replica, simulate};

/// Nodes 1 and 2, which have two committed entries, and the third voter, which has none.
struct Play {
    world: World,
    third: Follower,
    caller: Caller,
    /// The last entry of the third voter's log.
    behind: LogId,
}

async fn play() -> Play {
    let world = World::blank(2, Options::default()).await;
    let part = Part {
        silent: true,
        ..Part::default()
    };
    let third = Follower::start(&world.net, 3, part).await;
    world.initialize(1, GROUP, 3).await;
    world.leads(1, GROUP).await;
    world.propose(1, "a").await.unwrap();
    world.propose(1, "b").await.unwrap();
    world.all_have(&[1, 2], &["a", "b"]).await;
    let behind = world.applied(1)[0].0;
    let caller = Caller::new(&world.net, 3);
    Play {
        world,
        third,
        caller,
        behind,
    }
}

impl Play {
    /// Asks for the same vote again and again; returns how often it was granted.
    async fn ask(&mut self, node: u64, term: u64) -> usize {
        let request = VoteRequest {
            vote: candidate(term, replica(GROUP, 3)),
            last: Some(self.behind),
            transfer: true,
        };
        let mut granted = 0;
        for _ in 0..3 {
            granted += usize::from(self.caller.ask_vote(node, request).await.granted);
        }
        granted
    }

    /// The group goes on with what it had.
    async fn assert_whole(&self) {
        let leader = self.world.leader_among(&[1, 2]).await;
        self.world.propose(leader, "c").await.unwrap();
        self.world.all_have(&[1, 2], &["a", "b", "c"]).await;
        self.world.assert_sound();
    }
}

#[test]
fn a_vote_seen_is_not_a_vote_granted() {
    simulate(async {
        let mut play = play().await;
        // The leader hears from a follower of a vote in term 6.
        let vote = candidate(6, replica(GROUP, 3));
        play.third.change(|part| {
            part.silent = false;
            part.higher_vote = Some(vote);
        });
        play.world
            .until("the leader has heard of it", ms(5000), || {
                !play.world.group(1).status().is_leader
            })
            .await;
        play.third.change(|part| part.silent = true);
        for node in [1, 2] {
            assert_eq!(play.ask(node, 6).await, 0, "node {node}");
        }
        play.assert_whole().await;
    });
}

#[test]
fn a_vote_refused_is_refused_again_also_after_a_restart() {
    simulate(async {
        let mut play = play().await;
        for node in [1, 2] {
            assert_eq!(play.ask(node, 6).await, 0);
            play.world.crash(node, Crash::LoseAll).await;
            play.world.start(node).await;
            assert_eq!(play.ask(node, 6).await, 0);
            assert_eq!(play.ask(node, 5).await, 0);
            assert_eq!(play.ask(node, 7).await, 0);
        }
        play.assert_whole().await;
    });
}

/// A replica that votes for anybody would be noticed.
#[cfg(feature = "mutants")]
#[test]
fn a_vote_for_anybody_is_noticed() {
    use atoll_types::{Mutant, mutant};
    simulate(async {
        let mut play = play().await;
        mutant::wake(Some(Mutant::VoteForAnybody));
        let granted = play.ask(2, 6).await;
        mutant::wake(None);
        assert_eq!(granted, 3);
    });
}
