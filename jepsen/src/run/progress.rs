//! What is shown while a run goes on: on stderr, one line that is written anew on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use atoll_env::{Clock, Instant};
use parking_lot::Mutex;

use super::faults::Installations;
use crate::workload::Recorder;

/// Between two lines on a terminal.
const EVERY: Duration = Duration::from_millis(500);
/// Between two lines elsewhere.
const EVERY_PLAIN: Duration = Duration::from_secs(5);
/// The longest line on a terminal.
const WIDTH: usize = 110;

/// Where progress is shown. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    shown: bool,
    terminal: bool,
    /// Whether the last thing written was a line that is to be written anew.
    open: Mutex<bool>,
}

impl Progress {
    /// On stderr.
    pub fn stderr() -> Self {
        Self(Arc::new(Shared {
            shown: true,
            terminal: io::stderr().is_terminal(),
            open: Mutex::new(false),
        }))
    }

    /// Nowhere.
    pub fn none() -> Self {
        Self(Arc::new(Shared {
            shown: false,
            terminal: false,
            open: Mutex::new(false),
        }))
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        if !self.0.shown {
            return;
        }
        let mut open = self.0.open.lock();
        let clear = if *open { "\r\x1b[K" } else { "" };
        // Without a stderr there is nobody to tell.
        let _ = writeln!(io::stderr(), "{clear}{line}");
        *open = false;
    }

    fn show(&self, line: &str) {
        if !self.0.terminal {
            self.say(line);
            return;
        }
        let line: String = line.chars().take(WIDTH).collect();
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
        *self.0.open.lock() = true;
    }

    fn every(&self) -> Duration {
        if self.0.terminal { EVERY } else { EVERY_PLAIN }
    }
}

/// What there is to show.
pub(super) struct Watched {
    pub(super) clock: Clock,
    pub(super) began: Instant,
    pub(super) phase: Arc<Mutex<&'static str>>,
    pub(super) recorder: Recorder,
    pub(super) installations: Arc<Mutex<Installations>>,
}

/// Shows how it goes, until stopped.
pub(super) async fn show(progress: &Progress, watched: &Watched) {
    let mut before = (watched.clock.now(), watched.recorder.tally());
    loop {
        watched.clock.sleep(progress.every()).await;
        let now = (watched.clock.now(), watched.recorder.tally());
        let seconds = now.0.since(before.0).as_secs_f64().max(0.001);
        let per_second = (now.1.succeeded - before.1.succeeded) as f64 / seconds;
        before = now;
        let noted = watched.installations.lock();
        let open: Vec<&str> = noted.open.iter().map(|fault| &fault.what[..]).collect();
        let open = if open.is_empty() {
            "none".to_owned()
        } else {
            open.join("; ")
        };
        let line = format!(
            "{:>4} s  {:<11} {per_second:>6.0} ok/s  {} faults over, now: {open}",
            watched.clock.now().since(watched.began).as_secs(),
            *watched.phase.lock(),
            noted.faults.len(),
        );
        drop(noted);
        progress.show(&line);
    }
}
