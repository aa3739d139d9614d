//! Random histories with a journal that is far too large all the time, against a model. After every step the segments
//! that nobody should need are taken away, and everything is read.

use std::time::Duration;

use atoll_env::vfs::{Crash, MemVfs};
use proptest::prelude::*;

use super::super::look::check_rows;
use super::super::script::op;
use super::*;
use crate::index::View;

#[derive(Clone, Debug)]
enum Step {
    Entry(Vec<Op>),
    /// A value of a few pages that is then made longer and longer.
    Long(u16, usize),
    Begin,
    Wait(u64),
    Settle,
    View,
    Drop,
    Restart(Crash),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(op(), 1..5).prop_map(Step::Entry),
        3 => (0..KEYS, 500..6_000_usize).prop_map(|(key, len)| Step::Long(key, len)),
        8 => Just(Step::Begin),
        6 => (0..3_000_u64).prop_map(Step::Wait),
        5 => Just(Step::Settle),
        2 => Just(Step::View),
        2 => Just(Step::Drop),
        1 => prop::sample::select(vec![Crash::Process, Crash::LoseAll, Crash::Random]).prop_map(Step::Restart),
    ]
}

struct Play {
    history: History,
    veil: Veil,
    node: Node,
    views: Vec<(View, Model)>,
    /// The most value files there were.
    files: usize,
}

impl Play {
    async fn begin(vfs: MemVfs) -> Self {
        let (history, veil) = (History::default(), Veil::over(vfs));
        let node = Node::start_with(veil.process(), TIGHT, &history).await;
        Self {
            node: node.unwrap(),
            history,
            veil,
            views: vec![],
            files: 0,
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Entry(ops) => drop(self.node.write(&ops, &mut self.history).await.unwrap()),
            Step::Long(key, len) => {
                let put = Op::put(key, len);
                let append = Op::Append { key, len: len / 3 };
                self.node.write(&[put], &mut self.history).await.unwrap();
                self.node.write(&[append], &mut self.history).await.unwrap();
            }
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
                self.views.push((view, self.node.model.clone()));
            }
            Step::Drop if self.views.is_empty() => {}
            Step::Drop => drop(self.views.remove(0)),
            Step::Restart(crash) => self.restart(crash).await,
        }
        self.check();
    }

    fn check(&mut self) {
        self.node.veil(&self.veil);
        self.files = self.files.max(self.node.value_numbers().len());
        self.node.check_rows();
        for (view, model) in &self.views {
            check_rows(view, model, &self.node.journal);
        }
    }

    async fn restart(&mut self, crash: Crash) {
        let gone = self.veil.hidden();
        self.views.clear();
        self.node.process.kill();
        // The log is still read from there: it was not purged.
        self.veil = Veil::over(self.veil.inner.crash(crash));
        let node = Node::start_with(self.veil.process(), TIGHT, &self.history).await;
        self.node = node.unwrap();
        self.veil.hide(gone);
        self.node.check_rows();
    }

    /// Everything is written and nobody looks: the journal is emptied as far as it should be, and only the files are
    /// left that the manifest names.
    async fn end(mut self) -> usize {
        self.views.clear();
        self.node.write_nothing(&mut self.history).await;
        assert!(self.node.settle().await);
        let need = self.node.store.0.need();
        self.node.begin_checkpoint();
        assert!(self.node.settle().await);
        let low = self.node.store.low_water();
        assert!(
            low.is_none_or(|low| low >= need.evacuate),
            "{low:?} of {}",
            need.evacuate
        );
        self.check();
        let layers = self.node.group.index().layers();
        let needed = self.node.group.index().reach().files;
        assert!(layers.below.values().keys().all(|number| needed.contains(number)));
        let expected = layers.below.runs().len() + needed.len() + 1;
        assert_eq!(self.node.files().len(), expected, "{:?}", self.node.files());
        drop(layers);
        self.restart(Crash::LoseAll).await;
        self.node.process.kill();
        self.files
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_without_the_segments_that_may_go(
        steps in prop::collection::vec(step(), 1..60),
        cold in prop::sample::select(vec![0, 300, 1000]),
    ) {
        simulate(async {
            let mut play = Play::begin(cold_disk(cold)).await;
            for step in steps {
                play.step(step).await;
            }
            play.end().await;
        });
    }
}

/// The same as a fixed history, which is known to move values and to collect files.
#[test]
fn values_move_and_value_files_come_and_go() {
    simulate(async {
        let mut play = Play::begin(cold_disk(300)).await;
        for round in 0..30_u16 {
            let put = Op::Put {
                first: round % 5 * 40,
                count: 60,
                len: 600,
            };
            play.step(Step::Entry(vec![put])).await;
            play.step(Step::Long(500 + round, 3_000)).await;
            play.step(Step::Begin).await;
            play.step(Step::Settle).await;
        }
        assert!(play.files > 1, "{}", play.files);
        let numbers = play.node.value_numbers();
        let (first, last) = (numbers.first().unwrap(), numbers.last().unwrap());
        assert!(*first > 1, "the first value files are gone: {first} to {last}");
        play.end().await;
    });
}
