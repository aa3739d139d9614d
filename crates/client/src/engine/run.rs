//! The loop of attempts.

use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Instant, trouble};
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_types::{GroupId, Mutant, mutant};
use tracing::Instrument;

use super::Engine;
use super::blame::shun;
use super::job::{Job, Miss, Rot, Route, Stop, Trip};
use super::reading;
use super::session::Unready;
use crate::consistency::Routing;
use crate::error::{Error, ErrorKind};
use crate::pipe::{Failure, Peer, Reply};
use crate::retry::{Effect, Facts, Fault, Next, decide};
use crate::route::{Choice, Group};

/// Redirects followed at once; then nodes disagree about who leads, and time is what they need.
const REDIRECTS_IN_A_ROW: u32 = 3;

impl Engine {
    /// Does a call, however many attempts it takes, until its deadline.
    pub(crate) async fn run(&self, job: Job<'_>) -> Result<Reply, Stop> {
        let mut trip = Trip::new(job);
        if trip.span.is_disabled() {
            return self.travel(&mut trip).await;
        }
        let span = trip.span.clone();
        let result = self.travel(&mut trip).instrument(span).await;
        trip.tell();
        result
    }

    async fn travel(&self, trip: &mut Trip<'_>) -> Result<Reply, Stop> {
        loop {
            trip.attempts += 1;
            let miss = match self.attempt(trip).await {
                Ok(reply) => {
                    self.budget.refund();
                    return Ok(reply);
                }
                Err(Ok(miss)) => miss,
                Err(Err(error)) => return Err(after_all(trip, error).into()),
            };
            tracing::debug!(target: "atoll_client", fault = ?miss.fault, "an attempt failed");
            self.recover(trip, &miss).await?;
            self.check_time(trip, &miss)?;
        }
    }

    /// One sending. The inner error is for good.
    async fn attempt(&self, trip: &mut Trip<'_>) -> Result<Reply, Result<Miss, Error>> {
        if self.wires.is_closed() {
            return Err(Err(Error::new(ErrorKind::Closed, "the client was closed")));
        }
        let way = match trip.route {
            Route::Slot(slot) => self.router.way_to_slot(slot),
            Route::Group(group) => self.router.way_to_group(group),
        };
        let epoch = way.epoch;
        let miss = |fault, group, peer| {
            Ok(Miss {
                fault,
                group,
                peer,
                epoch,
            })
        };
        if reading::needs_newer_map(trip, &way) {
            let why = "the session token has seen a newer shard map than any node has yet";
            return Err(miss(Fault::NoRoute(why.to_owned()), None, None));
        }
        let (group, slot_epoch) = (way.group, way.slot_epoch);
        let Some(group) = group else {
            return Err(miss(
                Fault::NoRoute("nobody owns the slot".to_owned()),
                None,
                None,
            ));
        };
        if trip.is_write() && self.options.exactly_once {
            trip.begun = None;
            match self.prepare(trip, &group).await {
                Ok(()) => {}
                Err(Unready::Fault(fault)) => return Err(miss(fault, Some(group), None)),
                Err(Unready::Failed(error)) => return Err(Err(error)),
            }
        }
        let Some(peer) = self.choose(trip, &group) else {
            if let Some(rot) = &trip.rot {
                return Err(Err(rot.everywhere()));
            }
            return Err(miss(
                Fault::NoRoute("the group has no replica".to_owned()),
                Some(group),
                None,
            ));
        };
        reading::stamp(trip, &group, slot_epoch);
        match self.send(trip, &peer, group.id).await {
            Ok(Reply::Error(detail)) => Err(miss(Fault::Refused(detail), Some(group), Some(peer))),
            Ok(reply) => {
                if let Some(proof) = reading::proof(&reply) {
                    group.saw(proof);
                }
                if trip.is_write() {
                    group.answered(&peer);
                }
                peer.health.succeeded();
                Ok(reply)
            }
            Err(failure) => Err(miss(Fault::Pipe(failure), Some(group), Some(peer))),
        }
    }

    async fn send(&self, trip: &mut Trip<'_>, peer: &Arc<Peer>, group: GroupId) -> Result<Reply, Failure> {
        if !trip.span.is_disabled() {
            trip.asked = Some((group, Arc::clone(peer)));
        }
        let connection = peer.connection(trip.lane, &self.wires)?;
        self.stamp(trip);
        trouble::pause("client: before a request is sent").await;
        if trip.maybe_applied {
            trouble::sometimes("an ambiguous write was sent again");
        }
        let clock = &self.wires.env.clock;
        let now = trip.begun.take().unwrap_or_else(|| clock.now());
        let until = trip.attempt_until(now, self.options.attempt_timeout);
        let (hold, left) = (trip.hold(), until.since(now));
        let held = hold.map_or(left, |hold| left.min(hold));
        trip.item.group = group.0;
        // 0 would mean the server's own default.
        trip.item.deadline_ms = u32::try_from(held.as_millis()).unwrap_or(u32::MAX).max(1);
        if !measured(trip) {
            return connection.start(&mut trip.item, now, until)?.await;
        }
        let _pending = peer.latency.begin();
        let reply = connection.start(&mut trip.item, now, until)?.await;
        let end = clock.now();
        let took = end.since(now);
        // A refusal comes quickly and says nothing about how long an answer takes; but one that came when
        // the replica had held the read for so long says that others are quicker.
        let given_up = hold.is_some_and(|hold| took >= hold / 2);
        if given_up || !matches!(reply, Ok(Reply::Error(_))) {
            peer.latency.observe(end, took);
        }
        reply
    }

    /// The replica to ask.
    fn choose(&self, trip: &Trip<'_>, group: &Group) -> Option<Arc<Peer>> {
        let routing = trip.routing();
        if routing == Routing::Leader && trip.rot.is_none() {
            return group.target(&self.wires);
        }
        let rotten = Rot::of(trip.rot.as_deref(), group.key());
        if routing == Routing::Leader && rotten.is_empty() {
            return group.target(&self.wires);
        }
        group.reader(&Choice {
            routing,
            avoid: trip.avoid.as_ref(),
            rotten,
            now: self.wires.env.clock.now(),
            rng: &self.wires.env.rng,
        })
    }

    /// Learns from a failed attempt and waits as long as it takes until the next one makes sense.
    async fn recover(&self, trip: &mut Trip<'_>, miss: &Miss) -> Result<(), Stop> {
        let effect = trip.effect();
        let facts = Facts {
            effect,
            session: effect == Effect::Write && self.options.exactly_once,
            maybe_applied: trip.maybe_applied,
        };
        let (mut next, maybe_applied) = decide(&miss.fault, facts);
        trip.maybe_applied |= maybe_applied;
        // Those that answer may go on naming it, so one silent node is enough to doubt the map.
        trip.unreached |= matches!(&miss.fault, Fault::Pipe(failure) if *failure != Failure::Full);
        self.tally(trip, miss);
        let named = self.learn(miss);
        let elsewhere = self.turn_away(trip, miss);
        next = match next {
            Next::Redirect if named && trip.redirects < REDIRECTS_IN_A_ROW => Next::Redirect,
            // Another replica can answer this read right now.
            Next::Wait | Next::Refresh if elsewhere && trip.redirects < REDIRECTS_IN_A_ROW => Next::Redirect,
            Next::Redirect => Next::Wait,
            next => next,
        };
        match next {
            Next::Redirect => {
                trouble::sometimes("a client followed a redirect");
                trip.redirects += 1;
            }
            Next::Elsewhere => shun(trip, miss),
            Next::Wait => self.pause(trip, miss).await,
            Next::Spend(at_least) => {
                if !self.budget.take() {
                    return Err(after_all(trip, failed(ErrorKind::Overloaded, &miss.fault)).into());
                }
                let pause = at_least + trip.backoff.next(&self.wires.env.rng);
                self.sleep(trip, pause).await;
            }
            Next::Refresh => self.refresh(trip, miss).await?,
            Next::Renew => {
                self.renew(trip, miss.group.as_ref());
                let pause = trip.backoff.next(&self.wires.env.rng);
                self.sleep(trip, pause).await;
            }
            Next::Fail(kind) => return Err(failed(kind, &miss.fault).into()),
        }
        Ok(())
    }

    /// Gets a newer map, if there is one.
    async fn refresh(&self, trip: &Trip<'_>, miss: &Miss) -> Result<(), Stop> {
        let left = trip.deadline.since(self.wires.env.clock.now());
        // Running out of time is noticed by the caller, like every other way to be late.
        let _ = self
            .wires
            .env
            .clock
            .timeout(left, self.router.refresh(miss.epoch))
            .await;
        if let (Some(group), Some(peer)) = (&miss.group, &miss.peer)
            && self.router.table().epoch == miss.epoch
        {
            // Perhaps it is this node that is behind, not the map.
            group.failed(peer);
        }
        // The caller splits its work anew, and would do so for ever.
        self.check_time(trip, miss)?;
        if matches!(trip.route, Route::Group(_)) {
            Err(Stop::Moved)
        } else {
            Ok(())
        }
    }

    /// Waits for a leader: until somebody finds one, or for a growing, random while. If a node cannot be
    /// reached, the map may be why: a newer one ends the wait too.
    async fn pause(&self, trip: &mut Trip<'_>, miss: &Miss) {
        trip.redirects = 0;
        let pause = trip.backoff.next(&self.wires.env.rng);
        let found = async {
            match &miss.group {
                Some(group) => group.leader_changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = found => {}
            () = self.newer_map(trip.unreached, miss) => trip.unreached = false,
            () = self.sleep(trip, pause) => {}
        }
    }

    /// Ends when there is a newer map; does not look for one while every node answers.
    async fn newer_map(&self, unreached: bool, miss: &Miss) {
        if unreached {
            self.router.refresh(miss.epoch).await;
            if self.router.table().epoch > miss.epoch {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Waits, at most until the deadline.
    async fn sleep(&self, trip: &Trip<'_>, pause: Duration) {
        let clock = &self.wires.env.clock;
        clock.sleep_until(trip.deadline.min(clock.now() + pause)).await;
    }

    fn check_time(&self, trip: &Trip<'_>, miss: &Miss) -> Result<(), Error> {
        let now: Instant = self.wires.env.clock.now();
        if now < trip.deadline {
            return Ok(());
        }
        let error = failed(ErrorKind::Deadline, &miss.fault);
        let error = match &trip.rot {
            Some(rot) => rot.so_far(&error),
            None => error,
        };
        Err(after_all(trip, error))
    }
}

/// True if the policy goes by how long calls take. Pages of scans say nothing about that: they are
/// fetched ahead, and nobody looks at the reply before the reader of the scan comes back.
fn measured(trip: &Trip<'_>) -> bool {
    let scan = matches!(trip.item.operation, Some(Operation::Scan(_)));
    !scan && matches!(trip.routing(), Routing::Nearest | Routing::Fastest)
}

/// A definite failure is none if an earlier attempt may have happened.
fn after_all(trip: &Trip<'_>, error: Error) -> Error {
    if trip.maybe_applied && error.kind() != ErrorKind::Unknown && !mutant::is(Mutant::UnknownAsFailure) {
        return Error::new(
            ErrorKind::Unknown,
            format!("an earlier attempt may have succeeded; then: {error}"),
        );
    }
    error
}

fn failed(kind: ErrorKind, fault: &Fault) -> Error {
    let why = match fault {
        Fault::NoRoute(why) => why.clone(),
        Fault::Pipe(Failure::NotSent(why)) => format!("not sent: {why}"),
        Fault::Pipe(Failure::Full) => "too many calls wait for this node".to_owned(),
        Fault::Pipe(Failure::Lost(why)) => format!("sent, but there is no reply: {why}"),
        Fault::Pipe(Failure::TimedOut { sent: true }) => "sent, but there is no reply in time".to_owned(),
        Fault::Pipe(Failure::TimedOut { sent: false }) => "could not be sent in time".to_owned(),
        Fault::Refused(detail) if detail.message.is_empty() => detail.kind().as_str_name().to_owned(),
        Fault::Refused(detail) => detail.message.clone(),
    };
    let kind = if mutant::is(Mutant::UnknownAsFailure) && kind == ErrorKind::Unknown {
        ErrorKind::Unavailable
    } else {
        kind
    };
    Error::new(kind, why)
}
