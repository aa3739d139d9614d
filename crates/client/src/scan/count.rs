//! Counting rows without fetching them.
//!
//! Each group counts its own slots, page by page, all groups side by side. What is still to be counted
//! is a list of parts: a set of slots and the last key counted in it. A group that refuses a part,
//! because some slot has moved, has counted nothing of it; the part is split by the newest map and each
//! piece goes on behind the same key. So no row is counted twice or left out because its slot moved.

use atoll_env::Instant;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::fetch::{fetch, request};
use super::range::Span;
use super::{PARALLEL, ScanOptions};
use crate::client::Client;
use crate::consistency::Consistency;
use crate::error::{Error, ErrorKind};
use crate::route::{Share, Table};

/// A set of slots, counted up to a key.
struct Part {
    share: Share,
    after: Option<Bytes>,
    /// Set by the first request of a page, kept while the page has to be asked for again.
    deadline: Option<Instant>,
}

/// What one page came to.
struct Counted {
    part: Part,
    /// `None`: the group refused.
    rows: Option<u64>,
    more: bool,
}

pub(crate) async fn count(client: &Client, options: ScanOptions) -> Result<u64, Error> {
    let limit = options.limit.unwrap_or(u64::MAX);
    let span = Span::new(&ScanOptions {
        reverse: false,
        ..options
    });
    if span.is_empty() || limit == 0 {
        return Ok(0);
    }
    let by_epoch = client.options.consistency != Consistency::Linearizable;
    let whole = |share: &Share| Part {
        share: share.clone(),
        after: None,
        deadline: None,
    };
    let mut parts: Vec<Part> = client
        .engine
        .router
        .table()
        .shares(by_epoch)
        .iter()
        .map(whole)
        .collect();
    let mut pages = FuturesUnordered::new();
    let mut total = 0;
    loop {
        while pages.len() < PARALLEL {
            let Some(part) = parts.pop() else { break };
            pages.push(page(client, &span, part));
        }
        let Some(counted) = pages.next().await else {
            return Ok(total);
        };
        let mut counted = counted?;
        let Some(rows) = counted.rows else {
            parts.extend(split(client, &counted.part)?);
            continue;
        };
        total += rows;
        if total >= limit {
            return Ok(limit);
        }
        if counted.more {
            counted.part.deadline = None;
            parts.push(counted.part);
        }
    }
}

/// Counts one page of a part.
async fn page(client: &Client, span: &Span, mut part: Part) -> Result<Counted, Error> {
    let deadline = part.deadline.unwrap_or_else(|| client.deadline_from_now());
    part.deadline = Some(deadline);
    let Some(mut request) = request(&part.share, span, part.after.as_ref()) else {
        return Ok(Counted {
            part,
            rows: Some(0),
            more: false,
        });
    };
    request.count_only = true;
    let reply = fetch(client, request, deadline).await?;
    if let Some(reply) = &reply {
        let moved = part.after.as_ref().is_none_or(|after| reply.last_key > *after);
        if reply.more && (reply.last_key.is_empty() || !moved) {
            return Err(Error::internal(
                "a group has more rows to count but does not get on",
            ));
        }
        if !reply.last_key.is_empty() {
            part.after = Some(reply.last_key.clone());
        }
    }
    Ok(Counted {
        part,
        more: reply.as_ref().is_some_and(|reply| reply.more),
        rows: reply.map(|reply| reply.count),
    })
}

/// Splits a refused part by the newest map.
fn split(client: &Client, part: &Part) -> Result<Vec<Part>, Error> {
    let clock = &client.engine.wires.env.clock;
    if part.deadline.is_some_and(|deadline| clock.now() >= deadline) {
        return Err(Error::new(
            ErrorKind::Deadline,
            "a group goes on refusing to count",
        ));
    }
    let table = client.engine.router.table();
    let by_epoch = client.options.consistency != Consistency::Linearizable;
    let piece = |share| Part {
        share,
        after: part.after.clone(),
        deadline: part.deadline,
    };
    Ok(owners_of(&part.share, &table, by_epoch)
        .into_iter()
        .map(piece)
        .collect())
}

/// The slots of a share, by who has them now. Slots that nobody has stay with the group that had them.
fn owners_of(share: &Share, table: &Table, by_epoch: bool) -> Vec<Share> {
    let mut slots = share.each_slot().peekable();
    let end = share.slots.last().copied().unwrap_or(0);
    let owners = (0..=end).map(|slot| {
        let slot = slots.next_if(|next| u32::from(next.0) == slot)?;
        let owner = table.owner_of(slot).map(|(group, epoch)| (group.id, epoch));
        Some(owner.unwrap_or((share.group, share.epoch)))
    });
    Share::of(owners, by_epoch)
}
