//! Random histories on a sound disk.

use std::time::Duration;

use atoll_env::vfs::{Crash, MemVfs};
use proptest::prelude::*;

use super::look::check_view;
use super::model::History;
use super::model::KEYS;
use super::process::cold_disk;
use super::{Model, Node, Op, simulate};
use crate::index::View;

#[derive(Clone, Debug)]
enum Step {
    Entry(Vec<Op>),
    /// Entries so far are durable.
    Sync,
    /// Begins a checkpoint and lets it come to its end in the background.
    Begin,
    /// Lets it go on for so many microseconds.
    Wait(u64),
    /// Waits for it.
    Settle,
    View,
    /// Drops the oldest view.
    Drop,
    Check,
    Restart(Crash),
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let len = || prop_oneof![3 => 0..65_usize, 2 => 65..700_usize, 1 => (70..400_usize).prop_map(|len| len * 4 + 3)];
    let count = || prop_oneof![4 => 1..4_u16, 2 => 60..70_u16, 1 => 200..400_u16];
    prop_oneof![
        5 => (0..KEYS, count(), len()).prop_map(|(first, count, len)| Op::Put { first, count, len }),
        3 => (0..KEYS, count()).prop_map(|(first, count)| Op::Delete { first, count }),
        1 => (0..KEYS, count(), 1..300_usize)
            .prop_map(|(first, count, limit)| Op::Clear { first, count, limit }),
        3 => (0..KEYS, len()).prop_map(|(key, len)| Op::Append { key, len }),
        3 => (0..6_u8, prop::option::weighted(0.7, 0..200_usize))
            .prop_map(|(key, len)| Op::System { key, len }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => prop::collection::vec(op(), 0..5).prop_map(Step::Entry),
        1 => Just(Step::Sync),
        6 => Just(Step::Begin),
        6 => (0..3_000_u64).prop_map(Step::Wait),
        4 => Just(Step::Settle),
        2 => Just(Step::View),
        2 => Just(Step::Drop),
        2 => Just(Step::Check),
        1 => prop::sample::select(vec![Crash::Process, Crash::LoseAll, Crash::Random]).prop_map(Step::Restart),
    ]
}

struct Play {
    history: History,
    vfs: MemVfs,
    node: Node,
    views: Vec<(View, Model)>,
    /// The newest entry known to be durable.
    durable: u64,
}

impl Play {
    async fn begin(vfs: MemVfs) -> Self {
        let history = History::default();
        Self {
            node: Node::start(vfs.clone(), &history).await.unwrap(),
            history,
            vfs,
            views: vec![],
            durable: 0,
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Entry(ops) => drop(self.node.write(&ops, &mut self.history).await.unwrap()),
            Step::Sync => {
                self.node.journal.mark().await.unwrap();
                self.durable = self.node.model.applied;
            }
            Step::Begin => {
                self.node.begin_checkpoint();
                tokio::task::yield_now().await;
            }
            Step::Wait(micros) => {
                self.node.sleep(Duration::from_micros(micros)).await;
            }
            Step::Settle => self.settle().await,
            Step::View => self
                .views
                .push((self.node.group.index().view(), self.node.model.clone())),
            Step::Drop if self.views.is_empty() => {}
            Step::Drop => drop(self.views.remove(0)),
            Step::Check => self.check(),
            Step::Restart(crash) => self.restart(crash).await,
        }
    }

    async fn settle(&mut self) {
        assert!(self.node.settle().await);
        assert_eq!(self.node.group.flushed_index(), self.node.frozen_at);
        self.durable = self.durable.max(self.node.frozen_at);
    }

    fn check(&mut self) {
        self.node.check();
        for (view, model) in &self.views {
            check_view(view, model, &self.node.journal);
        }
    }

    async fn restart(&mut self, crash: Crash) {
        let flushed = self.node.group.flushed_index();
        self.views.clear();
        self.node.process.kill();
        self.vfs = self.vfs.crash(crash);
        self.node = Node::start(self.vfs.clone(), &self.history).await.unwrap();
        let restored = self.node.group.flushed_index();
        assert!(restored >= flushed, "{restored} after {flushed}");
        let applied = self.node.model.applied;
        assert!(
            applied >= self.durable.max(flushed),
            "{applied} of {}",
            self.durable
        );
        assert_eq!(self.node.model, self.history.models[applied as usize]);
        self.node.check();
    }

    async fn end(mut self) {
        self.check();
        self.settle().await;
        self.restart(Crash::Process).await;
        self.views.clear();
        let names = self.node.files().len();
        let runs = self.node.group.index().layers().below.runs().len();
        let expected = if runs == 0 { names.min(1) } else { runs + 1 };
        assert_eq!(names, expected, "{:?}", self.node.files());
        self.node.process.kill();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_was_applied(steps in prop::collection::vec(step(), 1..60), cold in prop::sample::select(vec![0, 300, 1000])) {
        simulate(async {
            let mut play = Play::begin(cold_disk(cold)).await;
            for step in steps {
                play.step(step).await;
            }
            play.end().await;
        });
    }
}

/// Puts and deletions in turns, so that runs are merged above an oldest one that has every key.
#[test]
fn a_key_deleted_above_an_old_run_stays_deleted() {
    simulate(async {
        let mut play = Play::begin(cold_disk(0)).await;
        let all = |len| Op::Put {
            first: 0,
            count: KEYS,
            len,
        };
        play.step(Step::Entry(vec![all(60)])).await;
        play.step(Step::Begin).await;
        play.settle().await;
        for first in 0..12 {
            play.step(Step::Entry(vec![
                Op::Delete {
                    first: first * 3,
                    count: 2,
                },
                Op::System {
                    key: first as u8 / 2,
                    len: (first % 2 == 0).then_some(9),
                },
            ]))
            .await;
            play.step(Step::Begin).await;
            play.settle().await;
            play.check();
        }
        let runs = play.node.group.index().layers().below.runs().len();
        assert!(
            (2..13).contains(&runs),
            "some were merged, and not into the oldest: {runs}"
        );
        play.end().await;
    });
}

/// Whatever is being written: nothing is hidden, nothing comes back, also for views from before.
#[test]
fn at_every_moment_of_a_flush_and_of_a_merge() {
    simulate(async {
        let mut play = Play::begin(cold_disk(300)).await;
        let put = |first, count| Op::Put {
            first,
            count,
            len: 60,
        };
        play.step(Step::Entry(vec![put(0, KEYS)])).await;
        play.step(Step::Begin).await;
        play.settle().await;
        let mut moments = 0;
        for round in 1..5_u16 {
            // Pages of nothing but deleted rows, and rows of every layer in between.
            let first = 20 * round;
            let delete = Op::Delete { first, count: 270 };
            play.step(Step::Entry(vec![
                delete,
                put(7 * round, 10),
                put(500 + round, 30),
            ]))
            .await;
            play.step(Step::View).await;
            play.step(Step::Begin).await;
            play.step(Step::Entry(vec![
                put(250 + round, 3),
                Op::Delete { first: 590, count: 2 },
            ]))
            .await;
            while play.node.is_busy() || !play.node.store.is_idle() {
                play.check();
                play.step(Step::Wait(350)).await;
                moments += 1;
            }
            play.step(Step::Drop).await;
        }
        assert!(moments > 30, "{moments}");
        let cache = play.node.store.row_cache().unwrap();
        let (hits, misses) = (cache.hits(), cache.misses());
        assert!(
            hits > 100 && misses > 100,
            "rows come both ways: {hits} and {misses}"
        );
        play.end().await;
    });
}
