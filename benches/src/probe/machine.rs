//! Which machine it is, and how busy.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

use super::number_in;
use crate::Result;
use crate::engine::EngineName;

/// What figures depend on besides the programs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    memory_bytes: u64,
    kernel: String,
    /// Device, type and options of the file system that holds the databases.
    filesystem: String,
    /// The three load averages.
    load_before: String,
    load_after: String,
    /// Of a build without optimization, figures mean nothing.
    optimized: bool,
    /// Crates and their versions.
    versions: Vec<String>,
}

impl Machine {
    /// Of now. The load afterwards is that of now as well.
    pub(crate) fn of(dir: &Path, engines: &[EngineName]) -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let processor = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = fs::read_to_string("/proc/meminfo")?;
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: processor.map_or_else(|| "unknown".into(), |(_, name)| name.to_owned()),
            memory_bytes: number_in(&memory, "MemTotal").unwrap_or_default() * 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            filesystem: filesystem(dir)?,
            load_before: load()?,
            load_after: load()?,
            optimized: !cfg!(debug_assertions),
            versions: versions(engines),
        })
    }

    /// Notes how busy it is at the end.
    pub(crate) fn look_again(&mut self) -> Result<()> {
        self.load_after = load()?;
        Ok(())
    }

    /// Lines for people.
    pub(crate) fn describe(&self) -> String {
        let build = if self.optimized {
            ""
        } else {
            "built WITHOUT optimization: the figures mean nothing\n"
        };
        format!(
            "machine     {} cores, {}, {:.1} GiB, Linux {}\nfilesystem  {}\nload        {} before, {} after\nversions    {}\n{build}",
            self.cores,
            self.processor,
            self.memory_bytes as f64 / f64::from(1 << 30),
            self.kernel,
            self.filesystem,
            self.load_before,
            self.load_after,
            self.versions.join(", "),
        )
    }
}

fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

fn filesystem(dir: &Path) -> Result<String> {
    let number = fs::metadata(dir)?.dev();
    let device = format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number));
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mount_of(&mounts, &device).unwrap_or_else(|| format!("unknown, device {device}")))
}

/// Columns: id, parent, device, root, mount point, options, optional fields, a dash, type, source, more options.
fn mount_of(mounts: &str, device: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let found = before.split(' ').nth(2)?;
        let options = before.split(' ').nth(5)?;
        let mut after = after.split(' ');
        let (kind, source) = (after.next()?, after.next()?);
        (found == device).then(|| {
            format!(
                "{kind} on {source} ({options}; {})",
                after.next().unwrap_or_default()
            )
        })
    })
}

/// From the lock file that this program was built with.
fn versions(engines: &[EngineName]) -> Vec<String> {
    let lock = include_str!("../../Cargo.lock");
    let mut names: Vec<&str> = engines.iter().map(|engine| engine.package()).collect();
    names.dedup();
    let versions = names.into_iter().filter_map(|name| {
        let (_, behind) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        let (version, _) = behind.split_once('"')?;
        Some(format!("{name} {version}"))
    });
    versions.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_of_a_device() {
        let mounts = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
                      27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n";
        let found = mount_of(mounts, "254:0").unwrap();
        assert_eq!(found, "ext4 on /dev/vda (rw,relatime; rw,discard)");
        assert_eq!(mount_of(mounts, "254:1"), None);
    }

    #[test]
    fn versions_of_the_lock_file() {
        let found = versions(&[
            EngineName::Atoll,
            EngineName::Fjall,
            EngineName::FjallKv,
            EngineName::Sled,
        ]);
        assert_eq!(found.len(), 3);
        assert!(found[1].starts_with("fjall 3."), "{found:?}");
        assert_eq!(found[2], "sled 0.34.7");
    }

    #[test]
    fn this_machine_can_be_described() {
        let dir = tempfile::tempdir().unwrap();
        let mut machine = Machine::of(dir.path(), &[EngineName::Redb]).unwrap();
        machine.look_again().unwrap();
        assert!(machine.cores > 0 && machine.memory_bytes > 0);
        assert!(machine.describe().contains("redb 4."));
    }
}
