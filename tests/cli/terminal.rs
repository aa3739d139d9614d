//! The shell on a real terminal: what is typed, completed, cancelled and remembered.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{BINARY, Cluster, PATIENCE};

/// A shell and the terminal that it believes somebody sits at.
struct Terminal {
    shell: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// Everything shown since the last look.
    shown: String,
}

impl Terminal {
    fn shell(endpoints: &str, home: &Path) -> Self {
        let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).unwrap();
        let theirs = || {
            let file = File::options()
                .read(true)
                .write(true)
                .open(name.to_str().unwrap());
            Stdio::from(file.unwrap())
        };
        let shell = Command::new(BINARY)
            .args(["shell", "--endpoints", endpoints])
            .env_clear()
            .env("HOME", home)
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(theirs())
            .stdout(theirs())
            .stderr(theirs())
            .spawn()
            .unwrap();
        let (send, screen) = sync_channel(1024);
        let output = File::from(ours.try_clone().unwrap());
        std::thread::spawn(move || pass_on(output, &send));
        Self {
            shell,
            keyboard: File::from(ours),
            screen,
            shown: String::new(),
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown and forgets everything up to it.
    fn expect(&mut self, wanted: &str) {
        let started = Instant::now();
        loop {
            if let Some(at) = self.shown.find(wanted) {
                self.shown.drain(..at + wanted.len());
                return;
            }
            let left = PATIENCE.saturating_sub(started.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{wanted:?} is not in {:?}", self.shown)
                }
            }
        }
    }
}

/// Until the other side is closed, which shows as an error here, or nobody looks any more.
fn pass_on(mut output: File, screen: &SyncSender<Vec<u8>>) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = output.read(&mut bytes) {
        if screen.send(bytes[..read].to_vec()).is_err() {
            return;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[tokio::test]
async fn a_shell_completes_goes_on_in_the_next_line_and_remembers() {
    let cluster = Cluster::serving(1).await;
    let home = tempfile::tempdir().unwrap();
    let endpoints = cluster.addresses.join(",");
    let mut terminal = Terminal::shell(&endpoints, home.path());
    terminal.expect("atoll> ");

    // A quote that is open takes the next line too.
    terminal.press("put poem 'two lines,\r");
    terminal.press("one value'\r");
    terminal.expect("ok, version ");
    terminal.expect("atoll> ");
    // A command and a key, each completed by Tab.
    terminal.press("ge\tpo\t");
    terminal.expect("poem");
    terminal.press("\r");
    terminal.expect("two lines,");
    terminal.expect("one value");
    terminal.expect("atoll> ");
    // A slip is told with what was meant.
    terminal.press("statsu\r");
    terminal.expect("a similar subcommand exists: 'status'");
    terminal.expect("atoll> ");
    // Ctrl-C gives the line up, not the shell.
    terminal.press("put never this\x03");
    terminal.expect("atoll> ");
    terminal.press("get never\r");
    terminal.expect("is absent");
    terminal.expect("atoll> ");
    terminal.press("incr visits 41\r");
    terminal.expect("41");
    terminal.expect("atoll> ");
    // Ctrl-D leaves.
    terminal.press("\x04");
    let left = terminal.shell.wait().unwrap();
    assert!(left.success(), "{left}");

    // The next shell still knows what was said in this one: the up arrow brings it back.
    let mut again = Terminal::shell(&endpoints, home.path());
    again.expect("atoll> ");
    again.press("\x1b[A");
    again.expect("incr visits 41");
    again.press("\r");
    again.expect("82");
}
