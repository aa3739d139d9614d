//! Counting the fields of messages before they are decoded: two bytes of a repeated field become a
//! hundred in memory, and whoever sends millions of them has sent no more than one message may have.

use atoll_types::limits::REQUEST_FIELDS_MAX;
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Bytes of a message that cannot have more: none is shorter than two.
const FEW_BYTES: usize = 2 * REQUEST_FIELDS_MAX;

/// `PipeRequest.items`.
const ITEMS: u32 = 1;
/// The fields of a `PipeRequestItem` that are operations.
const OPERATIONS: std::ops::RangeInclusive<u32> = 4..=8;

/// Number of fields, those inside messages not counted.
pub(super) fn count(message: &[u8]) -> Result<usize, DecodeError> {
    count_with(message, |_, _| Ok(()))
}

/// True if a message has more fields than any call has.
pub(super) fn are_too_many(message: &[u8]) -> Result<bool, DecodeError> {
    Ok(message.len() > FEW_BYTES && count(message)? > REQUEST_FIELDS_MAX)
}

/// True if the operations of a pipe's frame have too many fields together. Looks at long frames only,
/// which are mostly long values.
pub(super) fn are_too_many_in_operations(frame: &[u8]) -> Result<bool, DecodeError> {
    if frame.len() <= FEW_BYTES {
        return Ok(false);
    }
    let mut fields = 0;
    let mut operations = |tag, operation: &[u8]| {
        // Whatever else there is will be skipped, so it need not be a message.
        if OPERATIONS.contains(&tag) {
            fields += count(operation)?;
        }
        Ok(())
    };
    count_with(frame, |tag, item| match tag {
        ITEMS => count_with(item, &mut operations).map(|_| ()),
        _ => Ok(()),
    })?;
    Ok(fields > REQUEST_FIELDS_MAX)
}

/// Counts fields, and calls `inside` with number and contents of those that may be messages.
fn count_with(
    mut message: &[u8],
    mut inside: impl FnMut(u32, &[u8]) -> Result<(), DecodeError>,
) -> Result<usize, DecodeError> {
    let mut count = 0;
    while !message.is_empty() {
        let (tag, wire_type): (u32, WireType) = decode_key(&mut message)?;
        let before = message;
        skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
        count += 1;
        if wire_type == WireType::LengthDelimited {
            let mut content = before.get(..before.len() - message.len()).unwrap_or_default();
            decode_varint(&mut content)?;
            inside(tag, content)?;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use atoll_proto::v1;
    use bytes::Bytes;
    use prost::Message;
    use v1::pipe_request_item::Operation;

    fn frame(operations: impl IntoIterator<Item = Operation>) -> Vec<u8> {
        let item = |operation| v1::PipeRequestItem {
            id: 1,
            group: 1,
            operation: Some(operation),
            ..v1::PipeRequestItem::default()
        };
        let items = operations.into_iter().map(item).collect();
        v1::PipeRequest { items }.encode_to_vec()
    }

    fn writes(ops: usize) -> Operation {
        Operation::Write(v1::WriteRequest {
            ops: vec![v1::WriteOp::default(); ops],
            ..v1::WriteRequest::default()
        })
    }

    #[test]
    fn every_operation_is_looked_into() {
        let many = REQUEST_FIELDS_MAX + 1;
        let operations = [
            writes(many),
            Operation::Write(v1::WriteRequest {
                guards: vec![v1::Guard::default(); many],
                ..v1::WriteRequest::default()
            }),
            Operation::MultiGet(v1::MultiGetRequest {
                keys: vec![Bytes::new(); many],
                options: None,
            }),
        ];
        for operation in operations {
            let frame = frame([operation]);
            assert!(frame.len() < 300 * 1024, "which becomes a dozen MiB");
            assert!(are_too_many_in_operations(&frame).unwrap());
        }
        let together = frame((0..=32).map(|_| writes(REQUEST_FIELDS_MAX / 32)));
        assert!(are_too_many_in_operations(&together).unwrap());
        let call = v1::WriteRequest {
            ops: vec![v1::WriteOp::default(); many],
            ..v1::WriteRequest::default()
        };
        assert!(are_too_many(&call.encode_to_vec()).unwrap());
    }

    #[test]
    fn long_values_and_full_batches_are_not_too_many() {
        let long = v1::WriteOp {
            value: vec![0xff; 1024 * 1024].into(),
            ..v1::WriteOp::default()
        };
        let batch = |ops: usize, op: &v1::WriteOp| {
            Operation::Write(v1::WriteRequest {
                ops: vec![op.clone(); ops],
                guards: vec![v1::Guard::default(); 4096],
                ..v1::WriteRequest::default()
            })
        };
        for operation in [batch(4, &long), batch(4096, &v1::WriteOp::default())] {
            assert!(!are_too_many_in_operations(&frame(vec![operation; 2])).unwrap());
        }
        // A field of a later version, which is no message.
        let mut later = frame([batch(4, &long)]);
        prost::encoding::bytes::encode(9, &Bytes::from_static(&[0xff; 9]), &mut later);
        assert!(!are_too_many_in_operations(&later).unwrap());
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let whole = frame((0..=32).map(|_| writes(REQUEST_FIELDS_MAX / 32)));
        for cut in 1..20 {
            assert!(are_too_many_in_operations(&whole[..whole.len() - cut]).is_err());
        }
    }
}
