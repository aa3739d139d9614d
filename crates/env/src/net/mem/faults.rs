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
