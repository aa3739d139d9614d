//! Storing many values side by side.

use atoll_types::Version;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::client::Client;
use crate::error::Error;

/// Writes of one multi-put under way at a time: enough to fill frames to every group, few enough to
/// leave room in each group's window for everybody else.
const PARALLEL: usize = 256;

pub(crate) async fn multi_put(client: &Client, rows: Vec<(Bytes, Bytes)>) -> Vec<Result<Version, Error>> {
    let mut outcomes: Vec<Option<Result<Version, Error>>> = vec![None; rows.len()];
    let puts = rows
        .into_iter()
        .enumerate()
        .map(|(place, (key, value))| async move { (place, client.put(key, value).await) });
    let mut done = stream::iter(puts).buffer_unordered(PARALLEL);
    while let Some((place, outcome)) = done.next().await {
        if let Some(slot) = outcomes.get_mut(place) {
            *slot = Some(outcome);
        }
    }
    outcomes
        .into_iter()
        .map(|outcome| outcome.expect("every put has ended"))
        .collect()
}
