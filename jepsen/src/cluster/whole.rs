//! Whether a cluster is whole again, judged from what its nodes say of themselves.
//!
//! Whole is: every node whose disk was not damaged for good serves, hosts its replicas and knows their leaders; every
//! group has a leader; and each of those replicas has applied everything that the leader's log held when it was first
//! seen to lead. That end of the log is the group's mark. A leader's log holds everything that was ever committed and
//! is not cut while it leads, so whoever has reached the mark has all that was committed before everything was
//! healed.
//!
//! A mark stays where it is while clients go on writing, and is set anew only by another leader, whose log may lack what
//! the earlier one had not committed. The leader's commit index at the moment of a look would run ahead of
//! followers that are in order, since nodes are not asked at one moment; and the commit index of a leader that was just elected
//! may be far behind what its group had committed, until it has committed an entry of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_proto::v1::{GroupStatus, StatusReply};

/// What became of a cluster after it was healed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// How long it took, or was waited for.
    pub took: Duration,
    /// What was missing to the end; `None`: it is whole.
    pub missing: Option<String>,
    /// How far nodes with damaged disks got, which need not recover: those that have, are not named.
    pub spared: Vec<String>,
}

/// One round of questions.
pub(super) struct Look {
    /// Every node by its number, with what it said, if anything.
    pub(super) said: Vec<(u16, Option<StatusReply>)>,
    /// Nodes whose disks were damaged for good, with the reason.
    pub(super) spoiled: BTreeMap<u16, String>,
}

/// How far the replicas of each group must come.
#[derive(Default)]
pub(super) struct Marks(BTreeMap<u64, Mark>);

/// The end of a leader's log.
struct Mark {
    term: u64,
    leader: u64,
    index: u64,
}

impl Marks {
    /// Sets the mark of each group that has a new leader.
    fn note(&mut self, reply: &StatusReply) {
        for group in reply.groups.iter().filter(|group| leads(reply, group)) {
            let known = self.0.get(&group.group);
            // A term has one leader. Two say so only while the elder has heard of a new term and not of who leads in it:
            // it soon stops, and the other has the mark then.
            let new = known.is_none_or(|mark| {
                group.term > mark.term || (group.term == mark.term && reply.node != mark.leader)
            });
            if new {
                let mark = Mark {
                    term: group.term,
                    leader: reply.node,
                    index: group.last_index,
                };
                self.0.insert(group.group, mark);
            }
        }
    }

    /// The groups in which a node is not yet where it must be, in words.
    fn behind(&self, reply: &StatusReply) -> Vec<String> {
        let short = |group: &GroupStatus| {
            let mark = self.0.get(&group.group).map(|mark| mark.index)?;
            let (id, applied) = (group.group, group.applied_index);
            (group.hosted && applied < mark).then(|| {
                format!("has applied entry {applied} of group {id}, whose leader's log ended at {mark}")
            })
        };
        reply.groups.iter().filter_map(short).collect()
    }
}

impl Look {
    /// What keeps the cluster from being whole, for people.
    pub(super) fn missing(&self, marks: &mut Marks) -> Option<String> {
        let replies = self.said.iter().filter_map(|(_, reply)| reply.as_ref());
        replies.for_each(|reply| marks.note(reply));
        let required = || {
            let sound = self
                .said
                .iter()
                .filter(|(node, _)| !self.spoiled.contains_key(node));
            sound.map(|(node, reply)| (node, reply.as_ref()))
        };
        let out = required().find_map(|(node, reply)| Some(format!("node {node} {}", out(reply)?)));
        let behind = || {
            required().find_map(|(node, reply)| {
                let first = marks.behind(reply?).into_iter().next()?;
                Some(format!("node {node} {first}"))
            })
        };
        out.or_else(|| self.orphan()).or_else(behind)
    }

    /// A group that nobody leads.
    fn orphan(&self) -> Option<String> {
        let mut led = BTreeMap::<u64, bool>::new();
        for reply in self.said.iter().filter_map(|(_, reply)| reply.as_ref()) {
            for group in &reply.groups {
                *led.entry(group.group).or_default() |= leads(reply, group);
            }
        }
        if led.keys().all(|group| *group == 0) {
            return Some("there are no data groups".to_owned());
        }
        let orphan = led.iter().find(|(_, led)| !**led)?.0;
        Some(format!("group {orphan} has no leader"))
    }

    /// How far nodes are that need not recover; one that has is not named.
    pub(super) fn spared(&self, marks: &Marks) -> Vec<String> {
        let line = |(node, reply): &(u16, Option<StatusReply>)| {
            let why = self.spoiled.get(node)?;
            let state = match (out(reply.as_ref()), reply) {
                (Some(out), _) => format!("not serving: it {out}"),
                (None, Some(reply)) => {
                    let behind = marks.behind(reply);
                    (!behind.is_empty()).then(|| format!("behind: it {}", behind.join(", ")))?
                }
                (None, None) => return None,
            };
            Some(format!("node {node} ({why}) is {state}"))
        };
        self.said.iter().filter_map(line).collect()
    }
}

/// Why a node is not in order, behind its number; `None` if it is.
fn out(reply: Option<&StatusReply>) -> Option<String> {
    let Some(reply) = reply else {
        return Some("does not answer".to_owned());
    };
    if reply.state != "serving" {
        return Some(format!("is {:?}", reply.state));
    }
    reply.groups.iter().find_map(|group| {
        let own = group.replicas.iter().any(|replica| replica.node == reply.node);
        if own && !group.hosted {
            return Some(format!("does not run its replica of group {}", group.group));
        }
        (group.hosted && group.leader_node == 0).then(|| format!("knows no leader of group {}", group.group))
    })
}

/// Whether the answering node believes that it leads a group.
pub(super) fn leads(reply: &StatusReply, group: &GroupStatus) -> bool {
    group.hosted && group.leader_node == reply.node
}

#[cfg(test)]
mod tests {
    use atoll_proto::v1::ReplicaStatus;

    use super::*;

    /// Node `node` of three, whose ids are its numbers, with one replica of group 0 and one of group 1.
    fn reply(node: u64, leader: u64, term: u64, last: u64, applied: u64) -> StatusReply {
        let group = |group| GroupStatus {
            group,
            replicas: (1..=3)
                .map(|node| ReplicaStatus { replica: node, node })
                .collect(),
            leader_node: leader,
            term,
            last_index: last,
            applied_index: applied,
            hosted: true,
            ..GroupStatus::default()
        };
        StatusReply {
            node,
            state: "serving".to_owned(),
            groups: vec![group(0), group(1)],
            ..StatusReply::default()
        }
    }

    fn look(said: Vec<StatusReply>) -> Look {
        Look {
            said: said
                .into_iter()
                .map(|reply| (reply.node as u16, Some(reply)))
                .collect(),
            spoiled: BTreeMap::new(),
        }
    }

    fn node(look: &mut Look, node: usize) -> &mut StatusReply {
        look.said[node - 1].1.as_mut().unwrap()
    }

    /// Node 1 leads in term 2 with a log up to 90; the others have applied this much.
    fn three(applied: [u64; 3]) -> Look {
        let said = applied.into_iter().zip(1..);
        look(
            said.map(|(applied, node)| reply(node, 1, 2, 90.max(applied), applied))
                .collect(),
        )
    }

    #[test]
    fn who_has_not_caught_up_keeps_it_from_being_whole() {
        let missing = |applied| three(applied).missing(&mut Marks::default());
        assert_eq!(missing([90, 90, 90]), None);
        let expected = "node 3 has applied entry 89 of group 0, whose leader's log ended at 90";
        assert_eq!(missing([90, 90, 89]).as_deref(), Some(expected));
        // What was just elected has a log and knows little of what is committed: it is held to its log all the same.
        assert!(
            missing([7, 90, 90])
                .unwrap()
                .starts_with("node 1 has applied entry 7")
        );
    }

    #[test]
    fn the_mark_stays_while_clients_write() {
        let mut marks = Marks::default();
        assert!(three([90, 90, 80]).missing(&mut marks).is_some());
        // Everybody is further, and behind the leader as it is now; nobody is behind what it was.
        assert_eq!(three([900, 850, 90]).missing(&mut marks), None);
    }

    #[test]
    fn another_leader_sets_it_anew() {
        let led =
            |leader, term, last: u64| look((1..=3).map(|node| reply(node, leader, term, last, 60)).collect());
        let mut marks = Marks::default();
        assert!(led(1, 2, 90).missing(&mut marks).is_some());
        assert!(
            led(1, 2, 60).missing(&mut marks).is_some(),
            "its log does not get shorter"
        );
        // What the first had not committed is gone: its mark would never be reached.
        assert_eq!(led(2, 3, 60).missing(&mut marks), None);
        assert_eq!(
            led(1, 2, 90).missing(&mut marks),
            None,
            "an old leader has no say"
        );
        // One that knows of the new term and not of its leader has had its say, and then the leader has.
        assert!(led(1, 4, 90).missing(&mut marks).is_some());
        assert_eq!(led(3, 4, 60).missing(&mut marks), None);
    }

    #[test]
    fn nodes_that_are_not_in_order_are_told_first() {
        type Change = fn(&mut Look);
        let cases: [(Change, &str); 5] = [
            (|look| look.said[1].1 = None, "node 2 does not answer"),
            (
                |look| node(look, 2).state = "starting".to_owned(),
                "node 2 is \"starting\"",
            ),
            (
                |look| node(look, 3).groups[1].leader_node = 0,
                "node 3 knows no leader of group 1",
            ),
            (
                |look| node(look, 3).groups[1].hosted = false,
                "node 3 does not run its replica of group 1",
            ),
            (
                |look| node(look, 1).groups[1].leader_node = 2,
                "group 1 has no leader",
            ),
        ];
        for (change, expected) in cases {
            let mut look = three([90, 90, 10]);
            change(&mut look);
            assert_eq!(look.missing(&mut Marks::default()).as_deref(), Some(expected));
        }
        // Who has no replica of a group need not run one.
        let mut look = three([90, 90, 90]);
        let group = &mut node(&mut look, 3).groups[1];
        group.hosted = false;
        group.replicas.pop();
        assert_eq!(look.missing(&mut Marks::default()), None);
    }

    #[test]
    fn damaged_disks_are_told_of_and_not_judged() {
        let spoiled = |applied, change: fn(&mut Look)| {
            let mut look = three(applied);
            look.spoiled.insert(3, "disk/wipe".to_owned());
            change(&mut look);
            let mut marks = Marks::default();
            assert_eq!(look.missing(&mut marks), None);
            look.spared(&marks)
        };
        assert_eq!(spoiled([90, 90, 90], |_| ()), [""; 0]);
        assert_eq!(
            spoiled([90, 90, 10], |look| node(look, 3).groups[0].applied_index = 90),
            [
                "node 3 (disk/wipe) is behind: it has applied entry 10 of group 1, whose leader's log ended at 90"
            ]
        );
        assert_eq!(
            spoiled([90, 90, 10], |look| look.said[2].1 = None),
            ["node 3 (disk/wipe) is not serving: it does not answer"]
        );
    }
}
