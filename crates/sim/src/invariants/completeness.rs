//! Leader completeness: a new leader has every entry that was committed under leaders before it.

use super::group::Group;
use super::{Id, Wrong};

/// A replica has appended its first entry as a leader.
pub(super) fn leads(group: &Group, replica: u64, id: Id) -> Wrong {
    let Some(leader) = group.replicas.get(&replica) else {
        return Ok(());
    };
    // An entry may be committed under a later leadership than its own, and one that lost the race of
    // two in a term may begin after the other has committed what it lacks.
    let under = group.committed.iter().zip(&group.committed_under);
    let before = (0..).zip(under).filter(|(_, (_, under))| **under < id);
    for (index, (committed, _)) in before {
        let found = leader.at(index);
        if found != Some(*committed) {
            return Err(format!(
                "leads without the committed entry {index} {committed:?}; it has {found:?}"
            ));
        }
    }
    Ok(())
}
