//! A scan as a stream of rows.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures_util::Stream;

use super::Scan;
use crate::error::Error;
use crate::model::Row;

/// The rows of a scan, one by one. See [`Scan::rows`].
///
/// A [`Stream`] whose methods (`next`, `try_next`, `take`, ...) come from the traits of the crate
/// `futures` or `tokio-stream`. It is `Unpin` and may be dropped, or left alone, at any point. After an
/// error it goes on where it was if it is asked again.
pub struct Rows {
    scan: Scan,
    page: vec::IntoIter<Row>,
}

impl Rows {
    pub(super) fn new(scan: Scan) -> Self {
        Self {
            scan,
            page: Vec::new().into_iter(),
        }
    }
}

impl Stream for Rows {
    type Item = Result<Row, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(row) = self.page.next() {
            return Poll::Ready(Some(Ok(row)));
        }
        match ready!(self.scan.poll_page(context)) {
            Ok(Some(page)) => self.page = page.into_iter(),
            Ok(None) => return Poll::Ready(None),
            Err(error) => return Poll::Ready(Some(Err(error))),
        }
        Poll::Ready(self.page.next().map(Ok))
    }
}
