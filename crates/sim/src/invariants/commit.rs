//! An entry counts as committed only once a majority has it for good.

use super::group::Group;
use super::{Id, Replica, Wrong};

/// An entry was applied for the first time.
pub(super) fn first(group: &mut Group, index: u64, id: Id) -> Wrong {
    let (mut keepers, mut under) = (Vec::new(), id);
    let keep = |(_, replica): &(&u64, &Replica)| replica.keeps(index, id);
    for (number, replica) in group.replicas.iter().filter(keep) {
        keepers.push(*number);
        under = under.max(replica.vote.map_or(id, |(vote, _)| vote));
    }
    group.committed_under.push(under);
    match group.quorum() {
        Some(quorum) if keepers.len() < quorum => Err(format!(
            "applied while only {keepers:?} have it durably, of the {quorum} it takes"
        )),
        _ => Ok(()),
    }
}
