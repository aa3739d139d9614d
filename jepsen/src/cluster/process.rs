//! One life of one node: an operating system's process.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running process. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    /// Held open and never written to: when it closes, the node stops.
    _stdin: Option<ChildStdin>,
    /// So many asked for it to stand still.
    pub(super) pauses: u32,
    /// Its end was asked for.
    pub(super) told_to_end: bool,
}

impl Process {
    /// Starts a command line. What it says is appended to `log`; `settings` are added to its environment, from
    /// which everything meant for another `atoll` is taken.
    pub(super) fn spawn(line: &[String], settings: &[(String, String)], log: &Path) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let (program, arguments) = line
            .split_first()
            .ok_or_else(|| io::Error::other("there is no program to start"))?;
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ATOLL_") && name != "ATOLL_LOG" {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(arguments)
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C reaches this program alone, and the system ends the process if
            // this program dies while it is paused.
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        let stdin = child.stdin.take();
        Ok(Self {
            child,
            _stdin: stdin,
            pauses: 0,
            told_to_end: false,
        })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, unless it has ended.
    pub(super) fn signal(&mut self, signal: Signal) {
        // Not reaped yet, so the id cannot be somebody else's.
        if self.ended().is_none()
            && let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
        {
            // It may have ended this moment.
            let _ = kill_process(pid, signal);
        }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until it is gone. Only after a signal that cannot be refused.
    pub(super) fn reap(&mut self) {
        // Fails only if it was reaped already.
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // It may have ended this moment.
            let _ = self.child.kill();
            self.reap();
        }
    }
}
