//! Reading in key order over all groups.
//!
//! Keys are spread over groups by hash, so a scan asks every group for the same range and merges the
//! answers with a heap. Each request names the slots that the map gives to the group, and the group
//! refuses unless it owns all of them in the state it reads from. The only cursor is the last key handed
//! out: when the map changes or a group refuses, everything that is buffered is thrown away and all
//! groups are asked again from that key on, so a slot that moved is neither missed nor seen twice.
//!
//! Groups are asked for their next rows while the earlier ones are being merged and used. What a scan
//! holds is bounded by that: of each group at most a page (rows, and about 2 MiB), whatever the number of
//! keys; and not more than 32 requests are under way at a time.
//!
//! Every page of a group is of the client's consistency level by itself; the scan as a whole is not a
//! snapshot.

mod count;
mod fetch;
mod merge;
mod options;
mod range;
mod rows;

pub(crate) use count::count;
pub use options::ScanOptions;
pub use rows::Rows;

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use atoll_env::{BoxFuture, Instant};
use atoll_proto::v1::ScanReply;
use atoll_types::limits::{SCAN_PAGE_BYTES, SCAN_PAGE_ROWS_MAX};
use atoll_types::{Epoch, Version};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::client::Client;
use crate::consistency::Consistency;
use crate::error::{Error, ErrorKind};
use crate::model::Row;
use merge::Merge;
use range::Span;

/// Requests of one scan under way at a time.
const PARALLEL: usize = 32;

/// A scan in progress. See [`Client::scan`].
///
/// Read it page by page, row by row ([`Scan::rows`]), or all at once ([`Scan::collect`]). Nothing is
/// sent before the first page is asked for.
///
/// ```no_run
/// # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
/// use atoll_client::ScanOptions;
///
/// let mut scan = client.scan(ScanOptions::prefix("fruit/"));
/// while let Some(rows) = scan.next_page().await? {
///     for row in rows {
///         println!("{} = {} bytes", row.key.escape_ascii(), row.value.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Scan {
    client: Client,
    options: ScanOptions,
    /// All that was asked for.
    span: Span,
    /// The last key of the pages handed out.
    cursor: Option<Bytes>,
    /// Of the map that the requests go by.
    epoch: Option<Epoch>,
    merge: Merge,
    fetches: FuturesUnordered<BoxFuture<'static, Fetched>>,
    /// The page being put together. Kept over errors and dropped futures.
    page: Vec<Row>,
    page_bytes: usize,
    /// Of the page being put together.
    deadline: Option<Instant>,
    left: u64,
    ended: bool,
}

/// What became of one request.
struct Fetched {
    source: usize,
    deadline: Instant,
    reply: Result<Option<ScanReply>, Error>,
}

impl Scan {
    pub(crate) fn new(client: Client, options: ScanOptions) -> Self {
        let span = Span::new(&options);
        let left = options.limit.unwrap_or(u64::MAX);
        let merge = Merge::new(options.reverse);
        let ended = span.is_empty() || left == 0;
        Self {
            client,
            options,
            span,
            cursor: None,
            epoch: None,
            merge,
            fetches: FuturesUnordered::new(),
            page: Vec::new(),
            page_bytes: 0,
            deadline: None,
            left,
            ended,
        }
    }

    /// The next rows in key order; `None` at the end. The deadline holds for each page.
    ///
    /// After an error, and after dropping the future, the same page can be asked for again; nothing is
    /// lost or repeated.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Row>>, Error> {
        self.deadline = None;
        poll_fn(|context| self.poll_page(context)).await
    }

    /// The rows one by one, as a stream.
    ///
    /// ```no_run
    /// # async fn example(client: atoll_client::Client) -> Result<(), atoll_client::Error> {
    /// use atoll_client::ScanOptions;
    /// use futures_util::StreamExt;
    ///
    /// let mut rows = client.scan(ScanOptions::range("a", "n")).rows();
    /// while let Some(row) = rows.next().await {
    ///     println!("{}", row?.key.escape_ascii());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn rows(self) -> Rows {
        Rows::new(self)
    }

    /// Reads all the rest. For ranges known to be small: the rows are kept in memory.
    pub async fn collect(mut self) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        while let Some(page) = self.next_page().await? {
            rows.extend(page);
        }
        Ok(rows)
    }

    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Vec<Row>>, Error>> {
        let deadline = match self.deadline {
            Some(deadline) => deadline,
            None => self.client.deadline_from_now(),
        };
        self.deadline = Some(deadline);
        let page = ready!(self.poll_rows(deadline, context));
        self.deadline = None;
        page?;
        // What comes next is fetched while the caller uses this page.
        self.ask(deadline);
        while let Poll::Ready(Some(fetched)) = self.fetches.poll_next_unpin(context) {
            // An error is told when the rows are missed; they are asked for once more then.
            if self.accept(fetched, None).is_err() {
                break;
            }
        }
        if self.page.is_empty() {
            return Poll::Ready(Ok(None));
        }
        self.page_bytes = 0;
        self.cursor = self.page.last().map(|row| row.key.clone());
        Poll::Ready(Ok(Some(std::mem::take(&mut self.page))))
    }

    /// Fills the page.
    fn poll_rows(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            self.follow_map();
            self.take_rows();
            if self.ended || self.page_is_full() {
                return Poll::Ready(Ok(()));
            }
            self.ask(deadline);
            let Some(fetched) = ready!(self.fetches.poll_next_unpin(context)) else {
                let message = "the shard map gives no slot to any group";
                return Poll::Ready(Err(Error::new(ErrorKind::Unavailable, message)));
            };
            self.accept(fetched, Some(deadline))?;
        }
    }

    /// Begins anew behind the last row taken, if there is another map than the one begun with.
    fn follow_map(&mut self) {
        let table = self.client.engine.router.table();
        if self.epoch == Some(table.epoch) {
            return;
        }
        if let Some(row) = self.page.last() {
            self.cursor = Some(row.key.clone());
        }
        // A replica that reads from an older state must know each slot's last move, so that slots of
        // different ages need requests of their own.
        let by_epoch = self.client.options.consistency != Consistency::Linearizable;
        self.fetches = FuturesUnordered::new();
        self.merge.restart(table.shares(by_epoch));
        self.epoch = Some(table.epoch);
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
            // Two groups that both claim a key would send it twice.
            if self.page.last().is_some_and(|last| last.key == row.key) {
                continue;
            }
            self.page_bytes += row.len();
            self.page.push(row);
            self.left -= 1;
            self.ended = self.left == 0;
        }
    }

    /// Asks groups for rows, those without any first.
    fn ask(&mut self, deadline: Instant) {
        // Half a page, so that the other half can be merged meanwhile.
        let rows = self.page_rows().div_ceil(2);
        let limit = u64::try_from(rows).unwrap_or(u64::MAX).min(self.left);
        while !self.ended && self.fetches.len() < PARALLEL {
            let Some((source, share, after)) = self.merge.ask_next(rows / 2) else {
                return;
            };
            let after = after.as_ref().or(self.cursor.as_ref());
            let Some(mut request) = fetch::request(share, &self.span, after) else {
                // The last key possible was read: there is nothing to ask for.
                let _ = self.merge.fill(source, Vec::new(), false);
                continue;
            };
            request.limit = u32::try_from(limit).unwrap_or(u32::MAX);
            request.keys_only = self.options.keys_only;
            let client = self.client.clone();
            self.fetches.push(Box::pin(async move {
                let reply = fetch::fetch(&client, request, deadline).await;
                Fetched {
                    source,
                    deadline,
                    reply,
                }
            }));
        }
    }

    /// Takes an answer in. `missed_by`: the deadline of the page that waits for it, if one does.
    fn accept(&mut self, fetched: Fetched, missed_by: Option<Instant>) -> Result<(), Error> {
        self.merge.unasked(fetched.source);
        let reply = match fetched.reply {
            Ok(Some(reply)) => reply,
            Ok(None) => return self.begin_again(missed_by),
            Err(error) => {
                // It ran out of the time of an earlier page; this one has time to ask again.
                let late = missed_by.is_some_and(|deadline| fetched.deadline < deadline);
                return if late { Ok(()) } else { Err(error) };
            }
        };
        let within = |row: &atoll_proto::v1::Row| self.span.contains(&row.key);
        if !(reply.rows.first().is_none_or(within) && reply.rows.last().is_none_or(within)) {
            return Err(Error::internal("a group sent rows beside the range"));
        }
        let newest = reply.rows.iter().map(|row| row.version).max();
        self.client.engine.saw(Version(newest.unwrap_or(0)));
        let rows = reply.rows.into_iter().map(|row| Row {
            key: row.key,
            value: row.value,
            version: Version(row.version),
        });
        self.merge.fill(fetched.source, rows.collect(), reply.more)
    }

    /// A group refused: all are asked again, from the cursor on and by the newest map.
    fn begin_again(&mut self, deadline: Option<Instant>) -> Result<(), Error> {
        self.epoch = None;
        self.fetches = FuturesUnordered::new();
        self.merge.restart(&[]);
        let now = self.client.engine.wires.env.clock.now();
        if deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Deadline,
            "a group goes on refusing the range",
        ))
    }
}
