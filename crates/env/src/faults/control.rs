//! What a control file can say.

use atoll_types::Mutant;
use serde::Deserialize;

/// The slowest and the fastest that a boot clock may be made.
const RATE_MIN: f64 = 0.1;
const RATE_MAX: f64 = 10.0;
/// The longest delay of one operation, in milliseconds: a minute.
const DELAY_MS_MAX: u64 = 60_000;
/// How far a wall clock may be moved, in milliseconds: a day.
const OFFSET_MS_MAX: u64 = 86_400_000;

/// Faults of one process, as JSON: `{"fsync": "slow", "fsync_ms": 200}`. Whatever is not said is sound.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Syncs of files and folders.
    pub fsync: Fsync,
    /// How long a slow sync waits first.
    pub fsync_ms: u64,
    /// Reads of files.
    pub read: Read,
    /// Writes to files, and reserving space.
    pub write: Write,
    /// How long a slow write waits first.
    pub write_ms: u64,
    /// How far the wall clock is ahead.
    pub clock_offset_ms: i64,
    /// How fast the boot clock runs, and everything that sleeps by it.
    pub clock_rate: f64,
    /// How far the wall clock jumps ahead in every second [`Control::clock_strobe_period_ms`].
    pub clock_strobe_ms: i64,
    /// See [`Control::clock_strobe_ms`].
    pub clock_strobe_period_ms: u64,
    /// The name of the one deliberate bug that is awake.
    pub mutant: Option<String>,
}

/// What syncs do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fsync {
    /// Work.
    #[default]
    Ok,
    /// Fail with EIO.
    Error,
    /// The first fails with EIO, the others say that all is well.
    ErrorOnce,
    /// Take longer.
    Slow,
}

/// What reads do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Read {
    /// Work.
    #[default]
    Ok,
    /// Fail with EIO.
    Error,
}

/// What writes do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Write {
    /// Work.
    #[default]
    Ok,
    /// Fail with EIO.
    Error,
    /// Fail with ENOSPC.
    Full,
    /// Take longer.
    Slow,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            fsync: Fsync::Ok,
            fsync_ms: 500,
            read: Read::Ok,
            write: Write::Ok,
            write_ms: 100,
            clock_offset_ms: 0,
            clock_rate: 1.0,
            clock_strobe_ms: 0,
            clock_strobe_period_ms: 100,
            mutant: None,
        }
    }
}

impl Control {
    /// What a file says; an empty one says nothing. An error says what is wrong and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let control: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        control.check()?;
        Ok(control)
    }

    fn check(&self) -> Result<(), String> {
        let delays = [
            ("fsync_ms", self.fsync_ms, DELAY_MS_MAX),
            ("write_ms", self.write_ms, DELAY_MS_MAX),
            (
                "clock_strobe_period_ms",
                self.clock_strobe_period_ms,
                OFFSET_MS_MAX,
            ),
            (
                "clock_offset_ms",
                self.clock_offset_ms.unsigned_abs(),
                OFFSET_MS_MAX,
            ),
            (
                "clock_strobe_ms",
                self.clock_strobe_ms.unsigned_abs(),
                OFFSET_MS_MAX,
            ),
        ];
        if let Some((name, value, most)) = delays.into_iter().find(|(_, value, most)| value > most) {
            return Err(format!("{name}: {value} is more than {most} ms"));
        }
        if self.clock_strobe_period_ms == 0 {
            return Err("clock_strobe_period_ms: at least 1 ms".to_owned());
        }
        if !(RATE_MIN..=RATE_MAX).contains(&self.clock_rate) {
            return Err(format!(
                "clock_rate: {} is not between {RATE_MIN} and {RATE_MAX}",
                self.clock_rate
            ));
        }
        match &self.mutant {
            Some(name) if Mutant::named(name).is_none() => Err(format!(
                "mutant: there is none named {name}; there are {:?}",
                Mutant::ALL
            )),
            _ => Ok(()),
        }
    }

    /// The deliberate bug that is awake.
    pub(super) fn mutant(&self) -> Option<Mutant> {
        self.mutant.as_deref().and_then(Mutant::named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_be_said() {
        let text = r#"{"fsync": "error-once", "fsync_ms": 7, "read": "error", "write": "full", "write_ms": 8,
            "clock_offset_ms": -5, "clock_rate": 1.5, "clock_strobe_ms": 200, "clock_strobe_period_ms": 10,
            "mutant": "EntrySkipped"}"#;
        let expected = Control {
            fsync: Fsync::ErrorOnce,
            fsync_ms: 7,
            read: Read::Error,
            write: Write::Full,
            write_ms: 8,
            clock_offset_ms: -5,
            clock_rate: 1.5,
            clock_strobe_ms: 200,
            clock_strobe_period_ms: 10,
            mutant: Some("EntrySkipped".to_owned()),
        };
        assert_eq!(Control::parse(text), Ok(expected.clone()));
        assert_eq!(expected.mutant(), Some(Mutant::EntrySkipped));
        for nothing in ["", " \n", "{}"] {
            assert_eq!(Control::parse(nothing), Ok(Control::default()));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = [
            (r#"{"fsink": "error"}"#, "fsink"),
            (r#"{"fsync": "never"}"#, "never"),
            (r#"{"fsync_ms": 60001}"#, "fsync_ms"),
            (r#"{"clock_offset_ms": -86400001}"#, "clock_offset_ms"),
            (r#"{"clock_strobe_period_ms": 0}"#, "clock_strobe_period_ms"),
            (r#"{"clock_rate": 0}"#, "clock_rate"),
            (r#"{"clock_rate": 11}"#, "clock_rate"),
            (r#"{"mutant": "Typo"}"#, "Typo"),
            ("{", "EOF"),
        ];
        for (text, named) in wrong {
            let error = Control::parse(text).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
