//! Values of writes are packed on their way to the proposer, by the leader and once (`atoll_storage`'s `codec`).
//!
//! What is read back, and what is told of a write, is the value itself; the sum of it goes along. Packing a few short values costs no
//! more than encoding them. Long ones are packed on the [pool](super::pool), as far as that is free: where reads wait for the
//! disk already, a write does not wait behind them, but goes as it is. So packing refuses no write, and a failure of it loses none.

use std::sync::Arc;

use atoll_env::trouble;
use atoll_kv::{Command, Op, PackedValue, value_crc};
use atoll_storage::Packer;
use atoll_types::limits::PACKED_VALUE_BYTES_MIN;
use parking_lot::Mutex;

use super::Shard;
use super::write::WriteItem;

/// Bytes of values that are packed on the task that others wait behind: less than a tenth of a millisecond's work.
const AT_ONCE_BYTES_MAX: usize = 32 * 1024;

impl Shard {
    /// Queues admitted writes for the group's next entry, packed where that gains.
    pub(super) fn pack_and_propose(self: &Arc<Self>, mut items: Vec<WriteItem>) {
        let bytes = if self.packer.packs() {
            items.iter().map(|item| packable_bytes(&item.command)).sum()
        } else {
            0
        };
        if bytes > AT_ONCE_BYTES_MAX {
            return self.pack_on_pool(items);
        }
        if bytes > 0 {
            self.pack(&mut items);
        }
        self.propose(items);
    }

    /// Packs where that holds up nobody.
    pub(super) fn pack(&self, items: &mut [WriteItem]) {
        for item in items {
            pack_values(&mut item.command, &self.packer);
            item.measure();
        }
    }

    fn pack_on_pool(self: &Arc<Self>, items: Vec<WriteItem>) {
        if self.pool.has_waiting() {
            trouble::sometimes("values went unpacked because the pool was busy");
            return self.propose(items);
        }
        // Whoever gets the job also gets the writes; dropped with the job, they answer.
        let handed = Arc::new(Mutex::new(Some(items)));
        let (shard, taken) = (self.clone(), handed.clone());
        let job = Box::new(move || {
            if let Some(mut items) = taken.lock().take() {
                shard.pack(&mut items);
                shard.propose(items);
            }
        });
        if self.pool.submit(job).is_err()
            && let Some(items) = handed.lock().take()
        {
            self.propose(items);
        }
    }
}

/// Bytes of values that may be packed.
fn packable_bytes(command: &Command) -> usize {
    let len = |op: &Op| match op {
        Op::Put { value, .. } if value.len() >= PACKED_VALUE_BYTES_MIN => value.len(),
        _ => 0,
    };
    command.ops.iter().map(len).sum()
}

pub(super) fn pack_values(command: &mut Command, packer: &Packer) {
    command.pack_values(|key, value| {
        let packed = packer.pack(value)?;
        PackedValue::new(packed.codec, packed.stored, value.len(), value_crc(key, value))
    });
}
