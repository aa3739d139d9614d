//! The process dies or the power goes at every operation of a script, and again at every operation of the
//! start that follows. Each start finds the last acknowledged manifest or the one under way, all its files whole,
//! and nothing else; and what a start has shown is there ever after.

use std::io;

use super::*;

#[derive(Clone, Copy)]
enum Step {
    /// Writes and publishes a run of so many bytes.
    Run(usize),
    Values(usize),
    /// Begins a run and never ends it.
    Abandon,
    /// Names all that was published and drops so many of the oldest runs and value files.
    Commit(usize, usize),
    Collect,
    Reopen,
}

fn script() -> Vec<Step> {
    use Step::{Abandon, Collect, Commit, Reopen, Run, Values};
    vec![
        Run(3_000),
        Commit(0, 0),
        Run(700),
        Values(5_000),
        Commit(0, 0),
        Run(1),
        Abandon,
        Values(2_000),
        Commit(2, 1),
        Collect,
        Run(600),
        Reopen,
        Run(400),
        Commit(1, 0),
        Run(2_000),
        Commit(2, 1),
        Reopen,
        Commit(0, 0),
        Collect,
    ]
}

/// What was committed: the last one acknowledged, and the one whose commit has begun.
#[derive(Clone, Default)]
struct History {
    last: Option<Manifest>,
    begun: Option<Manifest>,
}

impl History {
    /// A manifest as [`GroupFolder::commit`] will write it.
    fn begin(&mut self, folder: &GroupFolder, next: &Manifest) {
        let (runs, values) = folder.next_numbers();
        self.begun = Some(Manifest {
            number: self.last.as_ref().map_or(0, |last| last.number) + 1,
            next_run: runs,
            next_value_file: values,
            ..next.clone()
        });
    }

    fn end(&mut self) {
        self.last = self.begun.take();
    }

    fn check(&self, found: Option<&Manifest>) {
        let either = found == self.last.as_ref() || self.begun.is_some() && found == self.begun.as_ref();
        assert!(
            either,
            "found {found:?}, committed {:?}, begun {:?}",
            self.last, self.begun
        );
    }
}

struct Play {
    vfs: MemVfs,
    folder: GroupFolder,
    held: Vec<Arc<GroupFile>>,
    next: Manifest,
    made: u64,
}

impl Play {
    async fn step(&mut self, step: Step, history: &mut History) -> io::Result<()> {
        self.made += 1;
        if history.last.is_none() && history.begun.is_none() {
            // The first file brings an empty manifest with it.
            history.begin(&self.folder, &Manifest::default());
        }
        match step {
            Step::Run(len) => {
                let made = run(&mut self.folder, &bytes(self.made, len)).await;
                self.note_first(history);
                let (file, entry) = made?;
                self.held.push(file);
                self.next.runs.insert(0, entry);
            }
            Step::Values(len) => {
                let (file, entry) = values(&mut self.folder, &bytes(self.made, len)).await?;
                self.held.push(file);
                self.next.value_files.push(entry);
            }
            Step::Abandon => drop(self.folder.create_run().await?),
            Step::Commit(runs, values) => {
                let next = &mut self.next;
                next.runs.truncate(next.runs.len().saturating_sub(runs));
                next.value_files.drain(..values.min(next.value_files.len()));
                next.applied = Some(id(self.made));
                history.begin(&self.folder, next);
                self.folder.commit(next.clone()).await?;
                history.end();
                self.held.clear();
            }
            Step::Collect => drop(self.folder.collect_garbage()?),
            Step::Reopen => {
                self.held.clear();
                let (folder, found) = open(&self.vfs).map_err(io::Error::other)?;
                assert_eq!(found, history.last);
                self.folder = folder;
                self.next = found.unwrap_or_default();
            }
        }
        Ok(())
    }

    fn note_first(&self, history: &mut History) {
        if self.folder.manifest().is_some() && history.last.is_none() {
            history.end();
        }
    }
}

/// Runs the script until its end or until the disk freezes.
async fn play(vfs: &MemVfs) -> History {
    let mut history = History::default();
    let Ok((folder, None)) = open(vfs) else {
        assert!(vfs.is_frozen());
        return history;
    };
    let mut play = Play {
        vfs: vfs.clone(),
        folder,
        held: vec![],
        next: Manifest::default(),
        made: 0,
    };
    for step in script() {
        if let Err(error) = play.step(step, &mut history).await {
            assert!(vfs.is_frozen(), "{error}");
            return history;
        }
    }
    assert!(!vfs.is_frozen());
    history
}

/// Opens and checks; what was found stays, and the folder goes on from it. Returns how many operations opening took.
async fn recover_and_check(vfs: MemVfs, history: &History) -> u64 {
    let before = vfs.operations();
    let (folder, found) = open(&vfs).unwrap();
    let operations = vfs.operations() - before;
    history.check(found.as_ref());
    check_files(&folder);
    assert_eq!(names(&vfs), expected_names(found.as_ref()), "leftovers");
    let vfs = vfs.crash(Crash::LoseAll);
    let (mut folder, again) = open(&vfs).unwrap();
    assert_eq!(again, found, "what a start has shown must not vanish");
    check_files(&folder);
    assert_eq!(names(&vfs), expected_names(found.as_ref()));
    let (_held, entry) = run(&mut folder, b"goes on").await.unwrap();
    let mut next = found.unwrap_or_default();
    next.runs = vec![entry];
    folder.commit(next).await.unwrap();
    folder.collect_garbage().unwrap();
    let next = folder.manifest().cloned();
    let vfs = vfs.crash(Crash::LoseAll);
    let (folder, found) = open(&vfs).unwrap();
    assert_eq!(found, next);
    check_files(&folder);
    operations
}

const CRASHES: [Crash; 3] = [Crash::Process, Crash::LoseAll, Crash::Random];

/// A second crash, at every operation of the start after the first.
async fn crash_twice(crashed: &dyn Fn() -> MemVfs, history: &History) {
    let start = recover_and_check(crashed(), history).await;
    for operation in 1..=start {
        let vfs = crashed();
        vfs.freeze_at(vfs.operations() + operation);
        assert!(open(&vfs).is_err() && vfs.is_frozen());
        for second in CRASHES {
            recover_and_check(vfs.fork(operation).crash(second), history).await;
        }
    }
}

#[test]
fn at_every_operation_and_again_at_every_operation_of_the_start() {
    simulate(async {
        let vfs = MemVfs::default();
        let history = play(&vfs).await;
        assert!(history.begun.is_none());
        let operations = vfs.operations();
        assert!(
            operations > 80,
            "the script is long enough to mean something: {operations}"
        );
        for operation in 1..=operations {
            let frozen = MemVfs::default();
            frozen.freeze_at(operation);
            let history = play(&frozen).await;
            for (crash, seed) in CRASHES.into_iter().chain([Crash::Random; 4]).zip(0..) {
                crash_twice(&|| frozen.fork(seed).crash(crash), &history).await;
            }
        }
    });
}
