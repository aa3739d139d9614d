//! Sessions on the way of a write: a number before the first sending, an open session before the
//! first write to a group.

use std::sync::Arc;

use atoll_env::{Instant, trouble};
use atoll_proto::v1::error_detail::Kind;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{ErrorDetail, OpenSessionRequest, ScanRequest, Session as WireSession};
use atoll_types::{ClientId, GroupId, Version};
use bytes::Bytes;

use super::Engine;
use super::job::{Job, Route, Stop, Trip};
use crate::error::{Error, ErrorKind};
use crate::options::PLAIN;
use crate::pipe::{LANE_SMALL, Reply};
use crate::retry::Fault;
use crate::route::Group;
use crate::session::Opening;
use crate::stats::count;

/// Both ends of a range without keys.
const NOWHERE: Bytes = Bytes::from_static(b"0");

/// Why a write has no session yet.
pub(super) enum Unready {
    /// Treat it like an answer to the write, which was not sent.
    Fault(Fault),
    /// Give up.
    Failed(Error),
}

impl Engine {
    /// Gives the write a number of the group's session and makes sure that the group knows it.
    pub(super) async fn prepare(&self, trip: &mut Trip<'_>, group: &Group) -> Result<(), Unready> {
        let key = group.key();
        if !trip.maybe_applied {
            // The slot has moved and nothing happened where it was: that number is given back.
            trip.ticket.take_if(|ticket| ticket.session().group != key);
        }
        let clock = &self.wires.env.clock;
        if trip.ticket.is_none() {
            let left = trip.deadline.since(clock.now());
            let session = group.sessions().current(key, &self.wires.env.rng);
            let ticket = clock.timeout(left, session.begin()).await;
            let ticket = ticket.map_err(|_| {
                let message =
                    "too many unfinished writes of this client to the same group are ahead of this one";
                Unready::Failed(Error::new(ErrorKind::Deadline, message))
            })?;
            trip.ticket = Some(ticket);
        }
        // Once the write may have been done somewhere, only a group that knows the session already
        // can tell; opening it now would make a group that knows nothing look like one that does.
        let Some(ticket) = trip.ticket.as_ref().filter(|_| !trip.maybe_applied) else {
            return Ok(());
        };
        let opening = &ticket.session().opening;
        if opening.done.initialized() {
            return Ok(());
        }
        let (client, deadline) = (ticket.session().client, trip.deadline);
        let open = opening
            .done
            .get_or_try_init(|| self.open(opening, client, group.id, deadline));
        let left = deadline.since(clock.now());
        match clock.timeout(left, open).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Stop::Moved)) => Err(Unready::Fault(Fault::NoRoute("the group is gone".to_owned()))),
            Ok(Err(Stop::Failed(error))) if error.kind() == ErrorKind::SessionExpired => {
                let detail = ErrorDetail {
                    kind: Kind::SessionExpired.into(),
                    ..ErrorDetail::default()
                };
                Err(Unready::Fault(Fault::Refused(detail)))
            }
            Ok(Err(Stop::Failed(error))) => Err(Unready::Failed(error)),
            Err(_) => Err(Unready::Failed(Error::new(
                ErrorKind::Deadline,
                "no session could be opened in time",
            ))),
        }
    }

    /// Opens the session in a group. Boxed: these are calls of their own, which need no session.
    async fn open(
        &self,
        opening: &Opening,
        client: ClientId,
        group: GroupId,
        deadline: Instant,
    ) -> Result<(), Stop> {
        let read = opening
            .read
            .get_or_try_init(|| self.version_of(group, deadline))
            .await?;
        let reply = Box::pin(self.run(open_job(client, group, *read, deadline))).await?;
        let Reply::OpenSession(reply) = reply else {
            return Err(Error::internal("the reply does not fit the request").into());
        };
        self.saw(Version(reply.version));
        count(&self.wires.counters.sessions_opened);
        Ok(())
    }

    /// The group's newest version, by the smallest linearizable read there is: a scan of no keys at all.
    async fn version_of(&self, group: GroupId, deadline: Instant) -> Result<Version, Stop> {
        let request = ScanRequest {
            group: group.0,
            start: NOWHERE,
            end: NOWHERE,
            limit: 1,
            keys_only: true,
            ..ScanRequest::default()
        };
        let job = Job {
            route: Route::Group(group),
            lane: LANE_SMALL,
            operation: Operation::Scan(Box::new(request)),
            begun: None,
            deadline,
            options: &PLAIN,
        };
        let proof = match Box::pin(self.run(job)).await? {
            Reply::Scan(reply) => reply.proof,
            _ => None,
        };
        match proof {
            Some(proof) if proof.version > 0 => Ok(Version(proof.version)),
            _ => Err(Error::internal("the reply says nothing about the group's version").into()),
        }
    }

    /// Writes session and version into the request, anew for every sending.
    pub(super) fn stamp(&self, trip: &mut Trip<'_>) {
        let Some(Operation::Write(write)) = &mut trip.item.operation else {
            return;
        };
        write.after = self.seen.load(std::sync::atomic::Ordering::Relaxed);
        write.session = trip.ticket.as_ref().map(|ticket| {
            let (seq, ack) = ticket.stamp();
            let (client_high, client_low) = atoll_proto::convert::split_client(ticket.session().client);
            WireSession {
                client_high,
                client_low,
                seq,
                ack,
            }
        });
    }

    /// Leaves a session that a group has forgotten; the write gets a number under the next one.
    pub(super) fn renew(&self, trip: &mut Trip<'_>, group: Option<&Arc<Group>>) {
        if let (Some(ticket), Some(group)) = (trip.ticket.take(), group)
            && group.sessions().renew(ticket.session(), &self.wires.env.rng)
        {
            count(&self.wires.counters.sessions_renewed);
            trouble::sometimes("a session expired and another took its place");
            tracing::info!(client = %ticket.session().client, "a group has forgotten this session; taking a new one");
        }
    }
}

fn open_job(client: ClientId, group: GroupId, read: Version, deadline: Instant) -> Job<'static> {
    let (client_high, client_low) = atoll_proto::convert::split_client(client);
    let request = OpenSessionRequest {
        client_high,
        client_low,
        group: group.0,
        version: read.0,
    };
    Job {
        route: Route::Group(group),
        lane: LANE_SMALL,
        operation: Operation::OpenSession(request),
        begun: None,
        deadline,
        options: &PLAIN,
    }
}
