//! One page of one group.

use atoll_env::Instant;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{ReadOptions, ScanReply, ScanRequest};
use bytes::Bytes;

use super::range::Span;
use crate::client::Client;
use crate::engine::{Job, Route, Stop};
use crate::error::Error;
use crate::pipe::{LANE_LARGE, Reply};
use crate::route::Share;

/// A request for what `share` has of a span, behind `after` in reading order; `None` if that is nothing.
pub(super) fn request(share: &Share, span: &Span, after: Option<&Bytes>) -> Option<ScanRequest> {
    let mut span = span.clone();
    if let Some(after) = after {
        span.pass(after);
    }
    (!span.is_empty()).then(|| ScanRequest {
        group: share.group.0,
        slots: share.slots.to_vec(),
        reverse: span.is_reverse(),
        start: span.start,
        end: span.end,
        options: Some(ReadOptions {
            slot_epoch: share.epoch.0,
            ..ReadOptions::default()
        }),
        ..ScanRequest::default()
    })
}

/// Sends it; no reply if the group no longer owns what the map says.
pub(super) async fn fetch(
    client: &Client,
    request: ScanRequest,
    deadline: Instant,
) -> Result<Option<ScanReply>, Error> {
    let job = Job {
        route: Route::Group(atoll_types::GroupId(request.group)),
        lane: LANE_LARGE,
        operation: Operation::Scan(Box::new(request)),
        begun: None,
        deadline,
        options: &client.options,
    };
    match client.engine.run(job).await {
        Ok(Reply::Scan(reply)) => Ok(Some(*reply)),
        Ok(_) => Err(Error::internal("the reply does not fit the request")),
        Err(Stop::Moved) => Ok(None),
        Err(Stop::Failed(error)) => Err(error),
    }
}
