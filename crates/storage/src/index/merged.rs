//! Rows of several layers in one order.

use std::cmp::Ordering;
use std::iter::Peekable;

use atoll_types::{Key, Version};

use super::below::Page;
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

    fn head(&mut self) -> Option<&'t Key> {
        self.0.peek().map(|(key, _)| *key)
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
    fn order(self, left: &Key, right: &Key) -> Ordering {
        let order = left.as_bytes().cmp(right.as_bytes());
        if self.reverse { order.reverse() } else { order }
    }
}

/// Calls `each` for every key of the layers: `sides`, newest first, above `page`. Of one key the newest layer
/// that knows anything of it is right. Ends where the page does, unless that is where the range does.
pub(crate) fn merge<V: Content>(
    mut sides: Vec<Side<'_, V>>,
    page: Page,
    pace: Pace,
    each: &mut Each<'_, V>,
) -> Walked {
    let Page { rows, complete } = page;
    let mut below = rows.into_iter().peekable();
    let mut walked = Walked::nothing();
    while walked.looked_at < pace.most {
        let Some(key) = next(&mut sides, &mut below, pace) else {
            return walked;
        };
        let seen = take(&mut sides, &mut below, &key);
        walked.looked_at += 1;
        let more = seen.is_none_or(|(version, value)| each(key.as_bytes(), version, value));
        walked.last = Some(key);
        // What lies behind the last row of a page is not known.
        if !more || !complete && below.peek().is_none() {
            walked.complete = false;
            return walked;
        }
    }
    walked.complete = false;
    walked
}

type Below = Peekable<std::vec::IntoIter<(Key, Seen)>>;

/// The key that comes next.
fn next<V>(sides: &mut [Side<'_, V>], below: &mut Below, pace: Pace) -> Option<Key> {
    let heads = sides.iter_mut().filter_map(Side::head);
    let above = heads.min_by(|left, right| pace.order(left, right));
    let under = below.peek().map(|(key, _)| key);
    let first = match (above, under) {
        (Some(above), Some(under)) => Some(if pace.order(under, above).is_lt() {
            under
        } else {
            above
        }),
        (above, under) => above.or(under),
    };
    first.cloned()
}

/// Moves all layers past a key; what the newest says of it.
fn take<V: Content>(sides: &mut [Side<'_, V>], below: &mut Below, key: &Key) -> Option<(Version, Option<V>)> {
    let mut newest = None;
    for side in sides {
        if let Some((_, seen)) = side.0.next_if(|(head, _)| *head == key) {
            newest = newest.or(seen);
        }
    }
    let found = below.next_if(|(head, _)| head == key);
    newest.or_else(|| found.map(|(_, seen)| V::of(seen)))
}
