//! Which links a fault that only hampers lies on, and how bad it is.

use std::time::Duration;

use atoll_env::Rng;

use super::plan::{Plan, one_of};
use crate::net::{Cut, LinkFault, Party};

/// The variants of the family `packet`.
pub(super) const VARIANTS: [&str; 5] = ["delay", "stall", "bandwidth", "drip", "reset"];

/// Longer than any run: what is held back comes when the fault is lifted.
const UNTIL_LIFTED: Duration = Duration::from_secs(24 * 3600);

/// A fault of a variant, as bad as the numbers say.
pub(super) fn fault(variant: &str, rng: &Rng) -> Option<LinkFault> {
    let ms = |least: u64, most: u64| Duration::from_millis(least + rng.below(most - least + 1));
    Some(match variant {
        // From a little to more than an election takes.
        "delay" => LinkFault::Delay {
            delay: one_of(&[ms(5, 50), ms(50, 300), ms(300, 1500)], rng)?,
            jitter: ms(0, 200),
        },
        "stall" => LinkFault::Delay {
            delay: UNTIL_LIFTED,
            jitter: Duration::ZERO,
        },
        // Heartbeats pass, a log that is behind hardly catches up.
        "bandwidth" => LinkFault::Bandwidth(20_000 + rng.below(200_000)),
        "drip" => LinkFault::Drip,
        "reset" => LinkFault::Reset,
        _ => return None,
    })
}

/// The fault on all links between nodes, on those of one node, on one direction of these, or on those of clients.
pub(super) fn plan(fault: LinkFault, nodes: &[u16], rng: &Rng) -> Option<Plan> {
    let node = one_of(nodes, rng)?;
    let hit = Party::Node(node);
    // A single node has no links but those to clients.
    let kind = if nodes.len() == 1 { 4 } else { rng.below(5) };
    let (links, nodes, whose): (Vec<_>, _, _) = match kind {
        0 => (between(nodes), vec![], "all links between nodes".to_owned()),
        1 => {
            let links = between(nodes)
                .into_iter()
                .filter(|(from, to)| *from == hit || *to == hit);
            let whose = format!("all links between node {node} and others");
            (links.collect(), vec![node], whose)
        }
        2 => {
            let links = between(nodes).into_iter().filter(|(from, _)| *from == hit);
            let whose = format!("what node {node} sends to others");
            (links.collect(), vec![node], whose)
        }
        3 => {
            let links = between(nodes).into_iter().filter(|(_, to)| *to == hit);
            let whose = format!("what others send to node {node}");
            (links.collect(), vec![node], whose)
        }
        _ => {
            let links = vec![(Party::Clients, hit), (hit, Party::Clients)];
            (
                links,
                vec![node],
                format!("the links between clients and node {node}"),
            )
        }
    };
    let cuts = links.into_iter().map(|(from, to)| Cut { from, to, fault });
    Some(Plan {
        what: format!("{}: {whose}", named(fault)),
        nodes,
        cuts: cuts.collect(),
    })
}

fn between(nodes: &[u16]) -> Vec<(Party, Party)> {
    let pairs = nodes
        .iter()
        .flat_map(|from| nodes.iter().map(move |to| (*from, *to)));
    let pairs = pairs.filter(|(from, to)| from != to);
    pairs
        .map(|(from, to)| (Party::Node(from), Party::Node(to)))
        .collect()
}

fn named(fault: LinkFault) -> String {
    match fault {
        LinkFault::Blackhole => "nothing arrives".to_owned(),
        LinkFault::Reset => "connections end when they are used".to_owned(),
        LinkFault::Delay { delay, .. } if delay == UNTIL_LIFTED => {
            "everything comes late, at once".to_owned()
        }
        LinkFault::Delay { delay, jitter } => format!(
            "{} to {} ms later",
            delay.as_millis(),
            (delay + jitter).as_millis()
        ),
        LinkFault::Bandwidth(bytes) => format!("{} kB a second", bytes / 1000),
        LinkFault::Drip => "a few bytes at a time".to_owned(),
    }
}
