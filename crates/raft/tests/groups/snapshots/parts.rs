//! What a receiver makes of parts that come one by one, from a test that speaks for a leader.

use atoll_env::vfs::{Crash, DiskTrouble};
use atoll_types::{GroupKey, LogId, Vote};
use bytes::Bytes;

use super::{options, with_entries};
use crate::frames::{
    APPEND, Append, Appended, Entry, Part, REFUSED, REPLY, SNAPSHOT, Took, frame, membership,
};
use crate::played::{Caller, candidate, leader, log_id};
use crate::shelf::{Checkpoint, Rows, Stop, chunks};
use crate::world::{GROUP, Options, World, group, ms, payload, replica, simulate};

/// Node 3, which hears nobody but a caller that speaks for node 2.
struct Play {
    world: World,
    caller: Caller,
    /// The last entry of node 3's log; all of it is committed and applied.
    last: LogId,
}

/// A snapshot in the caller's hands.
struct Hand {
    part: Part,
    rows: Rows,
    chunks: Vec<Bytes>,
}

async fn play(options: Options) -> Play {
    let (world, _) = with_entries(4, options).await;
    for node in ["n1", "n2"] {
        world.net.cut("n3", node);
    }
    let caller = Caller::new(&world.net, 2);
    let last = world.log(3).last.unwrap();
    Play { world, caller, last }
}

/// The snapshot of a leader, with what a replica of the group has and six more entries.
fn hand(world: &World, key: GroupKey, vote: Vote, applied: LogId) -> Hand {
    let mut rows = world.process(3).groups[&key.id].1.lock().clone();
    let first = applied.index.saturating_sub(6);
    rows.extend((first..applied.index).map(|index| {
        let id = LogId { index, ..applied };
        (id, payload(&format!("sent {index}")))
    }));
    let voters: Vec<_> = (1..=3).map(|node| replica(key, node)).collect();
    let mut checkpoint = Checkpoint {
        position: atoll_raft::Position::default(),
        rows,
    };
    let chunks = chunks(vote.term, &checkpoint);
    Hand {
        part: Part {
            vote,
            transfer: vote.term,
            bytes: 1000,
            applied: Some(applied),
            membership_id: Some(LogId {
                index: first,
                ..applied
            }),
            membership: membership(&voters),
            seq: 0,
            chunk: None,
        },
        rows: std::mem::take(&mut checkpoint.rows),
        chunks,
    }
}

impl Hand {
    fn part(&self, seq: usize) -> Part {
        Part {
            seq: seq as u64,
            chunk: self.chunks.get(seq).cloned(),
            ..self.part.clone()
        }
    }

    fn end(&self) -> usize {
        self.chunks.len()
    }
}

impl Play {
    fn hand(&self, term: u64, applied: LogId) -> Hand {
        hand(&self.world, GROUP, leader(term, replica(GROUP, 2)), applied)
    }

    async fn give(&mut self, part: &Part) -> Took {
        let answer = self.caller.call(SNAPSHOT, 3, part.encode()).await;
        assert_eq!(answer.kind, REPLY, "{:?}", answer.body);
        Took::decode(answer.body)
    }

    async fn refused(&mut self, part: &Part, why: &str) {
        let answer = self.caller.call(SNAPSHOT, 3, part.encode()).await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.kind, REFUSED, "{why}");
        assert!(said.contains(why), "{said}");
    }

    /// Gives all parts, the first `from` of which were given.
    async fn give_all(&mut self, hand: &Hand, from: usize) {
        for seq in from..hand.end() {
            assert_eq!(self.give(&hand.part(seq)).await, Took::Want(seq as u64 + 1));
        }
        let done = self.give(&hand.part(hand.end())).await;
        assert_eq!(done, Took::Done(hand.part.vote));
        self.assert_installed(hand);
    }

    fn assert_installed(&self, hand: &Hand) {
        assert_eq!(self.world.applied(3), hand.rows);
        let state = self.world.log(3);
        assert_eq!((state.purged, state.last), (hand.part.applied, hand.part.applied));
        let status = self.world.group(3).status();
        assert!(status.running);
        assert_eq!(status.applied_index, hand.part.applied.unwrap().index);
        self.world.assert_sound();
    }

    /// Appends entries behind what node 3 has.
    async fn append(&mut self, term: u64, more: u64, commit: Option<LogId>) -> LogId {
        let append = behind(self.last, term, more, commit);
        assert_eq!(self.caller.append(3, &append).await, Appended::All);
        append.entries.last().unwrap().id
    }
}

fn behind(last: LogId, term: u64, more: u64, commit: Option<LogId>) -> Append {
    let two = replica(GROUP, 2);
    let entry = |n| Entry {
        id: log_id(term, two, last.index + n),
        kind: 1,
        payload: payload("appended"),
    };
    Append {
        vote: leader(term, two),
        prev: Some(last),
        commit,
        entries: (1..=more).map(entry).collect(),
    }
}

#[test]
fn chunks_that_come_twice_or_too_early_change_nothing() {
    simulate(async {
        let mut play = play(options()).await;
        let hand = play.hand(9, log_id(8, replica(GROUP, 2), 50));
        assert_eq!(
            play.give(&hand.part(3)).await,
            Took::Want(0),
            "it knows nothing of this one"
        );
        assert_eq!(play.world.shelf(3).seen().begun, 0);
        for (seq, wanted) in [
            (0, 1),
            (0, 1),
            (2, 1),
            (hand.end(), 1),
            (1, 2),
            (0, 2),
            (1, 2),
            (2, 3),
            (4, 3),
        ] {
            assert_eq!(
                play.give(&hand.part(seq)).await,
                Took::Want(wanted),
                "chunk {seq}"
            );
        }
        play.give_all(&hand, 3).await;
        let seen = play.world.shelf(3).seen();
        assert_eq!((seen.begun, seen.chunks), (1, hand.end() as u64));
        // Late ones: it has everything they could bring.
        for seq in [0, 3, hand.end()] {
            assert_eq!(play.give(&hand.part(seq)).await, Took::Done(hand.part.vote));
        }
        assert_eq!(play.world.shelf(3).seen(), seen);
        play.assert_installed(&hand);
    });
}

#[test]
fn a_bad_chunk_ends_the_snapshot_and_the_next_one_begins_anew() {
    simulate(async {
        let mut play = play(options()).await;
        let hand = play.hand(9, log_id(8, replica(GROUP, 2), 50));
        assert_eq!(play.give(&hand.part(0)).await, Took::Want(1));
        let mut bad = hand.part(1);
        let mut bytes = hand.chunks[1].to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        bad.chunk = Some(bytes.into());
        play.refused(&bad, "cannot keep chunk 1").await;
        assert_eq!(play.world.shelf(3).seen().open, 0);
        assert_eq!(play.give(&hand.part(1)).await, Took::Want(0));
        assert_eq!(play.give(&hand.part(0)).await, Took::Want(1));
        // An end that comes too early is none.
        let mut end = hand.part(hand.end());
        end.seq = 1;
        play.refused(&end, "cannot keep the snapshot").await;
        assert_eq!(play.world.shelf(3).kept(), None);
        // Nor do parts of two snapshots make one.
        assert_eq!(play.give(&hand.part(0)).await, Took::Want(1));
        let mut other = hand.part(1);
        other.applied.as_mut().unwrap().index += 1;
        play.refused(&other, "two snapshots").await;
        assert_eq!(play.world.shelf(3).seen().open, 0);
        play.give_all(&hand, 0).await;
    });
}

#[test]
fn what_the_log_has_is_not_sent() {
    simulate(async {
        let mut play = play(options()).await;
        let hand = play.hand(9, play.last);
        assert_eq!(play.give(&hand.part(0)).await, Took::Done(hand.part.vote));
        // Not committed as far as it knew, but it is when a checkpoint has it.
        let last = play.append(9, 3, None).await;
        assert_eq!(play.world.group(3).applied_index(), play.last.index);
        let hand = play.hand(9, last);
        assert_eq!(play.give(&hand.part(0)).await, Took::Done(hand.part.vote));
        play.world
            .until("it is applied", ms(1000), || {
                play.world.group(3).applied_index() == last.index
            })
            .await;
        assert_eq!(play.world.shelf(3).seen().begun, 0);
        play.world.assert_sound();
    });
}

#[test]
fn a_newer_leader_replaces_an_older_one_and_not_the_other_way_round() {
    simulate(async {
        let mut play = play(options()).await;
        let two = replica(GROUP, 2);
        let older = play.hand(9, log_id(8, two, 50));
        let newer = play.hand(10, log_id(9, two, 60));
        assert_eq!(play.give(&older.part(0)).await, Took::Want(1));
        assert_eq!(play.give(&newer.part(0)).await, Took::Want(1));
        let seen = play.world.shelf(3).seen();
        assert_eq!((seen.begun, seen.open), (2, 1));
        for seq in [0, 1] {
            assert_eq!(
                play.give(&older.part(seq)).await,
                Took::Done(leader(10, two)),
                "a higher vote"
            );
        }
        play.give_all(&newer, 1).await;
    });
}

#[test]
fn what_no_leader_can_send_is_refused() {
    simulate(async {
        let mut play = play(options()).await;
        let (two, three) = (replica(GROUP, 2), replica(GROUP, 3));
        let hand = play.hand(9, log_id(8, two, 50));
        let good = hand.part(0);
        let with = |change: fn(&mut Part)| {
            let mut part = good.clone();
            change(&mut part);
            part
        };
        let here = play.last;
        let mut other = good.clone();
        other.applied = Some(log_id(8, two, here.index));
        other.membership_id = Some(log_id(8, two, 0));
        let mut own = good.clone();
        own.vote = leader(9, three);
        let mut asks = good.clone();
        asks.vote = candidate(9, two);
        for (part, why) in [
            (with(|part| part.applied = None), "of nothing"),
            (with(|part| part.membership_id = None), "membership"),
            (with(|part| part.membership = Bytes::new()), "membership"),
            (
                with(|part| part.membership = Bytes::from_static(b"x")),
                "membership",
            ),
            (
                with(|part| part.membership_id.as_mut().unwrap().index = 51),
                "membership",
            ),
            (
                with(|part| part.applied.as_mut().unwrap().term = 10),
                "a later leader",
            ),
            (other, "another here"),
            (own, "with vote"),
            (asks, "with vote"),
        ] {
            play.refused(&part, why).await;
        }
        let answer = play.caller.call(SNAPSHOT, 3, Bytes::from_static(b"x")).await;
        assert_eq!(answer.kind, REFUSED);
        assert_eq!(play.world.shelf(3).seen().begun, 0);
        assert_eq!(play.world.group(3).status().term, 1, "nothing was taken from it");
        play.give_all(&hand, 0).await;
    });
}

#[test]
fn a_snapshot_that_nobody_sends_on_is_dropped_and_leaves_its_place() {
    simulate(async {
        let keys: Vec<GroupKey> = (1..=3).map(group).collect();
        let options = Options {
            groups: keys.clone(),
            ..options()
        };
        let mut play = play(options).await;
        let begin = async |play: &mut Play, key: GroupKey| {
            let two = replica(key, 2);
            let hand = hand(&play.world, key, leader(9, two), log_id(8, two, 50));
            let message = play.caller.message(SNAPSHOT, key, 3, hand.part(0).encode());
            let mut stream = play.caller.dial(3).await;
            stream.send(frame(&[message])).await;
            stream.answer().await
        };
        for key in &keys[..2] {
            let answer = begin(&mut play, *key).await;
            assert_eq!(Took::decode(answer.body), Took::Want(1));
        }
        let answer = begin(&mut play, keys[2]).await;
        assert_eq!(answer.kind, REFUSED);
        assert!(answer.body.ends_with(b"as many snapshots as it can"));
        assert_eq!(play.world.shelf(3).seen().open, 1);

        play.world.clock.sleep(ms(61_000)).await;
        assert_eq!(play.world.shelf(3).seen().open, 0);
        let answer = begin(&mut play, keys[2]).await;
        assert_eq!(Took::decode(answer.body), Took::Want(1));
    });
}

/// A log may end with entries of a leader that came later than the snapshot's last entry: few had them, and the next leader
/// did not. openraft takes such an install for one that goes backwards, and so would whoever compares logs after a crash.
#[test]
fn what_a_later_leader_left_is_cut_before_an_install() {
    for (more, index) in [(3, 50), (40, 20), (40, 47)] {
        simulate(async {
            let mut play = play(options()).await;
            play.append(9, more, None).await;
            let hand = play.hand(10, log_id(5, replica(GROUP, 2), index));
            play.world.shelf(3).stop_at(Some(Stop::Installed));
            // What is cut must be durable before the install is, however long that takes.
            play.world.stall_disk(3, ms(1000));
            for seq in 0..hand.end() {
                assert_eq!(play.give(&hand.part(seq)).await, Took::Want(seq as u64 + 1));
            }
            let message = play
                .caller
                .message(SNAPSHOT, GROUP, 3, hand.part(hand.end()).encode());
            let stream = play.caller.dial(3).await;
            stream.send(frame(&[message])).await;
            let shelf = play.world.shelf(3);
            play.world
                .until("it is installed", ms(20_000), || shelf.has_stopped())
                .await;
            play.world.disk(3).set_trouble(DiskTrouble::default());
            // A power cut before the log is purged leaves nothing that contradicts what was installed.
            play.world.crash(3, Crash::LoseAll).await;
            play.world.start(3).await;
            play.assert_installed(&hand);
            let done = play.give(&hand.part(hand.end())).await;
            assert_eq!(done, Took::Done(hand.part.vote));
        });
    }
}

#[test]
fn a_snapshot_comes_while_entries_are_applied() {
    simulate(async {
        let mut play = play(options()).await;
        let two = replica(GROUP, 2);
        let end = log_id(9, two, play.last.index + 200);
        let hand = play.hand(9, log_id(9, two, end.index + 50));
        for seq in 0..hand.end() {
            assert_eq!(play.give(&hand.part(seq)).await, Took::Want(seq as u64 + 1));
        }
        let append = behind(play.last, 9, 200, Some(end));
        let mut stream = play.caller.dial(3).await;
        let messages = [
            play.caller.message(APPEND, GROUP, 3, append.encode()),
            play.caller
                .message(SNAPSHOT, GROUP, 3, hand.part(hand.end()).encode()),
        ];
        stream.send(frame(&messages)).await;
        let mut answers = stream.answers().await;
        while answers.len() < 2 {
            answers.extend(stream.answers().await);
        }
        answers.sort_by_key(|answer| answer.call);
        assert!(answers.iter().all(|answer| answer.kind == REPLY), "{answers:?}");
        assert_eq!(Appended::decode(answers[0].body.clone()), Appended::All);
        assert_eq!(Took::decode(answers[1].body.clone()), Took::Done(hand.part.vote));
        play.assert_installed(&hand);
    });
}
