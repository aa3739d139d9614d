//! Programs that do what needs root.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Runs a program to its end and gives what it says.
///
/// # Errors
/// If it cannot be started or fails, with the whole command and what it said.
pub(super) fn run(program: &str, arguments: &[&str], input: Option<&str>) -> io::Result<String> {
    let told =
        |what: &dyn std::fmt::Display| io::Error::other(format!("{program} {}: {what}", arguments.join(" ")));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| told(&error))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // Who ended without reading it says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| told(&error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(told(&String::from_utf8_lossy(&output.stderr).trim()))
}

/// Runs `ip`.
pub(super) fn ip(arguments: &[&str]) -> io::Result<String> {
    run("ip", arguments, None)
}

/// Checks that what is needed is there.
///
/// # Errors
/// Says what is missing and how to get it.
pub(super) fn available() -> io::Result<()> {
    let missing = |text: &str| Err(io::Error::new(io::ErrorKind::Unsupported, text.to_owned()));
    if !rustix::process::geteuid().is_root() {
        return missing("network namespaces need root: run it as root, or use --net proxy");
    }
    if run("ip", &["-Version"], None).is_err() {
        return missing(
            "network namespaces need the program ip: install it (apt-get install iproute2), or use --net proxy",
        );
    }
    if run("iptables-restore", &["--version"], None).is_err() {
        return missing(
            "cuts between namespaces need iptables: install it (apt-get install iptables), or use --net proxy",
        );
    }
    Ok(())
}
