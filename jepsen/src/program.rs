//! Where the program under test is.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// This executable itself: `atoll verify` tests what it is part of.
pub fn itself() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("where this program is cannot be found out: {error}"))
}

/// `atoll` beside this executable; where that was built by cargo, built first, so that it is not an old one.
pub fn beside() -> Result<PathBuf, String> {
    let own = itself()?;
    let found = own.with_file_name("atoll");
    let profile = match own
        .parent()
        .and_then(Path::file_name)
        .and_then(std::ffi::OsStr::to_str)
    {
        Some("release") => Some("release"),
        Some("debug") => Some("dev"),
        _ => None,
    };
    if let (Some(profile), Some(cargo)) = (profile, std::env::var_os("CARGO")) {
        build(Path::new(&cargo), profile)?;
    }
    if found.is_file() {
        return Ok(found);
    }
    Err(format!(
        "there is no {}: build it, or name it with --binary",
        found.display()
    ))
}

/// What a program says of itself when asked for its version.
pub fn version(program: &Path) -> Result<String, String> {
    let cannot = |why: &str| format!("{} is no program to test: {why}", program.display());
    let said = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot(&error.to_string()))?;
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    if said.starts_with("atoll ") && said.lines().count() == 1 {
        return Ok(said);
    }
    Err(cannot("it does not say that it is atoll"))
}

/// `CARGO` is set by `cargo run`, which builds this program and not the other.
fn build(cargo: &Path, profile: &str) -> Result<(), String> {
    let arguments = [
        "build",
        "--package",
        "atoll",
        "--bin",
        "atoll",
        "--profile",
        profile,
    ];
    // Without a stderr there is nobody to tell.
    let _ = writeln!(
        std::io::stderr(),
        "building what is tested: cargo {}",
        arguments.join(" ")
    );
    let status = Command::new(cargo)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err("the program under test was not built; see above".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_are_not_tested() {
        for other in ["/bin/true", "/bin/ls", "/no/such/program"] {
            let error = version(Path::new(other)).unwrap_err();
            assert!(error.contains(other), "{error}");
        }
    }
}
