//! Rows of several layers in one order.

use std::cmp::Ordering;
use std::iter::Peekable;

use atoll_types::{Key, Version};

use super::below::{UserPage, UserRow};
use super::layers::{Content, Each};
use super::tree::Seen;
use super::view::Walked;

type Row<'t, V> = (&'t Key, Option<(Version, Option<V>)>);

/// The rows of one layer in memory.
pub(crate) struct Side<'t, V>(Peekable<Box<dyn Iterator<Item = Row<'t, V>> + 't>>);

impl<'t, V> Side<'t, V> {
    pub(crate) fn new(rows: Box<dyn Iterator<Item = Row<'t, V>> + 't>) -> Self {
        Self(rows.peekable())
    }

    fn head(&mut self) -> Option<&'t [u8]> {
        self.0.peek().map(|(key, _)| key.as_bytes())
    }
}

/// In which direction, and how far.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) reverse: bool,
    /// Keys looked at, at most.
    pub(crate) most: usize,
}

impl Pace {
    fn order(self, left: &[u8], right: &[u8]) -> Ordering {
        let order = left.cmp(right);
        if self.reverse { order.reverse() } else { order }
    }
}

/// Calls `each` for every key of the layers: `sides`, newest first, above `page`. Of one key the newest layer
/// that knows anything of it is right. Ends where the page does, unless that is where the range does.
pub(crate) fn merge<'k, V: Content>(
    mut sides: Vec<Side<'k, V>>,
    page: &'k mut UserPage,
    pace: Pace,
    each: &mut Each<'_, V>,
) -> Walked {
    let complete = page.complete;
    let mut below = Below {
        keys: &page.keys,
        rows: std::mem::take(&mut page.rows).into_iter(),
    };
    let (mut walked, mut last) = (Walked::nothing(), None);
    walked.complete = false;
    while walked.looked_at < pace.most {
        let Some(key) = next(&mut sides, &below, pace) else {
            walked.complete = true;
            break;
        };
        let seen = take(&mut sides, &mut below, key);
        walked.looked_at += 1;
        last = Some(key);
        let more = seen.is_none_or(|(version, value)| each(key, version, value));
        // What lies behind the last row of a page is not known.
        if !more || !complete && below.head().is_none() {
            break;
        }
    }
    walked.last = last.map(Key::from_unchecked);
    walked
}

/// Rows of files.
struct Below<'p> {
    keys: &'p [u8],
    rows: std::vec::IntoIter<UserRow>,
}

impl<'p> Below<'p> {
    fn head(&self) -> Option<&'p [u8]> {
        self.keys.get(self.rows.as_slice().first()?.key.clone())
    }

    fn take(&mut self) -> Option<Seen> {
        self.rows.next().map(|row| row.seen)
    }
}

/// The key that comes next.
fn next<'k, V>(sides: &mut [Side<'k, V>], below: &Below<'k>, pace: Pace) -> Option<&'k [u8]> {
    let heads = sides.iter_mut().filter_map(Side::head);
    let above = heads.min_by(|left, right| pace.order(left, right));
    match (above, below.head()) {
        (Some(above), Some(under)) if pace.order(under, above).is_lt() => Some(under),
        (above, under) => above.or(under),
    }
}

/// Moves all layers past a key; what the newest says of it.
fn take<V: Content>(
    sides: &mut [Side<'_, V>],
    below: &mut Below<'_>,
    key: &[u8],
) -> Option<(Version, Option<V>)> {
    let mut newest = None;
    for side in sides {
        if let Some((_, seen)) = side.0.next_if(|(head, _)| head.as_bytes() == key) {
            newest = newest.or(seen);
        }
    }
    let found = below
        .head()
        .filter(|head| *head == key)
        .and_then(|_| below.take());
    newest.or_else(|| found.map(V::of))
}
