//! All layers of one moment.

use std::sync::Arc;

use atoll_types::{Key, Version};

use super::PAGE_ROWS;
use super::below::{Ask, Below, Missed};
use super::memory::Memory;
use super::merged::{Pace, Side, merge};
use super::reach::Reach;
use super::tree::{Seen, Tree};
use super::view::{Ends, Walked, borrowed};

/// What one group's rows stand in, newest first.
#[derive(Clone, Default)]
pub(crate) struct Layers {
    pub(crate) active: Arc<Memory>,
    /// Being written to a run.
    pub(crate) frozen: Option<Arc<Memory>>,
    pub(crate) below: Below,
}

/// What is asked of every row.
pub(crate) type Each<'e, V> = dyn FnMut(&[u8], Version, Option<V>) -> bool + 'e;

/// What a walk gives of a row.
pub(crate) trait Content: Sized {
    /// The rows of a tree.
    fn rows<'t>(
        tree: &'t Tree,
        ends: Ends<'t>,
        at: Version,
    ) -> impl DoubleEndedIterator<Item = (&'t Key, Option<(Version, Option<Self>)>)>;

    /// A row of a run.
    fn of(seen: Seen) -> (Version, Option<Self>);
}

impl Layers {
    /// What a reader at `at` sees of a key: a value, or that it was deleted.
    pub(crate) fn get(&self, key: &[u8], at: Version, wait: bool) -> Result<Option<Seen>, Missed> {
        match self.get_in_memory(key, at) {
            Some(seen) => Ok(Some(seen)),
            None => self.below.get(key, at, wait),
        }
    }

    /// What the layers in memory say of a key; `None`: those below have to be asked.
    pub(crate) fn get_in_memory(&self, key: &[u8], at: Version) -> Option<Seen> {
        let seen = self.active.tree.read().get(key, at);
        seen.or_else(|| self.frozen.as_ref()?.tree.read().get(key, at))
    }

    /// Calls `each` with what a reader at `at` sees of the keys of a range, in order, deleted ones included,
    /// until it answers false or a page of them was looked at.
    pub(crate) fn walk<V: Content>(
        &self,
        range: (&[u8], &[u8]),
        at: Version,
        (reverse, wait): (bool, bool),
        each: &mut Each<'_, V>,
    ) -> Result<Walked, Missed> {
        let Some(ends) = borrowed(range) else {
            return Ok(Walked::nothing());
        };
        if self.below.is_empty() && self.frozen.is_none() {
            let tree = self.active.tree.read();
            let rows = V::rows(&tree, ends, at);
            return Ok(if reverse {
                look(rows.rev(), each)
            } else {
                look(rows, each)
            });
        }
        // Before any lock is taken: this may wait for a disk.
        let ask = Ask {
            reverse,
            at,
            most: PAGE_ROWS,
            wait,
            keep: true,
        };
        let mut page = self.below.page(range, ask)?;
        let active = self.active.tree.read();
        let frozen = self.frozen.as_ref().map(|frozen| frozen.tree.read());
        let sides = [Some(&*active), frozen.as_deref()];
        let sides = sides.into_iter().flatten().map(|tree| {
            let rows = V::rows(tree, ends, at);
            let rows: Box<dyn Iterator<Item = _>> = if reverse {
                Box::new(rows.rev())
            } else {
                Box::new(rows)
            };
            Side::new(rows)
        });
        Ok(merge(
            sides.collect(),
            &mut page,
            Pace {
                reverse,
                most: PAGE_ROWS,
            },
            each,
        ))
    }

    /// Where their rows point.
    pub(crate) fn reach(&self) -> Reach {
        let mut reach = Reach::default();
        self.below.add_reach(&mut reach);
        for memory in std::iter::once(&self.active).chain(&self.frozen) {
            reach.join(memory.tree.read().reach());
        }
        reach
    }

    /// Keys, about.
    pub(crate) fn len(&self) -> usize {
        let frozen = self.frozen.as_ref().map_or(0, |frozen| frozen.tree.read().live());
        self.active.tree.read().live() + frozen + self.below.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let frozen = self.frozen.as_ref();
        let frozen = frozen.map_or(0, |frozen| frozen.tree.read().memory_bytes());
        self.active.tree.read().memory_bytes() + frozen + self.below.memory_bytes()
    }
}

fn look<'t, V>(
    rows: impl Iterator<Item = (&'t Key, Option<(Version, Option<V>)>)>,
    each: &mut Each<'_, V>,
) -> Walked {
    let (mut looked_at, mut last, mut enough) = (0, None, false);
    for (key, seen) in rows.take(PAGE_ROWS) {
        looked_at += 1;
        last = Some(key);
        enough = seen.is_some_and(|(version, value)| !each(key.as_bytes(), version, value));
        if enough {
            break;
        }
    }
    Walked {
        looked_at,
        last: last.cloned(),
        complete: !enough && looked_at < PAGE_ROWS,
    }
}
