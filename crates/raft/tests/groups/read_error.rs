//! openraft issue 1795, "Leader read failure causes corrupted follower log", up to 0.10.0-alpha.23: a leader
//! that could not read its log while a follower was catching up took the end of the stream for the end of
//! what was to be sent, and went on with a request whose entries did not follow on what it said came
//! before them. A follower that does not check has a hole in its log from then on.
//!
//! It took a log whose front had been purged. What must hold in any case:
//! a leader that cannot read its log stops being one, and a follower refuses what would leave a hole.

use atoll_env::vfs::{Crash, Fault};
use atoll_raft::{ProposeError, ReadError};
use atoll_storage::JournalOptions;

use crate::frames::{APPEND, Append, Entry, REFUSED};
use crate::played::{Caller, leader, log_id};
use crate::world::{GROUP, Options, World, ms, payload, replica, simulate};

const NODES: [u64; 5] = [1, 2, 3, 4, 5];

#[test]
fn a_leader_that_cannot_read_its_log_stops_and_leaves_no_hole() {
    simulate(async {
        // Whatever is durable and applied leaves memory, so that whoever is behind is served from disk.
        let journal = JournalOptions {
            tail_bytes: 0,
            ..JournalOptions::dev()
        };
        let options = Options {
            journal,
            ..Options::default()
        };
        let mut world = World::new(5, options).await;
        world.isolate(5);
        let texts: Vec<String> = (0..20).map(|n| format!("entry {n}")).collect();
        for text in &texts {
            world.propose(1, text).await.unwrap();
        }
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        world.all_have(&NODES[..4], &texts).await;
        assert!(world.payloads(5).is_empty());

        world.disk(1).fail_next(Fault::Read, "/journal/");
        world.heal();
        world
            .until("node 1 stops", ms(5000), || !world.group(1).status().running)
            .await;
        assert_eq!(world.disk(1).faults().read_errors, 1);
        // A node with a dead replica would look healthy: the process ends.
        world
            .until("node 1 ends", ms(1000), || !world.halts().is_empty())
            .await;
        let halts = world.take_halts();
        assert_eq!(halts.len(), 1, "{halts:?}");
        assert!(halts[0].contains("cannot go on: when Read Logs"), "{halts:?}");
        // Until it is gone it answers, and says nothing that is not so.
        assert_eq!(world.propose(1, "nowhere").await, Err(ProposeError::Stopped));
        assert_eq!(world.read(1).await, Err(ReadError::Stopped));

        let leader = world.leader_among(&NODES[1..4]).await;
        texts.push("after");
        world.propose(leader, "after").await.unwrap();
        world.all_have(&NODES[1..], &texts).await;
        world.crash(1, Crash::Process).await;
        world.start(1).await;
        world.all_have(&NODES, &texts).await;

        // What the last to apply had not synced by then.
        world.clock.sleep(ms(1000)).await;
        let logs = world.durable_logs(&NODES).await;
        for log in &logs {
            let indices: Vec<u64> = log.iter().map(|id| id.index).collect();
            let whole: Vec<u64> = (0..log.len() as u64).collect();
            assert_eq!(indices, whole);
            assert_eq!(log, &logs[leader as usize - 1]);
        }
        assert!(world.group_of(5, GROUP).status().running);
        world.assert_sound();
    });
}

#[test]
fn a_follower_refuses_entries_that_do_not_follow_on_what_comes_before_them() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        world.propose(1, "a").await.unwrap();
        world.propose(1, "b").await.unwrap();
        world.all_have(&[1, 2, 3], &["a", "b"]).await;
        let end = world.applied(3)[1].0;
        let two = replica(GROUP, 2);
        let entry = |index| Entry {
            id: log_id(9, two, index),
            kind: 1,
            payload: payload("nowhere"),
        };
        let next = end.index + 1;
        let mut caller = Caller::new(&world.net, 2);
        for (prev, entries) in [
            (None, vec![entry(next)]),
            (None, vec![entry(next + 5)]),
            (Some(end), vec![entry(next + 1)]),
            (Some(end), vec![entry(next), entry(next + 2)]),
            (Some(end), vec![entry(next), entry(next)]),
            (Some(end), vec![entry(next - 1)]),
        ] {
            let append = Append {
                vote: leader(9, two),
                prev,
                commit: None,
                entries,
            };
            let answer = caller.call(APPEND, 3, append.encode()).await;
            assert_eq!(answer.kind, REFUSED, "{append:?}");
        }
        let status = world.group(3).status();
        assert_eq!(
            (status.term, status.last_index, status.running),
            (1, end.index, true)
        );
        world.propose(1, "c").await.unwrap();
        world.all_have(&[1, 2, 3], &["a", "b", "c"]).await;
        world.assert_sound();
    });
}
