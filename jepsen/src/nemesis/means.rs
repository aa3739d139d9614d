//! What a run has to break things with, and what it lacks.

use std::fmt;

use crate::net::Net;
use crate::options::Options;

/// Builds the program with a disk and clocks that fail on demand.
const BUILD: &str = "cargo build --release -p atoll --features faults";
/// Where that is then.
const BUILT: &str = "target/release/atoll";

/// What a run has, before anything is started.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// What was asked for: how many nodes, of which program.
    pub options: &'a Options,
    /// The links.
    pub net: &'a dyn Net,
}

/// What a run would need to have and has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// So many nodes.
    Nodes(u16),
    /// Links through proxies; the others cannot, for this reason.
    Proxies(&'static str),
    /// A program whose disk and clocks fail on demand.
    FaultBuild,
}

impl Lack {
    /// The command lines that a run would take which has it: `command`, changed, and what has to be done before.
    pub fn remedy(self, command: &str) -> Vec<String> {
        match self {
            Self::Nodes(least) => vec![with(command, "--nodes", &least.to_string())],
            Self::Proxies(_) => vec![with(command, "--net", "proxy")],
            Self::FaultBuild => vec![BUILD.to_owned(), with(command, "--binary", BUILT)],
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(least) => write!(f, "needs at least {least} nodes"),
            Self::Proxies(why) => write!(f, "{why}; proxies can (--net proxy)"),
            Self::FaultBuild => write!(f, "needs the fault build of the program ({BUILD})"),
        }
    }
}

/// A command line in which an option has another value.
pub(crate) fn with(command: &str, option: &str, value: &str) -> String {
    let mut words: Vec<&str> = command.split(' ').collect();
    let known = words.iter().position(|word| *word == option);
    match known.and_then(|place| words.get_mut(place + 1)) {
        Some(known) => *known = value,
        None => words.extend([option, value]),
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_the_command_with_what_was_missing() {
        let command = "atoll verify --nemesis clock --nodes 3 --net netns";
        assert_eq!(
            Lack::Nodes(4).remedy(command),
            ["atoll verify --nemesis clock --nodes 4 --net netns"]
        );
        assert_eq!(
            Lack::Proxies("").remedy(command),
            ["atoll verify --nemesis clock --nodes 3 --net proxy"]
        );
        let [build, run] = &Lack::FaultBuild.remedy(command)[..] else {
            panic!("two lines");
        };
        assert!(build.contains("--features faults"));
        assert_eq!(*run, format!("{command} --binary target/release/atoll"));
    }
}
