//! What is to be done, and how far it has come.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::Instant;
use atoll_proto::v1::PipeRequestItem;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_types::{Epoch, GroupId, GroupKey, SlotId};
use tracing::{Span, field};

use crate::consistency::{Consistency, Routing};
use crate::error::{Error, ErrorKind};
use crate::options::CallOptions;
use crate::pipe::Peer;
use crate::retry::{Backoff, Effect, Fault};
use crate::route::Group;
use crate::session::Ticket;

/// How long the first replica asked may hold a session's read; doubles with each attempt.
const SESSION_HOLD: Duration = Duration::from_millis(100);

/// Who is to do it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    /// Whichever group owns the slot, also when that changes on the way.
    Slot(SlotId),
    /// This group. If it does not own what is asked for, the caller splits its work anew.
    Group(GroupId),
}

/// A call.
pub(crate) struct Job<'a> {
    pub(crate) route: Route,
    pub(crate) lane: u8,
    pub(crate) operation: Operation,
    /// Now, if the caller has just looked at the clock: reads are many, and looking takes time.
    pub(crate) begun: Option<Instant>,
    pub(crate) deadline: Instant,
    /// Level and routing, if it is a read. The time limit in here has gone into `deadline`.
    pub(crate) options: &'a CallOptions,
}

/// Why a call ended without a reply.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The group named by [`Route::Group`] does not own what was asked for; the map has been refreshed.
    Moved,
    /// For good.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A call on its way.
pub(super) struct Trip<'a> {
    pub(super) route: Route,
    pub(super) options: &'a CallOptions,
    pub(super) lane: u8,
    /// Now, until the first attempt has begun or something was waited for.
    pub(super) begun: Option<Instant>,
    pub(super) deadline: Instant,
    pub(super) item: PipeRequestItem,
    /// Its number, if it is a write under a session.
    pub(super) ticket: Option<Ticket>,
    pub(super) maybe_applied: bool,
    pub(super) backoff: Backoff,
    /// Since the last pause.
    pub(super) redirects: u32,
    pub(super) timeouts: u32,
    pub(super) attempts: u32,
    /// The replica that failed last; a read is not sent there again if there is another.
    pub(super) avoid: Option<Arc<Peer>>,
    /// Where the bytes that this read wants are damaged; boxed, because there is hardly ever such a place.
    pub(super) rot: Option<Box<Rot>>,
    /// A replica has sent this read on to the leader.
    pub(super) to_leader: bool,
    /// A node did not answer where the map says it is.
    pub(super) unreached: bool,
    /// Of the call, if anybody listens.
    pub(super) span: Span,
    /// The group and the node asked last, if anybody listens.
    pub(super) asked: Option<(GroupId, Arc<Peer>)>,
}

impl<'a> Trip<'a> {
    pub(super) fn new(job: Job<'a>) -> Self {
        let span = span_of(&job.operation);
        let item = PipeRequestItem {
            operation: Some(job.operation),
            ..PipeRequestItem::default()
        };
        Self {
            route: job.route,
            options: job.options,
            lane: job.lane,
            begun: job.begun,
            deadline: job.deadline,
            item,
            ticket: None,
            maybe_applied: false,
            backoff: Backoff::default(),
            redirects: 0,
            timeouts: 0,
            attempts: 0,
            avoid: None,
            rot: None,
            to_leader: false,
            unreached: false,
            span,
            asked: None,
        }
    }

    pub(super) fn effect(&self) -> Effect {
        match self.item.operation {
            Some(Operation::Write(_)) => Effect::Write,
            Some(Operation::OpenSession(_)) => Effect::Opening,
            Some(Operation::Get(_) | Operation::MultiGet(_) | Operation::Scan(_)) | None => Effect::Read,
        }
    }

    pub(super) fn is_write(&self) -> bool {
        matches!(self.item.operation, Some(Operation::Write(_)))
    }

    /// Tells the span how it went.
    pub(super) fn tell(&self) {
        if let Some((group, peer)) = &self.asked {
            self.span.record("group", group.0);
            self.span.record("node", peer.address());
            self.span.record("attempts", self.attempts);
        }
    }

    /// Which replica is to be asked: the leader, unless it is a read and the caller wants another.
    pub(super) fn routing(&self) -> Routing {
        if self.effect() == Effect::Read && !self.to_leader {
            self.options.routing
        } else {
            Routing::Leader
        }
    }

    /// How long the replica asked may hold the read, if it is behind what the session has seen. Then
    /// another one is asked, which may be further: a replica that is cut off would hold it for ever.
    pub(super) fn hold(&self) -> Option<Duration> {
        let is_session = matches!(self.options.consistency, Consistency::Session(_));
        let anywhere = is_session && self.routing() != Routing::Leader;
        anywhere.then(|| SESSION_HOLD.saturating_mul(1 << self.attempts.saturating_sub(1).min(10)))
    }

    /// When the next attempt ends: at the deadline, or earlier if the call may be sent again.
    pub(super) fn attempt_until(&self, now: Instant, attempt: Duration) -> Instant {
        if self.is_write() && self.ticket.is_none() {
            return self.deadline;
        }
        self.deadline
            .min(now + attempt.saturating_mul(1 << self.timeouts.min(10)))
    }
}

/// One span for each call, at the level debug. Costs a look at the callsite while nobody listens.
fn span_of(operation: &Operation) -> Span {
    let operation = match operation {
        Operation::Write(_) => "write",
        Operation::Get(_) => "get",
        Operation::MultiGet(_) => "multi_get",
        Operation::Scan(_) => "scan",
        Operation::OpenSession(_) => "open_session",
    };
    tracing::debug_span!(
        target: "atoll_client",
        "call",
        operation,
        group = field::Empty,
        node = field::Empty,
        attempts = field::Empty,
    )
}

/// Replicas of one group that answered a read with `Corrupt`. It is not sent to them again.
pub(super) struct Rot {
    group: GroupKey,
    peers: Vec<Arc<Peer>>,
    /// What the last of them said.
    why: String,
}

impl Rot {
    /// Notes one more replica. The slot may have moved meanwhile: what was damaged in one group says
    /// nothing about the replicas of another.
    pub(super) fn note(rot: &mut Option<Box<Self>>, group: GroupKey, peer: &Arc<Peer>, why: &str) {
        let known = rot.take().filter(|rot| rot.group == group);
        let mut peers = known.map(|rot| rot.peers).unwrap_or_default();
        peers.push(Arc::clone(peer));
        let why = format!("{}: {why}", peer.address());
        *rot = Some(Box::new(Self { group, peers, why }));
    }

    /// The replicas of this group whose bytes are damaged.
    pub(super) fn of(rot: Option<&Self>, group: GroupKey) -> &[Arc<Peer>] {
        rot.filter(|rot| rot.group == group).map_or(&[], |rot| &rot.peers)
    }

    /// Says why the replicas asked first did not answer the read either.
    pub(super) fn so_far(&self, then: &Error) -> Error {
        let message = format!("{}; damaged before that: {}", then.message(), self.why);
        Error::new(then.kind(), message)
    }

    /// The error if there is no other replica.
    pub(super) fn everywhere(&self) -> Error {
        let count = self.peers.len();
        let why = &self.why;
        Error::new(
            ErrorKind::Corrupt,
            format!("on all {count} replicas of group {}; {why}", self.group),
        )
    }
}

/// A failed attempt.
pub(super) struct Miss {
    pub(super) fault: Fault,
    pub(super) group: Option<Arc<Group>>,
    pub(super) peer: Option<Arc<Peer>>,
    /// Of the map that was used.
    pub(super) epoch: Epoch,
}
