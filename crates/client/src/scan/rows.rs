//! A scan as a stream of rows.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::{BoxStream, StreamExt};

use super::Scan;
use crate::error::Error;
use crate::model::Row;

/// The rows of a scan, one by one. See [`Scan::rows`].
pub struct Rows(BoxStream<'static, Result<Row, Error>>);

impl Rows {
    pub(super) fn new(scan: Scan) -> Self {
        let pages = futures_util::stream::unfold(scan, |mut scan| async {
            let page = scan.next_page().await.transpose()?;
            Some((page, scan))
        });
        let rows = pages.flat_map(|page| {
            let rows: Vec<Result<Row, Error>> = match page {
                Ok(rows) => rows.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            futures_util::stream::iter(rows)
        });
        Self(rows.boxed())
    }
}

impl Stream for Rows {
    type Item = Result<Row, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}
