//! Another way to some addresses.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{CallError, Handler, Link, Net, Serving};
use crate::BoxFuture;

/// Dials other addresses than it is told to: a proxy that stands between this process and another, say. Whoever
/// calls knows only the address it gave.
pub struct DetourNet {
    net: Arc<dyn Net>,
    detours: BTreeMap<String, String>,
}

impl DetourNet {
    /// A net that dials the second of each pair instead of the first. Without pairs it is `net` itself, and costs nothing.
    pub fn around(net: Arc<dyn Net>, detours: &[(String, String)]) -> Arc<dyn Net> {
        if detours.is_empty() {
            return net;
        }
        let detours = detours.iter().cloned().collect();
        Arc::new(Self { net, detours })
    }

    fn dialed<'a>(&'a self, to: &'a str) -> &'a str {
        self.detours.get(to).map_or(to, String::as_str)
    }
}

impl Net for DetourNet {
    fn call(
        &self,
        to: &str,
        method: &'static str,
        request: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        self.net.call(self.dialed(to), method, request, deadline)
    }

    fn open(
        &self,
        to: &str,
        method: &'static str,
        lane: u8,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Link, CallError>> {
        self.net.open(self.dialed(to), method, lane, deadline)
    }

    fn serve(&self, listen: &str, handler: Arc<dyn Handler>) -> BoxFuture<'static, io::Result<Serving>> {
        self.net.serve(listen, handler)
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::net::NoNet;

    const METHOD: &str = "/test.Service/Method";
    const LIMIT: Duration = Duration::from_secs(5);

    /// Notes what is dialed; nobody is there.
    #[derive(Default)]
    struct Noted(Mutex<Vec<String>>);

    impl Net for Noted {
        fn call(
            &self,
            to: &str,
            method: &'static str,
            request: Bytes,
            deadline: Duration,
        ) -> BoxFuture<'static, Result<Bytes, CallError>> {
            self.0.lock().push(format!("call {to}"));
            NoNet.call(to, method, request, deadline)
        }

        fn open(
            &self,
            to: &str,
            method: &'static str,
            lane: u8,
            deadline: Duration,
        ) -> BoxFuture<'static, Result<Link, CallError>> {
            self.0.lock().push(format!("open {to}"));
            NoNet.open(to, method, lane, deadline)
        }

        fn serve(&self, listen: &str, handler: Arc<dyn Handler>) -> BoxFuture<'static, io::Result<Serving>> {
            self.0.lock().push(format!("serve {listen}"));
            NoNet.serve(listen, handler)
        }
    }

    #[tokio::test]
    async fn only_what_is_dialed_and_only_whole_addresses_take_a_detour() {
        let noted = Arc::new(Noted::default());
        let detours = [("a:1", "proxy:9"), ("b:1", "a:1")];
        let detours = detours.map(|(to, by)| (to.to_owned(), by.to_owned()));
        let net = DetourNet::around(noted.clone(), &detours);
        for to in ["a:1", "a:11", "b:1", "proxy:9"] {
            assert!(net.call(to, METHOD, Bytes::new(), LIMIT).await.is_err());
            assert!(net.open(to, METHOD, 0, LIMIT).await.is_err());
        }
        assert!(net.serve("a:1", Arc::new(Nothing)).await.is_err());
        let dialed = [
            "call proxy:9",
            "open proxy:9",
            "call a:11",
            "open a:11",
            "call a:1",
            "open a:1",
            "call proxy:9",
            "open proxy:9",
            "serve a:1",
        ];
        assert_eq!(*noted.0.lock(), dialed);
    }

    struct Nothing;

    impl Handler for Nothing {
        fn is_stream(&self, _: &str) -> Option<bool> {
            None
        }

        fn call(
            &self,
            _: &str,
            _: Bytes,
            _: Option<Duration>,
        ) -> BoxFuture<'static, Result<Bytes, crate::net::Status>> {
            Box::pin(std::future::pending())
        }

        fn open(&self, _: &str, link: Link) {
            drop(link);
        }
    }
}
