//! Where other nodes are.
//!
//! Membership knows nodes by id only; addresses are found out. An entry is *confirmed* when the node
//! itself answered or greeted from there since this process started; everything else (the claim, last
//! start's hints, what others say) only fills gaps. Dialing an entry that does not answer takes the
//! confirmation back, so that the next rumour may replace it. A cluster in which every address changed
//! therefore comes up again as soon as some `--join` addresses lead from each node to each other.
//! Nothing here is trusted: whoever dials checks who answers.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_env::Instant;
use atoll_types::{NodeId, NodeUuid};
use parking_lot::RwLock;

use crate::identity::{MEMBERS_MAX, Member};

/// A node is called reachable if it was heard of within this time.
const REACHABLE_FOR: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
struct Entry {
    uuid: NodeUuid,
    address: String,
    zone: String,
    confirmed: bool,
    incarnation: u64,
    heard: Option<Instant>,
}

/// All nodes this one has heard of, itself not among them; never more than a cluster may have.
#[derive(Debug)]
pub(crate) struct AddressBook {
    entries: RwLock<BTreeMap<NodeId, Entry>>,
}

impl AddressBook {
    /// Begins with hints; later ones replace earlier ones.
    pub(crate) fn new(hints: impl IntoIterator<Item = Member>) -> Self {
        let book = Self {
            entries: RwLock::default(),
        };
        hints.into_iter().for_each(|hint| book.hint(hint));
        book
    }

    fn hint(&self, hint: Member) {
        let entry = Entry {
            uuid: hint.uuid,
            address: hint.address,
            zone: hint.zone,
            confirmed: false,
            incarnation: 0,
            heard: None,
        };
        self.entries.write().insert(hint.node, entry);
    }

    /// Says which hints are there from now on, e.g. once a claim names this node's peers.
    pub(crate) fn add_hints(&self, hints: &[Member], own: NodeUuid) {
        for hint in hints.iter().filter(|hint| hint.uuid != own) {
            self.rumour(hint);
        }
    }

    /// A node greeted us and said where it is. An older incarnation's greeting that was held up on
    /// its way changes nothing. True if the address is news.
    pub(crate) fn greeted(&self, node: &Member, incarnation: u64, now: Instant) -> bool {
        let mut entries = self.entries.write();
        let known = entries.get(&node.node);
        if known.is_none() && entries.len() >= MEMBERS_MAX {
            return false;
        }
        if known.is_some_and(|known| known.confirmed && known.incarnation > incarnation) {
            return false;
        }
        let news = known.is_none_or(|known| known.address != node.address);
        let entry = Entry {
            uuid: node.uuid,
            address: node.address.clone(),
            zone: node.zone.clone(),
            confirmed: true,
            incarnation,
            heard: Some(now),
        };
        entries.insert(node.node, entry);
        news
    }

    /// Another node says where a third one is. True if it was taken.
    pub(crate) fn rumour(&self, node: &Member) -> bool {
        let mut entries = self.entries.write();
        let full = entries.len() >= MEMBERS_MAX;
        match entries.get_mut(&node.node) {
            Some(known) if known.confirmed || known.address == node.address => false,
            Some(known) => {
                known.address.clone_from(&node.address);
                true
            }
            None if full => false,
            None => {
                let entry = Entry {
                    uuid: node.uuid,
                    address: node.address.clone(),
                    zone: node.zone.clone(),
                    confirmed: false,
                    incarnation: 0,
                    heard: None,
                };
                entries.insert(node.node, entry);
                true
            }
        }
    }

    /// Nobody (or somebody else) answered at an address: rumours about its node count again.
    pub(crate) fn failed(&self, address: &str) {
        for entry in self
            .entries
            .write()
            .values_mut()
            .filter(|entry| entry.address == address)
        {
            entry.confirmed = false;
        }
    }

    /// Where a node is, as far as known.
    pub(crate) fn address(&self, node: NodeId) -> Option<String> {
        self.entries.read().get(&node).map(|entry| entry.address.clone())
    }

    /// True if a node was heard of lately and nothing failed since.
    pub(crate) fn reachable(&self, node: NodeId, now: Instant) -> bool {
        self.entries.read().get(&node).is_some_and(|entry| {
            entry.confirmed && entry.heard.is_some_and(|heard| now.since(heard) < REACHABLE_FOR)
        })
    }

    /// True while some node has not been heard of in this process's life or has stopped answering.
    pub(crate) fn incomplete(&self) -> bool {
        self.entries.read().values().any(|entry| !entry.confirmed)
    }

    /// What may be told to others: only what was seen, or old rumours would go round for ever.
    pub(crate) fn confirmed(&self) -> Vec<Member> {
        self.members(|entry| entry.confirmed)
    }

    /// Everything, for the hint file and for greeting.
    pub(crate) fn all(&self) -> Vec<Member> {
        self.members(|_| true)
    }

    fn members(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Member> {
        let entries = self.entries.read();
        let wanted = entries.iter().filter(|(_, entry)| wanted(entry));
        wanted
            .map(|(&node, entry)| Member {
                node,
                uuid: entry.uuid,
                address: entry.address.clone(),
                zone: entry.zone.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: u64, address: &str) -> Member {
        Member {
            node: NodeId(node),
            uuid: NodeUuid(u128::from(node)),
            address: address.to_owned(),
            zone: String::new(),
        }
    }

    fn at(secs: u64) -> Instant {
        Instant::from_nanos(secs * 1_000_000_000)
    }

    #[test]
    fn a_rumour_fills_gaps_but_does_not_replace_what_was_seen() {
        let book = AddressBook::new([member(1, "old:1")]);
        assert!(book.rumour(&member(1, "new:1")));
        assert_eq!(book.address(NodeId(1)).as_deref(), Some("new:1"));
        assert!(book.greeted(&member(1, "seen:1"), 3, at(1)));
        assert!(!book.rumour(&member(1, "new:1")));
        assert_eq!(book.confirmed(), vec![member(1, "seen:1")]);
        book.failed("seen:1");
        assert!(book.incomplete());
        assert!(book.rumour(&member(1, "newer:1")));
        assert_eq!(book.address(NodeId(1)).as_deref(), Some("newer:1"));
    }

    #[test]
    fn a_greeting_of_an_older_incarnation_is_ignored() {
        let book = AddressBook::new([]);
        assert!(book.greeted(&member(2, "b:2"), 7, at(1)));
        assert!(!book.greeted(&member(2, "a:2"), 6, at(2)));
        assert_eq!(book.address(NodeId(2)).as_deref(), Some("b:2"));
        assert!(book.greeted(&member(2, "c:2"), 8, at(3)));
    }

    #[test]
    fn made_up_nodes_do_not_fill_the_memory() {
        let book = AddressBook::new([]);
        for node in 1..=2 * MEMBERS_MAX as u64 {
            book.rumour(&member(node, "x:1"));
            book.greeted(&member(node, "x:1"), 1, at(1));
        }
        assert_eq!(book.all().len(), MEMBERS_MAX);
    }

    #[test]
    fn reachable_means_heard_of_lately_and_not_failed() {
        let book = AddressBook::new([member(1, "a:1")]);
        assert!(!book.reachable(NodeId(1), at(0)));
        book.greeted(&member(1, "a:1"), 1, at(10));
        assert!(book.reachable(NodeId(1), at(20)));
        assert!(!book.reachable(NodeId(1), at(30)));
        book.failed("a:1");
        assert!(!book.reachable(NodeId(1), at(11)));
    }
}
