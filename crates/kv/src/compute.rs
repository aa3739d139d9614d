//! Operations whose result depends on what is stored.
//!
//! A command is decided before it is done: every operation is compared with what is stored now, and
//! only if all of them fit is anything changed. Keys of one command are distinct and outside the ranges
//! it deletes ([`crate::Command::check`]), so that no operation sees another's change and the order
//! of the two steps cannot be told from doing one operation after the other.
//!
//! None of this needs the bytes of a long value. A number is at most 20 bytes, and an append needs no
//! more than the old value's length and sum, because a checksum goes on where it ended. Both stand in the
//! index, so that every replica decides alike whatever its disk is doing.

use atoll_types::limits::VALUE_BYTES_MAX;
use atoll_types::{Misfit, Mutant, Version, mutant};

use crate::codec::{CommandView, OpView};
use crate::fingerprint::Fingerprint;
use crate::number::NumberText;
use crate::{StateView, ValueSlice, appended_crc, value_crc};

/// What an operation that computes comes to.
#[derive(Clone, Copy, Debug)]
enum Computed {
    /// This number, to be stored unless it is what stands there.
    Number { number: i64, changed: bool },
    /// A value of this length and sum; `first`: nothing stands before the suffix.
    Whole { len: usize, vcrc: u32, first: bool },
}

/// The decisions of one command, in the order of its operations. Empty if none of them computes.
#[derive(Debug)]
pub(crate) struct Plan(Vec<Computed>);

/// A position and why the operation there cannot be done.
pub(crate) type Obstacle = (u16, Misfit);

impl Plan {
    /// Decides all operations of a command, or names the first that does not fit.
    pub(crate) fn of(command: &CommandView<'_>, state: &mut impl StateView) -> Result<Self, Obstacle> {
        let mut plan = Vec::new();
        if !command.may_compute() {
            return Ok(Self(plan));
        }
        for (position, op) in command.ops().enumerate() {
            let computed = decide(&op, state).map_err(|misfit| (position as u16, misfit))?;
            plan.extend(computed);
        }
        Ok(Self(plan))
    }

    /// Does the operations. Returns the number to tell, if exactly one of them computes.
    pub(crate) fn carry_out(
        self,
        command: &CommandView<'_>,
        version: Version,
        state: &mut impl StateView,
        fingerprint: &mut Fingerprint,
    ) -> Option<i64> {
        let mut doing = Doing {
            version,
            state,
            fingerprint,
        };
        let mut plan = self.0.into_iter();
        let (mut computing, mut number) = (0, 0);
        for (position, op) in command.ops().enumerate() {
            if mutant::is(Mutant::BatchTorn) && position > 0 && position + 1 == command.ops().count() {
                break;
            }
            let told = match op {
                OpView::Put { key, value } => {
                    doing.put(key, value);
                    continue;
                }
                OpView::Delete { key } => {
                    doing.delete(key);
                    continue;
                }
                OpView::DeleteRange { start, end, limit } => doing.delete_range(start, end, limit as usize),
                OpView::Append { key, suffix } => doing.append(key, suffix, plan.next()),
                OpView::Increment { key, .. } | OpView::Min { key, .. } | OpView::Max { key, .. } => {
                    doing.number(key, plan.next())
                }
            };
            (computing, number) = (computing + 1, told);
        }
        (computing == 1).then_some(number)
    }
}

fn decide(op: &OpView<'_>, state: &mut impl StateView) -> Result<Option<Computed>, Misfit> {
    let computed = match *op {
        OpView::Put { .. } | OpView::Delete { .. } | OpView::DeleteRange { .. } => return Ok(None),
        OpView::Append { key, suffix } => append(key, suffix, state)?,
        OpView::Increment { key, by } => {
            let before = number_at(key, state)?.unwrap_or(0);
            Computed::Number {
                number: before.checked_add(by).ok_or(Misfit::Overflow)?,
                changed: true,
            }
        }
        OpView::Min { key, number } => better(number, number_at(key, state)?, |new, old| new < old),
        OpView::Max { key, number } => better(number, number_at(key, state)?, |new, old| new > old),
    };
    Ok(Some(computed))
}

fn number_at(key: &[u8], state: &mut impl StateView) -> Result<Option<i64>, Misfit> {
    match state.stored(key) {
        None => Ok(None),
        Some(stored) => stored.number().ok_or(Misfit::NotANumber).map(Some),
    }
}

fn better(new: i64, old: Option<i64>, is_better: impl Fn(i64, i64) -> bool) -> Computed {
    match old {
        Some(old) if !is_better(new, old) => Computed::Number {
            number: old,
            changed: false,
        },
        _ => Computed::Number {
            number: new,
            changed: true,
        },
    }
}

fn append(key: &[u8], suffix: ValueSlice<'_>, state: &mut impl StateView) -> Result<Computed, Misfit> {
    let (before, vcrc) = match state.stored(key) {
        Some(stored) if stored.len() > 0 => (stored.len(), appended_crc(stored.vcrc(), suffix.bytes)),
        _ => (0, suffix.vcrc),
    };
    let len = before + suffix.bytes.len();
    if len > VALUE_BYTES_MAX {
        return Err(Misfit::TooLong);
    }
    Ok(Computed::Whole {
        len,
        vcrc,
        first: before == 0,
    })
}

/// Changes of one command; each is part of the fingerprint.
struct Doing<'a, S> {
    version: Version,
    state: &'a mut S,
    fingerprint: &'a mut Fingerprint,
}

impl<S: StateView> Doing<'_, S> {
    fn put(&mut self, key: &[u8], value: ValueSlice<'_>) {
        self.fingerprint.change(key, self.version, value.vcrc);
        self.state.put(key, self.version, value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.fingerprint.change(key, self.version, 0);
        self.state.delete(key, self.version);
    }

    fn delete_range(&mut self, start: &[u8], end: &[u8], limit: usize) -> i64 {
        let keys = self.state.keys_in(start, end, limit);
        for key in &keys {
            self.delete(key.as_bytes());
        }
        told(keys.len())
    }

    fn number(&mut self, key: &[u8], computed: Option<Computed>) -> i64 {
        let Some(Computed::Number { number, changed }) = computed else {
            return 0;
        };
        if changed {
            let text = NumberText::of(number);
            let vcrc = value_crc(key, text.as_bytes());
            self.fingerprint.change(key, self.version, vcrc);
            self.state.put_number(key, self.version, text.as_bytes(), vcrc);
        }
        number
    }

    fn append(&mut self, key: &[u8], suffix: ValueSlice<'_>, computed: Option<Computed>) -> i64 {
        let Some(Computed::Whole { len, vcrc, first }) = computed else {
            return 0;
        };
        if first {
            self.put(key, suffix);
        } else {
            self.fingerprint.change(key, self.version, vcrc);
            self.state.append(key, self.version, suffix, vcrc);
        }
        told(len)
    }
}

/// A length or a count, which is far below the end of numbers.
fn told(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
