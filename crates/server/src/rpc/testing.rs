//! The peer side of the wire without the rest of a node, for tests of what is behind it.

use std::sync::Arc;

use atoll_env::net::{Code, Status};
use atoll_placement::ShardMap;
use atoll_proto::{method, v1};
use bytes::Bytes;
use prost::Message;

use super::{map, peer};
use crate::membership::Membership;

/// Answers Hello, Claim and Admit.
pub(crate) async fn answer(
    membership: &Arc<Membership>,
    method: &str,
    request: Bytes,
) -> Result<Bytes, Status> {
    let reply = match method {
        method::HELLO => {
            let request = v1::HelloRequest::decode(request).unwrap();
            peer::hello(membership, None, request)?.encode_to_vec()
        }
        method::CLAIM => {
            let request = v1::ClaimRequest::decode(request).unwrap();
            peer::claim(membership, request).await?.encode_to_vec()
        }
        method::ADMIT => {
            let request = v1::AdmitRequest::decode(request).unwrap();
            peer::admit(membership, request).await?.encode_to_vec()
        }
        other => return Err(Status::new(Code::Unimplemented, other)),
    };
    Ok(reply.into())
}

/// A map as a message.
pub(crate) fn wire_map(map: &ShardMap) -> v1::ShardMap {
    map::map_to_wire(map, |_| None)
}
