//! Election safety: who leads was elected by a majority whose votes survive a power cut.
//!
//! Two leaderships of the same rank cannot both have one, since a vote is for one candidate and never
//! goes back (`memory`).

use super::group::Group;
use super::{Id, Wrong};

/// A replica has appended its first entry as a leader.
pub(super) fn leads(group: &Group, id: Id) -> Wrong {
    let votes = group.votes.get(&id).map_or(0, std::collections::BTreeSet::len);
    match group.quorum() {
        Some(quorum) if votes < quorum => Err(format!(
            "leads with {votes} durable votes of the {quorum} it needs"
        )),
        _ => Ok(()),
    }
}
