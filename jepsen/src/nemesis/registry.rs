//! All families of faults, and what is meant by a list of names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Nemesis, clock, cluster, disk, network, process};
use crate::field::Field;

/// Every family that there is, in the order in which they are listed.
pub fn nemeses() -> Vec<Arc<dyn Nemesis<Field>>> {
    vec![
        Arc::new(network::Partition),
        Arc::new(network::Packet),
        Arc::new(process::Kill),
        Arc::new(process::Pause),
        Arc::new(process::Restart),
        Arc::new(disk::Disk),
        Arc::new(clock::Clocks),
        Arc::new(cluster::Operator),
    ]
}

/// A family and the variants of it that were asked for.
#[derive(Clone)]
pub struct Chosen {
    /// The family.
    pub nemesis: Arc<dyn Nemesis<Field>>,
    /// In the order of the family's own list.
    pub variants: Vec<&'static str>,
    /// Those that were named themselves, as `family/variant`.
    pub named: Vec<&'static str>,
    /// Named as such, or a variant of it: a run that cannot inject it is no test. Not so if all were asked for.
    pub required: bool,
}

/// What was asked for of one family.
#[derive(Default)]
struct Asked {
    variants: Vec<&'static str>,
    named: Vec<&'static str>,
    required: bool,
}

/// What names stand for: `family`, `family/variant`, `all`; nothing, or `none`, is no fault at all. The error is for
/// people.
pub fn choose(names: &[String]) -> Result<Vec<Chosen>, String> {
    let every = nemeses();
    let mut chosen: BTreeMap<usize, Asked> = BTreeMap::new();
    for name in names.iter().filter(|name| *name != "none") {
        let (family, variant) = match name.split_once('/') {
            Some((family, variant)) => (family, Some(variant)),
            None => (&name[..], None),
        };
        let mut known = false;
        for (position, nemesis) in every.iter().enumerate() {
            let all = name == "all";
            let wanted = (all || nemesis.family() == family)
                .then(|| nemesis.variants().iter().copied())
                .into_iter()
                .flatten()
                .filter(|own| variant.is_none_or(|variant| variant == *own));
            for own in wanted {
                known = true;
                let entry = chosen.entry(position).or_default();
                entry.variants.push(own);
                entry.named.extend(variant.map(|_| own));
                entry.required |= !all;
            }
        }
        if !known {
            return Err(format!(
                "there is no nemesis {name:?}; there are {}",
                known_names(&every)
            ));
        }
    }
    let take = |(position, asked): (usize, Asked)| {
        let nemesis = Arc::clone(every.get(position)?);
        let own = nemesis.variants().iter().copied();
        let variants = own.filter(|variant| asked.variants.contains(variant)).collect();
        Some(Chosen {
            nemesis,
            variants,
            named: asked.named,
            required: asked.required,
        })
    };
    Ok(chosen.into_iter().filter_map(take).collect())
}

fn known_names(every: &[Arc<dyn Nemesis<Field>>]) -> String {
    let families: Vec<&str> = every.iter().map(|nemesis| nemesis.family()).collect();
    format!(
        "{}, all, none (and family/variant, see --list)",
        families.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let name = |one: Chosen| {
            let family = one.nemesis.family();
            let full = move |variant: &&str| format!("{family}/{variant}");
            one.variants.iter().map(full).collect::<Vec<_>>()
        };
        choose(&names).unwrap().into_iter().flat_map(name).collect()
    }

    #[test]
    fn names_stand_for_families_and_variants() {
        assert_eq!(chosen(&["pause/leader"]), ["pause/leader"]);
        assert_eq!(
            chosen(&["pause/leader", "pause/one", "pause/one"]),
            ["pause/one", "pause/leader"]
        );
        assert_eq!(chosen(&["restart", "kill/all"]), ["kill/all", "restart/rolling"]);
        assert!(chosen(&["none"]).is_empty() && chosen(&[]).is_empty());
        assert!(chosen(&["all"]).len() > 10);
    }

    #[test]
    fn only_what_is_named_is_required() {
        let required = |name: &str| choose(&[name.to_owned()]).unwrap().iter().all(|one| one.required);
        assert!(required("kill") && required("kill/one"));
        assert!(!required("all"));
    }

    #[test]
    fn unknown_names_are_told_with_the_known_ones() {
        for name in ["kil", "kill/some", "/", ""] {
            let error = choose(&[name.to_owned()]).err().unwrap();
            assert!(error.contains("kill, pause"), "{error}");
        }
    }

    #[test]
    fn families_have_variants_of_their_own() {
        let mut families: Vec<&str> = nemeses().iter().map(|nemesis| nemesis.family()).collect();
        assert!(nemeses().iter().all(|nemesis| !nemesis.variants().is_empty()));
        let count = families.len();
        families.sort_unstable();
        families.dedup();
        assert_eq!(families.len(), count);
    }
}
