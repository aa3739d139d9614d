//! How much memory the machine has for this process.

use std::path::Path;

use atoll_env::Vfs;
use atoll_env::vfs::OpenMode;

const DEFAULT_MIB_MIN: u64 = 256;
const DEFAULT_MIB_MAX: u64 = 4096;
const MIB: u64 = 1024 * 1024;
/// Where Linux shows the tree of control groups (version 2).
const CGROUPS: &str = "/sys/fs/cgroup";

/// What a node takes that is told nothing: a quarter of what there is, from 256 MiB to 4 GiB; where that cannot be told, the
/// least.
pub(super) fn default_memory_mib(machine: &dyn Vfs) -> u64 {
    let bytes = usable_bytes(|path| read(machine, path)).unwrap_or(0);
    (bytes / 4 / MIB).clamp(DEFAULT_MIB_MIN, DEFAULT_MIB_MAX)
}

/// The machine's memory, or less if a control group that this process is in says so.
fn usable_bytes(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| total_bytes(&text));
    let group = read(Path::new("/proc/self/cgroup")).and_then(|text| group_of(&text).map(str::to_owned));
    let group = Path::new(CGROUPS).join(group.unwrap_or_default());
    // A group is bounded by those above it too. The topmost one has no such file, but a container sees its own as topmost.
    let groups = group.ancestors().take_while(|path| path.starts_with(CGROUPS));
    let bounds = groups.filter_map(|path| read(&path.join("memory.max"))?.trim().parse().ok());
    machine.into_iter().chain(bounds).min()
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The process's group in the tree, without the leading slash.
fn group_of(cgroup: &str) -> Option<&str> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // A group outside of what this process can see.
    (!path.split('/').any(|part| part == "..")).then_some(path)
}

/// Not `read_small`: files there have no length.
fn read(machine: &dyn Vfs, path: &Path) -> Option<String> {
    let file = machine.open(path, OpenMode::Read).ok()?;
    let mut buffer = [0; 4096];
    let len = file.read_at(&mut buffer, 0).ok()?;
    String::from_utf8(buffer.get(..len)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable(files: &[(&str, &str)]) -> Option<u64> {
        usable_bytes(|path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        })
    }

    const MEMINFO: (&str, &str) = ("/proc/meminfo", "MemTotal:        8000000 kB\nMemFree:  5 kB\n");

    #[test]
    fn the_machine_and_every_group_above_are_bounds() {
        assert_eq!(usable(&[]), None);
        assert_eq!(usable(&[MEMINFO]), Some(8_192_000_000));
        let own = (
            "/proc/self/cgroup",
            "1:name=x:/y\n0::/system.slice/atoll.service\n",
        );
        let slice = ("/sys/fs/cgroup/system.slice/memory.max", "3000\n");
        let service = ("/sys/fs/cgroup/system.slice/atoll.service/memory.max", "max\n");
        assert_eq!(usable(&[MEMINFO, own, service]), Some(8_192_000_000));
        assert_eq!(usable(&[MEMINFO, own, service, slice]), Some(3000));
        let container = [
            MEMINFO,
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/memory.max", "5000\n"),
        ];
        assert_eq!(usable(&container), Some(5000));
        let hidden = [
            MEMINFO,
            ("/proc/self/cgroup", "0::/../x\n"),
            ("/sys/fs/x/memory.max", "7\n"),
        ];
        assert_eq!(usable(&hidden), Some(8_192_000_000));
        assert_eq!(total_bytes("MemTotal: many kB"), None);
    }

    #[test]
    fn a_node_takes_a_quarter_within_bounds() {
        let default = default_memory_mib(&atoll_env::vfs::OsVfs);
        assert!((DEFAULT_MIB_MIN..=DEFAULT_MIB_MAX).contains(&default));
    }
}
