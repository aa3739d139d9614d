//! What each plan leaves of a network.

use std::collections::BTreeSet;

use atoll_env::Rng;

use super::cuts::{self, Leaders, VARIANTS};
use super::plan::Plan;
use super::scope;
use crate::net::{LinkFault, Party};

const SEEDS: u64 = 200;

fn numbers(count: u16) -> Vec<u16> {
    (1..=count).collect()
}

/// Group 0 led by node 1, group 1 by node 2, and so on.
fn leaders(count: u16) -> Leaders {
    (0..u64::from(count)).zip(1..).collect()
}

fn plan(variant: &str, count: u16, seed: u64) -> Option<Plan> {
    let rng = Rng::seeded(seed);
    cuts::plan(variant, &numbers(count), &leaders(count), &rng)
}

/// Whom a node hears, itself too.
fn heard(plan: &Plan, node: u16, count: u16) -> BTreeSet<u16> {
    let cut = |from| {
        let mut cuts = plan.cuts.iter();
        cuts.any(|cut| (cut.from, cut.to) == (Party::Node(from), Party::Node(node)))
    };
    numbers(count).into_iter().filter(|from| !cut(*from)).collect()
}

fn symmetric(plan: &Plan) -> bool {
    let pairs: BTreeSet<_> = plan.cuts.iter().map(|cut| (cut.from, cut.to)).collect();
    pairs.iter().all(|(from, to)| pairs.contains(&(*to, *from)))
}

/// Every plan of a variant, for all sizes that it makes sense with.
fn plans(variant: &str) -> Vec<(u16, Plan)> {
    let sizes = cuts::least_nodes(variant)..=9;
    let all = sizes.flat_map(|count| (0..SEEDS).map(move |seed| (count, seed)));
    all.map(|(count, seed)| (count, plan(variant, count, seed).unwrap()))
        .collect()
}

/// The leader that a description speaks of.
fn leader_in(plan: &Plan) -> u16 {
    let text = &plan.what;
    let inside = text.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside.unwrap().0.parse().unwrap()
}

#[test]
fn every_variant_makes_sense_from_its_least_size_on() {
    for variant in VARIANTS {
        for (count, plan) in plans(variant) {
            assert!(!plan.cuts.is_empty(), "{variant} of {count}");
            assert!(!plan.what.is_empty());
            let distinct: BTreeSet<_> = plan.cuts.iter().map(|cut| (cut.from, cut.to)).collect();
            assert_eq!(distinct.len(), plan.cuts.len(), "{variant} of {count}: {plan:?}");
            assert!(
                plan.cuts
                    .iter()
                    .all(|cut| cut.from != cut.to && cut.fault == LinkFault::Blackhole)
            );
        }
    }
    assert_eq!(plan("no-such", 5, 0), None);
}

#[test]
fn the_same_numbers_give_the_same_plan_and_others_give_others() {
    for variant in VARIANTS {
        let of = |seed| plan(variant, 5, seed).unwrap();
        let different: BTreeSet<_> = (0..SEEDS).map(|seed| of(seed).what).collect();
        assert!(different.len() > 3, "{variant}: {different:?}");
        assert_eq!(of(3), of(3));
    }
}

#[test]
fn halves_leave_no_path() {
    for (count, plan) in plans("halves") {
        assert_eq!(plan.nodes.len(), usize::from(count / 2));
        for node in numbers(count) {
            let side = heard(&plan, node, count);
            assert!(side.contains(&node));
            for other in &side {
                assert_eq!(heard(&plan, *other, count), side, "{plan:?}");
            }
            let small = side.len() == usize::from(count / 2);
            assert!(small || side.len() == usize::from(count.div_ceil(2)), "{plan:?}");
        }
    }
}

#[test]
fn an_isolated_leader_is_in_a_minority_and_an_isolated_minority_has_it_not() {
    for (variant, among) in [("leader", true), ("minority", false)] {
        for (count, plan) in plans(variant) {
            let island: BTreeSet<u16> = plan.nodes.iter().copied().collect();
            assert!(2 * island.len() <= usize::from(count) && !island.is_empty());
            assert!(count == 2 || 2 * island.len() < usize::from(count));
            assert_eq!(island.contains(&leader_in(&plan)), among, "{plan:?}");
            for node in &island {
                assert_eq!(heard(&plan, *node, count), island, "{plan:?}");
            }
            assert!(symmetric(&plan));
        }
    }
}

#[test]
fn on_a_ring_everyone_hears_a_majority_and_no_two_the_same() {
    for (count, plan) in plans("ring") {
        let views: BTreeSet<_> = numbers(count)
            .into_iter()
            .map(|node| heard(&plan, node, count))
            .collect();
        assert_eq!(views.len(), usize::from(count), "{plan:?}");
        for view in views {
            assert!(2 * view.len() > usize::from(count), "{plan:?}");
            assert!(view.len() < usize::from(count), "{plan:?}");
        }
        assert!(symmetric(&plan));
    }
    // Of three everyone's majority on a ring would be all.
    assert_eq!(plan("ring", 3, 0), None);
}

#[test]
fn a_bridge_hears_everyone_and_the_sides_only_it() {
    for (count, plan) in plans("bridge") {
        let bridge = *plan.nodes.first().unwrap();
        assert_eq!(heard(&plan, bridge, count).len(), usize::from(count));
        let sides: BTreeSet<BTreeSet<u16>> = numbers(count)
            .into_iter()
            .filter(|node| *node != bridge)
            .map(|node| heard(&plan, node, count))
            .collect();
        assert_eq!(sides.len(), 2, "{plan:?}");
        let common = sides.iter().map(BTreeSet::len).sum::<usize>();
        // Both sides count the bridge.
        assert_eq!(common, usize::from(count) + 1);
        assert!(sides.iter().all(|side| side.contains(&bridge)));
        assert!(symmetric(&plan));
    }
}

#[test]
fn one_way_cuts_leave_the_other_way() {
    for (count, plan) in plans("one-way") {
        let pairs: BTreeSet<_> = plan.cuts.iter().map(|cut| (cut.from, cut.to)).collect();
        assert!(
            pairs.iter().all(|(from, to)| !pairs.contains(&(*to, *from))),
            "{plan:?}"
        );
        let all_of_one = plan.cuts.len() == usize::from(count) - 1;
        assert!(plan.cuts.len() == 1 || all_of_one, "{plan:?}");
    }
    // Without a leader there is still a pair.
    let rng = Rng::seeded(1);
    let plan = cuts::plan("one-way", &numbers(3), &Leaders::new(), &rng).unwrap();
    assert_eq!(plan.cuts.len(), 1);
    for variant in ["leader", "minority", "clients"] {
        assert_eq!(cuts::plan(variant, &numbers(3), &Leaders::new(), &rng), None);
    }
}

#[test]
fn clients_are_cut_from_a_leader_only() {
    for (count, plan) in plans("clients") {
        let leader = *plan.nodes.first().unwrap();
        assert!(leader <= count);
        let pairs: BTreeSet<_> = plan.cuts.iter().map(|cut| (cut.from, cut.to)).collect();
        let node = Party::Node(leader);
        assert_eq!(pairs, [(Party::Clients, node), (node, Party::Clients)].into());
    }
}

#[test]
fn faults_of_packets_lie_on_links_that_exist_and_say_what_they_are() {
    let mut seen = BTreeSet::new();
    for variant in scope::VARIANTS {
        for seed in 0..SEEDS {
            let rng = Rng::seeded(seed);
            let fault = scope::fault(variant, &rng).unwrap();
            let count = 1 + (seed % 5) as u16;
            let plan = scope::plan(fault, &numbers(count), &rng).unwrap();
            assert!(!plan.cuts.is_empty() && !plan.what.is_empty());
            for cut in &plan.cuts {
                assert_eq!(cut.fault, fault);
                assert_ne!(cut.from, cut.to);
            }
            seen.insert(plan.what.split(": ").next().unwrap().to_owned());
        }
    }
    assert!(seen.len() > 50, "{seen:?}");
    assert_eq!(scope::fault("no-such", &Rng::seeded(0)), None);
}
