//! `grpc.health.v1`: whether the node, or one of its services, can take calls now.
//!
//! The node (the empty name) is well while it calls itself "serving": every replica placed here runs and
//! knows a leader. `atoll.v1.Kv` is well if, on top of that, this node hears from enough nodes for a quorum
//! of every group with a replica here; without one, reads and writes of that group only wait. A leader that
//! lost its followers still knows a leader, itself, so the first alone would not tell. What nodes hear of
//! each other is up to some seconds old. The other services answer in every phase until the node stops.

use std::time::Duration;

use atoll_env::net::{Code, Link, Status};
use atoll_proto::health::health_check_response::ServingStatus;
use atoll_proto::health::{HealthCheckRequest, HealthCheckResponse};
use atoll_types::NodeId;
use prost::Message;

use super::shortened;
use crate::node::{Core, Phase};

/// How often a watched status is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The data service.
const KV: &str = "atoll.v1.Kv";

/// The status of a service; `None` if there is no such service.
pub(super) fn of(core: &Core, services: &[String], service: &str) -> Option<ServingStatus> {
    let phase = core.phase();
    let well = match service {
        "" => is_serving(&phase),
        KV => is_serving(&phase) && has_quorums(core, &phase),
        other if services.iter().any(|service| service == other) => !matches!(phase, Phase::Stopping(_)),
        _ => return None,
    };
    Some(if well {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    })
}

fn is_serving(phase: &Phase) -> bool {
    matches!(phase, Phase::Running(running) if running.is_serving())
}

fn has_quorums(core: &Core, phase: &Phase) -> bool {
    let Phase::Running(running) = phase else {
        return false;
    };
    let (map, now) = (running.directory().map(), core.env.clock.now());
    let local = running.directory().local_node();
    let answers = |node: NodeId| node == local || core.membership.book().reachable(node, now);
    let hosted = map
        .groups
        .values()
        .map(|group| group.replicas.values().copied().collect())
        .filter(|nodes: &Vec<NodeId>| nodes.contains(&local));
    hosted.into_iter().all(|nodes| {
        let answering = nodes.iter().filter(|node| answers(**node)).count();
        2 * answering > nodes.len()
    })
}

pub(super) fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

/// `Health.Watch`: the status now and after every change, until either end closes the stream.
pub(super) async fn watch(core: &Core, services: &[String], mut link: Link) {
    let request = match link.receiver.recv().await {
        Some(Ok(frame)) => HealthCheckRequest::decode(frame),
        // The caller left before it asked.
        None | Some(Err(_)) => return,
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            let text = format!("the request cannot be read: {error}");
            link.sender.fail(Status::new(Code::InvalidArgument, text));
            return;
        }
    };
    let mut told = None;
    loop {
        let status = of(core, services, &request.service).unwrap_or(ServingStatus::ServiceUnknown);
        if told != Some(status) {
            tracing::debug!(service = shortened(&request.service), ?status, "a watched status");
            if !link.sender.send(response(status).encode_to_vec().into()).await {
                return;
            }
            told = Some(status);
        }
        tokio::select! {
            () = core.env.clock.sleep(LOOK) => {}
            () = link.sender.closed() => return,
        }
    }
}
