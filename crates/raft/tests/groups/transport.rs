//! Streams between nodes: shared by groups, taken up again, and closed to nonsense.

use atoll_env::net::MemNetOptions;
use atoll_env::vfs::Crash;
use atoll_types::limits::MESSAGE_BYTES_MAX;
use atoll_types::{GroupGen, GroupKey, ReplicaId};
use bytes::Bytes;

use crate::frames::{APPEND, Append, Message, PRE_VOTE, READ_INDEX, REFUSED, REPLY, VOTE, frame};
use crate::played::{Caller, Follower, Part, leader};
use crate::world::{GROUP, Options, STREAM, World, group, ms, name, replica, simulate};

#[test]
fn all_groups_of_two_nodes_share_one_stream_and_its_frames() {
    simulate(async {
        let groups: Vec<GroupKey> = (1..=8).map(group).collect();
        let options = Options {
            groups: groups.clone(),
            ..Options::default()
        };
        let world = World::new(3, options).await;
        world.clock.sleep(ms(3000)).await;
        let before = world.process(1).host.stats();
        for round in 0..20 {
            let text = format!("{round}");
            let writes: Vec<_> = groups
                .iter()
                .map(|key| world.propose_to(1, *key, &text))
                .collect();
            for write in writes {
                write.await.unwrap();
            }
        }
        let after = world.process(1).host.stats();
        let (frames, messages) = (after.frames - before.frames, after.messages - before.messages);
        assert!(messages >= 20 * 8 * 2, "{messages} messages");
        assert!(frames * 2 < messages, "{frames} frames for {messages} messages");
        for node in 1..=3_u64 {
            let dialled = world.process(node).dialled.lock().clone();
            assert!(dialled.values().all(|times| *times == 1), "{dialled:?}");
        }
        assert_eq!(world.process(1).dialled.lock().len(), 2);
        world.assert_sound();
    });
}

#[test]
fn a_broken_stream_is_taken_up_again() {
    simulate(async {
        let mut world = World::new(3, Options::default()).await;
        world.crash(3, Crash::Process).await;
        let mut texts = Vec::new();
        for n in 0..5_u64 {
            let text = format!("{n}");
            let write = world.propose(1, &text);
            // In the middle of the call, so that its answer never comes.
            world.clock.sleep(ms(n)).await;
            world.net.break_connections(&name(1), &name(2));
            let asked = world.clock.now();
            write.await.unwrap();
            assert!(world.clock.now() < asked + ms(1000), "not a timeout later");
            texts.push(text);
        }
        let dialled = world.process(1).dialled.lock()[&2];
        assert!((4..=12).contains(&dialled), "{dialled}");
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        world.all_have(&[1, 2], &texts).await;
        world.start(3).await;
        world.all_have(&[1, 2, 3], &texts).await;
        world.assert_sound();
    });
}

/// A node that comes back after a long time hears from its leader as soon as it can be reached, not when
/// the leader's growing pauses allow.
#[test]
fn a_node_that_comes_back_is_noticed_soon() {
    simulate(async {
        let mut world = World::new(3, Options::default()).await;
        world.crash(3, Crash::Process).await;
        world.propose(1, "a").await.unwrap();
        world.clock.sleep(ms(60_000)).await;
        world.start(3).await;
        let back = world.clock.now();
        world.all_have(&[3], &["a"]).await;
        assert!(
            world.clock.now() <= back + ms(1000),
            "{:?}",
            world.clock.now().since(back)
        );
        assert!(world.group(1).status().is_leader);
        world.assert_sound();
    });
}

#[test]
fn calls_that_mean_somebody_else_are_refused_and_the_stream_goes_on() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        world.propose(1, "a").await.unwrap();
        world.all_have(&[1, 2, 3], &["a"]).await;
        let mut caller = Caller::new(&world.net, 3);
        let mut stream = caller.dial(1).await;
        // A leader of a term far ahead: whoever believed this would follow it.
        let append = Append {
            vote: leader(1000, replica(GROUP, 3)),
            prev: None,
            commit: None,
            entries: Vec::new(),
        };
        let generation = |generation| GroupKey {
            generation: GroupGen(generation),
            ..GROUP
        };
        let right = caller.message(APPEND, GROUP, 1, append.encode());
        let wrong = [
            Message {
                group: group(77),
                ..right.clone()
            },
            Message {
                group: generation(GROUP.generation.0 - 1),
                ..right.clone()
            },
            Message {
                group: generation(GROUP.generation.0 + 1),
                ..right.clone()
            },
            Message {
                to: replica(GROUP, 2),
                ..right.clone()
            },
            Message {
                to: ReplicaId(1),
                ..right.clone()
            },
        ];
        for (call, message) in (50..).zip(wrong) {
            stream.send(frame(&[Message { call, ..message }])).await;
            let answer = stream.answer().await;
            assert_eq!((answer.kind, answer.call), (REFUSED, call));
            assert!(!answer.body.is_empty(), "it says why");
        }
        world.clock.sleep(ms(1000)).await;
        assert!(world.group(1).status().is_leader, "nobody was impressed");
        assert_eq!(world.group(1).status().term, 1);
        let read = caller.message(READ_INDEX, GROUP, 1, Bytes::new());
        stream.send(frame(&[read])).await;
        assert_eq!(stream.answer().await.kind, REPLY);
        world.assert_sound();
    });
}

#[test]
fn a_stopped_group_is_refused_like_one_that_never_was() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        let host = world.process(2).host.clone();
        world.on(2, async move { host.stop_group(GROUP.id).await }).await;
        let mut caller = Caller::new(&world.net, 1);
        assert_eq!(caller.call(READ_INDEX, 2, Bytes::new()).await.kind, REFUSED);
        world.propose(1, "by two of three").await.unwrap();
        world.assert_sound();
    });
}

/// Frames that cannot be read, each of its own kind.
fn nonsense(sound: &Message) -> Vec<(&'static str, Bytes)> {
    let whole = frame(std::slice::from_ref(sound));
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.to_vec();
        bytes[at] = byte;
        Bytes::from(bytes)
    };
    vec![
        ("nothing", Bytes::new()),
        ("another version", with(0, 2)),
        ("an unknown kind", with(1, 9)),
        ("half a header", whole.slice(..20)),
        ("a body that is not there", whole.slice(..whole.len() - 1)),
        ("a length beyond everything", with(41, 0xff)),
        ("something behind", Bytes::from([&whole[..], &[0]].concat())),
        ("too large", Bytes::from(vec![1; MESSAGE_BYTES_MAX + 1])),
    ]
}

#[test]
fn a_frame_that_cannot_be_read_closes_its_stream_and_nothing_else() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        let mut caller = Caller::new(&world.net, 3);
        // One that is not answered before the rest of the frame is looked at.
        let sound = caller.message(READ_INDEX, group(5), 1, Bytes::from_static(b"body"));
        for (what, bytes) in nonsense(&sound) {
            let mut stream = caller.dial(1).await;
            stream.send(bytes).await;
            assert!(stream.is_closed().await, "{what}");
        }
        // An empty frame is one without messages.
        let mut stream = caller.dial(1).await;
        stream.send(frame(&[])).await;
        assert!(stream.is_quiet().await);

        assert!(world.group(1).status().is_leader);
        world.propose(1, "a").await.unwrap();
        world.all_have(&[1, 2, 3], &["a"]).await;
        let dialled = world.process(1).dialled.lock().clone();
        assert!(dialled.values().all(|times| *times == 1), "{dialled:?}");
        world.assert_sound();
    });
}

#[test]
fn a_body_that_cannot_be_read_is_refused_and_its_stream_goes_on() {
    simulate(async {
        let world = World::new(3, Options::default()).await;
        let mut caller = Caller::new(&world.net, 3);
        let mut stream = caller.dial(1).await;
        for kind in [APPEND, VOTE, PRE_VOTE, 4, REPLY, REFUSED] {
            for body in [&b""[..], &[0xff; 17], &[0; 200]] {
                let message = caller.message(kind, GROUP, 1, Bytes::copy_from_slice(body));
                let call = message.call;
                stream.send(frame(&[message])).await;
                let answer = stream.answer().await;
                assert_eq!(
                    (answer.kind, answer.call),
                    (REFUSED, call),
                    "kind {kind}, {body:?}"
                );
            }
        }
        world.propose(1, "a").await.unwrap();
        world.assert_sound();
    });
}

/// Two real nodes of three; node 3's replica is played.
async fn with_played(part: Part) -> (World, Follower) {
    let world = World::blank(2, Options::default()).await;
    let played = Follower::start(&world.net, 3, part).await;
    world.initialize(1, GROUP, 3).await;
    world.leads(1, GROUP).await;
    (world, played)
}

fn obedient() -> Part {
    Part {
        votes: true,
        stores_up_to: u64::MAX,
        ..Part::default()
    }
}

#[test]
fn answers_that_cannot_be_read_close_the_stream_and_the_next_one_works() {
    simulate(async {
        let (mut world, played) = with_played(obedient()).await;
        // From here on every entry needs node 3.
        world.crash(2, Crash::Process).await;
        let garbage: Vec<Bytes> = [
            Bytes::new(),
            Bytes::from_static(b"\x02"),
            Bytes::from_static(b"\x01\x63 what is this"),
        ]
        .into();
        for (n, bytes) in garbage.into_iter().enumerate() {
            let before = world.process(1).dialled.lock()[&3];
            played.change(|part| part.garbage = Some(bytes));
            world.propose(1, &format!("{n}")).await.unwrap();
            world
                .until("the next stream", ms(2000), || {
                    world.process(1).dialled.lock()[&3] > before
                })
                .await;
        }
        assert!(played.part(|part| part.garbage.is_none()));
        world.assert_sound();
    });
}

#[test]
fn answers_that_come_twice_count_once() {
    simulate(async {
        let repeats = Part {
            repeats: true,
            ..obedient()
        };
        let (mut world, played) = with_played(repeats).await;
        world.crash(2, Crash::Process).await;
        let texts: Vec<String> = (0..20).map(|n| format!("{n}")).collect();
        for text in &texts {
            world.propose(1, text).await.unwrap();
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        world.all_have(&[1], &texts).await;
        let sent = played.part(|part| part.appends.len());
        assert!(sent >= 20, "{sent} requests");
        assert_eq!(world.process(1).dialled.lock()[&3], 1);
        world.assert_sound();
    });
}

/// Every frame of calls arrives once more up to three seconds later, on a stream of its own: votes of old
/// terms, entries long committed.
#[test]
fn frames_that_arrive_twice_do_no_harm() {
    simulate(async {
        let net = MemNetOptions {
            copies_per_million: 500_000,
            copied_streams: vec![STREAM],
            ..MemNetOptions::default()
        };
        let options = Options {
            net,
            ..Options::default()
        };
        let world = World::new(3, options).await;
        let mut texts = Vec::new();
        for round in 0..4 {
            let leader = world.leader_among(&[1, 2, 3]).await;
            for n in 0..25 {
                let text = format!("{round}.{n}");
                world.propose(leader, &text).await.unwrap();
                world.clock.sleep(ms(20)).await;
                texts.push(text);
            }
            let to = replica(GROUP, leader % 3 + 1);
            let group = world.group(leader);
            world
                .on(leader, async move { group.transfer_leader(to).await })
                .await
                .unwrap();
            world
                .until("another leads", ms(5000), || {
                    !world.group(leader).status().is_leader
                })
                .await;
        }
        world.net.calm();
        world.clock.sleep(ms(4000)).await;
        assert!(world.net.faults().copied_frames > 200, "{:?}", world.net.faults());
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        world.all_have(&[1, 2, 3], &texts).await;
        world.assert_sound();
    });
}
