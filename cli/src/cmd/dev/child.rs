//! One node as a child process.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{ChildStdin, Command};

use crate::failure::{Exit, Failure, Result};

/// A running node. Dropping it kills the process.
pub(super) struct Child {
    /// 1, 2, 3, …: the position in this cluster, not the id inside it.
    pub(super) number: u16,
    /// The operating system's process id.
    pub(super) pid: u32,
    process: tokio::process::Child,
    /// Held open and never written to: when it closes, the child stops.
    _stdin: Option<ChildStdin>,
}

impl Child {
    /// Starts this executable with `arguments`; what it says goes to `log`.
    pub(super) fn spawn(number: u16, arguments: &[String], log: &Path, keep_log: bool) -> Result<Self> {
        let cannot = |error: std::io::Error| {
            Failure::new(Exit::Internal, format!("cannot start node {number}: {error}"))
        };
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(cannot)?;
        if !keep_log {
            log.set_len(0).map_err(cannot)?;
        }
        let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
        for (name, _) in std::env::vars_os() {
            // Settings meant for one node would otherwise reach all of them.
            if name.to_string_lossy().starts_with("ATOLL_") && name != "ATOLL_LOG" {
                command.env_remove(name);
            }
        }
        let mut process = command
            .args(arguments)
            .arg("--exit-with-stdin")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log)
            // A group of its own: Ctrl-C reaches the parent alone, which then stops all in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let pid = process.id().unwrap_or_default();
        let stdin = process.stdin.take();
        Ok(Self {
            number,
            pid,
            process,
            _stdin: stdin,
        })
    }

    /// Asks for a graceful stop.
    pub(super) fn tell_to_stop(&mut self) {
        // The id is given only while the process is not reaped, so it cannot be somebody else's.
        let pid = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // It may have ended by itself a moment ago.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for the end and says how it was. May be called again after being cancelled.
    pub(super) async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => format!("cannot be waited for: {error}"),
        }
    }
}
