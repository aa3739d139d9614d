//! A node whose replicas are played by the test.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::net::{Handler, Link, LinkReceiver, MemNet, MemNode, Status};
use atoll_env::{BoxFuture, Clock, Net, Rng, Scope, Spawn};
use atoll_types::{GroupKey, LogId, ReplicaId, Vote};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::frames::{
    APPEND, Append, Appended, Message, PRE_VOTE, REFUSED, REPLY, VOTE, VoteReply, VoteRequest, frame,
    messages,
};
use crate::world::{GROUP, STREAM, address, ms, name, replica};

const PATIENCE: Duration = Duration::from_secs(5);

/// What a played replica does.
#[derive(Default)]
pub struct Part {
    /// It says that it has stored entries up to this index, and is silent about those beyond; the
    /// latest it may still be telling of is kept in mind.
    pub stores_up_to: u64,
    /// It grants votes.
    pub votes: bool,
    /// It answers nothing at all.
    pub silent: bool,
    /// What it answers to every request to append, instead of anything else.
    pub higher_vote: Option<Vote>,
    /// Bytes that make no sense, instead of the next answers.
    pub garbage: Option<Bytes>,
    /// It says everything twice.
    pub repeats: bool,
    /// Requests to append it got, without those that carry nothing.
    pub appends: Vec<Append>,
}

/// A follower that says it has stored what the test wants it to say.
#[derive(Clone)]
pub struct Follower {
    part: Arc<Mutex<Part>>,
    changed: Arc<Notify>,
    spawn: Spawn,
}

impl Follower {
    /// Serves as a node that is no other's.
    pub async fn start(net: &MemNet, node: u64, part: Part) -> Self {
        let spawn = Spawn::simulated(Scope::new(Rng::seeded(node)));
        let follower = Self {
            part: Arc::new(Mutex::new(part)),
            changed: Arc::default(),
            spawn: spawn.clone(),
        };
        let mem = net.node(&name(node), spawn);
        mem.serve(&address(node), Arc::new(follower.clone()))
            .await
            .unwrap();
        follower
    }

    pub fn change(&self, change: impl FnOnce(&mut Part)) {
        change(&mut self.part.lock());
        self.changed.notify_waiters();
    }

    pub fn part<T>(&self, look: impl FnOnce(&Part) -> T) -> T {
        look(&self.part.lock())
    }

    fn answer(&self, call: &Message) -> Option<Message> {
        let part = self.part.lock();
        if part.silent {
            return None;
        }
        match call.kind {
            VOTE | PRE_VOTE => {
                let request = VoteRequest::decode(call.body.clone());
                let reply = VoteReply {
                    vote: request.vote,
                    granted: part.votes,
                    last: None,
                };
                Some(call.answer(REPLY, reply.encode()))
            }
            APPEND => {
                if let Some(vote) = part.higher_vote {
                    return Some(call.answer(REPLY, Appended::HigherVote(vote).encode()));
                }
                let append = Append::decode(call.body.clone());
                stored(&append, part.stores_up_to).map(|reply| call.answer(REPLY, reply.encode()))
            }
            _ => Some(call.answer(REFUSED, Bytes::from_static(b"not in this play"))),
        }
    }

    async fn serve(self, link: Link) {
        let Link { sender, mut receiver } = link;
        let mut held: Vec<Message> = Vec::new();
        loop {
            let changed = self.changed.notified();
            tokio::select! {
                biased;
                calls = receiver.recv() => {
                    let Some(Ok(calls)) = calls else { return };
                    let new = messages(calls);
                    self.note(&new);
                    held.extend(new);
                }
                () = changed => {}
            }
            let mut answers = Vec::new();
            held.retain(|call| {
                let answer = self.answer(call);
                let keep = answer.is_none();
                answers.extend(answer);
                keep
            });
            if answers.is_empty() {
                continue;
            }
            if !sender.send(self.written(&answers)).await {
                return;
            }
        }
    }

    fn written(&self, answers: &[Message]) -> Bytes {
        let mut part = self.part.lock();
        match part.garbage.take() {
            Some(garbage) => garbage,
            None if part.repeats => frame(&[answers, answers].concat()),
            None => frame(answers),
        }
    }

    fn note(&self, calls: &[Message]) {
        let appends = calls.iter().filter(|call| call.kind == APPEND);
        let appends = appends.map(|call| Append::decode(call.body.clone()));
        let full = appends.filter(|append| !append.entries.is_empty());
        self.part.lock().appends.extend(full);
    }
}

fn stored(append: &Append, up_to: u64) -> Option<Appended> {
    let Some(last) = append.entries.last() else {
        return Some(Appended::All);
    };
    if last.id.index <= up_to {
        return Some(Appended::All);
    }
    let some = append.entries.iter().rfind(|entry| entry.id.index <= up_to);
    some.map(|entry| Appended::UpTo(Some(entry.id)))
}

impl Handler for Follower {
    fn is_stream(&self, method: &str) -> Option<bool> {
        (method == STREAM).then_some(true)
    }

    fn call(&self, _: &str, _: Bytes, _: Option<Duration>) -> BoxFuture<'static, Result<Bytes, Status>> {
        unreachable!("there are only streams")
    }

    fn open(&self, _method: &str, link: Link) {
        self.spawn.spawn(self.clone().serve(link));
    }
}

/// A caller that speaks for a replica.
pub struct Caller {
    net: MemNode,
    clock: Clock,
    node: u64,
    calls: u64,
}

/// A stream a [`Caller`] has opened.
pub struct Stream {
    link: Link,
    clock: Clock,
}

impl Caller {
    /// Speaks for the replicas of a node, from elsewhere.
    pub fn new(net: &MemNet, node: u64) -> Self {
        let spawn = Spawn::simulated(Scope::new(Rng::seeded(node)));
        Self {
            net: net.node(&format!("caller{node}"), spawn),
            clock: Clock::simulated(1.0, 0),
            node,
            calls: 0,
        }
    }

    pub async fn dial(&self, node: u64) -> Stream {
        let link = self.net.open(&address(node), STREAM, 0, PATIENCE).await.unwrap();
        Stream {
            link,
            clock: self.clock.clone(),
        }
    }

    /// A call from this node's replica to that of another one.
    pub fn message(&mut self, kind: u8, group: GroupKey, node: u64, body: Bytes) -> Message {
        self.calls += 1;
        Message {
            kind,
            group,
            from: replica(group, self.node),
            to: replica(group, node),
            call: self.calls,
            body,
        }
    }

    /// One call on a stream of its own.
    pub async fn call(&mut self, kind: u8, node: u64, body: Bytes) -> Message {
        let message = self.message(kind, GROUP, node, body);
        let mut stream = self.dial(node).await;
        stream.send(frame(&[message])).await;
        stream.answer().await
    }

    /// Asks for a vote.
    pub async fn ask_vote(&mut self, node: u64, request: VoteRequest) -> VoteReply {
        let answer = self.call(VOTE, node, request.encode()).await;
        assert_eq!(answer.kind, REPLY, "{answer:?}");
        VoteReply::decode(answer.body)
    }

    /// Appends as a leader.
    pub async fn append(&mut self, node: u64, append: &Append) -> Appended {
        let answer = self.call(APPEND, node, append.encode()).await;
        assert_eq!(answer.kind, REPLY, "{answer:?}");
        Appended::decode(answer.body)
    }
}

impl Stream {
    pub async fn send(&self, frame: Bytes) {
        assert!(self.link.sender.send(frame).await);
    }

    /// The next frame's messages.
    pub async fn answers(&mut self) -> Vec<Message> {
        messages(
            next(&self.clock, &mut self.link.receiver)
                .await
                .expect("the stream is open"),
        )
    }

    /// The next frame, with one message.
    pub async fn answer(&mut self) -> Message {
        let mut answers = self.answers().await;
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    /// True if the other end closes it before it says anything.
    pub async fn is_closed(&mut self) -> bool {
        next(&self.clock, &mut self.link.receiver).await.is_none()
    }

    /// True if nothing comes for a while and the stream stays open.
    pub async fn is_quiet(&mut self) -> bool {
        let frame = self.clock.timeout(ms(3000), self.link.receiver.recv()).await;
        frame.is_err()
    }
}

async fn next(clock: &Clock, receiver: &mut LinkReceiver) -> Option<Bytes> {
    let frame = clock.timeout(PATIENCE, receiver.recv()).await;
    frame.expect("something happens").and_then(Result::ok)
}

/// The vote of a leader of a term.
pub fn leader(term: u64, replica: ReplicaId) -> Vote {
    Vote {
        term,
        candidate: replica,
        committed: true,
    }
}

/// The vote of a candidate of a term.
pub fn candidate(term: u64, replica: ReplicaId) -> Vote {
    Vote {
        committed: false,
        ..leader(term, replica)
    }
}

/// An entry's place.
pub fn log_id(term: u64, leader: ReplicaId, index: u64) -> LogId {
    LogId { term, leader, index }
}
