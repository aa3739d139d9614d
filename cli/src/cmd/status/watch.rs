//! Showing something again and again: in place on a terminal, one after the other elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use atoll_env::Env;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::failure::Result;

/// How long a key waits to be seen.
const KEY_EVERY: Duration = Duration::from_millis(100);

/// Where to show, and how it was before.
pub(super) struct Watch {
    in_place: bool,
    /// How keys were read before; `None`: there are no keys to read.
    before: Option<Termios>,
}

impl Watch {
    /// Takes the terminal over, if there is one.
    pub(super) fn begin(in_place: bool) -> Result<Self> {
        let before = (in_place && io::stdin().is_terminal())
            .then(keys_at_once)
            .flatten();
        if in_place {
            // The other screen, without a cursor.
            write(b"\x1b[?1049h\x1b[?25l")?;
        }
        Ok(Self { in_place, before })
    }

    /// Shows lines, as many as there is room for.
    pub(super) fn show(&mut self, lines: &[String]) -> Result {
        let mut bytes = Vec::new();
        if self.in_place {
            let rows = rustix::termios::tcgetwinsize(io::stdout())
                .map_or(24, |size| usize::from(size.ws_row))
                .saturating_sub(1);
            bytes.extend(b"\x1b[H");
            for line in lines.iter().take(rows) {
                bytes.extend(line.as_bytes());
                bytes.extend(b"\x1b[K\r\n");
            }
            bytes.extend(b"\x1b[J\x1b[2mq ends\x1b[0m");
        } else {
            for line in lines {
                bytes.extend(line.as_bytes());
                bytes.push(b'\n');
            }
        }
        write(&bytes)
    }

    /// Waits for the next time; false if the user has seen enough.
    pub(super) async fn wait(&self, env: &Env, interval: Duration) -> bool {
        let until = env.clock.now() + interval;
        while env.clock.now() < until {
            let step = KEY_EVERY.min(until.since(env.clock.now()));
            tokio::select! {
                () = env.clock.sleep(step) => {}
                _ = tokio::signal::ctrl_c() => return false,
            }
            if self.before.is_some() && quit_was_pressed() {
                return false;
            }
        }
        true
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Nothing better can be done for a terminal that refuses.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
        if self.in_place {
            let _ = write(b"\x1b[?25h\x1b[?1049l");
        }
    }
}

/// Keys are given at once, unseen, and a read of none returns at once. Ctrl-C stays a signal.
fn keys_at_once() -> Option<Termios> {
    let before = tcgetattr(io::stdin()).ok()?;
    let mut termios = before.clone();
    termios.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
    termios.special_codes[SpecialCodeIndex::VMIN] = 0;
    termios.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(io::stdin(), OptionalActions::Now, &termios).ok()?;
    Some(before)
}

fn quit_was_pressed() -> bool {
    let mut keys = [0_u8; 16];
    let read = rustix::io::read(io::stdin(), &mut keys).unwrap_or(0);
    keys.iter().take(read).any(|key| matches!(key, b'q' | b'Q'))
}

fn write(bytes: &[u8]) -> Result {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}
