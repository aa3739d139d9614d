//! Every bit of every file of a small store, one at a time; and every block, in worse ways. What is
//! then found is what was written, or a quarantine that says where the damage is; for the very last
//! frame, with nothing behind it that shows it was durable, also what was written without it.

use std::path::{Path, PathBuf};

use atoll_env::Vfs;
use atoll_env::vfs::{Crash, MemVfs, OpenMode};
use atoll_storage::{Journal, JournalOptions};
use atoll_types::{ReplicaId, Vote};

use crate::disk::{ALIGN, Frame, frames, segments};
use crate::logs::{Logs, contents};
use crate::support::*;

/// Segments of eight blocks, so that a whole store has few bits.
const TINY: JournalOptions = JournalOptions {
    segment_bytes: 8 * 4096,
    ..SMALL
};

/// A store and what it holds, with and without its last frame.
struct Store {
    vfs: MemVfs,
    with: Logs,
    without: Logs,
    frames: Vec<Frame>,
    options: JournalOptions,
    left: Left,
}

/// How a store was left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Right after its last frame.
    Written,
    /// Started once more, and nothing written: a segment with nothing but a header.
    Entered,
    /// With a segment prepared and filled with zeros.
    Ahead,
}

/// Two groups, two starts, and what was left.
async fn store(left: Left) -> Store {
    let options = JournalOptions {
        preallocate: left == Left::Ahead,
        ..TINY
    };
    let process = Process::on(MemVfs::default());
    let journal = process.open(options).await.unwrap();
    let first = journal.create_group(group(1), ReplicaId(1)).await.unwrap();
    append_durably(&first, vec![entry(id(1, 0), payload(1, 90))]).await;
    let second = journal.create_group(group(2), ReplicaId(2)).await.unwrap();
    append_durably(
        &second,
        vec![entry(id(1, 0), payload(2, 300)), entry(id(1, 1), "")],
    )
    .await;
    process.kill();
    let process = Process::on(process.vfs.crash(Crash::LoseAll));
    let journal = process.open(options).await.unwrap();
    let (first, second) = (journal.group(group(1)).unwrap(), journal.group(group(2)).unwrap());
    let vote = Vote {
        term: 4,
        candidate: ReplicaId(1),
        committed: true,
    };
    first.save_vote(vote).await.unwrap();
    second.truncate_after(Some(id(1, 0))).await.unwrap();
    append_durably(&second, vec![entry(id(2, 1), payload(3, 20))]).await;
    let without = contents(&journal).await;
    append_durably(&first, vec![entry(id(4, 1), payload(4, 30))]).await;
    let with = contents(&journal).await;
    if left == Left::Ahead {
        process
            .env
            .clock
            .sleep(std::time::Duration::from_millis(15))
            .await;
    }
    process.kill();
    let mut vfs = process.vfs.crash(Crash::LoseAll);
    if left == Left::Entered {
        let process = Process::on(vfs);
        process.open(options).await.unwrap();
        process.kill();
        vfs = process.vfs.crash(Crash::LoseAll);
    }
    Store {
        frames: frames(&vfs),
        vfs,
        with,
        without,
        options,
        left,
    }
}

/// What damage at a place may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Law {
    /// All is there.
    Harmless,
    /// It is noticed, and nothing that was known by then is used.
    Noticed,
    /// It looks like a write cut short.
    Torn,
}

impl Store {
    fn law(&self, file: &Path, byte: u64) -> Law {
        if file.ends_with("DURABLE") {
            // A mark that does not check proves nothing.
            return Law::Harmless;
        }
        let used = self.frames.iter().any(|frame| frame.file == file);
        let here = self.frames.iter().find(|frame| {
            let whole = frame.start..frame.end.next_multiple_of(ALIGN);
            frame.file == file && whole.contains(&byte)
        });
        match here {
            // Padding.
            Some(frame) if byte >= frame.end => Law::Harmless,
            // Unless the header behind it says that it was durable.
            Some(frame) if self.left != Left::Entered && frame.is(self.last()) => Law::Torn,
            // Zeros behind the last frame, and the headers of segments without frames.
            None if used != (byte < ALIGN) => Law::Harmless,
            // A frame, the header of a segment with frames, or something in one that was never entered.
            _ => Law::Noticed,
        }
    }

    fn last(&self) -> &Frame {
        self.frames.last().unwrap()
    }

    fn files(&self) -> Vec<(PathBuf, u64)> {
        let names = self.vfs.list(Path::new(DIR)).unwrap();
        let paths = names.into_iter().map(|name| Path::new(DIR).join(name));
        paths
            .map(|path| {
                let len = self.vfs.open(&path, OpenMode::Read).unwrap().len().unwrap();
                (path, len)
            })
            .collect()
    }

    /// Opens a damaged copy and says what came of it; anything wrong ends the test.
    async fn verdict(&self, damaged: &MemVfs) -> Law {
        let process = Process::on(damaged.crash(Crash::Process));
        let journal = process.open(self.options).await.unwrap();
        let found = contents(&journal).await;
        let verdict = if let Some(reason) = journal.damage() {
            assert!(reason.contains(".jnl at offset"), "{reason}");
            self.check_quarantine(&journal, &found).await;
            Law::Noticed
        } else {
            assert_eq!(journal.quarantined(), []);
            let all = found == self.with;
            assert!(all || found == self.without, "{found:?}");
            if all { Law::Harmless } else { Law::Torn }
        };
        process.kill();
        verdict
    }

    /// A sound group is as it was; whichever is missing cannot be made anew.
    async fn check_quarantine(&self, journal: &Journal, found: &Logs) {
        let lost = journal.quarantined();
        assert!(lost.contains(&group(1)), "it was there from the start: {lost:?}");
        for (key, log) in &self.with {
            if lost.contains(key) {
                let reason = journal.quarantine_reason(*key).unwrap();
                assert!(reason.contains(".jnl at offset"), "{reason}");
                assert!(journal.group(*key).is_none());
                assert!(journal.create_group(*key, log.replica).await.is_err());
            } else {
                assert_eq!(found.get(key), Some(log));
            }
        }
    }
}

async fn every_bit(left: Left, stride: usize) -> [u64; 3] {
    let store = store(left).await;
    let mut seen = [0; 3];
    for (file, len) in store.files() {
        for bit in (0..len * 8).step_by(stride) {
            let damaged = store.vfs.fork(0);
            damaged.flip_bit(&file, bit / 8, (bit % 8) as u8);
            let expected = store.law(&file, bit / 8);
            let found = store.verdict(&damaged).await;
            assert_eq!(found, expected, "{} bit {bit}", file.display());
            seen[expected as usize] += 1;
        }
    }
    seen
}

#[test]
fn every_bit_of_every_file_is_harmless_noticed_or_looks_torn() {
    simulate(async {
        let [harmless, noticed, torn] = every_bit(Left::Written, 1).await;
        // Two headers, seven frames, and the mark.
        assert_eq!(harmless + noticed + torn, (9 * 4096 + 60) * 8);
        assert_eq!(torn, (64 + 48 + 30) * 8);
        assert!(noticed > 2 * 4096 * 8, "{noticed}");
    });
}

/// Every eleventh bit: of neighbouring bytes different ones.
#[test]
fn nothing_looks_torn_once_the_next_segment_was_entered() {
    simulate(async {
        let [harmless, noticed, torn] = every_bit(Left::Entered, 11).await;
        assert!(harmless > 10_000 && noticed > 7_000, "{harmless} {noticed}");
        assert_eq!(torn, 0);
    });
}

#[test]
fn zeros_written_ahead_are_looked_at_too() {
    simulate(async {
        let [harmless, noticed, torn] = every_bit(Left::Ahead, 23).await;
        assert!(
            harmless > 5_000 && noticed > 3_000 && torn > 35,
            "{harmless} {noticed} {torn}"
        );
    });
}

/// What may become of a whole block.
fn spoilt(block: &[u8], other: &[u8], how: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(how);
    match how {
        0 => vec![0; block.len()],
        1 => vec![0xFF; block.len()],
        2 => std::iter::repeat_with(|| rng.u8(..)).take(block.len()).collect(),
        // The first sector only, or all but the first.
        3 => [&[0; 512][..], &block[512..]].concat(),
        4 => [&block[..512], &vec![0; block.len() - 512]].concat(),
        _ => other.to_vec(),
    }
}

#[test]
fn blocks_that_are_lost_or_stand_where_others_belong() {
    simulate(async {
        let store = store(Left::Written).await;
        let mut blocks = Vec::new();
        for file in segments(&store.vfs) {
            let bytes = store.vfs.durable_bytes(&file).unwrap();
            let of = |(number, block): (usize, &[u8])| (file.clone(), number as u64 * ALIGN, block.to_vec());
            blocks.extend(bytes.chunks(ALIGN as usize).enumerate().map(of));
        }
        let mut seen = [0; 3];
        for (file, at, block) in &blocks {
            let ways = (0..5).map(|how| spoilt(block, &[], how));
            let ways = ways.chain(blocks.iter().map(|(_, _, other)| spoilt(block, other, 5)));
            for bytes in ways.filter(|bytes| bytes != block) {
                let damaged = store.vfs.fork(0);
                overwrite(&damaged, file, *at, &bytes).await;
                let found = store.verdict(&damaged).await;
                seen[found as usize] += 1;
                let changed = block.iter().zip(&bytes).position(|(old, new)| old != new);
                let expected = store.law(file, at + changed.unwrap() as u64);
                assert_eq!(found, expected, "{} block {at}", file.display());
            }
        }
        let [_, noticed, torn] = seen;
        assert!(noticed > 80 && torn > 10, "{seen:?}");
    });
}

async fn overwrite(vfs: &MemVfs, file: &Path, at: u64, bytes: &[u8]) {
    let open = vfs.open(file, OpenMode::Write).unwrap();
    open.write_at(bytes, at).await.unwrap();
    open.sync().await.unwrap();
}

#[test]
fn segments_that_stand_in_each_others_place() {
    simulate(async {
        let store = store(Left::Entered).await;
        let files = segments(&store.vfs);
        for (number, from) in files.iter().enumerate() {
            for to in files.iter().take(number) {
                let damaged = store.vfs.fork(0);
                let bytes = damaged.durable_bytes(from).unwrap();
                damaged.truncate(to, bytes.len() as u64);
                overwrite(&damaged, to, 0, &bytes).await;
                assert_eq!(store.verdict(&damaged).await, Law::Noticed, "{from:?} as {to:?}");
            }
        }
    });
}
