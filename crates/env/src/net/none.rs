//! No other process anywhere.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{CallError, Handler, Link, Net, Serving};
use crate::BoxFuture;

/// For a part of a node that runs alone, as in tests and benchmarks: no call is ever sent, nothing is
/// served.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNet;

impl Net for NoNet {
    fn call(
        &self,
        to: &str,
        _: &'static str,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        let error = CallError::NotSent(to.to_owned());
        Box::pin(std::future::ready(Err(error)))
    }

    fn open(
        &self,
        to: &str,
        _: &'static str,
        _: u8,
        _: Duration,
    ) -> BoxFuture<'static, Result<Link, CallError>> {
        let error = CallError::NotSent(to.to_owned());
        Box::pin(std::future::ready(Err(error)))
    }

    fn serve(&self, _: &str, _: Arc<dyn Handler>) -> BoxFuture<'static, io::Result<Serving>> {
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }
}
