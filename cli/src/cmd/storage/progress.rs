//! How far a look at a directory is: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use atoll_env::{Clock, Env, Instant};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::units::bytes;

const BAR_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on stderr, in bytes.
pub(super) struct Progress {
    clock: Clock,
    shown: Instant,
    bar: Option<ProgressBar>,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(env: &Env) -> Self {
        Self {
            clock: env.clock.clone(),
            shown: env.clock.now(),
            bar: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Shows the state, if it is time to. What is done at once is never shown.
    pub(super) fn show(&mut self, done: u64, total: u64) {
        let now = self.clock.now();
        let every = if self.terminal { BAR_EVERY } else { LINE_EVERY };
        if now.since(self.shown) < every {
            return;
        }
        self.shown = now;
        if self.terminal {
            self.bar.get_or_insert_with(|| bar(total)).set_position(done);
        } else {
            // Progress is not worth failing for.
            let _ = writeln!(io::stderr().lock(), "checked {} of {}", bytes(done), bytes(total));
        }
    }
}

/// Nothing is told behind a bar.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    bar.set_draw_target(ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("[{bar:20}] {percent:>3}%  {bytes} of {total_bytes}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
