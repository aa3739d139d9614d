//! Requests made from arguments, checked before anything is sent.

use atoll_placement::slot_of;
use atoll_proto::v1::write_op::Kind;
use atoll_proto::v1::{Guard, Misfit, WriteOp};
use atoll_types::limits::VALUE_BYTES_MAX;
use atoll_types::{Key, SlotId, Version};
use bytes::Bytes;

use crate::error::Error;

/// A write and the slot of its key.
pub(crate) type Op = Result<(SlotId, WriteOp), Error>;

/// Checks the key's bounds and finds its slot.
pub(crate) fn checked_slot(key: &[u8]) -> Result<SlotId, Error> {
    Key::check(key).map_err(|error| Error::invalid(error.to_string()))?;
    Ok(slot_of(key))
}

pub(crate) fn put(key: Bytes, value: Bytes) -> Op {
    with_value(Kind::Put, key, value)
}

pub(crate) fn delete(key: Bytes) -> Op {
    with_value(Kind::Delete, key, Bytes::new())
}

pub(crate) fn append(key: Bytes, value: Bytes) -> Op {
    with_value(Kind::Append, key, value)
}

/// An increment, minimum or maximum.
pub(crate) fn number(kind: Kind, key: Bytes, number: i64) -> Op {
    let (slot, mut op) = with_value(kind, key, Bytes::new())?;
    op.number = number;
    Ok((slot, op))
}

fn with_value(kind: Kind, key: Bytes, value: Bytes) -> Op {
    let slot = checked_slot(&key)?;
    if value.len() > VALUE_BYTES_MAX {
        let message = format!(
            "the value has {} bytes; at most {VALUE_BYTES_MAX} are allowed",
            value.len()
        );
        return Err(Error::invalid(message));
    }
    Ok((
        slot,
        WriteOp {
            kind: kind.into(),
            key,
            value,
            ..WriteOp::default()
        },
    ))
}

/// Removes the first `limit` keys of a range within one `{tag}`.
pub(crate) fn delete_range(start: Bytes, end: Bytes, limit: u32) -> Op {
    let slot = checked_slot(&start)?;
    checked_slot(&end)?;
    let (Some(tag), Some(other)) = (up_to_tag(&start), up_to_tag(&end)) else {
        return Err(Error::invalid(
            "both bounds of a range to delete begin with the same complete {tag}, as in cart:{7}: and \
             cart:{7};; keys without a tag are spread over all groups: scan them and delete each",
        ));
    };
    if tag != other {
        return Err(Error::invalid(format!(
            "the bounds of a range to delete begin with \"{}\" and \"{}\"; they must have the same {{tag}} \
             and the same bytes before it",
            tag.escape_ascii(),
            other.escape_ascii()
        )));
    }
    if start >= end {
        return Err(Error::invalid(
            "the range to delete is empty: its end is not above its start",
        ));
    }
    Ok((
        slot,
        WriteOp {
            kind: Kind::DeleteRange.into(),
            key: start,
            end,
            limit,
            ..WriteOp::default()
        },
    ))
}

/// The key up to the end of its tag, by the rule that chooses slots: from the first `{` to the first
/// `}` behind it, with something in between.
fn up_to_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let inside = key.get(open + 1..)?.iter().position(|&byte| byte == b'}')?;
    (inside > 0).then(|| key.get(..open + inside + 2)).flatten()
}

pub(crate) fn version_guard(key: Bytes, expected: Option<Version>) -> Guard {
    Guard {
        key,
        end: Bytes::new(),
        version: expected.unwrap_or_default().0,
    }
}

/// Says which key an operation does not fit, and what is stored there.
pub(crate) fn misfit(misfit: Misfit, key: Option<&Bytes>) -> Error {
    let key = key.map(|key| key.escape_ascii().to_string()).unwrap_or_default();
    Error::invalid(match misfit {
        Misfit::NotANumber => format!(
            "the value stored at \"{key}\" is not a decimal number of 64 bits; nothing was changed. Read it, \
             or store a number such as 0 first"
        ),
        Misfit::Overflow => format!(
            "the number stored at \"{key}\" is so large that the sum does not fit into 64 bits; nothing was \
             changed"
        ),
        Misfit::TooLong => format!(
            "the value stored at \"{key}\" would be longer than {VALUE_BYTES_MAX} bytes; nothing was changed. \
             Go on under another key"
        ),
        Misfit::None => {
            format!("the operation does not fit what is stored at \"{key}\"; nothing was changed")
        }
    })
}

/// True if the operation depends on what is stored, and so may not fit it.
pub(crate) fn computes(op: &WriteOp) -> bool {
    matches!(op.kind(), Kind::Increment | Kind::Append | Kind::Min | Kind::Max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_to_delete_stays_within_one_tag() {
        let range = |start: &'static str, end: &'static str| delete_range(start.into(), end.into(), 0);
        assert!(range("a:{7}:", "a:{7};").is_ok());
        assert!(range("{7}", "{7}~").is_ok());
        for (start, end) in [
            ("a", "b"),
            ("a:{7}", "a:{8}"),
            ("a:{7}", "b:{7}"),
            ("{}a", "{}b"),
            ("{7}b", "{7}a"),
            ("{7}", "{7}"),
            ("{7}", ""),
        ] {
            assert_eq!(
                range(start, end).unwrap_err().kind(),
                crate::ErrorKind::Invalid,
                "{start} {end}"
            );
        }
    }
}
