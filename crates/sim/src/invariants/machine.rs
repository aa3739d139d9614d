//! State machine safety: at one index all replicas apply the same entry and come to the same state.

use super::group::Group;
use super::{Id, Wrong};

/// A replica has applied an entry. True if it is the first to do so.
pub(super) fn apply(group: &mut Group, index: u64, id: Id) -> Result<bool, String> {
    match group.committed.get(index as usize) {
        Some(known) if *known == id => Ok(false),
        Some(known) => Err(format!("another replica applied {known:?} there")),
        None if index == group.committed.len() as u64 => {
            group.committed.push(id);
            Ok(true)
        }
        None => Err(format!(
            "nobody has applied entry {} before it",
            group.committed.len()
        )),
    }
}

/// A replica came to a state.
pub(super) fn state(group: &mut Group, index: u64, hash: u64) -> Wrong {
    let known = *group.states.entry(index).or_insert(hash);
    if known == hash {
        Ok(())
    } else {
        Err(format!(
            "another replica came to {known:016x}, this one to {hash:016x}"
        ))
    }
}
