//! Links are cut, one way or both, flap, slow down and break.

use std::time::Duration;

use super::{Action, Direction, Planner};
use crate::luck::Luck;
use crate::scenario::Fault;
use crate::world::{client_name, node_name};

const FLAP: Duration = Duration::from_millis(100);

pub(super) fn plan(planner: &mut Planner<'_>, luck: &Luck) {
    for fault in planner.scenario.faults.clone() {
        let draw: fn(&Planner<'_>, &Luck) -> Vec<Direction> = match fault {
            Fault::Cut => |planner, luck| both(&pairs_of_one(planner, luck)),
            Fault::OneWay => |planner, luck| one_way(pairs_of_one(planner, luck), luck),
            Fault::Halves => |planner, luck| both(&halves(planner, luck)),
            Fault::Bridge => |planner, luck| both(&bridge(planner, luck)),
            Fault::Ring => |planner, luck| both(&ring(planner, luck)),
            Fault::ClientCut => clients,
            Fault::Flap => {
                flap(planner, luck);
                continue;
            }
            Fault::BreakConnections => {
                break_connections(planner, luck);
                continue;
            }
            Fault::SlowLink => {
                slow(planner, luck);
                continue;
            }
            _ => continue,
        };
        for at in planner.times(luck) {
            let cut = draw(planner, luck);
            let longest = luck.pick(&[500, 2500, 2500, 10_000]);
            planner.add(at, luck.millis(100..longest), Action::Cut(cut));
        }
    }
}

/// Names in random order.
fn nodes(planner: &Planner<'_>, luck: &Luck) -> Vec<String> {
    let mut left: Vec<String> = (1..=planner.scenario.nodes).map(node_name).collect();
    let mut mixed = Vec::new();
    while !left.is_empty() {
        mixed.push(left.swap_remove(luck.between(0..left.len() as u64) as usize));
    }
    mixed
}

fn between(ours: &[String], theirs: &[String]) -> Vec<Direction> {
    let pairs = ours
        .iter()
        .flat_map(|ours| theirs.iter().map(move |theirs| (ours.clone(), theirs.clone())));
    pairs.collect()
}

fn both(pairs: &[Direction]) -> Vec<Direction> {
    let back = pairs.iter().map(|(from, to)| (to.clone(), from.clone()));
    pairs.iter().cloned().chain(back).collect()
}

fn one_way(pairs: Vec<Direction>, luck: &Luck) -> Vec<Direction> {
    let turn = luck.percent(50);
    pairs
        .into_iter()
        .map(|(from, to)| if turn { (to, from) } else { (from, to) })
        .collect()
}

/// One node and another, or all others.
fn pairs_of_one(planner: &Planner<'_>, luck: &Luck) -> Vec<Direction> {
    let names = nodes(planner, luck);
    let (one, others) = names.split_at(1);
    let some = if luck.percent(60) { 1 } else { others.len() };
    between(one, others.get(..some).unwrap_or_default())
}

fn halves(planner: &Planner<'_>, luck: &Luck) -> Vec<Direction> {
    let names = nodes(planner, luck);
    let (minority, majority) = names.split_at(names.len() / 2);
    between(minority, majority)
}

/// Two halves that do not see each other, and one node that sees both.
fn bridge(planner: &Planner<'_>, luck: &Luck) -> Vec<Direction> {
    let names = nodes(planner, luck);
    let rest = names.get(1..).unwrap_or_default();
    let (ours, theirs) = rest.split_at(rest.len() / 2);
    between(ours, theirs)
}

/// Everybody sees a majority, each another one: of five nodes in a circle, two to either side less
/// one. With three nodes, somebody sees only one other.
fn ring(planner: &Planner<'_>, luck: &Luck) -> Vec<Direction> {
    let names = nodes(planner, luck);
    if names.len() < 5 {
        return between(
            names.get(..1).unwrap_or_default(),
            names.get(1..2).unwrap_or_default(),
        );
    }
    let next = names.iter().cycle().skip(2);
    names.iter().cloned().zip(next.cloned()).collect()
}

fn clients(planner: &Planner<'_>, luck: &Luck) -> Vec<Direction> {
    let client = client_name(1 + luck.between(0..planner.scenario.clients as u64) as usize);
    let names = nodes(planner, luck);
    let some = luck.between(1..names.len() as u64 + 1) as usize;
    let pairs = between(&[client], names.get(..some).unwrap_or_default());
    if luck.percent(50) {
        both(&pairs)
    } else {
        one_way(pairs, luck)
    }
}

fn flap(planner: &mut Planner<'_>, luck: &Luck) {
    for at in planner.times(luck) {
        let pairs = pairs_of_one(planner, luck);
        let cut = if luck.percent(50) {
            both(&pairs)
        } else {
            one_way(pairs, luck)
        };
        for turn in 0..luck.between(3..20) {
            let at = at + 2 * turn * FLAP.as_millis() as u64;
            if at < planner.length_ms {
                planner.add(at, FLAP, Action::Cut(cut.clone()));
            }
        }
    }
}

fn break_connections(planner: &mut Planner<'_>, luck: &Luck) {
    for at in planner.times(luck) {
        let pairs = if luck.percent(50) {
            clients(planner, luck)
        } else {
            pairs_of_one(planner, luck)
        };
        planner.add(at, Duration::ZERO, Action::Break(pairs));
    }
}

fn slow(planner: &mut Planner<'_>, luck: &Luck) {
    for at in planner.times(luck) {
        let pairs = pairs_of_one(planner, luck);
        let pairs = if luck.percent(50) {
            both(&pairs)
        } else {
            one_way(pairs, luck)
        };
        let least = luck.pick(&[5, 30, 200]);
        let delay = Duration::from_millis(least)..luck.millis(least + 1..least * 5);
        planner.add(at, luck.millis(500..8000), Action::SlowLinks(pairs, delay));
    }
}
