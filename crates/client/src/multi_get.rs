//! Reading many keys at once: split by group, sent side by side, put back in order.
//!
//! A request names one slot epoch, which a replica that reads from an older state must know for every
//! key. So below the linearizable level, keys of one group in slots of different ages go separately.

use std::collections::BTreeMap;

use atoll_env::Instant;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{MultiGetRequest, ReadOptions};
use atoll_types::limits::MULTI_GET_KEYS_MAX;
use atoll_types::{Epoch, GroupId, SlotId, Version};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::client::Client;
use crate::consistency::Consistency;
use crate::engine::{Job, Route, Stop};
use crate::error::{Error, ErrorKind};
use crate::model::Value;
use crate::ops::checked_slot;
use crate::pipe::{LANE_LARGE, Reply};

/// Requests of one multi-get under way at a time.
const PARALLEL: usize = 16;

/// Who has some of the keys, and, if it matters, since when.
type Owner = (GroupId, Epoch);

/// A key still to be read and its place in the answer.
struct Wanted {
    place: usize,
    slot: SlotId,
    key: Bytes,
}

pub(crate) async fn multi_get(client: &Client, keys: Vec<Bytes>) -> Result<Vec<Option<Value>>, Error> {
    let deadline = client.deadline_from_now();
    let mut answer = vec![None; keys.len()];
    let mut wanted = Vec::with_capacity(keys.len());
    for (place, key) in keys.into_iter().enumerate() {
        wanted.push(Wanted {
            place,
            slot: checked_slot(&key)?,
            key,
        });
    }
    while !wanted.is_empty() {
        let parts = split(client, wanted, deadline).await?;
        let mut results = stream::iter(parts)
            .map(|(owner, part)| fetch(client, owner, part, deadline))
            .buffer_unordered(PARALLEL);
        wanted = Vec::new();
        while let Some(result) = results.next().await {
            let (found, left) = result?;
            for (place, value) in found {
                *answer
                    .get_mut(place)
                    .expect("a place is an index of the keys asked for") = value;
            }
            wanted.extend(left);
        }
    }
    Ok(answer)
}

/// Splits keys by group, in requests of bounded size. Waits for a map in which every slot has an owner.
async fn split(
    client: &Client,
    mut wanted: Vec<Wanted>,
    deadline: Instant,
) -> Result<Vec<(Owner, Vec<Wanted>)>, Error> {
    let clock = &client.engine.wires.env.clock;
    let table = loop {
        let table = client.engine.router.table();
        if wanted.iter().all(|wanted| table.group_of(wanted.slot).is_some()) {
            break table;
        }
        let left = deadline.since(clock.now());
        let refresh = client.engine.router.refresh(table.epoch);
        if left.is_zero() || clock.timeout(left, refresh).await.is_err() {
            return Err(Error::new(
                ErrorKind::Deadline,
                "some keys are in slots that nobody owns",
            ));
        }
    };
    let by_epoch = client.options.consistency != Consistency::Linearizable;
    let mut by_owner: BTreeMap<Owner, Vec<Wanted>> = BTreeMap::new();
    for wanted in wanted.drain(..) {
        let owner = table.owner_of(wanted.slot).map(|(group, epoch)| {
            let epoch = if by_epoch { epoch } else { Epoch::default() };
            (group.id, epoch)
        });
        by_owner
            .entry(owner.unwrap_or_default())
            .or_default()
            .push(wanted);
    }
    let mut parts = Vec::new();
    for (owner, mut all) in by_owner {
        while all.len() > MULTI_GET_KEYS_MAX {
            let rest = all.split_off(MULTI_GET_KEYS_MAX);
            parts.push((owner, std::mem::replace(&mut all, rest)));
        }
        parts.push((owner, all));
    }
    Ok(parts)
}

/// Reads keys of one group; gives what was read and what has to be asked again.
async fn fetch(
    client: &Client,
    (group, slot_epoch): Owner,
    wanted: Vec<Wanted>,
    deadline: Instant,
) -> Result<(Vec<(usize, Option<Value>)>, Vec<Wanted>), Error> {
    let keys = wanted.iter().map(|wanted| wanted.key.clone()).collect();
    let options = (slot_epoch > Epoch::default()).then(|| ReadOptions {
        slot_epoch: slot_epoch.0,
        ..ReadOptions::default()
    });
    let operation = Operation::MultiGet(MultiGetRequest { keys, options });
    let job = Job {
        route: Route::Group(group),
        lane: LANE_LARGE,
        operation,
        begun: None,
        deadline,
        options: &client.options,
    };
    let reply = match client.engine.run(job).await {
        Ok(Reply::MultiGet(reply)) => reply,
        Ok(_) => return Err(Error::internal("the reply does not fit the request")),
        Err(Stop::Moved) => return Ok((Vec::new(), wanted)),
        Err(Stop::Failed(error)) => return Err(error),
    };
    let read = reply.rows.len();
    if read + reply.unread as usize != wanted.len() || (read == 0 && !wanted.is_empty()) {
        return Err(Error::internal(
            "the reply to a multi-get has another number of rows than keys were asked",
        ));
    }
    let mut wanted = wanted;
    let left = wanted.split_off(read);
    let found = wanted.into_iter().zip(reply.rows).map(|(wanted, row)| {
        let version = Version(row.version);
        client.engine.saw(version);
        (
            wanted.place,
            row.found.then_some(Value {
                bytes: row.value,
                version,
            }),
        )
    });
    Ok((found.collect(), left))
}
