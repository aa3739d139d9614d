//! The packet filter of one node, as text for `iptables-restore`.

use std::fmt::Write;

use crate::net::overlays::Overlays;
use crate::net::{LinkFault, Party};

/// The chains of faults, and the way to them.
pub(super) fn first() -> String {
    let empty = chains("");
    empty.replace("COMMIT", "-A INPUT -j ATOLL-IN\n-A OUTPUT -j ATOLL-OUT\nCOMMIT")
}

/// Everything that lies on what a node receives, and on what it sends to clients. Replaces what was there
/// at one moment.
pub(super) fn of(overlays: &Overlays, node: u16, nodes: u16, address: impl Fn(Party) -> String) -> String {
    let mut rules = String::new();
    let here = Party::Node(node);
    let others = (1..=nodes).map(Party::Node).filter(|party| *party != here);
    for from in others.chain([Party::Clients]) {
        let packets = format!("-A ATOLL-IN -s {}", address(from));
        rule(&mut rules, &packets, overlays.faults((from, here)));
    }
    let packets = format!("-A ATOLL-OUT -d {}", address(Party::Clients));
    rule(&mut rules, &packets, overlays.faults((here, Party::Clients)));
    chains(&rules)
}

/// Whether this node's filter is where a direction is cut.
pub(super) fn is_kept_by(node: u16, from: Party, to: Party) -> bool {
    let here = Party::Node(node);
    to == here || (from == here && to == Party::Clients)
}

fn rule(rules: &mut String, packets: &str, faults: impl Iterator<Item = LinkFault>) {
    let faults: Vec<_> = faults.collect();
    let action = if faults.contains(&LinkFault::Blackhole) {
        "-j DROP"
    } else if faults.contains(&LinkFault::Reset) {
        "-p tcp -j REJECT --reject-with tcp-reset"
    } else {
        return;
    };
    // Writing to a string cannot fail.
    let _ = writeln!(rules, "{packets} {action}");
}

fn chains(rules: &str) -> String {
    format!("*filter\n:ATOLL-IN - [0:0]\n:ATOLL-OUT - [0:0]\n{rules}COMMIT\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Cut;

    fn address(party: Party) -> String {
        match party {
            Party::Node(node) => format!("198.18.0.{node}"),
            Party::Clients => "198.18.0.254".to_owned(),
        }
    }

    #[test]
    fn what_lies_on_a_direction_stands_where_it_arrives_and_the_worst_counts() {
        let (one, two) = (Party::Node(1), Party::Node(2));
        let cut = |from, to, fault| Cut { from, to, fault };
        let mut overlays = Overlays::default();
        let first = overlays.lay(&[
            cut(one, two, LinkFault::Reset),
            cut(two, Party::Clients, LinkFault::Blackhole),
            cut(Party::Clients, two, LinkFault::Reset),
        ]);
        let second = overlays.lay(&[cut(one, two, LinkFault::Blackhole)]);
        let head = "*filter\n:ATOLL-IN - [0:0]\n:ATOLL-OUT - [0:0]\n";
        let reset = "-p tcp -j REJECT --reject-with tcp-reset";
        let clients =
            format!("-A ATOLL-IN -s 198.18.0.254 {reset}\n-A ATOLL-OUT -d 198.18.0.254 -j DROP\nCOMMIT\n");
        let both = format!("{head}-A ATOLL-IN -s 198.18.0.1 -j DROP\n{clients}");
        assert_eq!(of(&overlays, 2, 3, address), both);
        assert_eq!(of(&overlays, 1, 3, address), format!("{head}COMMIT\n"));
        overlays.lift(second).unwrap();
        let left = format!("{head}-A ATOLL-IN -s 198.18.0.1 {reset}\n{clients}");
        assert_eq!(of(&overlays, 2, 3, address), left);
        overlays.lift(first).unwrap();
        assert_eq!(of(&overlays, 2, 3, address), format!("{head}COMMIT\n"));
    }

    #[test]
    fn each_direction_is_cut_at_one_node() {
        let parties = || [Party::Node(1), Party::Node(2), Party::Clients].into_iter();
        for (from, to) in parties().flat_map(|from| parties().map(move |to| (from, to))) {
            if from != to {
                let keepers = [1, 2].into_iter().filter(|node| is_kept_by(*node, from, to));
                assert_eq!(keepers.count(), 1, "{from:?} {to:?}");
            }
        }
    }
}
