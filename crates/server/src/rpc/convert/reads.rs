//! Requests that read.

use std::sync::Arc;

use atoll_placement::slot_of;
use atoll_proto::v1;
use atoll_types::limits::{COUNT_PAGE_ROWS_MAX, MULTI_GET_KEYS_MAX, SCAN_PAGE_ROWS_MAX};
use atoll_types::{Epoch, GroupId, Key, Version};
use bytes::Bytes;

use super::{Addressed, Level, ReadRequest, Request};
use crate::shard::{Failure, ReadOp, ScanOp, ScanWhat, SlotSet};

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
    for bound in [&start, &end] {
        if !bound.is_empty() {
            check_bound(bound)?;
        }
    }
    let (what, most) = match (count_only, keys_only) {
        (true, _) => (ScanWhat::Count, COUNT_PAGE_ROWS_MAX),
        (false, true) => (ScanWhat::Keys, SCAN_PAGE_ROWS_MAX),
        (false, false) => (ScanWhat::Rows, SCAN_PAGE_ROWS_MAX),
    };
    let limit = match limit as usize {
        0 => most,
        limit => limit.min(most),
    };
    let slots = if slots.is_empty() {
        None
    } else {
        Some(Arc::new(SlotSet::from_pairs(&slots).map_err(Failure::Invalid)?))
    };
    let scan = ScanOp {
        start,
        end,
        limit,
        reverse,
        what,
        slots,
    };
    read(ReadOp::Scan(Box::new(scan)), options.as_ref(), GroupId(group))
}

fn read(op: ReadOp, options: Option<&v1::ReadOptions>, group: GroupId) -> Result<Addressed, Failure> {
    let level = Level::of(options)?;
    let at = options.map(|options| Version(options.at_version));
    let slot_epoch = Epoch(options.map_or(0, |options| options.slot_epoch));
    Ok((
        group,
        Request::Read(ReadRequest {
            op,
            level,
            at: at.filter(|at| *at > Version::ZERO),
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
        assert!(matches!(&read.op, ReadOp::Scan(scan) if scan.limit == SCAN_PAGE_ROWS_MAX));
        let with = |slots: Vec<u32>, limit| {
            let count = v1::ScanRequest {
                count_only: true,
                slots,
                limit,
                ..Default::default()
            };
            match scan(count) {
                Ok((_, Request::Read(read))) => Ok(read.op),
                other => other.map(|_| unreachable!("a scan reads")),
            }
        };
        let Ok(ReadOp::Scan(counting)) = with(vec![0, 5, 7, 7], 0) else {
            panic!()
        };
        assert_eq!(
            (counting.limit, counting.what),
            (COUNT_PAGE_ROWS_MAX, ScanWhat::Count)
        );
        assert_eq!(counting.slots.map(|slots| slots.len()), Some(7));
        let Ok(ReadOp::Scan(all)) = with(vec![], 9) else {
            panic!()
        };
        assert_eq!((all.limit, all.slots), (9, None));
        invalid(with(vec![0], 0));
        invalid(with(vec![5, 4], 0));
        invalid(with(vec![0, 16_384], 0));
        invalid(scan(v1::ScanRequest {
            start: vec![1; KEY_BYTES_MAX + 2].into(),
            ..Default::default()
        }));
    }
}
