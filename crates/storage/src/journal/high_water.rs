//! How far the journal was durable, in a small file of its own.
//!
//! Frames prove each other: one that is damaged with a sound one behind it was durable once. Nothing proves the
//! last one. A newest file that is cut exactly between two frames while the node is down looks like one that
//! never had more, and a replica with such a log has forgotten what it acknowledged, perhaps a vote. So the
//! number of the last frame that is known to be durable is kept beside the segments, in `DURABLE`. A
//! journal that ends before it has lost something.
//!
//! The mark never leads: a frame is noted after its sync has returned. It may lag, by about a second of frames
//! while they are written: replacing the file takes two syncs on the device that the frames need too, and
//! once a second that costs no more than a slow frame. It is done on a thread of its own, so a frame
//! waits for it only as far as the device makes it. After the last frame it catches up within a second, and
//! before the journal ends.
//!
//! If the mark cannot be written, that is told and tried again with a later frame, and the journal goes on: the old
//! mark is still true, and every try writes a new file, so no sync is asked twice for the same bytes. A device
//! that is really broken fails the next frame. A mark that does not check is told and ignored: it is there
//! to prove a loss, and its own rot proves none.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_env::vfs::{OpenMode, replace_file};
use atoll_env::{Env, watch};
use atoll_types::{ClusterId, NodeId};
use tokio::sync::oneshot;

use super::Identity;
use super::recovery::{FolderLock, OpenError};
use crate::cursor::{Cursor, Short};

/// The file's name.
pub(crate) const DURABLE: &str = "DURABLE";
/// Marks are this far apart, at least.
const MARK_EVERY: Duration = Duration::from_secs(1);

const MAGIC: [u8; 8] = *b"ATOLDUR\x01";
const VERSION: u32 = 1;
/// Bytes of the file.
const MARK_LEN: usize = 60;

/// A frame that is known to be durable. 0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seq: u64,
    /// The segment it stands in; for people.
    pub(crate) segment: u32,
}

/// What a journal's folder says of how far it was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkFound {
    Absent,
    Sound(Mark),
    Damaged,
}

/// Why bytes are not a mark this code can use.
#[derive(Clone, Debug, PartialEq, Eq)]
enum MarkError {
    Bad,
    Foreign(Identity),
    Unsupported(String),
}

impl From<Short> for MarkError {
    fn from(_: Short) -> Self {
        Self::Bad
    }
}

impl Mark {
    fn encode(self, identity: Identity) -> Vec<u8> {
        let mut out = Vec::with_capacity(MARK_LEN);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        // Features.
        out.extend(0_u32.to_le_bytes());
        out.extend(identity.cluster.0.to_le_bytes());
        out.extend(identity.node.0.to_le_bytes());
        out.extend(self.seq.to_le_bytes());
        out.extend(u64::from(self.segment).to_le_bytes());
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], expected: Identity) -> Result<Self, MarkError> {
        let (content, sum) = bytes.split_last_chunk().ok_or(MarkError::Bad)?;
        let mut cursor = Cursor(content);
        if cursor.take()? != MAGIC || crc32fast::hash(content) != u32::from_le_bytes(*sum) {
            return Err(MarkError::Bad);
        }
        match (cursor.u32()?, cursor.u32()?) {
            (VERSION, 0) => {}
            (VERSION, features) => {
                let what = format!("features {features:#x} this program does not have");
                return Err(MarkError::Unsupported(what));
            }
            (version, _) => {
                let what = format!("format version {version}, this program knows {VERSION}");
                return Err(MarkError::Unsupported(what));
            }
        }
        let found = Identity {
            cluster: ClusterId(cursor.u128()?),
            node: NodeId(cursor.u64()?),
        };
        if found != expected {
            return Err(MarkError::Foreign(found));
        }
        let (seq, segment) = (cursor.u64()?, cursor.u64()?);
        let segment = u32::try_from(segment).map_err(|_| MarkError::Bad)?;
        // A frame must be able to follow.
        if seq == u64::MAX || !cursor.0.is_empty() {
            return Err(MarkError::Bad);
        }
        Ok(Self { seq, segment })
    }

    /// The mark in a journal's folder. Older folders have none.
    pub(crate) fn read(env: &Env, dir: &Path, identity: Identity) -> Result<Self, OpenError> {
        match Self::find(env, dir, identity)? {
            MarkFound::Absent => Ok(Self::default()),
            MarkFound::Sound(mark) => Ok(mark),
            MarkFound::Damaged => {
                tracing::error!(
                    file = %dir.join(DURABLE).display(),
                    "the mark of how far the journal was durable is damaged and is ignored"
                );
                Ok(Self::default())
            }
        }
    }

    /// As [`Mark::read`], and tells a damaged mark from none.
    pub(crate) fn find(env: &Env, dir: &Path, identity: Identity) -> Result<MarkFound, OpenError> {
        let path = dir.join(DURABLE);
        if !env.vfs.exists(&path)? {
            return Ok(MarkFound::Absent);
        }
        let file = env.vfs.open(&path, OpenMode::Read)?;
        // One byte more than there should be shows if there are more.
        let mut bytes = vec![0; MARK_LEN + 1];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        match Self::decode(&bytes, identity) {
            Ok(mark) => Ok(MarkFound::Sound(mark)),
            Err(MarkError::Bad) => Ok(MarkFound::Damaged),
            Err(MarkError::Foreign(found)) => Err(OpenError::Foreign {
                file: path,
                found,
                expected: identity,
            }),
            Err(MarkError::Unsupported(what)) => Err(OpenError::Unsupported { file: path, what }),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    mark: Mark,
    ending: bool,
}

/// The writer's side: it says what is durable, and a thread of its own writes that down.
pub(crate) struct HighWater {
    wanted: watch::Sender<Wanted>,
    ended: oneshot::Receiver<()>,
}

impl HighWater {
    /// Starts with what recovery has read and synced.
    pub(crate) fn start(env: &Env, follower: Follower, recovered: Mark) -> Self {
        let (wanted, changes) = watch::channel(Wanted {
            mark: recovered,
            ending: false,
        });
        let (ending, ended) = oneshot::channel();
        let own = env.clone();
        env.spawn.dedicated("journal-mark", async move {
            let lock = follower.run(&own, changes).await;
            // In this order: when the writer hears of the end, the lock is the writer's alone.
            drop(lock);
            // If the writer is gone, nobody wants to know.
            let _ = ending.send(());
        });
        Self { wanted, ended }
    }

    /// This frame is durable. Never waits.
    pub(crate) fn note(&self, mark: Mark) {
        self.wanted.send_modify(|wanted| wanted.mark = mark);
    }

    /// Waits until the last mark is written, or could not be, and nothing touches the folder any more.
    pub(crate) async fn end(self) {
        self.wanted.send_modify(|wanted| wanted.ending = true);
        // An error means that the thread is gone, which is what is waited for.
        let _ = self.ended.await;
    }
}

/// Writes marks into a folder.
pub(crate) struct Follower {
    pub(crate) dir: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) lock: FolderLock,
    /// What the file says.
    pub(crate) written: Mark,
}

impl Follower {
    async fn run(mut self, env: &Env, mut changes: watch::Receiver<Wanted>) -> FolderLock {
        let mut tried = self.written.seq;
        loop {
            let next = changes
                .wait_for(|wanted| wanted.ending || wanted.mark.seq > tried)
                .await;
            let Ok(Wanted { mark, ending }) = next.map(|wanted| *wanted) else {
                // The writer is gone without an end, and so is the process.
                return self.lock;
            };
            tried = mark.seq;
            if mark.seq > self.written.seq
                && let Err(error) = self.write(env, mark).await
            {
                tracing::error!(%error, "the mark of how far the journal is durable could not be written");
            }
            if ending {
                return self.lock;
            }
            let pause = changes.wait_for(|wanted| wanted.ending);
            // Either way the loop looks again.
            let _ = env.clock.timeout(MARK_EVERY, pause).await;
        }
    }

    async fn write(&mut self, env: &Env, mark: Mark) -> io::Result<()> {
        let bytes = mark.encode(self.identity);
        replace_file(&*env.vfs, &self.dir.join(DURABLE), &bytes).await?;
        self.written = mark;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity {
        cluster: ClusterId(7),
        node: NodeId(3),
    };

    #[test]
    fn round_trips_and_every_flipped_bit_and_cut_is_seen() {
        let mark = Mark {
            seq: 1 << 40,
            segment: 12,
        };
        let bytes = mark.encode(IDENTITY);
        assert_eq!(bytes.len(), MARK_LEN);
        assert_eq!(Mark::decode(&bytes, IDENTITY), Ok(mark));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::decode(&damaged, IDENTITY), Err(MarkError::Bad), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(
                Mark::decode(&bytes[..len], IDENTITY),
                Err(MarkError::Bad),
                "{len} bytes"
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Mark::decode(&longer, IDENTITY), Err(MarkError::Bad));
    }

    #[test]
    fn others_and_later_formats_are_told_apart_from_damage() {
        let bytes = Mark::default().encode(Identity::default());
        let foreign = Err(MarkError::Foreign(Identity::default()));
        assert_eq!(Mark::decode(&bytes, IDENTITY), foreign);
        for (at, text) in [(8, "format version 3"), (12, "features 0x2")] {
            let mut later = bytes[..MARK_LEN - 4].to_vec();
            later[at] ^= 2;
            later.extend(crc32fast::hash(&later).to_le_bytes());
            let Err(MarkError::Unsupported(what)) = Mark::decode(&later, IDENTITY) else {
                panic!("read a later format")
            };
            assert!(what.contains(text), "{what}");
        }
    }

    #[test]
    fn a_mark_that_nothing_could_follow_is_damage() {
        let last = Mark {
            seq: u64::MAX,
            segment: 1,
        };
        assert_eq!(
            Mark::decode(&last.encode(IDENTITY), IDENTITY),
            Err(MarkError::Bad)
        );
    }
}
