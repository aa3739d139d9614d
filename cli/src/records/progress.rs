//! How far a pass over records is: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use atoll_env::{Clock, Env, Instant};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::totals::Totals;
use crate::units::rate;

const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on stderr.
pub(crate) struct Progress {
    clock: Clock,
    what: &'static str,
    start: Instant,
    shown: Instant,
    /// Absent where nobody watches.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins; `length` is in the unit later given to [`Progress::show`].
    pub(crate) fn new(env: &Env, what: &'static str, length: Option<u64>) -> Self {
        let start = env.clock.now();
        let bar = io::stderr().is_terminal().then(|| bar(length));
        Self {
            clock: env.clock.clone(),
            what,
            start,
            shown: start,
            bar,
        }
    }

    /// Shows the state, if it is time to.
    pub(crate) fn show(&mut self, totals: &Totals, position: u64) {
        let now = self.clock.now();
        let every = if self.bar.is_some() { BAR_EVERY } else { LINE_EVERY };
        if now.since(self.shown) < every {
            return;
        }
        self.shown = now;
        let message = self.message(totals, now.since(self.start));
        match &self.bar {
            Some(bar) => {
                bar.set_message(message);
                bar.set_position(position);
            }
            // Progress is not worth failing for.
            None => drop(writeln!(io::stderr().lock(), "{message}")),
        }
    }

    /// Removes the bar.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn message(&self, totals: &Totals, elapsed: Duration) -> String {
        let speed = rate(totals.records, elapsed);
        format!("{} {}, {speed:.0}/s", self.what, totals.amount())
    }
}

/// An error is not told behind a bar.
impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn bar(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "[{bar:20}] {percent:>3}%  {wide_msg}"),
        None => (ProgressBar::no_length(), "{spinner} {wide_msg}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}
