//! Requests that read.

use atoll_placement::slot_of;
use atoll_proto::v1;
use atoll_types::limits::{MULTI_GET_KEYS_MAX, SCAN_PAGE_ROWS_MAX};
use atoll_types::{Epoch, GroupId, Key};
use bytes::Bytes;

use super::{Addressed, Level, ReadRequest, Request};
use crate::shard::{Failure, ReadOp};

/// `Kv.Get`
pub(crate) fn get(request: v1::GetRequest) -> Result<Addressed, Failure> {
    check_key(&request.key)?;
    let slot = slot_of(&request.key);
    read(
        ReadOp::Get {
            key: request.key,
            slot,
        },
        request.options.as_ref(),
        GroupId::CONTROL,
    )
}

/// `Kv.MultiGet`
pub(crate) fn multi_get(request: v1::MultiGetRequest) -> Result<Addressed, Failure> {
    let count = request.keys.len();
    if count == 0 || count > MULTI_GET_KEYS_MAX {
        return Err(Failure::Invalid(format!(
            "a multi-get has 1 to {MULTI_GET_KEYS_MAX} keys, not {count}"
        )));
    }
    let keys = request.keys.into_iter().map(|key| {
        check_key(&key)?;
        let slot = slot_of(&key);
        Ok((key, slot))
    });
    let keys = keys.collect::<Result<Vec<_>, Failure>>()?;
    read(
        ReadOp::MultiGet { keys },
        request.options.as_ref(),
        GroupId::CONTROL,
    )
}

/// `Kv.Scan`
pub(crate) fn scan(request: v1::ScanRequest) -> Result<Addressed, Failure> {
    let v1::ScanRequest {
        group,
        start,
        end,
        limit,
        reverse,
        keys_only,
        options,
        count_only,
        slots,
    } = request;
    if count_only || !slots.is_empty() {
        return Err(Failure::Unsupported("counting and slot sets are not served yet"));
    }
    for bound in [&start, &end] {
        if !bound.is_empty() {
            check_bound(bound)?;
        }
    }
    let limit = match limit as usize {
        0 => SCAN_PAGE_ROWS_MAX,
        limit => limit.min(SCAN_PAGE_ROWS_MAX),
    };
    read(
        ReadOp::Scan {
            start,
            end,
            limit,
            reverse,
            keys_only,
        },
        options.as_ref(),
        GroupId(group),
    )
}

fn read(op: ReadOp, options: Option<&v1::ReadOptions>, group: GroupId) -> Result<Addressed, Failure> {
    let level = Level::of(options)?;
    let slot_epoch = Epoch(options.map_or(0, |options| options.slot_epoch));
    Ok((
        group,
        Request::Read(ReadRequest {
            op,
            level,
            slot_epoch,
        }),
    ))
}

fn check_key(key: &[u8]) -> Result<(), Failure> {
    Key::check(key).map_err(|error| Failure::Invalid(error.to_string()))
}

/// A bound may be one byte longer than a key: the lowest key above the longest one.
fn check_bound(bound: &Bytes) -> Result<(), Failure> {
    check_key(
        bound
            .get(..bound.len() - 1)
            .filter(|head| !head.is_empty())
            .unwrap_or(bound),
    )
}

#[cfg(test)]
mod tests {
    use super::super::invalid;
    use super::*;
    use atoll_types::limits::KEY_BYTES_MAX;

    #[test]
    fn reads_are_checked_and_bounded() {
        invalid(get(v1::GetRequest::default()));
        invalid(get(v1::GetRequest {
            key: vec![1; KEY_BYTES_MAX + 1].into(),
            options: None,
        }));
        invalid(multi_get(v1::MultiGetRequest::default()));
        let too_many = vec![Bytes::from_static(b"k"); MULTI_GET_KEYS_MAX + 1];
        invalid(multi_get(v1::MultiGetRequest {
            keys: too_many,
            options: None,
        }));
        let end = Bytes::from(vec![1; KEY_BYTES_MAX + 1]);
        let Ok((_, Request::Read(read))) = scan(v1::ScanRequest {
            end,
            ..Default::default()
        }) else {
            panic!()
        };
        assert!(matches!(
            read.op,
            ReadOp::Scan {
                limit: SCAN_PAGE_ROWS_MAX,
                ..
            }
        ));
        invalid(scan(v1::ScanRequest {
            start: vec![1; KEY_BYTES_MAX + 2].into(),
            ..Default::default()
        }));
    }
}
