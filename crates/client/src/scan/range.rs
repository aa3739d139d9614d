//! Ranges of keys and what follows a key.

use atoll_types::limits::KEY_BYTES_MAX;
use bytes::Bytes;

use super::ScanOptions;

/// The keys from `start` to `end`, not included, read upwards or downwards. An empty `end` is no bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Bytes,
    pub(super) end: Bytes,
    reverse: bool,
    /// Nothing is left, which an empty `end` cannot say.
    empty: bool,
}

impl Span {
    /// The keys that both the bounds and the prefix allow.
    pub(super) fn new(options: &ScanOptions) -> Self {
        let start = options.start.clone().max(options.prefix.clone());
        let end = match (options.end.clone(), after_prefix(&options.prefix)) {
            (end, None) => end,
            (end, Some(after)) if end.is_empty() => after,
            (end, Some(after)) => end.min(after),
        };
        let mut span = Self {
            start,
            end,
            reverse: options.reverse,
            empty: false,
        };
        span.settle();
        span
    }

    /// True if no key is left.
    pub(super) fn is_empty(&self) -> bool {
        self.empty
    }

    pub(super) fn is_reverse(&self) -> bool {
        self.reverse
    }

    pub(super) fn contains(&self, key: &Bytes) -> bool {
        !self.empty && *key >= self.start && (self.end.is_empty() || *key < self.end)
    }

    /// Cuts off `key` and everything before it in reading order.
    pub(super) fn pass(&mut self, key: &Bytes) {
        if self.reverse {
            self.end = key.clone();
            self.empty |= key.is_empty();
        } else {
            match successor(key) {
                Some(next) => self.start = next,
                None => self.empty = true,
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.empty |= !self.end.is_empty() && self.start >= self.end;
    }
}

/// The lowest possible key above `key`.
fn successor(key: &[u8]) -> Option<Bytes> {
    if key.len() >= KEY_BYTES_MAX {
        // Nothing can be appended: the next one is no extension of this one.
        return after_prefix(key);
    }
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    Some(next.into())
}

/// The lowest key above all keys that begin with `prefix`, if there is one.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut after = prefix.get(..=last)?.to_vec();
    *after.last_mut()? += 1;
    Some(after.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: &'static [u8], end: &'static [u8], prefix: &'static [u8], reverse: bool) -> Span {
        let (start, end, prefix) = (start.into(), end.into(), prefix.into());
        Span::new(&ScanOptions {
            start,
            end,
            prefix,
            reverse,
            ..ScanOptions::default()
        })
    }

    #[test]
    fn bounds_and_prefix_intersect() {
        let all = span(b"", b"", b"", false);
        assert!(!all.is_empty() && all.contains(&Bytes::from_static(b"\0")));
        let ab = span(b"", b"", b"ab", false);
        assert_eq!((&ab.start[..], &ab.end[..]), (&b"ab"[..], &b"ac"[..]));
        let high = span(b"", b"", b"a\xff\xff", false);
        assert_eq!(&high.end[..], b"b");
        assert!(span(b"", b"", b"\xff", false).end.is_empty());
        assert!(span(b"b", b"", b"a", false).is_empty());
        assert!(span(b"c", b"b", b"", false).is_empty());
        assert!(span(b"b", b"b", b"", true).is_empty());
    }

    #[test]
    fn passing_keys_narrows_from_the_side_being_read() {
        let mut up = span(b"a", b"c", b"", false);
        up.pass(&Bytes::from_static(b"b"));
        assert_eq!((&up.start[..], &up.end[..]), (&b"b\0"[..], &b"c"[..]));
        let mut down = span(b"a", b"", b"", true);
        down.pass(&Bytes::from_static(b"b"));
        assert_eq!((&down.start[..], &down.end[..]), (&b"a"[..], &b"b"[..]));
        down.pass(&Bytes::from_static(b"a"));
        assert!(down.is_empty());
    }

    #[test]
    fn the_longest_keys_have_successors_within_the_bound() {
        let mut key = vec![b'k'; KEY_BYTES_MAX];
        assert_eq!(successor(&key).unwrap().len(), KEY_BYTES_MAX);
        key[KEY_BYTES_MAX - 1] = u8::MAX;
        assert_eq!(successor(&key).unwrap().len(), KEY_BYTES_MAX - 1);
        assert_eq!(successor(&vec![u8::MAX; KEY_BYTES_MAX]), None);
        assert_eq!(&successor(b"k").unwrap()[..], b"k\0");
    }
}
