//! A real process whose disk fails and whose clocks lie, on demand.
//!
//! The fault build of the binary takes its [`Vfs`] and its [`Clock`] from here. What they do is written in a control
//! file ([`Control`]) that somebody outside changes while the process runs: it is read at the start and then twenty times
//! a second, on a thread of its own. No file means no faults. A file that cannot be understood is told in the log and
//! changes nothing. Before new contents take effect they are copied beside the file, with `.applied` added to its name,
//! so that whoever wrote them can wait for that.
//!
//! Without the feature `faults` nothing of this is compiled: what ships has none of it.

mod control;
mod disk;
mod skew;

pub use control::{Control, Fsync, Read, Write};
pub use disk::FaultyVfs;
pub use skew::Skew;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atoll_types::mutant;

use crate::{Clock, Spawn, Tempo, Vfs};
use disk::DiskState;

/// How often the control file is looked at.
const EVERY: Duration = Duration::from_millis(50);

/// What a process suffers from. Cheap to clone.
#[derive(Clone)]
pub struct Faults {
    disk: Arc<DiskState>,
    skew: Arc<Skew>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            disk: Arc::default(),
            skew: Arc::new(Skew::new()),
        }
    }
}

impl Faults {
    /// Does what the control file says now, and from a thread of its own what it says later.
    pub fn follow(spawn: &Spawn, control_file: &Path) -> Self {
        let faults = Self::default();
        let mut reader = Reader::new(control_file, faults.clone());
        reader.look();
        spawn.dedicated("faults", async move {
            // Not the process's clock, which may stand almost still.
            let clock = Clock::boot();
            loop {
                clock.sleep(EVERY).await;
                reader.look();
            }
        });
        faults
    }

    /// The clocks of the operating system, skewed.
    pub fn clock(&self) -> Clock {
        Clock::skewed(self.skew.clone())
    }

    /// These files, failing.
    pub fn vfs(&self, inner: Arc<dyn Vfs>) -> FaultyVfs {
        FaultyVfs::new(inner, self.disk.clone())
    }

    /// Does this from now on, and nothing else.
    pub fn apply(&self, control: &Control) {
        self.disk.set(control);
        self.skew.set(control);
        Tempo::current().set_rate(control.clock_rate);
        mutant::wake_everywhere(control.mutant());
    }
}

/// Reads the control file again and again.
struct Reader {
    file: PathBuf,
    applied: PathBuf,
    /// What was read last, understood or not.
    seen: Option<String>,
    faults: Faults,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the control file is outside of the world that it breaks"
)]
impl Reader {
    fn new(file: &Path, faults: Faults) -> Self {
        let mut applied = file.to_owned().into_os_string();
        applied.push(".applied");
        Self {
            file: file.to_owned(),
            applied: applied.into(),
            seen: None,
            faults,
        }
    }

    fn look(&mut self) {
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(file = %self.file.display(), %error, "the control file of faults cannot be read");
                return;
            }
        };
        if text == self.seen {
            return;
        }
        self.seen.clone_from(&text);
        let text = text.unwrap_or_default();
        match Control::parse(&text) {
            Ok(control) => {
                // First: what takes effect may end the process.
                if let Err(error) = std::fs::write(&self.applied, &text) {
                    tracing::error!(file = %self.applied.display(), %error, "cannot say that faults take effect");
                }
                tracing::warn!(?control, "faults on demand");
                self.faults.apply(&control);
            }
            Err(error) => {
                tracing::error!(file = %self.file.display(), %error, "the control file of faults is wrong; nothing changes");
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "writes control files")]
mod tests {
    use super::*;
    use crate::vfs::{File, OpenMode, OsVfs};

    struct World {
        dir: tempfile::TempDir,
        reader: Reader,
        file: Arc<dyn File>,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let faults = Faults::default();
            let vfs = faults.vfs(Arc::new(OsVfs));
            let file = vfs.open(&dir.path().join("data"), OpenMode::CreateNew).unwrap();
            let reader = Reader::new(&dir.path().join("faults.json"), faults);
            Self { dir, reader, file }
        }

        fn say(&mut self, text: &str) {
            std::fs::write(self.dir.path().join("faults.json"), text).unwrap();
            self.reader.look();
        }

        fn applied(&self) -> Option<String> {
            std::fs::read_to_string(self.dir.path().join("faults.json.applied")).ok()
        }

        async fn works(&self) -> bool {
            self.file.write_at(b"x", 0).await.is_ok() && self.file.sync().await.is_ok()
        }
    }

    #[tokio::test]
    async fn what_the_file_says_holds_until_it_says_something_else_or_is_gone() {
        let mut world = World::new();
        world.reader.look();
        assert!(world.works().await && world.applied().is_none(), "no file");
        let broken = r#"{"fsync": "error"}"#;
        world.say(broken);
        assert!(!world.works().await);
        assert_eq!(world.applied().as_deref(), Some(broken));
        world.say("{}");
        assert!(world.works().await);
        world.say(r#"{"write": "error"}"#);
        assert!(!world.works().await);
        std::fs::remove_file(world.dir.path().join("faults.json")).unwrap();
        world.reader.look();
        assert!(world.works().await, "no file again");
        assert_eq!(world.applied().as_deref(), Some(""));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_understood_changes_nothing() {
        let mut world = World::new();
        let broken = r#"{"write": "full"}"#;
        world.say(broken);
        for wrong in ["{", r#"{"wriet": "error"}"#, r#"{"clock_rate": 0}"#] {
            world.say(wrong);
            assert!(!world.works().await, "{wrong}");
            assert_eq!(world.applied().as_deref(), Some(broken), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_running_process_follows_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("faults.json");
        std::fs::write(&file, r#"{"clock_offset_ms": 3600000}"#).unwrap();
        let faults = Faults::follow(&Spawn::tokio(), &file);
        let (skewed, real) = (faults.clock(), Clock::boot());
        assert!(skewed.wall_ms() >= real.wall_ms() + 3_590_000, "from the start");
        std::fs::write(&file, "{}").unwrap();
        while skewed.wall_ms() > real.wall_ms() + 1000 {
            real.sleep(EVERY).await;
        }
    }

    #[test]
    fn a_mutant_wakes_in_all_threads() {
        use atoll_types::Mutant;
        let faults = Faults::default();
        let control = |text| Control::parse(text).unwrap();
        faults.apply(&control(r#"{"mutant": "ScanRowLost"}"#));
        let seen =
            std::thread::scope(|scope| scope.spawn(|| mutant::is(Mutant::ScanRowLost)).join().unwrap());
        faults.apply(&control(""));
        assert!(seen && !mutant::is(Mutant::ScanRowLost));
    }
}
