//! What several modules' tests share.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_env::BoxFuture;
use atoll_env::net::{CallError, Handler, Link, Net, Serving};
use bytes::Bytes;

/// A network without anybody on it.
pub(crate) struct NoNet;

fn nobody<T: Send + 'static>() -> BoxFuture<'static, Result<T, CallError>> {
    Box::pin(std::future::ready(Err(CallError::NotSent(
        "nobody is there".to_owned(),
    ))))
}

impl Net for NoNet {
    fn call(
        &self,
        _: &str,
        _: &'static str,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        nobody()
    }

    fn open(
        &self,
        _: &str,
        _: &'static str,
        _: u8,
        _: Duration,
    ) -> BoxFuture<'static, Result<Link, CallError>> {
        nobody()
    }

    fn serve(&self, _: &str, _: Arc<dyn Handler>) -> BoxFuture<'static, io::Result<Serving>> {
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }
}
