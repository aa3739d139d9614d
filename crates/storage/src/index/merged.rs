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
    // Most rows of a long walk are of the page, so where the sides stand is asked only when one of them moved.
    let mut above = next_above(&mut sides, pace);
    while walked.looked_at < pace.most {
        let (key, seen) = match from_where(above, below.head(), pace) {
            None => {
                walked.complete = true;
                break;
            }
            Some((key, Ordering::Greater)) => (key, below.take().map(V::of)),
            Some((key, order)) => {
                let newest = take_above(&mut sides, key);
                let found = if order.is_eq() { below.take() } else { None };
                above = next_above(&mut sides, pace);
                (key, newest.or_else(|| found.map(V::of)))
            }
        };
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

/// The key that comes next, and how the sides stand to the page: less if only they have it, greater if only the page has.
fn from_where<'k>(
    above: Option<&'k [u8]>,
    below: Option<&'k [u8]>,
    pace: Pace,
) -> Option<(&'k [u8], Ordering)> {
    Some(match (above, below) {
        (Some(above), Some(below)) => match pace.order(above, below) {
            Ordering::Greater => (below, Ordering::Greater),
            order => (above, order),
        },
        (Some(above), None) => (above, Ordering::Less),
        (None, Some(below)) => (below, Ordering::Greater),
        (None, None) => return None,
    })
}

/// The key that comes next in any of the sides.
fn next_above<'k, V>(sides: &mut [Side<'k, V>], pace: Pace) -> Option<&'k [u8]> {
    let heads = sides.iter_mut().filter_map(Side::head);
    heads.min_by(|left, right| pace.order(left, right))
}

/// Moves all sides past a key; what the newest says of it.
fn take_above<V>(sides: &mut [Side<'_, V>], key: &[u8]) -> Option<(Version, Option<V>)> {
    let mut newest = None;
    for side in sides {
        if let Some((_, seen)) = side.0.next_if(|(head, _)| head.as_bytes() == key) {
            newest = newest.or(seen);
        }
    }
    newest
}
