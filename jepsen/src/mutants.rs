//! Deliberate bugs in real processes: if a run does not see them, it would not see the accidental ones.

use std::path::Path;

use crate::cluster::Cluster;
use crate::nemesis::control;

/// Those that are the client's: they wake in this process, so this one must have been built with them.
#[cfg(any(test, not(feature = "faults")))]
const OF_CLIENTS: [&str; 4] = [
    "UnsafeRetry",
    "UnknownAsFailure",
    "RetryUnderNewSession",
    "AckTooEarly",
];

/// Wakes one in every node from its first start on, and in the clients of this process. The error is for people.
pub fn wake(cluster: &Cluster, program: &Path, name: &str) -> Result<(), String> {
    if let Some(why) = control::missing(program) {
        return Err(format!("a deliberate bug {why}"));
    }
    wake_here(name)?;
    let mut fields = control::Fields::new();
    fields.insert("mutant".to_owned(), name.into());
    for node in cluster.numbers() {
        let file = cluster.fault_file(node);
        control::lay(&file, &fields).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

#[cfg(feature = "faults")]
fn wake_here(name: &str) -> Result<(), String> {
    use atoll_types::{Mutant, mutant};
    let found = Mutant::named(name);
    if found.is_none() {
        return Err(format!(
            "there is no deliberate bug {name}; there are {:?}",
            Mutant::ALL
        ));
    }
    mutant::wake_everywhere(found);
    Ok(())
}

#[cfg(not(feature = "faults"))]
fn wake_here(name: &str) -> Result<(), String> {
    if atoll_types::Mutant::named(name).is_none() {
        let all = atoll_types::Mutant::ALL;
        return Err(format!("there is no deliberate bug {name}; there are {all:?}"));
    }
    if OF_CLIENTS.contains(&name) {
        return Err(format!(
            "{name} is a bug of the client: build the tests with --features faults too"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(wake_here("EntrySkipp").unwrap_err().contains("EntrySkipped"));
        for name in OF_CLIENTS {
            assert!(atoll_types::Mutant::named(name).is_some(), "{name}");
            assert_eq!(wake_here(name).is_ok(), cfg!(feature = "faults"), "{name}");
        }
    }
}
