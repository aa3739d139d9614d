//! Taking the steps of a plan, and undoing them when their time is over.

use atoll_client::admin;
use atoll_env::Instant;
use atoll_env::vfs::{Crash, DiskTrouble};
use atoll_types::{GroupId, NodeId};

use super::{World, node_address, node_name};
use crate::nemesis::{Action, Direction, Step, Who};

/// Something to do at some time.
#[derive(Clone, Debug)]
pub(super) enum Due {
    Start(usize),
    /// If this process is still the one that was paused.
    Resume(usize, u64),
    /// If this process, which was to end by itself, is still there.
    TurnOff(usize, u64),
    SpeedUp(usize, u64),
    Heal(Vec<Direction>),
    Hasten(Vec<Direction>),
    MendDisk(usize),
    EmptyDisk(usize),
}

impl World {
    pub(super) fn schedule(&mut self, at: Instant, due: Due) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), due);
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// Does what is due by now.
    pub(crate) fn do_due(&mut self) {
        let now = self.clock.now();
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let due = entry.remove();
            self.trace.event("nemesis", &format!("ends: {due:?}"));
            self.end(due);
        }
    }

    fn end(&mut self, due: Due) {
        match due {
            Due::Start(node) => self.start(node),
            Due::Resume(node, process) => {
                if let Some(process) = self.process(node, process) {
                    process.resume();
                }
            }
            Due::TurnOff(node, process) => {
                if self.process(node, process).is_some() {
                    self.end_process(node, Crash::Process);
                    self.start(node);
                }
            }
            Due::SpeedUp(node, process) => {
                if let Some(process) = self.process(node, process) {
                    process.scope.slow_down(std::time::Duration::ZERO);
                }
            }
            Due::Heal(directions) => directions.iter().for_each(|(from, to)| self.net.heal(from, to)),
            Due::Hasten(directions) => {
                for (from, to) in &directions {
                    self.net.clear_delay(from, to);
                }
            }
            Due::MendDisk(node) => self.set_disk(node, DiskTrouble::default()),
            Due::EmptyDisk(node) => {
                if let Some(machine) = self.machines.get(&node) {
                    machine.disk.set_free_bytes(u64::MAX);
                }
            }
        }
    }

    /// The process of a node, if it is still this one.
    fn process(&mut self, node: usize, number: u64) -> Option<&mut super::machine::Process> {
        let machine = self.machines.get_mut(&node)?;
        machine.process.as_mut().filter(|_| machine.processes == number)
    }

    fn set_disk(&self, node: usize, trouble: DiskTrouble) {
        if let Some(machine) = self.machines.get(&node) {
            machine.disk.set_trouble(trouble);
        }
    }

    fn find(&self, who: Who) -> Option<usize> {
        match who {
            Who::Node(node) => Some(node),
            Who::Leader(group) => self.leader(group),
        }
    }

    /// Does a step; what it begins ends after its time.
    pub(crate) fn take(&mut self, step: &Step) {
        self.trace.event("nemesis", &step.to_string());
        let end = self.clock.now() + step.lasts;
        match &step.action {
            Action::Crash(who, how) => {
                if let Some(node) = self.find(*who).filter(|node| self.may_lose(*node)) {
                    self.crash_until(node, *how, end);
                }
            }
            Action::Blackout(hows) => {
                self.count("blackouts");
                let late = step.lasts.as_millis() as u64;
                for (node, how) in (1..).zip(hows).collect::<Vec<_>>() {
                    let back = self.clock.now() + self.luck.millis(late / 10..late + 1);
                    self.crash_until(node, *how, back);
                }
            }
            Action::Pause(who) => self.pause(*who, end),
            Action::Slow(who, drag) => {
                let Some(node) = self.find(*who) else { return };
                let number = self.machines.get(&node).map_or(0, |machine| machine.processes);
                if let Some(process) = self.process(node, number) {
                    process.scope.slow_down(*drag);
                    self.count("slow nodes");
                    self.schedule(end, Due::SpeedUp(node, number));
                }
            }
            Action::Shutdown(who) => {
                if let Some(node) = self.find(*who).filter(|node| self.may_lose(*node)) {
                    self.shut_down(node, end);
                }
            }
            Action::Transfer(group, to) => self.transfer(*group, *to),
            Action::Cut(directions) => {
                self.count("cuts");
                for (from, to) in directions {
                    self.net.cut_one_way(from, to);
                }
                self.schedule(end, Due::Heal(directions.clone()));
            }
            Action::SlowLinks(directions, delay) => {
                self.count("slow links");
                for (from, to) in directions {
                    self.net.set_delay(from, to, delay.clone());
                }
                self.schedule(end, Due::Hasten(directions.clone()));
            }
            Action::Break(directions) => {
                self.count("broken connections");
                for (from, to) in directions {
                    self.net.break_connections(from, to);
                }
            }
            Action::Disk(node, trouble) => {
                self.set_disk(*node, trouble.clone());
                self.schedule(end, Due::MendDisk(*node));
            }
            Action::Fill(node, free) => {
                if let Some(machine) = self.machines.get(node) {
                    machine.disk.set_free_bytes(*free);
                }
                self.schedule(end, Due::EmptyDisk(*node));
            }
            Action::Flip(node, bits) => self.flip(*node, *bits),
        }
    }

    fn pause(&mut self, who: Who, end: Instant) {
        let Some(node) = self.find(who) else { return };
        let number = self.machines.get(&node).map_or(0, |machine| machine.processes);
        if let Some(process) = self.process(node, number) {
            process.scope.pause();
            process.pauses += 1;
            self.count("pauses");
            self.schedule(end, Due::Resume(node, number));
        }
    }

    /// Ends a process in order. Not where that could not be told from a crash that is not allowed.
    fn shut_down(&mut self, node: usize, end: Instant) {
        let Some(machine) = self
            .machines
            .get_mut(&node)
            .filter(|machine| !machine.is_damaged())
        else {
            return;
        };
        let number = machine.processes;
        let Some(process) = &mut machine.process else {
            return;
        };
        let Some(running) = process.node.lock().take() else {
            return;
        };
        process.leaving = true;
        let (trace, name) = (self.trace.clone(), node_name(node));
        process.scope.spawn(Box::pin(async move {
            running.shutdown().await;
            trace.event(&name, "shut down");
        }));
        self.count("shutdowns");
        self.schedule(end, Due::TurnOff(node, number));
    }

    fn transfer(&mut self, group: u64, to: u64) {
        let Some(leader) = self.leader(group) else { return };
        self.count("leaderships handed over");
        let (env, address) = (self.visitor("operator"), node_address(leader));
        let spawn = env.spawn.clone();
        spawn.spawn(Box::pin(async move {
            // Whether it is done, refused or lost: all of it must be borne.
            let _ = admin::transfer_leader(&env, &address, GroupId(group), NodeId(to)).await;
        }));
    }

    fn flip(&mut self, node: usize, bits: u64) {
        let Some(machine) = self.machines.get_mut(&node) else {
            return;
        };
        // Only while somebody writes: see Machine::may_crash.
        if machine.process.is_none() {
            return;
        }
        for _ in 0..bits {
            let place = machine.disk.flip_somewhere("/journal/");
            self.trace
                .event(&node_name(node), &format!("a bit flips: {place:?}"));
        }
        machine.look();
        self.invariants.borrow_mut().distrust(node);
    }

    /// True if a majority stays up without this node.
    fn may_lose(&self, node: usize) -> bool {
        let up = self
            .machines
            .iter()
            .filter(|(number, machine)| **number != node && machine.process.is_some())
            .count();
        up > self.machines.len() / 2
    }

    /// Ends a node's process, if there is one and its disk allows it now; the next one starts then.
    fn crash_until(&mut self, node: usize, how: Crash, back: Instant) {
        let Some(machine) = self.machines.get_mut(&node) else {
            return;
        };
        if machine.process.is_none() || !machine.may_crash() {
            return;
        }
        self.look_at_crash(node);
        self.end_process(node, how);
        self.count(match how {
            Crash::Process => "crashes of a process",
            Crash::LoseAll => "crashes that lose all un-synced bytes",
            Crash::Random => "crashes that tear",
        });
        self.schedule(back, Due::Start(node));
    }

    pub(super) fn end_process(&mut self, node: usize, how: Crash) {
        let Some(machine) = self.machines.get_mut(&node) else {
            return;
        };
        let Some(process) = machine.process.take() else {
            return;
        };
        process.scope.end();
        self.net.crash(&node_name(node));
        machine.disk = machine.disk.crash(how);
        if machine.is_damaged() {
            self.invariants.borrow_mut().distrust(node);
        }
    }
}
