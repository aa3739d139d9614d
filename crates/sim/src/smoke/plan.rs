//! The faults of a run, decided before it begins: a list that can be read.

use std::time::Duration;

use atoll_env::Rng;
use atoll_env::vfs::Crash;

/// One fault, or the end of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The node's process ends; its disk keeps what it may.
    Crash(usize, Crash),
    /// The node's next process starts.
    Start(usize),
    /// Nothing gets from the first to the second, nor back if `both`.
    Cut { from: String, to: String, both: bool },
    /// Everything gets through between the two.
    Heal(String, String),
}

/// Steps with their times, in order.
///
/// At most one node is down at a time, so that there is a majority most of the time, except that once
/// all of them are without power at the same instant. Cuts come on top: they may well stop everything
/// for a while.
pub(super) fn plan(rng: &Rng, length: Duration, nodes: usize, clients: usize) -> Vec<(Duration, Step)> {
    let mut planner = Planner {
        rng,
        length: length.as_millis() as u64,
        nodes,
        clients,
        steps: Vec::new(),
    };
    planner.fill();
    let mut steps = planner.steps;
    // Stable: what was planned first is done first.
    steps.sort_by_key(|(at, _)| *at);
    steps
        .into_iter()
        .map(|(at, step)| (Duration::from_millis(at), step))
        .collect()
}

struct Planner<'a> {
    rng: &'a Rng,
    length: u64,
    nodes: usize,
    clients: usize,
    steps: Vec<(u64, Step)>,
}

const DOWN_MS_MAX: u64 = 1500;
const CUT_MS_MAX: u64 = 2500;

impl Planner<'_> {
    fn between(&self, from: u64, to: u64) -> u64 {
        from + self.rng.below(to - from)
    }

    fn fill(&mut self) {
        let dark = self.between(self.length * 4 / 10, self.length * 7 / 10);
        for node in 1..=self.nodes {
            let how = self.luck();
            self.steps.push((dark, Step::Crash(node, how)));
            let back = dark + self.between(10, 800);
            self.steps.push((back, Step::Start(node)));
        }
        let (mut at, mut up_again) = (self.between(100, 600), 0);
        let mut turn = 0;
        while at < self.length {
            let near_dark = at + DOWN_MS_MAX >= dark && at < dark + 1000;
            let crash = turn == 0 || (turn > 1 && self.rng.below(100) < 45);
            if crash && at >= up_again && !near_dark {
                up_again = at + self.between(50, DOWN_MS_MAX);
                let (node, how) = (1 + self.rng.below(self.nodes as u64) as usize, self.luck());
                self.steps.push((at, Step::Crash(node, how)));
                self.steps.push((up_again, Step::Start(node)));
            } else {
                self.cut(at);
            }
            turn += 1;
            at += self.between(100, 900);
        }
    }

    fn luck(&self) -> Crash {
        match self.rng.below(4) {
            0 => Crash::Process,
            1 | 2 => Crash::Random,
            _ => Crash::LoseAll,
        }
    }

    fn node(&self) -> String {
        super::node_name(1 + self.rng.below(self.nodes as u64) as usize)
    }

    fn cut(&mut self, at: u64) {
        let to = self.node();
        let mut peers: Vec<String> = (1..=self.nodes).map(super::node_name).collect();
        if self.rng.below(100) < 30 {
            peers = (1..=self.clients).map(super::client_name).collect();
        }
        peers.retain(|peer| *peer != to);
        if self.rng.below(100) < 70 {
            let chosen = self.rng.below(peers.len() as u64) as usize;
            peers = peers.into_iter().skip(chosen).take(1).collect();
        }
        let heal = at + self.between(100, CUT_MS_MAX);
        let (both, turned) = (self.rng.below(100) < 55, self.rng.below(2) == 0);
        for peer in peers {
            let (from, to) = if turned {
                (to.clone(), peer)
            } else {
                (peer, to.clone())
            };
            self.steps.push((heal, Step::Heal(from.clone(), to.clone())));
            self.steps.push((at, Step::Cut { from, to, both }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn follow(down: &mut BTreeSet<usize>, step: &Step, seed: u64) {
        match step {
            Step::Crash(node, _) => assert!(down.insert(*node), "seed {seed}: {node} is down already"),
            Step::Start(node) => assert!(down.remove(node)),
            Step::Cut { .. } | Step::Heal(..) => {}
        }
    }

    #[test]
    fn a_majority_is_up_but_for_one_instant_and_every_plan_has_every_fault() {
        for seed in 0..200 {
            let steps = plan(&Rng::seeded(seed), Duration::from_secs(10), 3, 3);
            let (mut down, mut dark) = (BTreeSet::new(), 0);
            let mut before = Duration::ZERO;
            for (at, step) in &steps {
                assert!(*at >= before);
                before = *at;
                follow(&mut down, step, seed);
                dark += usize::from(matches!(step, Step::Crash(..)) && down.len() == 3);
            }
            assert!(down.is_empty() && dark == 1, "seed {seed}: dark {dark} times");
            assert!(
                steps
                    .iter()
                    .filter(|(_, step)| matches!(step, Step::Crash(..)))
                    .count()
                    > 3
            );
            assert!(steps.iter().any(|(_, step)| matches!(step, Step::Cut { .. })));
        }
    }
}
