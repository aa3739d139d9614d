//! Leader completeness: a new leader has every entry that was committed under leaders before it.

use super::group::Group;
use super::{Id, Wrong};

/// A replica has appended its first entry as a leader.
pub(super) fn leads(group: &Group, replica: u64, id: Id) -> Wrong {
    let Some(leader) = group.replicas.get(&replica) else {
        return Ok(());
    };
    let before = (0..)
        .zip(&group.committed)
        .filter(|(_, committed)| **committed < id);
    for (index, committed) in before {
        let found = leader.at(index);
        if found != Some(*committed) {
            return Err(format!(
                "leads without the committed entry {index} {committed:?}; it has {found:?}"
            ));
        }
    }
    Ok(())
}
