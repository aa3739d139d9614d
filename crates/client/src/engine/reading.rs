//! Reads on their way: what the replica is told about the state it may read from.

use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{Proof, ReadOptions};
use atoll_types::{Epoch, Version};

use super::job::Trip;
use crate::consistency::Consistency;
use crate::pipe::Reply;
use crate::route::{Group, Way};

/// Writes the level into the request, anew for every sending: the group may be another one by now. A
/// linearizable read says nothing, unless the caller did.
pub(super) fn stamp(trip: &mut Trip<'_>, group: &Group, slot_epoch: Epoch) {
    let options = match &mut trip.item.operation {
        Some(Operation::Get(get)) => &mut get.options,
        Some(Operation::MultiGet(get)) => &mut get.options,
        Some(Operation::Scan(scan)) => &mut scan.options,
        Some(Operation::Write(_) | Operation::OpenSession(_)) | None => return,
    };
    let (level, at) = (&trip.options.consistency, trip.options.at);
    if *level == Consistency::Linearizable && at == Version::ZERO {
        return;
    }
    let options = options.get_or_insert_with(ReadOptions::default);
    options.at_version = at.0;
    options.consistency = level.wire().into();
    match level {
        Consistency::Session(token) => options.token = token.for_group(group.id, group.mark()).into(),
        Consistency::Bounded(age) => {
            options.max_age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        }
        Consistency::Linearizable | Consistency::Eventual => {}
    }
    // A call by group has set it: it knows which slots it is about.
    if slot_epoch > Epoch::default() {
        options.slot_epoch = slot_epoch.0;
    }
}

/// True if the map is older than one the reader's token has seen: the group it names may have lost the
/// slot to the one that has the reader's writes.
pub(super) fn needs_newer_map(trip: &Trip<'_>, way: &Way) -> bool {
    match &trip.options.consistency {
        Consistency::Session(token) => !trip.is_write() && way.epoch < token.map_epoch(),
        _ => false,
    }
}

/// Where a reply comes from.
pub(super) fn proof(reply: &Reply) -> Option<&Proof> {
    match reply {
        Reply::Write(reply) => reply.proof.as_ref(),
        Reply::Get(reply) => reply.proof.as_ref(),
        Reply::MultiGet(reply) => reply.proof.as_ref(),
        Reply::Scan(reply) => reply.proof.as_ref(),
        Reply::OpenSession(reply) => reply.proof.as_ref(),
        Reply::Error(_) => None,
    }
}
