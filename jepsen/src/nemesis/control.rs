//! The control files of a fault build: what its disk and its clocks do.
//!
//! Several faults of one node share its file: each owns some fields of it, and a field has one owner at a time.

#![expect(
    clippy::disallowed_methods,
    reason = "control files are the operating system's"
)]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use atoll_env::Clock;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::Lack;

/// A node that runs looks at its file twenty times a second; one that does not answer in this time is paused, or ended.
const EFFECT_MAX: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What the version of a fault build says.
const FAULT_BUILD: &str = "FAULT BUILD";

/// Files are read, changed and written back by one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// What programs said of themselves.
static PROGRAMS: Mutex<BTreeMap<PathBuf, bool>> = Mutex::new(BTreeMap::new());

/// Fields of a control file.
pub type Fields = Map<String, Value>;

/// Whether a program is a fault build, by its own word; it is asked once.
pub fn is_fault_build(program: &Path) -> bool {
    if let Some(known) = PROGRAMS.lock().get(program) {
        return *known;
    }
    let said = Command::new(program).arg("--version").output();
    let is = said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(FAULT_BUILD));
    PROGRAMS.lock().insert(program.to_owned(), is);
    is
}

/// Whether faults of this kind cannot be had from a program.
pub fn missing(program: &Path) -> Option<Lack> {
    (!is_fault_build(program)).then_some(Lack::FaultBuild)
}

/// Adds fields to a control file. False, and nothing changed, if one of them is somebody else's already.
pub fn lay(file: &Path, fields: &Fields) -> io::Result<bool> {
    let _alone = ONE_AT_A_TIME.lock();
    let mut all = read(file)?;
    if fields.keys().any(|name| all.contains_key(name)) {
        return Ok(false);
    }
    all.extend(fields.clone());
    write(file, &all)?;
    Ok(true)
}

/// Takes fields out of a control file.
pub fn lift(file: &Path, fields: &Fields) -> io::Result<()> {
    let _alone = ONE_AT_A_TIME.lock();
    let mut all = read(file)?;
    all.retain(|name, _| !fields.contains_key(name));
    write(file, &all)
}

/// Waits until a running node says that these fields are in effect. False if it does not.
pub async fn in_effect(clock: &Clock, file: &Path, fields: &Fields) -> bool {
    let mut applied = file.to_owned().into_os_string();
    applied.push(".applied");
    let applied = PathBuf::from(applied);
    let seen = async {
        loop {
            // Half written is not yet written.
            let now = read(&applied).unwrap_or_default();
            if fields.iter().all(|(name, value)| now.get(name) == Some(value)) {
                return;
            }
            clock.sleep(LOOK_EVERY).await;
        }
    };
    clock.timeout(EFFECT_MAX, seen).await.is_ok()
}

fn read(file: &Path) -> io::Result<Fields> {
    match std::fs::read_to_string(file) {
        Ok(text) if text.trim().is_empty() => Ok(Fields::new()),
        Ok(text) => Ok(serde_json::from_str(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Fields::new()),
        Err(error) => Err(error),
    }
}

/// Whole or not at all: a node may read it at any moment.
fn write(file: &Path, fields: &Fields) -> io::Result<()> {
    let mut fresh = file.to_owned().into_os_string();
    fresh.push(".new");
    std::fs::write(&fresh, serde_json::to_string(fields)?)?;
    std::fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn faults_share_a_file_and_a_field_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node-1.faults.json");
        let clock = fields(json!({"clock_rate": 1.1}));
        let disk = fields(json!({"fsync": "slow", "fsync_ms": 200}));
        assert!(lay(&file, &clock).unwrap());
        assert!(lay(&file, &disk).unwrap());
        assert!(!lay(&file, &fields(json!({"fsync": "error", "write": "full"}))).unwrap());
        let both = json!({"clock_rate": 1.1, "fsync": "slow", "fsync_ms": 200});
        assert_eq!(Value::Object(read(&file).unwrap()), both, "nothing was changed");
        lift(&file, &disk).unwrap();
        assert_eq!(read(&file).unwrap(), clock);
        lift(&file, &clock).unwrap();
        assert!(read(&file).unwrap().is_empty());
    }

    #[tokio::test]
    async fn only_what_the_node_has_taken_up_is_in_effect() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        let clock = Clock::boot();
        let wanted = fields(json!({"write": "full"}));
        assert!(lay(&file, &wanted).unwrap());
        let soon = in_effect(&clock, &file, &wanted);
        std::fs::write(
            dir.path().join("f.applied"),
            r#"{"write": "full", "clock_rate": 2.0}"#,
        )
        .unwrap();
        assert!(soon.await);
        assert!(!in_effect(&clock, &file, &fields(json!({"write": "error"}))).await);
    }

    #[test]
    fn a_program_that_is_no_fault_build_is_told_apart() {
        assert!(!is_fault_build(Path::new("/bin/true")));
        assert!(missing(Path::new("/nowhere/atoll")).is_some_and(|lack| lack == Lack::FaultBuild));
    }
}
