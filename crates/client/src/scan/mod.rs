//! Reading in key order over all groups.
//!
//! Keys are spread over groups by hash, so a scan asks every group for the same range and merges the
//! answers. It holds at most one page per group. The only cursor is the last key handed out: when the
//! map changes or a group refuses, everything that is buffered is thrown away and all groups are asked
//! again from that key on, so a slot that moved is neither missed nor seen twice.
//!
//! Every page of a group is linearizable by itself; the scan as a whole is not a snapshot.

mod count;
mod merge;
mod options;
mod range;
mod rows;

pub(crate) use count::count;
pub use options::ScanOptions;
pub use rows::Rows;

use atoll_env::Instant;
use atoll_proto::v1::pipe_request_item::Operation;
use atoll_proto::v1::{ReadOptions, ScanReply, ScanRequest};
use atoll_types::limits::{SCAN_PAGE_BYTES, SCAN_PAGE_ROWS_MAX};
use atoll_types::{Epoch, GroupId, Version};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::client::Client;
use crate::engine::{Job, Route, Stop};
use crate::error::{Error, ErrorKind};
use crate::model::Row;
use crate::pipe::{LANE_LARGE, Reply};
use merge::Merge;
use range::Span;

/// Groups asked at the same time.
const PARALLEL: usize = 16;

/// A scan in progress. See [`Client::scan`].
pub struct Scan {
    client: Client,
    /// What is still to be read; shrinks from the side the scan begins at.
    span: Span,
    options: ScanOptions,
    /// Of the map the groups below were taken from.
    epoch: Option<Epoch>,
    merge: Merge,
    /// The page being put together. Kept over errors and dropped futures.
    page: Vec<Row>,
    page_bytes: usize,
    left: u64,
    ended: bool,
}

impl Scan {
    pub(crate) fn new(client: Client, options: ScanOptions) -> Self {
        let span = Span::new(&options);
        let left = options.limit.unwrap_or(u64::MAX);
        let merge = Merge::new(options.reverse);
        let ended = span.is_empty() || left == 0;
        Self {
            client,
            span,
            options,
            epoch: None,
            merge,
            page: Vec::new(),
            page_bytes: 0,
            left,
            ended,
        }
    }

    /// The next rows in key order; `None` at the end. After an error the same page can be asked for
    /// again; nothing is lost or repeated.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Row>>, Error> {
        let deadline = self.client.deadline_from_now();
        while !self.ended && !self.page_is_full() {
            let table = self.client.engine.router.table();
            if self.epoch != Some(table.epoch) {
                self.merge.restart(table.data_groups());
                self.epoch = Some(table.epoch);
            }
            self.refill(deadline).await?;
            self.take_rows();
        }
        if self.page.is_empty() {
            return Ok(None);
        }
        self.page_bytes = 0;
        Ok(Some(std::mem::take(&mut self.page)))
    }

    /// The rows one by one, as a stream.
    pub fn rows(self) -> Rows {
        Rows::new(self)
    }

    /// Reads all the rest. For ranges known to be small.
    pub async fn collect(mut self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        while let Some(page) = self.next_page().await? {
            rows.extend(page);
        }
        Ok(rows)
    }

    fn page_rows(&self) -> usize {
        (self.options.page_rows as usize).clamp(1, SCAN_PAGE_ROWS_MAX)
    }

    fn page_is_full(&self) -> bool {
        self.page.len() >= self.page_rows() || self.page_bytes >= SCAN_PAGE_BYTES
    }

    /// Moves rows from the merge to the page, as long as it is certain which key comes next.
    fn take_rows(&mut self) {
        while !self.ended && !self.page_is_full() && self.merge.is_ready() {
            let Some(row) = self.merge.pop() else {
                self.ended = true;
                return;
            };
            // A group that answers beside the range, or with a key that was handed out already.
            if !self.span.contains(&row.key) {
                continue;
            }
            self.span.pass(&row.key);
            self.page_bytes += row.key.len() + row.value.len();
            self.page.push(row);
            self.left -= 1;
            self.ended = self.left == 0;
        }
    }

    /// Asks every group whose buffer has run dry for its next rows.
    async fn refill(&mut self, deadline: Instant) -> Result<(), Error> {
        let requests: Vec<_> = self
            .merge
            .dry()
            .map(|(group, epoch, after)| self.request(group, epoch, after))
            .collect();
        let client = &self.client;
        let mut replies = stream::iter(requests)
            .map(|request| fetch(client, request, deadline))
            .buffer_unordered(PARALLEL);
        while let Some(reply) = replies.next().await {
            let (group, reply) = reply?;
            let Some(reply) = reply else {
                drop(replies);
                return self.begin_again(deadline);
            };
            let rows = reply.rows.into_iter().map(|row| {
                client.engine.saw(Version(row.version));
                Row {
                    key: row.key,
                    value: row.value,
                    version: Version(row.version),
                }
            });
            self.merge.fill(group, rows.collect(), reply.more)?;
        }
        Ok(())
    }

    /// A group refused: all are asked again, from the cursor on and by the newest map.
    fn begin_again(&mut self, deadline: Instant) -> Result<(), Error> {
        self.epoch = None;
        self.merge.restart(std::iter::empty());
        if self.client.engine.wires.env.clock.now() < deadline {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Deadline,
            "a group goes on refusing the range",
        ))
    }

    fn request(&self, group: GroupId, slot_epoch: Epoch, after: Option<Bytes>) -> ScanRequest {
        let mut span = self.span.clone();
        if let Some(after) = after {
            span.pass(&after);
        }
        let rows = u64::try_from(self.page_rows()).unwrap_or(u64::MAX).min(self.left);
        ScanRequest {
            group: group.0,
            start: span.start,
            end: span.end,
            limit: u32::try_from(rows).unwrap_or(u32::MAX),
            reverse: self.options.reverse,
            keys_only: self.options.keys_only,
            options: Some(ReadOptions {
                slot_epoch: slot_epoch.0,
                ..ReadOptions::default()
            }),
            ..ScanRequest::default()
        }
    }
}

/// One page of one group; no reply if the group no longer owns what the map says.
async fn fetch(
    client: &Client,
    request: ScanRequest,
    deadline: Instant,
) -> Result<(GroupId, Option<ScanReply>), Error> {
    let group = GroupId(request.group);
    let operation = Operation::Scan(request);
    let job = Job {
        route: Route::Group(group),
        lane: LANE_LARGE,
        operation,
        deadline,
        options: &client.options,
    };
    match client.engine.run(job).await {
        Ok(Reply::Scan(reply)) => Ok((group, Some(reply))),
        Ok(_) => Err(Error::internal("the reply does not fit the request")),
        Err(Stop::Moved) => Ok((group, None)),
        Err(Stop::Failed(error)) => Err(error),
    }
}
