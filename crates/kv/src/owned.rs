//! Copies of what lies in an entry's bytes, for checks that compare it with what was encoded.

use bytes::Bytes;

use crate::{Guard, GuardView, Op, OpView, PackedValue};

/// A copy of a guard.
pub(crate) fn guard(guard: GuardView<'_>) -> Guard {
    let copy = Bytes::copy_from_slice;
    match guard {
        GuardView::Key { key, expected } => Guard::Key {
            key: copy(key),
            expected,
        },
        GuardView::Range { start, end, newest } => Guard::Range {
            start: copy(start),
            end: copy(end),
            newest,
        },
    }
}

/// A copy of an operation.
pub(crate) fn op(op: OpView<'_>) -> Op {
    let copy = Bytes::copy_from_slice;
    match op {
        OpView::Put { key, value } => {
            let (key, bytes) = (copy(key), copy(value.bytes));
            match PackedValue::new(value.codec, bytes.clone(), value.len as usize, value.vcrc) {
                Some(value) => Op::PutPacked { key, value },
                None => Op::Put { key, value: bytes },
            }
        }
        OpView::Delete { key } => Op::Delete { key: copy(key) },
        OpView::Increment { key, by } => Op::Increment { key: copy(key), by },
        OpView::Append { key, suffix } => Op::Append {
            key: copy(key),
            suffix: copy(suffix.bytes),
        },
        OpView::Min { key, number } => Op::Min {
            key: copy(key),
            number,
        },
        OpView::Max { key, number } => Op::Max {
            key: copy(key),
            number,
        },
        OpView::DeleteRange { start, end, limit } => Op::DeleteRange {
            start: copy(start),
            end: copy(end),
            limit,
        },
    }
}
