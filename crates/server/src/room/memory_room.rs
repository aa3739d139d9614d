//! Whether rows in memory wait for a disk that does not take them.

use std::sync::atomic::{AtomicBool, Ordering};

use atoll_storage::RowMemory;

use crate::shard::{Failure, RETRY_FULL_DISK_MS};

/// Writes are refused when rows take so many times what they should.
const TOO_MUCH: usize = 2;

/// How a node stands with the memory of its rows.
#[derive(Debug, Default)]
pub(crate) struct MemoryRoom {
    refuses: AtomicBool,
}

impl MemoryRoom {
    /// Why a node with so much takes no write, removals neither: these take memory too. `None` if it does. Writes come
    /// back an eighth below the limit, or they would go on and off.
    pub(crate) fn refuses(&self, rows: RowMemory) -> Option<Failure> {
        let limit = rows.limit.saturating_mul(TOO_MUCH);
        let refused = self.refuses.load(Ordering::Relaxed);
        let refuses = rows.bytes > if refused { limit - limit / 8 } else { limit };
        if refuses != self.refuses.swap(refuses, Ordering::Relaxed) {
            tell(refuses, rows.bytes, limit);
        }
        refuses.then_some(Failure::Overloaded {
            what: "the rows in memory of this node wait for its disk, which is too slow or fails",
            retry_after_ms: RETRY_FULL_DISK_MS,
        })
    }
}

fn tell(refuses: bool, bytes: usize, limit: usize) {
    if refuses {
        tracing::error!(
            bytes,
            limit,
            "rows in memory wait to be written to files, and the disk is too slow or fails: groups led here take no writes \
             until it has caught up"
        );
    } else {
        tracing::info!(bytes, "the disk has caught up: groups led here take writes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_end_at_twice_the_limit_and_begin_again_below() {
        let room = MemoryRoom::default();
        let refuses = |bytes| room.refuses(RowMemory { bytes, limit: 400 }).is_some();
        assert!(!refuses(800));
        assert!(refuses(801));
        assert!(refuses(701));
        assert!(!refuses(700));
        assert!(!refuses(800));
        let endless = RowMemory {
            bytes: usize::MAX,
            limit: usize::MAX,
        };
        assert_eq!(room.refuses(endless), None);
    }
}
