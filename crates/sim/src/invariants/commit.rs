//! An entry counts as committed only once a majority has it for good.

use super::group::Group;
use super::{Id, Wrong};

/// An entry was applied for the first time.
pub(super) fn first(group: &Group, index: u64, id: Id) -> Wrong {
    let keepers: Vec<u64> = group
        .replicas
        .iter()
        .filter(|(_, replica)| replica.keeps(index, id))
        .map(|(number, _)| *number)
        .collect();
    match group.quorum() {
        Some(quorum) if keepers.len() < quorum => Err(format!(
            "applied while only {keepers:?} have it durably, of the {quorum} it takes"
        )),
        _ => Ok(()),
    }
}
