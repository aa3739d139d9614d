//! The bars of incremental placement, over long histories.

use std::collections::BTreeSet;

use atoll_types::limits::SLOTS;
use atoll_types::{Epoch, GroupId, SlotId};
use proptest::prelude::*;

use crate::{SlotOwner, SlotRun, Slots, assign, reassign};

const TOTAL: usize = SLOTS as usize;

fn groups(ids: impl IntoIterator<Item = u64>) -> BTreeSet<GroupId> {
    ids.into_iter().map(GroupId).collect()
}

/// The most slots a group may have among `n`: 1.10 times the mean, rounded up.
fn bar(n: usize) -> usize {
    (TOTAL * 110).div_ceil(100 * n)
}

fn check_shares(slots: &Slots, groups: &BTreeSet<GroupId>) {
    let loads = slots.loads();
    assert_eq!(loads.keys().copied().collect::<BTreeSet<_>>(), *groups);
    assert_eq!(
        loads.values().map(|load| usize::from(*load)).sum::<usize>(),
        TOTAL
    );
    let most = loads.values().copied().max().map(usize::from).unwrap();
    let least = loads.values().copied().min().map(usize::from).unwrap();
    assert!(
        most <= bar(groups.len()),
        "{most} slots in one of {} groups",
        groups.len()
    );
    // Stronger than the bar, and what keeps it true over any history.
    assert!(most - least <= 1, "between {least} and {most} slots");
}

/// Slots that changed hands: (slot, from, to).
fn moves(old: &Slots, new: &Slots) -> Vec<(SlotId, Option<SlotOwner>, SlotOwner)> {
    let pairs = old.iter().zip(new.iter());
    pairs
        .filter(|(a, b)| a != b)
        .map(|((slot, from), (_, to))| (slot, from, to.unwrap()))
        .collect()
}

#[test]
fn from_nothing_shares_are_equal() {
    for n in (1..=64).chain([65, 100, 127, 128, 199, 200]) {
        let groups = groups(1..=n);
        let slots = assign(&groups, Epoch(1));
        check_shares(&slots, &groups);
        assert!(slots.iter().all(|(_, owner)| owner.unwrap().epoch == Epoch(1)));
    }
}

#[test]
fn a_fresh_map_is_a_short_list_of_runs() {
    for n in [2, 6, 16, 64, 200] {
        let runs = assign(&groups(1..=n), Epoch(1)).runs().len();
        assert!(runs <= 20 * n as usize, "{runs} runs for {n} groups");
    }
}

/// Pins the choice: a change would make nodes of two versions disagree.
#[test]
fn the_ring_is_the_same_for_ever() {
    let slots = assign(&groups(1..=6), Epoch(1));
    let grown = reassign(&slots, &groups(1..=7), Epoch(2));
    let digest = |slots: &Slots| {
        slots.iter().fold(0_u64, |hash, (_, owner)| {
            hash.wrapping_mul(0x0100_0000_01B3)
                .wrapping_add(owner.unwrap().group.0)
        })
    };
    assert_eq!(
        (digest(&slots), digest(&grown)),
        (6_784_857_897_004_209_804, 9_631_880_623_716_524_760)
    );
}

#[test]
fn nothing_changes_when_nobody_joins_or_leaves() {
    let slots = assign(&groups(1..=5), Epoch(1));
    assert_eq!(reassign(&slots, &groups(1..=5), Epoch(2)), slots);
}

#[test]
fn without_groups_slots_are_not_orphaned() {
    let slots = assign(&groups(1..=5), Epoch(1));
    assert_eq!(reassign(&slots, &groups([]), Epoch(2)), slots);
    assert_eq!(assign(&groups([]), Epoch(1)), Slots::default());
}

#[test]
fn more_groups_than_slots_leaves_some_empty() {
    let loads = assign(&groups(1..=20_000), Epoch(1)).loads();
    assert_eq!(loads.len(), TOTAL);
    assert!(loads.values().all(|load| *load == 1));
}

#[test]
fn a_group_that_stays_is_never_filled_from_another() {
    // An uneven map, as an operator may have made it: evening it out is nobody's business here.
    let owner = |group| SlotOwner {
        group: GroupId(group),
        epoch: Epoch(1),
    };
    let run = |first, last, group| SlotRun {
        first: SlotId(first),
        last: SlotId(last),
        owner: owner(group),
    };
    let uneven = Slots::from_runs([run(0, 99, 1), run(100, 16_383, 2)]).unwrap();
    assert_eq!(reassign(&uneven, &groups([1, 2]), Epoch(2)), uneven);
    let joined = reassign(&uneven, &groups([1, 2, 3]), Epoch(2));
    assert!(
        moves(&uneven, &joined)
            .iter()
            .all(|(_, from, _)| from.unwrap() == owner(2))
    );
    assert_eq!(joined.loads()[&GroupId(3)], 5462);
}

#[derive(Clone, Debug)]
enum Change {
    Join,
    Leave(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        5 => Just(Change::Join),
        3 => any::<prop::sample::Index>().prop_map(Change::Leave),
    ]
}

/// One step of a history, checked against every bar.
fn step(slots: &mut Slots, groups: &mut BTreeSet<GroupId>, change: &Change, epoch: Epoch) {
    let before = groups.clone();
    match change {
        Change::Leave(index) if groups.len() > 3 => {
            let leaver = *index.get(&groups.iter().copied().collect::<Vec<_>>());
            groups.remove(&leaver);
        }
        _ if groups.len() < 200 => {
            groups.insert(GroupId(epoch.0 * 7919));
        }
        _ => return,
    }
    let next = reassign(slots, groups, epoch);
    check_shares(&next, groups);
    let moved = moves(slots, &next);
    assert!(moved.iter().all(|(_, _, to)| to.epoch == epoch));
    if groups.len() > before.len() {
        let joiner = groups.difference(&before).next().unwrap();
        assert!(moved.iter().all(|(_, _, to)| to.group == *joiner));
        assert!(
            moved.len() * groups.len() * 100 <= TOTAL * 105,
            "{} moved to {}",
            moved.len(),
            groups.len()
        );
    } else {
        let leaver = before.difference(groups).next().unwrap();
        assert!(moved.iter().all(|(_, from, _)| from.unwrap().group == *leaver));
        assert_eq!(moved.len(), usize::from(slots.loads()[leaver]));
    }
    *slots = next;
}

#[test]
fn growing_to_200_and_shrinking_back_to_3() {
    let mut members = groups(1..=3);
    let mut slots = assign(&members, Epoch(1));
    for epoch in 2..=198 {
        step(&mut slots, &mut members, &Change::Join, Epoch(epoch));
        // Every client and node is sent the map, so its size has a bar too. (After groups left, slots
        // lie more scattered; there are never more runs than slots.)
        let runs = slots.runs().len();
        assert!(
            runs <= 64 * members.len(),
            "{runs} runs of {} groups",
            members.len()
        );
    }
    assert_eq!(members.len(), 200);
    let mut epoch = 199;
    while members.len() > 3 {
        let leaver = *members.iter().nth(epoch as usize % members.len()).unwrap();
        let rest: BTreeSet<_> = members.iter().copied().filter(|group| *group != leaver).collect();
        let next = reassign(&slots, &rest, Epoch(epoch));
        check_shares(&next, &rest);
        assert!(
            moves(&slots, &next)
                .iter()
                .all(|(_, from, _)| from.unwrap().group == leaver)
        );
        (slots, members, epoch) = (next, rest, epoch + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bars_hold_over_any_history(start in 3..=200_u64, history in prop::collection::vec(change(), 1..16)) {
        let mut members = groups(1..=start);
        let mut slots = assign(&members, Epoch(1));
        check_shares(&slots, &members);
        for (n, change) in history.iter().enumerate() {
            step(&mut slots, &mut members, change, Epoch(n as u64 + 100));
        }
    }

    /// Several at once, as at the growth of a cluster by a node: still nothing between those that stay.
    #[test]
    fn several_may_join_and_leave_at_once(
        start in 3..=120_u64,
        joins in 0..80_u64,
        leavers in prop::collection::btree_set(1..=120_u64, 0..80),
    ) {
        let old = assign(&groups(1..=start), Epoch(1));
        let next: BTreeSet<GroupId> = groups((1..=start).chain(1000..1000 + joins))
            .difference(&groups(leavers)).copied().collect();
        prop_assume!(!next.is_empty());
        let new = reassign(&old, &next, Epoch(2));
        check_shares(&new, &next);
        for (_, from, to) in moves(&old, &new) {
            let from = from.unwrap().group;
            prop_assert!(!next.contains(&from) || to.group.0 >= 1000, "from {} to {}", from, to.group);
        }
    }

    #[test]
    fn runs_round_trip(cuts in prop::collection::btree_map(0..SLOTS, prop::option::of(1..5_u64), 0..50)) {
        let mut slots = Slots::default();
        let cuts: Vec<_> = cuts.into_iter().collect();
        for (n, (first, group)) in cuts.iter().enumerate() {
            let end = cuts.get(n + 1).map_or(SLOTS, |(next, _)| *next);
            if let Some(group) = group {
                let owner = SlotOwner { group: GroupId(*group), epoch: Epoch(group * 10) };
                (*first..end).for_each(|slot| slots.set(SlotId(slot), owner));
            }
        }
        let runs = slots.runs();
        prop_assert_eq!(&Slots::from_runs(runs.clone()).unwrap(), &slots);
        for pair in runs.windows(2) {
            let touching = pair[0].last.0 + 1 == pair[1].first.0;
            prop_assert!(!touching || pair[0].owner != pair[1].owner, "runs are as long as they can be");
        }
        for group in (1..5).map(GroupId) {
            let own = slots.runs_of(group);
            for (slot, owner) in slots.iter() {
                let listed = own.iter().any(|(first, last)| (*first..=*last).contains(&slot.0));
                prop_assert_eq!(listed, owner.is_some_and(|owner| owner.group == group));
            }
        }
    }
}
