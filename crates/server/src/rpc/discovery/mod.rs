//! What gRPC tools ask any server: is it well ([`health`]), and what can it do ([`reflection`]).
//!
//! Both answer in every phase of a node, also before it is part of a cluster. Their streams are served
//! one request at a time by a task each, and there may be only so many of them: a monitor holds one, a
//! person with a tool one for a moment.

mod health;
mod reflection;
mod symbols;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_env::net::{Code, Link, Status};
use atoll_proto::{health as wire, method};

use crate::node::Core;
use reflection::Reflection;

/// Streams of this folder open at one time.
const STREAMS_MAX: usize = 256;

/// Serves health and reflection.
pub(super) struct Discovery {
    reflection: Arc<Reflection>,
    streams: Arc<AtomicUsize>,
}

impl Discovery {
    pub(super) fn new() -> Self {
        Self {
            reflection: Arc::new(Reflection::of_this_server()),
            streams: Arc::default(),
        }
    }

    /// `Health.Check`.
    pub(super) fn check(
        &self,
        core: &Core,
        request: &wire::HealthCheckRequest,
    ) -> Result<wire::HealthCheckResponse, Status> {
        match health::of(core, self.reflection.services(), &request.service) {
            Some(status) => Ok(health::response(status)),
            None => Err(Status::new(
                Code::NotFound,
                format!("this node has no service {}", shortened(&request.service)),
            )),
        }
    }

    /// True if `method` is a stream of this folder.
    pub(super) fn is_stream(method: &str) -> bool {
        matches!(
            method,
            method::HEALTH_WATCH | method::REFLECTION | method::REFLECTION_ALPHA
        )
    }

    /// Serves a stream in a task of its own.
    pub(super) fn open(&self, core: &Arc<Core>, method: &str, link: Link) {
        let Some(place) = Place::take(&self.streams) else {
            let text = format!("{STREAMS_MAX} health and reflection streams are open: close some");
            link.sender.fail(Status::new(Code::ResourceExhausted, text));
            return;
        };
        let (reflection, watching) = (self.reflection.clone(), method == method::HEALTH_WATCH);
        let task_core = core.clone();
        // Ends when the caller closes the stream, or the server stops.
        drop(core.env.spawn.spawn(async move {
            let _place = place;
            if watching {
                health::watch(&task_core, reflection.services(), link).await;
            } else {
                drop(task_core);
                reflection.serve(link).await;
            }
        }));
    }
}

/// One of the streams that may be open.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(streams: &Arc<AtomicUsize>) -> Option<Self> {
        let room = |open: usize| (open < STREAMS_MAX).then_some(open + 1);
        let taken = streams.fetch_update(Ordering::AcqRel, Ordering::Acquire, room);
        taken.is_ok().then(|| Self(streams.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Names that strangers send, as far as they are worth repeating.
fn shortened(name: &str) -> String {
    const SHOWN: usize = 128;
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let streams = Arc::default();
        let places: Vec<_> = (0..STREAMS_MAX).map_while(|_| Place::take(&streams)).collect();
        assert_eq!(places.len(), STREAMS_MAX);
        assert!(Place::take(&streams).is_none());
        drop(places);
        assert!(Place::take(&streams).is_some());
        assert_eq!(streams.load(Ordering::Acquire), 0);
    }

    #[test]
    fn names_are_shortened_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ö".repeat(1000)).chars().count(), 129);
    }
}
