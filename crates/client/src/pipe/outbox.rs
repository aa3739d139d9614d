//! Requests waiting to be written, already encoded.

use std::collections::VecDeque;
use std::ops::Range;

use atoll_proto::v1::PipeRequestItem;
use bytes::{Bytes, BytesMut};
use prost::encoding::message;

/// A frame is closed when the next request would take it beyond this.
const FRAME_BYTES: usize = 256 * 1024;
/// Requests in one frame.
const FRAME_OPS: usize = atoll_types::limits::PIPE_OPS_MAX;
/// Field number of `PipeRequest.items`. A message whose only field is repeated is the concatenation
/// of its encoded items, so a frame grows by appending.
const ITEMS: u32 = 1;

/// The frames to be written, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    sealed: VecDeque<Frame>,
    open: Frame,
    /// Number of frames taken so far, which is also the number of the first frame not taken.
    taken: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Frame {
    bytes: BytesMut,
    ops: usize,
    /// Requests withdrawn before they were written.
    holes: Vec<Range<usize>>,
}

/// Where a request stands in the outbox.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    frame: u64,
    range: Range<usize>,
}

impl Outbox {
    /// Appends a request.
    pub(crate) fn push(&mut self, item: &PipeRequestItem) -> Position {
        let len = message::encoded_len(ITEMS, item);
        if self.open.ops >= FRAME_OPS || (self.open.ops > 0 && self.open.bytes.len() + len > FRAME_BYTES) {
            let sealed = self.open.split();
            self.sealed.push_back(sealed);
        }
        let start = self.open.bytes.len();
        message::encode(ITEMS, item, &mut self.open.bytes);
        self.open.ops += 1;
        self.bytes += len;
        Position {
            frame: self.taken + self.sealed.len() as u64,
            range: start..self.open.bytes.len(),
        }
    }

    /// True if the request's frame has been taken.
    pub(crate) fn is_taken(&self, position: &Position) -> bool {
        position.frame < self.taken
    }

    /// Cuts a request out, so that it will never be written. No effect once its frame is taken.
    pub(crate) fn withdraw(&mut self, position: &Position) {
        let Some(ahead) = position.frame.checked_sub(self.taken) else {
            return;
        };
        let frame = self.sealed.get_mut(ahead as usize).unwrap_or(&mut self.open);
        frame.holes.push(position.range.clone());
        self.bytes = self.bytes.saturating_sub(position.range.len());
    }

    /// True if there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.open.ops == 0
    }

    /// Bytes waiting.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next frame and the number of requests in it. A frame of which every request was withdrawn
    /// is taken and skipped.
    pub(crate) fn take(&mut self) -> Option<(Bytes, usize)> {
        while !self.is_empty() {
            let frame = self.sealed.pop_front().unwrap_or_else(|| self.open.split());
            self.taken += 1;
            let ops = frame.ops.saturating_sub(frame.holes.len());
            let bytes = frame.finish();
            self.bytes = self.bytes.saturating_sub(bytes.len());
            if ops > 0 {
                return Some((bytes, ops));
            }
        }
        None
    }
}

impl Frame {
    /// Takes the content and leaves an empty frame that goes on in the same memory.
    fn split(&mut self) -> Self {
        Self {
            bytes: self.bytes.split(),
            ops: std::mem::take(&mut self.ops),
            holes: std::mem::take(&mut self.holes),
        }
    }

    fn finish(mut self) -> Bytes {
        if self.holes.is_empty() {
            return self.bytes.freeze();
        }
        self.holes.sort_unstable_by_key(|hole| hole.start);
        let mut kept = BytesMut::with_capacity(self.bytes.len());
        let mut at = 0;
        for hole in &self.holes {
            kept.extend_from_slice(self.bytes.get(at..hole.start).unwrap_or_default());
            at = hole.end;
        }
        kept.extend_from_slice(self.bytes.get(at..).unwrap_or_default());
        kept.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_proto::v1::{GetRequest, PipeRequest, pipe_request_item::Operation};
    use prost::Message;

    fn item(id: u64, bytes: usize) -> PipeRequestItem {
        let get = GetRequest {
            key: vec![b'k'; bytes].into(),
            options: None,
        };
        PipeRequestItem {
            id,
            deadline_ms: 9,
            group: 1,
            operation: Some(Operation::Get(get)),
        }
    }

    fn ids(frame: Bytes) -> Vec<u64> {
        PipeRequest::decode(frame)
            .unwrap()
            .items
            .iter()
            .map(|item| item.id)
            .collect()
    }

    #[test]
    fn requests_pushed_between_two_takes_share_a_frame() {
        let mut outbox = Outbox::default();
        assert!(outbox.take().is_none());
        for id in 1..=5 {
            outbox.push(&item(id, 10));
        }
        let (frame, ops) = outbox.take().unwrap();
        assert_eq!((ids(frame), ops), (vec![1, 2, 3, 4, 5], 5));
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn a_withdrawn_request_is_never_written_and_others_stay_whole() {
        let mut outbox = Outbox::default();
        let positions: Vec<_> = (1..=5).map(|id| outbox.push(&item(id, 100))).collect();
        for gone in [3, 0, 4] {
            outbox.withdraw(&positions[gone]);
        }
        let (frame, ops) = outbox.take().unwrap();
        assert_eq!((ids(frame), ops), (vec![2, 3], 2));
        assert_eq!(outbox.bytes(), 0);
        assert!(positions.iter().all(|position| outbox.is_taken(position)));
        // Too late now: it must not punch a hole into a later frame.
        let later = outbox.push(&item(6, 100));
        outbox.withdraw(&positions[1]);
        assert!(!outbox.is_taken(&later));
        assert_eq!(ids(outbox.take().unwrap().0), vec![6]);
    }

    #[test]
    fn a_frame_of_withdrawn_requests_is_skipped() {
        let mut outbox = Outbox::default();
        let position = outbox.push(&item(1, 10));
        outbox.withdraw(&position);
        assert!(outbox.take().is_none());
        assert!(outbox.is_taken(&position));
    }

    #[test]
    fn frames_are_bounded_in_bytes_and_operations() {
        let mut outbox = Outbox::default();
        let mut positions = Vec::new();
        for id in 0..10 {
            positions.push(outbox.push(&item(id, 100 * 1024)));
        }
        outbox.withdraw(&positions[3]);
        let mut seen = Vec::new();
        while let Some((frame, _)) = outbox.take() {
            assert!(frame.len() <= FRAME_BYTES);
            seen.extend(ids(frame));
        }
        assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        for id in 0..=FRAME_OPS as u64 {
            outbox.push(&item(id, 1));
        }
        assert_eq!(outbox.take().unwrap().1, FRAME_OPS);
        assert_eq!(outbox.take().unwrap().1, 1);
        // One request beyond the bound still goes, alone.
        outbox.push(&item(1, 10));
        outbox.push(&item(2, FRAME_BYTES * 2));
        assert_eq!(outbox.take().unwrap().1, 1);
        assert_eq!(ids(outbox.take().unwrap().0), vec![2]);
    }
}
