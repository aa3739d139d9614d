//! What must hold at every moment, judged fact by fact as replicas tell them.
//!
//! | property | file | where it comes from |
//! |---|---|---|
//! | election safety: who leads was elected by the durable votes of a majority | `election` | Ongaro & Ousterhout 2014, fig. 3; several leaders of one term are ordered by replica |
//! | log matching: one id, one content and one predecessor | `matching` | same |
//! | leader completeness: a new leader has every committed entry | `completeness` | same |
//! | state machine safety: one entry, and one state, per applied index | `machine` | same; by a running hash |
//! | commit only on a durable majority | `commit` | an acknowledgement promises an fsync on a majority |
//! | nothing durable vanishes, votes and applied entries never go back | `memory` | the restart contract |
//! | one owner per slot, epochs only grow | `slots` | a data group's own state decides what it serves |
//!
//! [`replica`] and [`group`] hold what is known; they judge nothing. A node whose disk was made to
//! spoil bytes is excused from remembering, and from nothing else.

mod commit;
mod completeness;
mod election;
mod group;
mod machine;
mod matching;
mod memory;
mod replica;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use group::Group;
use replica::Replica;
use slots::Slots;

/// Term and leader of an entry; also a vote's term and candidate.
pub(crate) type Id = (u64, u64);

/// What is wrong.
type Wrong = Result<(), String>;

/// Everything the replicas told.
#[derive(Default)]
pub(crate) struct Invariants {
    groups: BTreeMap<(u64, u64), Group>,
    slots: Slots,
    distrusted: BTreeSet<usize>,
    violations: Vec<String>,
    checked: BTreeMap<&'static str, u64>,
}

/// Beyond this many, more say nothing new.
const VIOLATIONS_MAX: usize = 20;

impl Invariants {
    /// This node's disk spoiled bytes: it need not remember what it promised to.
    pub(crate) fn distrust(&mut self, node: usize) {
        self.distrusted.insert(node);
    }

    /// What was found wrong since the last call.
    pub(crate) fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    /// How often each property was checked.
    pub(crate) fn checked(&self) -> &BTreeMap<&'static str, u64> {
        &self.checked
    }

    /// True if this replica has entries, or has entries in the making, that a power cut would take.
    pub(crate) fn has_undurable(&self, (group, replica): (u64, u64)) -> bool {
        let groups = self.groups.iter().filter(|((number, _), _)| *number == group);
        let mut replicas = groups.filter_map(|(_, group)| group.replicas.get(&replica));
        replicas.any(|replica| replica.durable < replica.log.len() as u64)
    }

    /// Takes a fact told by a process of `node`.
    pub(crate) fn hear(&mut self, node: usize, name: &'static str, facts: &[u64]) {
        let &[group, generation, replica, ref facts @ ..] = facts else {
            return;
        };
        let number = (group, generation);
        let judged = match (name, facts) {
            ("shard owns", &[since, epoch, first, last, ..]) => {
                self.tick("slot ownership");
                self.slots.own(number, since, epoch, first..=last)
            }
            ("shard state", &[index, hash, ..]) => {
                self.tick("state machine safety");
                let group = self.groups.entry(number).or_default();
                machine::state(group, index, hash)
            }
            _ => self.raft(node, number, replica, name, facts),
        };
        if let Err(wrong) = judged
            && self.violations.len() < VIOLATIONS_MAX
        {
            let violation =
                format!("group {group}, replica {replica} on n{node}, at {name:?} {facts:?}: {wrong}");
            self.violations.push(violation);
        }
    }

    fn tick(&mut self, property: &'static str) {
        *self.checked.entry(property).or_default() += 1;
    }

    fn raft(
        &mut self,
        node: usize,
        number: (u64, u64),
        replica: u64,
        name: &'static str,
        facts: &[u64],
    ) -> Wrong {
        let trusted = !self.distrusted.contains(&node);
        let group = self.groups.entry(number).or_default();
        let committed = group.committed.len() as u64;
        let one = group.replicas.entry(replica).or_default();
        match (name, facts) {
            ("raft opened", &[end, has_vote, ..]) => {
                let remembered = memory::open(one, end, has_vote > 0);
                self.tick("durable entries survive");
                if trusted { remembered } else { Ok(()) }
            }
            ("raft found", &[index, term, leader, ..]) => {
                let remembered = memory::find(one, index, (term, leader));
                if trusted { remembered } else { Ok(()) }
            }
            ("raft voted", &[term, candidate, committed, ..]) => {
                let remembered = memory::vote(one, (term, candidate), committed > 0);
                group.granted(replica, (term, candidate));
                self.tick("votes never go back");
                if trusted { remembered } else { Ok(()) }
            }
            ("raft appended", &[index, term, leader, crc, ..]) => {
                self.appended(number, replica, index, (term, leader), crc)
            }
            ("raft durable", &[index, ..]) => {
                one.durable = one.durable.max((index + 1).min(one.log.len() as u64));
                Ok(())
            }
            ("raft truncated", &[end, ..]) => {
                one.cut(end);
                Ok(())
            }
            ("raft serves", &[applied, committed, ..]) => {
                self.tick("committed entries are applied before anything is served");
                memory::serve(applied, committed)
            }
            ("raft voters", &[_, voters, ..]) => {
                group.voters = voters as usize;
                Ok(())
            }
            ("raft purged", &[index, term, leader, ..]) => {
                *self.checked.entry("only what was applied is purged").or_default() += 1;
                memory::purge(one, index, (term, leader), &group.committed)
            }
            ("raft installed", &[index, term, leader, ..]) => {
                *self
                    .checked
                    .entry("snapshots are of applied entries")
                    .or_default() += 1;
                memory::install(one, index, (term, leader), &group.committed)
            }
            ("raft snapshot sent", &[_, index, term, leader, ..]) => {
                memory::committed_upto(&group.committed, index, (term, leader)).map(drop)
            }
            ("raft restored", &[entries, ..]) => memory::restore(one, entries, committed),
            ("raft applied", &[index, term, leader, ..]) => {
                self.applied(number, replica, index, (term, leader))
            }
            _ => Err("the simulator does not know this fact".to_owned()),
        }
    }

    fn appended(&mut self, number: (u64, u64), replica: u64, index: u64, id: Id, crc: u64) -> Wrong {
        self.tick("log matching");
        let group = self.groups.entry(number).or_default();
        let before = group.replicas.entry(replica).or_default().append(index, id)?;
        // Nobody leads term 0: a group's first entry is given to it, by any of its replicas.
        let begins = id.0 > 0 && id.1 == replica && group.led.insert(id);
        matching::append(group, index, id, crc, before)?;
        if begins {
            self.tick("election safety");
            self.tick("leader completeness");
            let group = self.groups.entry(number).or_default();
            election::leads(group, id)?;
            completeness::leads(group, replica, id)?;
        }
        Ok(())
    }

    fn applied(&mut self, number: (u64, u64), replica: u64, index: u64, id: Id) -> Wrong {
        self.tick("applied entries");
        let group = self.groups.entry(number).or_default();
        memory::apply(group.replicas.entry(replica).or_default(), index, id)?;
        if machine::apply(group, index, id)? {
            self.tick("commit on a durable majority");
            let group = self.groups.entry(number).or_default();
            commit::first(group, index, id)?;
        }
        Ok(())
    }
}
