//! Looking at the nodes: who leads, who has stopped, whether all agree.

use std::collections::{BTreeMap, BTreeSet};

use atoll_env::trouble;
use atoll_env::vfs::Crash;
use atoll_server::{NodeView, ReplicaView};

use super::apply::Due;
use super::{World, node_name};

fn group_number(view: &ReplicaView) -> u64 {
    view.group.id.0
}

impl World {
    fn views(&self) -> BTreeMap<usize, NodeView> {
        let view = |(node, machine): (&usize, &super::Machine)| Some((*node, machine.view()?));
        self.machines.iter().filter_map(view).collect()
    }

    /// The node that leads a group, or thinks so with the highest term.
    pub(super) fn leader(&self, group: u64) -> Option<usize> {
        let leads = |view: &ReplicaView| group_number(view) == group && view.status.is_leader;
        let views = self.views();
        let terms = views.iter().filter_map(|(node, view)| {
            let view = view.replicas.iter().find(|view| leads(view))?;
            Some((view.status.term, *node))
        });
        terms.max().map(|(_, node)| node)
    }

    /// States worth having been reached that only show when a process ends.
    pub(super) fn look_at_crash(&self, node: usize) {
        let Some(view) = self.machines.get(&node).and_then(super::Machine::view) else {
            return;
        };
        for replica in view.replicas.iter().filter(|replica| replica.status.is_leader) {
            trouble::sometimes("a leader crashed");
            let id = (replica.group.id.0, replica.replica.0);
            if self.invariants.borrow().has_undurable(id) {
                trouble::sometimes("a leader crashed between append and flush");
            }
            if replica.status.last_index > replica.status.committed_index {
                trouble::sometimes("a leader crashed with uncommitted entries");
            }
        }
    }

    /// Looks at everything that may have happened since the last look. Cheap.
    pub(crate) fn look(&mut self) {
        for (node, machine) in &mut self.machines {
            machine.look();
            if machine.is_damaged() {
                self.invariants.borrow_mut().distrust(*node);
            }
        }
        let endings = std::mem::take(&mut *self.endings.lock());
        for (node, process, why) in endings {
            self.ended(node, process, &why);
        }
        let mut found = self.invariants.borrow_mut().take_violations();
        for violation in &found {
            self.trace.event("sim", &format!("VIOLATION {violation}"));
        }
        self.violations.lock().append(&mut found);
    }

    /// A process ended by itself.
    fn ended(&mut self, node: usize, process: u64, why: &str) {
        let Some(machine) = self.machines.get(&node) else {
            return;
        };
        if machine.processes != process || machine.process.is_none() {
            return;
        }
        self.trace.event(&node_name(node), why);
        if !machine.has_failed() && !machine.is_damaged() {
            let violation = format!("n{node} {why}, and its disk gave no reason");
            self.violations.lock().push(violation);
        }
        self.restart(node);
    }

    /// Ends what is left of a process and starts the next one a little later.
    fn restart(&mut self, node: usize) {
        let again = self.clock.now() + self.luck.millis(100..2000);
        self.end_process(node, Crash::Process);
        self.count("processes that ended by themselves");
        self.schedule(again, Due::Start(node));
    }

    /// Looks at every replica: none may stop, or stay out, without a reason. Less cheap.
    pub(crate) fn look_closely(&mut self) {
        let mut stopped = BTreeSet::new();
        for (node, view) in self.views() {
            let Some(machine) = self.machines.get(&node) else {
                continue;
            };
            if (view.damage.is_some() || !view.quarantined.is_empty()) && !machine.is_damaged() {
                let violation = format!(
                    "n{node} keeps {:?} in quarantine ({:?}), but its disk spoiled nothing",
                    view.quarantined, view.damage
                );
                self.violations.lock().push(violation);
            }
            let has_reason = machine.has_failed() || machine.is_damaged();
            let dead = view.replicas.iter().filter(|replica| !replica.status.running);
            for group in dead.map(|replica| replica.group) {
                stopped.insert(node);
                let violation = format!("n{node}: the replica of group {group} has stopped without a reason");
                self.violations
                    .lock()
                    .extend(Some(violation).filter(|_| !has_reason));
            }
        }
        for node in stopped {
            if !self
                .machines
                .get_mut(&node)
                .is_some_and(super::Machine::may_crash)
            {
                continue;
            }
            self.trace.event(&node_name(node), "a replica has stopped");
            self.restart(node);
        }
    }

    /// Ends all faults and starts who is down.
    pub(crate) fn heal_all(&mut self) {
        self.trace.event("nemesis", "heals everything");
        self.agenda.clear();
        self.net.heal_all();
        self.net.clear_delays();
        self.net.calm();
        self.trouble.calm();
        for node in self.machines.keys().copied().collect::<Vec<_>>() {
            let Some(machine) = self.machines.get_mut(&node) else {
                continue;
            };
            machine.heal();
            if machine.process.as_ref().is_some_and(|process| process.leaving) {
                self.end_process(node, Crash::Process);
            }
            self.start(node);
        }
    }

    /// Starts every process again that works on damaged bytes, as somebody would who sees the errors: a
    /// node looks through its whole log only when it starts. True once there is none left.
    pub(crate) fn replace_damaged(&mut self) -> bool {
        let mut done = true;
        for node in self.machines.keys().copied().collect::<Vec<_>>() {
            let Some(machine) = self.machines.get_mut(&node) else {
                continue;
            };
            let works = |view: NodeView| view.replicas.iter().any(|replica| replica.status.running);
            let found = machine.processes > machine.processes_before_healing;
            if !machine.is_damaged() || found || !machine.view().is_some_and(works) {
                continue;
            }
            if machine.may_crash() {
                self.end_process(node, Crash::Process);
                self.start(node);
            } else {
                done = false;
            }
        }
        done
    }

    /// How many disks spoiled bytes, or failed to read them.
    pub(crate) fn unreadable_disks(&self) -> usize {
        let machines = self.machines.values();
        machines.filter(|machine| machine.is_unreadable()).count()
    }

    /// Nodes that must serve: all but those whose disk was damaged.
    fn trusted(&self) -> impl Iterator<Item = (usize, &super::Machine)> {
        self.machines
            .iter()
            .filter(|(_, machine)| !machine.is_damaged())
            .map(|(node, machine)| (*node, machine))
    }

    /// The nodes that should serve and do not, with what they do instead.
    pub(crate) fn not_serving(&self) -> BTreeMap<usize, &'static str> {
        self.trusted()
            .map(|(node, machine)| (node, machine.state().unwrap_or("down")))
            .filter(|(_, state)| *state != "serving")
            .collect()
    }

    /// Replicas, on nodes that can be trusted, that are not where others of their group are.
    pub(crate) fn differences(&self) -> Vec<String> {
        let mut ends: BTreeMap<u64, BTreeMap<u64, usize>> = BTreeMap::new();
        for (node, machine) in self.trusted() {
            for replica in machine.view().unwrap_or_default().replicas {
                let applied = replica.status.applied_index;
                ends.entry(group_number(&replica))
                    .or_default()
                    .insert(applied, node);
            }
        }
        let apart = ends.into_iter().filter(|(_, ends)| ends.len() > 1);
        apart
            .map(|(group, ends)| format!("group {group}: {ends:?}"))
            .collect()
    }
}
