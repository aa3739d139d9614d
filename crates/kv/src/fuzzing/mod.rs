//! What the decoders of this crate promise about bytes of any kind, as checks that panic if it does not hold.
//! Shared by fuzz targets (`fuzz/`) and the tests that replay their corpora.

mod checkpoint;
mod entry;

pub use checkpoint::{checkpoint, checkpoint_seeds};
pub use entry::{entry, entry_seeds};

use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey};

const CLUSTER: ClusterId = ClusterId(7);
const GROUP: GroupKey = GroupKey::new(GroupId(1), GroupGen(0));
