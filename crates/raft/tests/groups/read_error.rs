//! openraft issue 1795, "Leader read failure causes corrupted follower log", up to 0.10.0-alpha.23: a leader
//! that could not read its log while a follower was catching up took the end of the stream for the end of
//! what was to be sent, and went on with a request whose entries did not follow on what it said came
//! before them. A follower that does not check has a hole in its log from then on.
//!
//! A leader that cannot read its log must stop being one; a follower never has a hole.

use atoll_env::vfs::{Crash, Fault};
use atoll_raft::{ProposeError, ReadError};
use atoll_storage::JournalOptions;

use crate::world::{GROUP, Options, World, ms, simulate};

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
        // It answers nevertheless, and says nothing that is not so.
        let refusal = world.propose(1, "nowhere").await.unwrap_err();
        assert!(
            matches!(refusal, ProposeError::NotLeader { .. } | ProposeError::Stopped),
            "{refusal:?}"
        );
        assert_eq!(world.read(1).await, Err(ReadError::Stopped));

        let leader = world.leader_among(&NODES[1..4]).await;
        texts.push("after");
        world.propose(leader, "after").await.unwrap();
        world.all_have(&NODES[1..], &texts).await;
        world.crash(1, Crash::Process).await;
        world.start(1).await;
        world.all_have(&NODES, &texts).await;

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
