//! Between what a state machine, Raft and the storage engine call a checkpoint.

use atoll_kv::SystemRow;
use atoll_raft::Position;
use atoll_storage::{Checkpoint, Restored};
use atoll_types::Version;
use bytes::Bytes;

/// What the storage engine is to keep.
pub(crate) fn checkpoint_of(position: Position, version: Version, rows: Vec<SystemRow>) -> Checkpoint {
    let rows = rows.into_iter().map(|row| atoll_storage::SystemRow {
        key: Bytes::copy_from_slice(row.key.as_bytes()),
        value: row.value,
    });
    Checkpoint {
        applied: position.applied.unwrap_or_default(),
        version,
        membership: position.membership,
        membership_id: position.membership_id,
        rows: rows.collect(),
    }
}

/// What Raft must know of a checkpoint.
pub(crate) fn position_of(restored: &Restored) -> Position {
    let checkpoint = &restored.checkpoint;
    Position {
        applied: Some(checkpoint.applied),
        membership_id: checkpoint.membership_id,
        membership: checkpoint.membership.clone(),
        installed: restored.installed,
    }
}

/// The rows of the system that stand in a checkpoint.
pub(crate) fn rows_of(checkpoint: &Checkpoint) -> impl Iterator<Item = (&Bytes, &Bytes)> {
    let rows = checkpoint.rows.iter();
    rows.filter_map(|row| Some((&row.key, row.value.as_ref()?)))
}
