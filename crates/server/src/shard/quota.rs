//! How much the node's journal may take before leaders here take no more writes.
//!
//! It is soft: what other leaders replicate to this node, elections and the control plane still write, because a voter
//! that stops storing would take availability from groups that have room elsewhere. The reserve is for them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::reply::Failure;

/// Of the quota, what is left for what must be written all the same: a tenth, at most 64 MiB.
const RESERVE_SHARE: u64 = 10;
const RESERVE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A node's quota; none unless it was given one.
#[derive(Debug, Default)]
pub(crate) struct DiskQuota {
    bytes: Option<u64>,
    told: AtomicBool,
}

impl DiskQuota {
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        Self {
            bytes,
            told: AtomicBool::new(false),
        }
    }

    /// Why a journal of so many bytes takes no more client writes; `None` if it does.
    pub(crate) fn refuses(&self, used_bytes: u64) -> Option<Failure> {
        let quota_bytes = self.bytes?;
        let reserve = (quota_bytes / RESERVE_SHARE).min(RESERVE_BYTES_MAX);
        if used_bytes < quota_bytes - reserve {
            return None;
        }
        // Until there is a way to shrink the journal, this does not end before the next start.
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!(
                used_bytes,
                quota_bytes,
                reserve_bytes = reserve,
                "the disk quota is used up: groups led here take no writes until this node is started with more"
            );
        }
        Some(Failure::DiskQuota {
            used_bytes,
            quota_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_of_a_tenth_is_kept_and_of_no_more_than_64_mib() {
        let quota = |bytes| DiskQuota::new(Some(bytes));
        assert_eq!(quota(1000).refuses(899), None);
        let full = Failure::DiskQuota {
            used_bytes: 900,
            quota_bytes: 1000,
        };
        assert_eq!(quota(1000).refuses(900), Some(full));
        let large = 10 << 40;
        assert_eq!(quota(large).refuses(large - RESERVE_BYTES_MAX - 1), None);
        assert!(quota(large).refuses(large - RESERVE_BYTES_MAX).is_some());
        assert_eq!(DiskQuota::default().refuses(u64::MAX), None);
    }
}
