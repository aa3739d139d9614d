//! Which older rows an entry looks at.

use crate::codec::{CommandView, EntryView, GuardView, OpView};

/// Rows whose state decides what a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look<'a> {
    /// The row of one key.
    Key(&'a [u8]),
    /// The first rows of a range.
    Range {
        /// First key.
        start: &'a [u8],
        /// End, not included; empty: none.
        end: &'a [u8],
        /// How many rows that exist, at most.
        most: u32,
    },
}

impl<'a> EntryView<'a> {
    /// Everything that applying the entry may look at besides what it writes, command by command: what guards name and what
    /// changes compute with. Plain puts and deletions look at nothing. A command that turns out to be
    /// a repeat, or whose guard fails, looks at less.
    ///
    /// Applying may not wait for a disk, so whoever applies has these brought into memory before.
    pub fn looks(&self) -> impl Iterator<Item = Look<'a>> + use<'a> {
        let commands = (self.is_guarded() || self.computes()).then(|| self.commands());
        commands.into_iter().flatten().flat_map(looks_of)
    }
}

fn looks_of(command: CommandView<'_>) -> impl Iterator<Item = Look<'_>> {
    let guards = command.guards().map(|guard| match guard {
        GuardView::Key { key, .. } => Look::Key(key),
        GuardView::Range { start, end, .. } => Look::Range {
            start,
            end,
            most: u32::MAX,
        },
    });
    guards.chain(command.ops().filter_map(look_of))
}

fn look_of(op: OpView<'_>) -> Option<Look<'_>> {
    match op {
        OpView::Put { .. } | OpView::Delete { .. } => None,
        OpView::Increment { key, .. }
        | OpView::Append { key, .. }
        | OpView::Min { key, .. }
        | OpView::Max { key, .. } => Some(Look::Key(key)),
        OpView::DeleteRange { start, end, limit } => Some(Look::Range {
            start,
            end,
            most: limit,
        }),
    }
}
