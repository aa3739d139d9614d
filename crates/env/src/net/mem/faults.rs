//! What the network does beyond losing and cutting: slow links, and copies of what was sent.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::conn::Process;
use super::node::MemNode;
use super::{MemNet, MemNetOptions};
use crate::Spawn;
use crate::net::Net;

/// A copy arrives this much later, at most.
const COPY_AFTER_MAX: Duration = Duration::from_secs(3);
/// How long whoever sends a copy of a frame keeps that connection.
const COPY_STAYS: Duration = Duration::from_millis(500);
const COPY_DEADLINE: Duration = Duration::from_secs(1);

/// What the network did to its users, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemNetFaults {
    /// Frames, requests and answers lost.
    pub lost: u64,
    /// Frames, requests and answers that took much longer than others.
    pub late: u64,
    /// Requests delivered a second time.
    pub copied_calls: u64,
    /// Frames of streams delivered a second time, each on a connection of its own.
    pub copied_frames: u64,
}

/// Links that are slower than others, by sender and receiver.
#[derive(Default)]
pub(super) struct Delays(BTreeMap<(String, String), Range<Duration>>);

impl Delays {
    fn of(&self, from: &str, to: &str) -> Option<Range<Duration>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(from.to_owned(), to.to_owned())).cloned()
    }
}

impl MemNet {
    /// Makes what `from` sends to `to` take this long, from now on.
    pub fn set_delay(&self, from: &str, to: &str, delay: Range<Duration>) {
        let pair = (from.to_owned(), to.to_owned());
        self.0.state.lock().delays.0.insert(pair, delay);
    }

    /// Undoes [`MemNet::set_delay`] for a pair.
    pub fn clear_delay(&self, from: &str, to: &str) {
        let pair = (from.to_owned(), to.to_owned());
        self.0.state.lock().delays.0.remove(&pair);
    }

    /// Undoes every [`MemNet::set_delay`].
    pub fn clear_delays(&self) {
        self.0.state.lock().delays.0.clear();
    }

    /// No frame is lost, late or copied from now on.
    pub fn calm(&self) {
        self.0.state.lock().calm = true;
    }

    /// What was done so far.
    pub fn faults(&self) -> MemNetFaults {
        self.0.state.lock().faults
    }

    pub(super) fn delay(&self, from: &str, to: &str) -> Duration {
        let mut state = self.0.state.lock();
        let options = &self.0.options;
        let range = if !state.calm && self.strikes(options.late_per_million) {
            state.faults.late += 1;
            options.late.clone()
        } else {
            state.delays.of(from, to).unwrap_or_else(|| options.delay.clone())
        };
        let spread = range.end.saturating_sub(range.start);
        range.start + Duration::from_nanos(self.0.rng.below(spread.as_nanos() as u64))
    }

    pub(super) fn is_lost(&self) -> bool {
        let lost = self.strikes_unless_calm(|options| options.loss_per_million);
        self.0.state.lock().faults.lost += u64::from(lost);
        lost
    }

    fn strikes(&self, per_million: u64) -> bool {
        per_million > 0 && self.0.rng.below(1_000_000) < per_million
    }

    fn strikes_unless_calm(&self, per_million: fn(&MemNetOptions) -> u64) -> bool {
        self.strikes(per_million(&self.0.options)) && !self.0.state.lock().calm
    }

    /// Perhaps delivers a request again, to whoever then serves at the address.
    pub(super) fn copy_call(&self, from: &Process, to: &str, method: &'static str, request: &Bytes) {
        if !self.strikes_unless_calm(|options| options.copies_per_million) {
            return;
        }
        self.0.state.lock().faults.copied_calls += 1;
        let (to, request) = (to.to_owned(), request.clone());
        self.later(from, move |copier| async move {
            let _ = copier.call_once(&to, method, request, COPY_DEADLINE).await;
        });
    }

    /// Perhaps delivers a frame of a stream again, as the only one of another stream.
    pub(super) fn copy_frame(&self, from: &Process, to: &str, method: &'static str, frame: &Bytes) {
        let copied = self.0.options.copied_streams.contains(&method);
        if !copied || !self.strikes_unless_calm(|options| options.copies_per_million) {
            return;
        }
        self.0.state.lock().faults.copied_frames += 1;
        let (to, frame, net) = (to.to_owned(), frame.clone(), self.clone());
        self.later(from, move |copier| async move {
            if let Ok(link) = copier.open(&to, method, 0, COPY_DEADLINE).await
                && link.sender.send(frame).await
            {
                net.0.clock.sleep(COPY_STAYS).await;
            }
        });
    }

    fn later<F: Future<Output = ()> + Send + 'static>(
        &self,
        from: &Process,
        work: impl FnOnce(Arc<MemNode>) -> F + Send + 'static,
    ) {
        let copier = MemNode::new(self.clone(), from.node.clone(), from.incarnation, Spawn::tokio());
        let after = Duration::from_nanos(self.0.rng.below(COPY_AFTER_MAX.as_nanos() as u64));
        let net = self.clone();
        self.0.spawn.spawn(async move {
            net.0.clock.sleep(after).await;
            work(Arc::new(copier)).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Handler, Link, Serving, Status};
    use crate::{BoxFuture, Clock, Rng, Scope};
    use parking_lot::Mutex;

    const CALL: &str = "/test/Call";
    const STREAM: &str = "/test/Stream";
    const SERVER: &str = "server:1";
    const PATIENCE: Duration = Duration::from_secs(5);

    /// Notes what arrives.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<Bytes>>>);

    impl Handler for Notes {
        fn is_stream(&self, method: &str) -> Option<bool> {
            Some(method == STREAM)
        }

        fn call(
            &self,
            _method: &str,
            request: Bytes,
            _deadline: Option<Duration>,
        ) -> BoxFuture<'static, Result<Bytes, Status>> {
            self.0.lock().push(request.clone());
            Box::pin(std::future::ready(Ok(request)))
        }

        fn open(&self, _method: &str, link: Link) {
            Spawn::tokio().spawn(self.clone().listen(link));
        }
    }

    impl Notes {
        async fn listen(self, mut link: Link) {
            while let Some(Ok(frame)) = link.receiver.recv().await {
                self.0.lock().push(frame);
            }
        }
    }

    async fn serve(options: MemNetOptions) -> (MemNet, MemNode, Notes, Serving) {
        let net = MemNet::new(options);
        let notes = Notes::default();
        let server = net.node("server", Spawn::simulated(Scope::new(Rng::seeded(0))));
        let serving = server.serve(SERVER, Arc::new(notes.clone())).await.unwrap();
        let client = net.node("client", Spawn::tokio());
        (net, client, notes, serving)
    }

    #[tokio::test(start_paused = true)]
    async fn requests_and_frames_of_named_streams_arrive_twice() {
        for (copied, streams) in [(3, vec![STREAM]), (2, Vec::new())] {
            let (net, client, notes, _serving) = serve(MemNetOptions {
                copies_per_million: 1_000_000,
                copied_streams: streams,
                ..MemNetOptions::default()
            })
            .await;
            let request = Bytes::from_static(b"request");
            client
                .call(SERVER, CALL, request.clone(), PATIENCE)
                .await
                .unwrap();
            let link = client.open(SERVER, STREAM, 0, PATIENCE).await.unwrap();
            let frame = Bytes::from_static(b"frame");
            assert!(link.sender.send(frame.clone()).await);
            // Copies of frames are copied too, so that the chain must be cut to be counted.
            let clock = Clock::simulated(1.0, 0);
            clock.sleep(Duration::from_millis(100)).await;
            net.calm();
            clock.sleep(2 * COPY_AFTER_MAX).await;
            let arrived = |what: &Bytes| notes.0.lock().iter().filter(|got| *got == what).count();
            assert_eq!(arrived(&request), 2);
            assert_eq!(arrived(&frame), copied - 1);
            assert_eq!(net.faults().copied_calls, 1);
            assert_eq!(net.faults().copied_frames, copied as u64 - 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn some_links_and_some_frames_are_slow() {
        let (net, client, _notes, _serving) = serve(MemNetOptions {
            late_per_million: 100_000,
            late: Duration::from_millis(500)..Duration::from_millis(600),
            ..MemNetOptions::default()
        })
        .await;
        let clock = Clock::simulated(1.0, 0);
        let round = async || {
            let began = clock.now();
            client.call(SERVER, CALL, Bytes::new(), PATIENCE).await.unwrap();
            clock.now().since(began)
        };
        let mut late = 0;
        for _ in 0..200 {
            late += u64::from(round().await >= Duration::from_millis(500));
        }
        assert!((10..80).contains(&late), "{late}");
        assert!(net.faults().late >= late);
        net.calm();
        let slow = Duration::from_millis(200);
        net.set_delay("server", "client", slow..slow + Duration::from_millis(1));
        assert!(round().await >= slow);
        net.clear_delay("server", "client");
        assert!(round().await < slow);
        net.set_delay("client", "server", slow..slow + Duration::from_millis(1));
        assert!(round().await >= slow);
        net.clear_delays();
        assert!(round().await < slow);
    }
}
