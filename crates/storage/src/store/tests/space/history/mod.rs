//! Reads at earlier versions, against every version there ever was, while what is below a moving horizon goes.

mod crash;
mod past;
mod sent;

use std::time::Duration;

use atoll_env::vfs::{Crash, MemVfs};
use atoll_types::Version;
use proptest::prelude::*;

use super::super::look::check_rows;
use super::super::script::op;
use super::super::world::Keeps;
use super::*;
use crate::index::View;
use past::Past;

#[derive(Clone, Debug)]
enum Step {
    Entry(Vec<Op>),
    Begin,
    Wait(u64),
    Settle,
    View,
    Drop,
    Check,
    Restart(Crash),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(op(), 1..5).prop_map(Step::Entry),
        8 => Just(Step::Begin),
        6 => (0..3_000_u64).prop_map(Step::Wait),
        5 => Just(Step::Settle),
        2 => Just(Step::View),
        2 => Just(Step::Drop),
        3 => Just(Step::Check),
        1 => prop::sample::select(vec![Crash::Process, Crash::LoseAll, Crash::Random]).prop_map(Step::Restart),
    ]
}

/// History that comes and goes, of some entries or of all.
fn keeps() -> impl Strategy<Value = Keeps> {
    let span = (
        0..8_u64,
        1..30_u64,
        prop_oneof![0..4_u64, 4..12_u64, Just(u64::MAX)],
    );
    prop::collection::vec(span, 1..4).prop_map(|spans| {
        let mut end = 0;
        let span = |(gap, len, window)| {
            let since = end + gap;
            end = since + len;
            (since, end, window)
        };
        Keeps(spans.into_iter().map(span).collect())
    })
}

struct Play {
    history: History,
    veil: Veil,
    node: Node,
    keeps: Keeps,
    views: Vec<(View, Model, Version)>,
    /// The highest horizon there was.
    highest: Version,
    random: fastrand::Rng,
}

/// Starts a node that keeps history as it is told.
async fn start(process: Process, keeps: &Keeps, history: &History) -> Node {
    let (mut node, restored) = Node::open_with(process, TIGHT).await.unwrap();
    node.keeps = keeps.clone();
    node.restore(restored, history).await;
    node
}

impl Play {
    async fn begin(vfs: MemVfs, keeps: Keeps) -> Self {
        let (history, veil) = (History::default(), Veil::over(vfs));
        Self {
            node: start(veil.process(), &keeps, &history).await,
            history,
            veil,
            keeps,
            views: vec![],
            highest: Version::ZERO,
            random: fastrand::Rng::with_seed(1),
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Entry(ops) => drop(self.node.write(&ops, &mut self.history).await.unwrap()),
            Step::Begin => {
                self.node.begin_checkpoint();
                tokio::task::yield_now().await;
            }
            Step::Wait(micros) => {
                self.node.sleep(Duration::from_micros(micros)).await;
            }
            Step::Settle => assert!(self.node.settle().await),
            Step::View => {
                let view = self.node.group.index().view();
                let horizon = view.horizon();
                self.views.push((view, self.node.model.clone(), horizon));
            }
            Step::Drop if self.views.is_empty() => {}
            Step::Drop => drop(self.views.remove(0)),
            Step::Check => self.check(),
            Step::Restart(crash) => self.restart(crash).await,
        }
        let horizon = self.node.horizon().unwrap_or(Version(self.node.model.version));
        self.highest = self.highest.max(horizon);
    }

    fn check(&mut self) {
        self.node.veil(&self.veil);
        let view = self.node.group.index().view();
        check_rows(&view, &self.node.model, &self.node.journal);
        let now = Version(self.node.model.version);
        let due = self.node.horizon().unwrap_or(now);
        assert!(view.horizon() >= due, "nothing is said to be kept that is not");
        let most = self.highest.max(due);
        assert!(
            view.horizon() <= most,
            "{} and not {most}: refused, and kept",
            view.horizon()
        );
        Past::of(&self.history, self.node.model.applied).check(&self.node, &view, &mut self.random);
        for (view, model, horizon) in &self.views {
            assert_eq!(view.horizon(), *horizon);
            check_rows(view, model, &self.node.journal);
            Past::of(&self.history, model.applied).check(&self.node, view, &mut self.random);
        }
    }

    async fn restart(&mut self, crash: Crash) {
        let gone = self.veil.hidden();
        self.views.clear();
        self.node.process.kill();
        self.veil = Veil::over(self.veil.inner.crash(crash));
        self.node = start(self.veil.process(), &self.keeps, &self.history).await;
        self.veil.hide(gone);
        self.check();
    }

    /// Nothing stays of history that is over, when there was time.
    async fn end(mut self) {
        self.check();
        self.views.clear();
        self.node.keeps = Keeps::default();
        self.keeps = Keeps::default();
        self.node.write(&[all(9)], &mut self.history).await.unwrap();
        self.step(Step::Begin).await;
        self.step(Step::Settle).await;
        for run in self.node.group.index().layers().below.runs() {
            let summary = run.summary();
            assert!(summary.replaced < (summary.entries / 4).max(1), "{summary:?}");
        }
        self.check();
        self.restart(Crash::LoseAll).await;
        self.node.process.kill();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_version_above_the_horizon_is_as_it_was(
        steps in prop::collection::vec(step(), 1..60),
        keeps in keeps(),
        cold in prop::sample::select(vec![0, 300, 1000]),
    ) {
        simulate(async {
            let mut play = Play::begin(cold_disk(cold), keeps).await;
            for step in steps {
                play.step(step).await;
            }
            play.end().await;
        });
    }
}

/// A fixed history of a window that moves, over merges, value files that come and go, and a restart.
#[test]
fn a_window_moves_over_runs_and_value_files() {
    simulate(async {
        let mut play = Play::begin(cold_disk(300), Keeps(vec![(3, u64::MAX, 9)])).await;
        let (mut most_rows, mut seen_deleted) = (0, 0);
        for round in 0..40_u16 {
            let put = Op::Put {
                first: round % 5 * 40,
                count: 60,
                len: 600,
            };
            let delete = Op::Delete {
                first: round % 7 * 30,
                count: 8,
            };
            play.step(Step::Entry(vec![put, delete])).await;
            play.step(Step::Begin).await;
            play.step(Step::Settle).await;
            play.step(Step::Check).await;
            let runs = play.node.group.index().layers().below.runs().to_vec();
            most_rows = most_rows.max(runs.iter().map(|run| run.summary().entries).sum::<u64>());
            seen_deleted = seen_deleted.max(runs.iter().map(|run| run.summary().tombstones).sum());
            if round % 13 == 12 {
                play.step(Step::Restart(Crash::LoseAll)).await;
            }
        }
        assert!(most_rows > 600 && most_rows < 3_000, "{most_rows}");
        assert!(seen_deleted > 30, "{seen_deleted}");
        assert!(!play.node.value_numbers().is_empty());
        play.end().await;
    });
}

/// A key with more versions than a page has rows, in memory and in a run.
#[test]
fn one_key_a_thousand_times() {
    simulate(async {
        let mut play = Play::begin(cold_disk(0), Keeps(vec![(0, u64::MAX, 3)])).await;
        let one = |len| Op::put(7, len);
        for len in 0..3 {
            let entry = std::iter::repeat_n(one(len * 40), 700).collect();
            play.step(Step::Entry(entry)).await;
            play.step(Step::Check).await;
        }
        play.step(Step::Begin).await;
        play.step(Step::Settle).await;
        let below = play.node.group.index().layers().below.clone();
        let entries = below.runs()[0].summary().entries;
        assert_eq!(entries, 2_100, "all of them are above the horizon");
        play.step(Step::Restart(Crash::LoseAll)).await;
        play.end().await;
    });
}

/// Bytes on the disk of a group that keeps nothing are what they were before there was history.
#[test]
fn without_history_a_run_says_nothing_of_it() {
    simulate(async {
        let mut play = Play::begin(cold_disk(0), Keeps::default()).await;
        for _ in 0..3 {
            play.step(Step::Entry(vec![all(40), all(80)])).await;
            play.step(Step::Begin).await;
            play.step(Step::Settle).await;
        }
        for run in play.node.group.index().layers().below.runs() {
            let summary = run.summary();
            assert_eq!((summary.replaced, summary.entries), (0, u64::from(KEYS)));
        }
        let view = play.node.group.index().view();
        assert_eq!(view.horizon(), view.version());
        drop(view);
        play.end().await;
    });
}
