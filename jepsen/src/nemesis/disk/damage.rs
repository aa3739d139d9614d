//! What is on a node's disk is damaged while the node is down.
//!
//! It is done only to a minority, and only once every other replica of what the node holds has everything that
//! the node may have acknowledged: of damage to more copies than that, no database can recover. Until then the node is kept
//! down; if the others do not come that far, it is given back unharmed.

#![expect(clippy::disallowed_methods, reason = "damages files of the operating system")]

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_env::{BoxFuture, Rng};

use super::{broken, running, taken};
use crate::field::Field;
use crate::nemesis::{Installed, Refusal};

/// How long the others are waited for.
const WHOLE_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The header of a segment; a file that holds no more was never written to.
const HEADER: u64 = 4096;
/// At most this is cut off.
const CUT_MAX: u64 = 64 * 1024;
/// Tries to find a byte that is not zero: only those are sure to mean something.
const TRIES: u32 = 1000;

/// Which damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BitFlip,
    Truncate,
    Wipe,
}

struct Damaged {
    node: u16,
    what: String,
}

pub(super) async fn begin(
    field: &Field,
    rng: &Rng,
    kind: Kind,
) -> Result<Box<dyn Installed<Field>>, Refusal> {
    // One that is damaged already can be damaged again: nobody needs it any more.
    let node = match field.cluster.spoiled().first() {
        Some((node, _)) => *node,
        None => running(field, rng)?,
    };
    let down = field.cluster.hold_down(node).ok_or_else(|| taken(node))?;
    let done = if others_are_whole(field, node).await {
        if field.cluster.spoil(node, "its disk was damaged") {
            damage(&field.cluster.data_dir(node), rng, kind)
        } else {
            Ok(None)
        }
    } else {
        Ok(None)
    };
    field.cluster.up(down).map_err(|error| broken(node, &error))?;
    match done {
        Ok(Some(what)) => Ok(Box::new(Damaged { node, what })),
        Ok(None) => Err(Refusal::NotNow(format!(
            "the others could not do without node {node}"
        ))),
        Err(error) => Err(broken(node, &error)),
    }
}

/// Whether every group's replicas elsewhere agree on term and leader and have the whole log; waits for it.
async fn others_are_whole(field: &Field, node: u16) -> bool {
    let wait = async {
        while !are_whole(field, node).await {
            field.env.clock.sleep(LOOK_EVERY).await;
        }
    };
    field.env.clock.timeout(WHOLE_MAX, wait).await.is_ok()
}

/// What one replica said: term, end of its log, how much it applied.
type Said = (u64, u64, u64);

async fn are_whole(field: &Field, node: u16) -> bool {
    let mut groups = BTreeMap::<u64, (usize, Vec<Said>)>::new();
    for other in field.cluster.numbers().filter(|other| *other != node) {
        let Some(reply) = field.cluster.status(other).await else {
            return false;
        };
        for group in reply.groups.iter().filter(|group| group.hosted) {
            if group.leader_node == 0 || group.leader_node == field.cluster.id(node).unwrap_or(0) {
                return false;
            }
            let entry = groups.entry(group.group).or_default();
            entry.0 = group.replicas.len();
            entry.1.push((group.term, group.last_index, group.applied_index));
        }
    }
    !groups.is_empty() && groups.values().all(|(replicas, said)| is_whole(*replicas, said))
}

/// All but at most one replica were heard of, in the same term, and each has applied the log of that term's leader
/// up to where any of them had it when it was asked first.
fn is_whole(replicas: usize, said: &[Said]) -> bool {
    let Some(&(term, first_end, _)) = said.first() else {
        return false;
    };
    let longest = said.iter().map(|(_, end, _)| *end).max().unwrap_or(first_end);
    // Those asked later may be further by then; those asked earlier must have had what later ones were built on.
    let shortest = said.iter().map(|(_, _, applied)| *applied).min().unwrap_or(0);
    said.len() + 1 >= replicas && said.iter().all(|(own, _, _)| *own == term) && shortest >= longest
}

fn damage(data_dir: &Path, rng: &Rng, kind: Kind) -> io::Result<Option<String>> {
    match kind {
        Kind::BitFlip => flip(data_dir, rng),
        Kind::Truncate => truncate(data_dir, rng),
        Kind::Wipe => wipe(data_dir, rng).map(Some),
    }
}

/// The journal's files that were written to, oldest first.
fn segments(data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let journal = match std::fs::read_dir(data_dir.join("journal")) {
        Ok(journal) => journal,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in journal {
        let path = entry?.path();
        let is_segment = path.extension().is_some_and(|extension| extension == "jnl");
        if is_segment && path.metadata()?.len() > HEADER {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn flip(data_dir: &Path, rng: &Rng) -> io::Result<Option<String>> {
    let files = segments(data_dir)?;
    let Some(path) = files.get(rng.below(files.len().max(1) as u64) as usize) else {
        return Ok(None);
    };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
    let len = file.metadata()?.len();
    for _ in 0..TRIES {
        let (offset, mut byte) = (rng.below(len), [0]);
        file.read_exact_at(&mut byte, offset)?;
        if byte == [0] {
            continue;
        }
        let flipped = byte.map(|byte| byte ^ (1 << rng.below(8)));
        file.write_all_at(&flipped, offset)?;
        return Ok(Some(format!(
            "a bit flipped at {offset} of {len} in {}",
            name(path)
        )));
    }
    Ok(None)
}

fn truncate(data_dir: &Path, rng: &Rng) -> io::Result<Option<String>> {
    let Some(path) = segments(data_dir)?.pop() else {
        return Ok(None);
    };
    let file = std::fs::OpenOptions::new().write(true).open(&path)?;
    let len = file.metadata()?.len();
    let mut cut = 1 + rng.below(CUT_MAX.min(len - HEADER));
    if rng.below(2) == 0 {
        // Between two frames, where it looks as if nothing was ever there.
        cut = cut.next_multiple_of(HEADER).min(len - HEADER);
    }
    file.set_len(len - cut)?;
    Ok(Some(format!(
        "the last {cut} of {len} bytes of {} cut off",
        name(&path)
    )))
}

fn wipe(data_dir: &Path, rng: &Rng) -> io::Result<String> {
    if rng.below(2) == 0 {
        std::fs::remove_dir_all(data_dir)?;
        std::fs::create_dir_all(data_dir)?;
        return Ok("its directory emptied".to_owned());
    }
    match std::fs::remove_dir_all(data_dir.join("journal")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok("its journal removed".to_owned()),
    }
}

impl Installed<Field> for Damaged {
    fn what(&self) -> String {
        format!("node {} while down: {}", self.node, self.what)
    }

    fn nodes(&self) -> Vec<u16> {
        vec![self.node]
    }

    /// What is damaged stays damaged; that the node runs if it can is all that can be done.
    fn mend(self: Box<Self>, field: &Field) -> BoxFuture<'_, Result<(), String>> {
        // It may refuse to run, or be somebody else's by now.
        let _ = field.cluster.start(self.node);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        std::fs::create_dir_all(&journal).unwrap();
        std::fs::write(journal.join("0000000000000001.jnl"), vec![7; 20_000]).unwrap();
        std::fs::write(journal.join("0000000000000002.jnl"), vec![9; 200_000]).unwrap();
        std::fs::write(journal.join("0000000000000003.jnl"), vec![0; 4096]).unwrap();
        std::fs::write(dir.path().join("IDENT"), "x").unwrap();
        (dir, journal)
    }

    #[test]
    fn exactly_one_bit_is_flipped() {
        let (dir, journal) = journal();
        let what = flip(dir.path(), &Rng::seeded(3)).unwrap().unwrap();
        assert!(what.contains(".jnl"), "{what}");
        let one = std::fs::read(journal.join("0000000000000001.jnl")).unwrap();
        let two = std::fs::read(journal.join("0000000000000002.jnl")).unwrap();
        let bits =
            |bytes: &[u8], sound: u8| -> u32 { bytes.iter().map(|byte| (byte ^ sound).count_ones()).sum() };
        assert_eq!(bits(&one, 7) + bits(&two, 9), 1);
    }

    #[test]
    fn the_end_of_the_newest_file_that_was_written_to_is_cut() {
        for seed in 0..50 {
            let (dir, journal) = journal();
            truncate(dir.path(), &Rng::seeded(seed)).unwrap().unwrap();
            let len = |name: &str| std::fs::metadata(journal.join(name)).unwrap().len();
            assert!((200_000 - CUT_MAX..200_000).contains(&len("0000000000000002.jnl")));
            assert_eq!(
                (len("0000000000000001.jnl"), len("0000000000000003.jnl")),
                (20_000, 4096)
            );
        }
    }

    #[test]
    fn a_wipe_leaves_an_empty_directory_or_no_journal() {
        let mut left = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let (dir, journal) = journal();
            wipe(dir.path(), &Rng::seeded(seed)).unwrap();
            assert!(!journal.exists());
            left.insert(dir.path().join("IDENT").exists());
            assert!(dir.path().exists());
        }
        assert_eq!(left.len(), 2, "both happen");
    }

    #[test]
    fn nothing_is_damaged_unless_the_others_have_it_all() {
        assert!(is_whole(3, &[(4, 100, 100), (4, 100, 100)]));
        assert!(!is_whole(3, &[(4, 100, 100)]), "one was not heard of");
        assert!(!is_whole(3, &[(4, 100, 100), (4, 99, 99)]), "one is behind");
        assert!(!is_whole(3, &[(4, 100, 100), (5, 100, 100)]), "terms differ");
        assert!(!is_whole(3, &[]));
        assert!(segments(Path::new("/nowhere")).unwrap().is_empty());
    }
}
