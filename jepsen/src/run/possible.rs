//! What of the faults that were asked for can be injected, known before anything is started.

use std::collections::{BTreeMap, BTreeSet};

use crate::nemesis::{Chosen, Lack, Means};

/// What a run can do of what it was asked for.
pub(super) struct Possible {
    /// What can be injected.
    pub(super) chosen: Vec<Chosen>,
    /// What cannot, with the reason.
    pub(super) not_injected: Vec<String>,
}

/// Sorts out what can be injected. A variant that was named itself, and a named family of which nothing can be done, are
/// refused: a run without them would not be what somebody wanted. The error is for people, and has `command`
/// changed to one that would work.
pub(super) fn possible(means: &Means<'_>, chosen: Vec<Chosen>, command: &str) -> Result<Possible, String> {
    let mut possible = Possible {
        chosen: Vec::new(),
        not_injected: Vec::new(),
    };
    let (mut refused, mut lacks) = (Vec::new(), BTreeSet::new());
    for mut one in chosen {
        let lack = |variant: &&'static str| Some((*variant, one.nemesis.missing(means, variant)?));
        let mut missing: Vec<(&str, Lack)> = one.variants.iter().filter_map(lack).collect();
        let is_missing = |variant: &&str| missing.iter().any(|(other, _)| other == variant);
        let nothing = one.variants.iter().all(is_missing);
        possible.not_injected.extend(told(one.nemesis.family(), &missing));
        one.variants
            .retain(|variant| !missing.iter().any(|(other, _)| other == variant));
        // Of a family that can be had in part nobody needs the rest who has not named it.
        missing.retain(|(variant, _)| one.named.contains(variant) || (one.required && nothing));
        refused.extend(told(one.nemesis.family(), &missing));
        lacks.extend(missing.into_iter().map(|(_, lack)| lack));
        if !one.variants.is_empty() {
            possible.chosen.push(one);
        }
    }
    if refused.is_empty() {
        return Ok(possible);
    }
    let refused = refused.join("\n  ");
    let remedy = remedy(&lacks, command).join("\n  ");
    Err(format!(
        "what was asked for cannot be injected here:\n  {refused}\nThis would work:\n  {remedy}"
    ))
}

/// `disk/eio, enospc: needs …`, a line for each reason.
fn told(family: &str, missing: &[(&str, Lack)]) -> Vec<String> {
    let mut reasons = BTreeMap::<Lack, Vec<&str>>::new();
    for (variant, lack) in missing {
        reasons.entry(*lack).or_default().push(variant);
    }
    let line = |(lack, variants): (Lack, Vec<&str>)| format!("{family}/{}: {lack}", variants.join(", "));
    reasons.into_iter().map(line).collect()
}

/// Everything that has to be done, and in the end the command with all that was missing.
fn remedy(lacks: &BTreeSet<Lack>, command: &str) -> Vec<String> {
    let (mut before, mut command) = (Vec::new(), command.to_owned());
    // In the order of their numbers: of several numbers of nodes the greatest stays.
    for lack in lacks {
        let mut lines = lack.remedy(&command);
        command = lines.pop().unwrap_or(command);
        before.extend(lines);
    }
    before.push(command);
    before
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::nemesis::choose;
    use crate::net::{Cut, LinkFault, Net, Overlay};
    use crate::options::{NetKind, Options};

    /// Links that only cut, as packet filters do.
    struct Filters;

    impl Net for Filters {
        fn advertised(&self, node: u16, life: u32) -> String {
            format!("{node}:{life}")
        }
        fn prefix(&self, _: u16) -> Vec<String> {
            Vec::new()
        }
        fn arguments(&self, _: u16, _: u32) -> Vec<String> {
            Vec::new()
        }
        fn cannot(&self, fault: LinkFault) -> Option<&'static str> {
            let cuts = [LinkFault::Blackhole, LinkFault::Reset].contains(&fault);
            (!cuts).then_some("filters only cut")
        }
        fn lay(&self, _: &[Cut]) -> io::Result<Overlay> {
            Ok(Overlay(0))
        }
        fn lift(&self, _: Overlay) -> io::Result<()> {
            Ok(())
        }
    }

    /// What comes of names with so many nodes, without a fault build.
    fn with(names: &[&str], nodes: u16) -> Result<(Vec<String>, Vec<String>), String> {
        let options = Options {
            workloads: Vec::new(),
            nemeses: Vec::new(),
            time: Duration::from_secs(1),
            seed: 7,
            nodes,
            groups: 1,
            rate: 1,
            concurrency: 1,
            net: NetKind::Netns,
            store: PathBuf::new(),
            binary: PathBuf::from("/nowhere/atoll"),
            mutant: None,
        };
        let means = Means {
            options: &options,
            net: &Filters,
        };
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let command = format!("atoll verify --nodes {nodes} --net netns");
        let possible = possible(&means, choose(&names).unwrap(), &command)?;
        let full = |one: &Chosen| {
            let family = one.nemesis.family();
            one.variants
                .iter()
                .map(|variant| format!("{family}/{variant}"))
                .collect::<Vec<_>>()
        };
        Ok((
            possible.chosen.iter().flat_map(full).collect(),
            possible.not_injected,
        ))
    }

    #[test]
    fn a_family_of_which_nothing_can_be_done_is_refused() {
        let error = with(&["kill", "clock"], 3).unwrap_err();
        for part in [
            "clock/offset, rate, strobe: needs the fault build",
            "cargo build --release -p atoll --features faults\n",
            "\n  atoll verify --nodes 3 --net netns --binary target/release/atoll",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_variant_that_is_named_itself_is_refused() {
        let error = with(&["disk/eio"], 3).unwrap_err();
        assert!(error.contains("disk/eio: needs the fault build"), "{error}");
        // Though something else of its family can be done, or all of it was asked for too.
        assert!(with(&["disk/eio", "disk/full"], 3).is_err());
        assert!(with(&["disk", "disk/eio"], 3).is_err());
        assert!(with(&["all", "disk/eio"], 3).is_err());
    }

    #[test]
    fn everything_that_is_missing_is_in_the_command() {
        let error = with(&["partition/ring", "kill/minority", "packet/delay"], 2).unwrap_err();
        for part in [
            "partition/ring: needs at least 4 nodes",
            "kill/minority: needs at least 3 nodes",
            "packet/delay: filters only cut",
            "This would work:\n  atoll verify --nodes 4 --net proxy",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_was_not_named_itself_is_only_told() {
        let (done, not_done) = with(&["all"], 3).unwrap();
        assert!(done.contains(&"disk/full".to_owned()) && !done.iter().any(|name| name.starts_with("clock")));
        assert!(
            not_done
                .iter()
                .any(|line| line.starts_with("clock/offset, rate, strobe: needs")),
            "{not_done:?}"
        );
        let (done, not_done) = with(&["disk"], 3).unwrap();
        assert!(done.contains(&"disk/wipe".to_owned()) && !done.contains(&"disk/eio".to_owned()));
        assert_eq!(not_done.len(), 1, "{not_done:?}");
        let (_, not_done) = with(&["disk/full", "kill"], 3).unwrap();
        assert_eq!(not_done, [""; 0]);
    }
}
