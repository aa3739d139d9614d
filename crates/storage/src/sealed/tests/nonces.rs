//! No nonce is used twice under a key: every page that reaches the disk in a long life with crashes is looked at, from below.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use atoll_env::net::NoNet;
use atoll_env::vfs::{Crash, File, MemVfs, MemVfsOptions, OpenMode};
use atoll_env::{BoxFuture, Clock, Env, Halt, Rng, Scope, Spawn, Vfs};
use atoll_types::{ClusterId, GroupGen, GroupId, GroupKey, LogId, NodeId, ReplicaId};
use parking_lot::Mutex;

use super::super::header;
use super::super::page::{HEADER_BYTES, PAGE, field, reveal};
use super::super::rotate;
use super::{DATA, ring, sealed, simulate};
use crate::journal::{Identity, Journal, JournalOptions, LogEntry};
use crate::sealed::{KeyRing, SealedVfs};

const GROUP: GroupKey = GroupKey::new(GroupId(1), GroupGen(0));

/// What was ever seen on its way to the disk.
#[derive(Default)]
struct Seen {
    /// File ids and numbers of use. A file id is drawn with its key.
    nonces: HashSet<([u8; 16], u64)>,
    /// Salts of wrappings.
    salts: HashSet<[u8; 32]>,
    ids: HashSet<[u8; 16]>,
    /// Pages that were another file's life before.
    renewed: u64,
}

/// A disk whose writes are looked at.
struct Spy {
    below: MemVfs,
    keys: Arc<KeyRing>,
    seen: Arc<Mutex<Seen>>,
}

struct SpiedFile {
    below: Arc<dyn File>,
    keys: Arc<KeyRing>,
    seen: Arc<Mutex<Seen>>,
    /// The header that was written by this very handle.
    own: Mutex<Option<header::Secret>>,
}

impl SpiedFile {
    fn note(&self, bytes: &[u8], offset: u64) {
        let mut seen = self.seen.lock();
        if offset < HEADER_BYTES as u64 {
            for copy in bytes.chunks(PAGE) {
                let salt = field(copy, 40).unwrap();
                assert!(seen.salts.insert(salt), "a wrapping key is used once");
            }
            if bytes.len() == HEADER_BYTES {
                let opened = header::open(bytes, &self.keys, Path::new("spied")).unwrap();
                let secret = opened.unwrap().1;
                assert!(seen.ids.insert(secret.id), "a life has a key of its own");
                let before = self.own.lock().replace(secret);
                seen.renewed += u64::from(before.is_some());
            }
            return;
        }
        let own = self.own.lock();
        let own = own.as_ref().expect("whoever writes pages has drawn their key");
        assert_eq!(offset % PAGE as u64, 0);
        for (number, page) in (offset / PAGE as u64 - 2..).zip(bytes.chunks(PAGE)) {
            let nonce = u64::from_le_bytes(field(page, 0).unwrap());
            assert!(nonce > 0, "only `fill` writes zeros");
            let cipher = own.cipher();
            assert!(reveal(Some(&cipher), number, &mut page.to_vec()), "its own key");
            assert!(seen.nonces.insert((own.id, nonce)), "nonce {nonce} is used again");
        }
    }
}

impl File for SpiedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.below.read_at(buffer, offset)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.below.try_read_at(buffer, offset)
    }

    fn write_at<'a>(&'a self, bytes: &'a [u8], offset: u64) -> BoxFuture<'a, io::Result<()>> {
        self.note(bytes, offset);
        self.below.write_at(bytes, offset)
    }

    fn sync(&self) -> BoxFuture<'_, io::Result<()>> {
        self.below.sync()
    }

    fn forget_cached(&self) -> io::Result<()> {
        self.below.forget_cached()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.below.allocate(len)
    }

    fn fill(&self, offset: u64, len: usize) -> BoxFuture<'_, io::Result<()>> {
        self.below.fill(offset, len)
    }

    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }
}

impl Vfs for Spy {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(SpiedFile {
            below: self.below.open(path, mode)?,
            keys: self.keys.clone(),
            seen: self.seen.clone(),
            own: Mutex::new(None),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.below.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.below.list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.below.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.below.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.below.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.below.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.below.lock(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.below.free_bytes(dir)
    }
}

/// Writes, rolls over, frees and uses files again, until the disk freezes or for so many rounds.
async fn live(env: &Env, rounds: u64, draw: &mut fastrand::Rng) -> io::Result<()> {
    let options = JournalOptions {
        segment_bytes: 48 * 1024,
        preallocate: true,
        tail_bytes: 0,
        cache_bytes: 0,
    };
    let identity = Identity {
        cluster: ClusterId(1),
        node: NodeId(1),
    };
    let dir = Path::new("/data/journal");
    let journal = Journal::open(env, dir, identity, options)
        .await
        .map_err(io::Error::other)?;
    let log = journal.create_group(GROUP, ReplicaId(1)).await?;
    for _ in 0..rounds {
        let last = log.state().last.unwrap_or_default();
        let payload = bytes::Bytes::from(vec![7; draw.usize(1..9_000)]);
        let entry = LogEntry {
            id: LogId {
                term: 1,
                leader: ReplicaId(1),
                index: last.index + 1,
            },
            kind: 1,
            payload_crc: crc32fast::hash(&payload),
            payload,
        };
        let (done, durable) = tokio::sync::oneshot::channel();
        log.append(vec![entry], Box::new(move |result| drop(done.send(result))))
            .await?;
        durable.await.map_err(io::Error::other)??;
        if draw.u8(0..8) == 0 {
            log.purge(log.state().last.unwrap_or_default()).await?;
            journal.free_before(u32::MAX).await?;
        }
    }
    if draw.bool() {
        journal.close().await;
    }
    Ok(())
}

fn env(clock: &Clock, spy: Spy, keys: Arc<KeyRing>, rng: &Rng) -> (Env, Scope) {
    let scope = Scope::new(Rng::seeded(1));
    let vfs = SealedVfs::new(Arc::new(spy), Path::new(DATA), keys, rng.clone());
    let env = Env {
        clock: clock.clone(),
        rng: rng.clone(),
        spawn: Spawn::simulated(scope.clone()),
        vfs: Arc::new(vfs),
        net: Arc::new(NoNet),
        halt: Halt::simulated(|_| {}),
    };
    (env, scope)
}

/// A life of many processes, each with a key of its own above the one before.
async fn lives(seed: u64, seen: &Arc<Mutex<Seen>>) {
    let clock = Clock::simulated(1.0, 0);
    let (rng, mut draw) = (Rng::seeded(seed), fastrand::Rng::with_seed(seed));
    let mut disk = MemVfs::new(MemVfsOptions {
        seed,
        ..MemVfsOptions::default()
    });
    // A copy of the directory, as a backup has it, comes back now and then.
    let mut copy = disk.fork(0);
    for number in 2..20_u8 {
        let keys = ring(&[number, number - 1, 1]);
        let spy = || Spy {
            below: disk.clone(),
            keys: keys.clone(),
            seen: seen.clone(),
        };
        let newest = ring(&[number % 2 + 1, 2 - number % 2]);
        rotate(&spy(), Path::new(DATA), &newest, &rng).await.unwrap();
        let spy = Spy {
            keys: newest.clone(),
            ..spy()
        };
        let (env, scope) = env(&clock, spy, newest, &rng);
        if draw.bool() {
            disk.freeze_at(disk.operations() + draw.u64(1..120));
        }
        let limit = std::time::Duration::from_secs(60);
        let rounds = draw.u64(5..60);
        // The disk may freeze at any point of it.
        drop(clock.timeout(limit, live(&env, rounds, &mut draw)).await);
        scope.end();
        let crash = [Crash::Process, Crash::LoseAll, Crash::Random][draw.usize(0..3)];
        if draw.u8(0..4) == 0 {
            disk = copy.crash(crash);
            copy = disk.fork(u64::from(number));
        } else {
            disk = disk.crash(crash);
            if draw.u8(0..3) == 0 {
                copy = disk.fork(u64::from(number));
            }
        }
    }
}

#[test]
fn no_nonce_is_used_twice_in_a_long_life_with_crashes_and_copies() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let seen: Arc<Mutex<Seen>> = Arc::default();
    runtime.block_on(async {
        for seed in 0..6 {
            lives(seed, &seen).await;
        }
    });
    let seen = seen.lock();
    let (pages, lives) = (seen.nonces.len(), seen.ids.len());
    assert!(pages > 3_000 && lives > 200, "{pages} pages in {lives} lives");
    assert!(seen.renewed > 10, "files were used again: {}", seen.renewed);
}

/// A page that is written in parts is sealed anew each time, with the next number.
#[test]
fn a_page_written_in_parts_has_another_nonce_each_time() {
    simulate(async {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let below = super::disk();
        let keys = ring(&[1]);
        let spy = Spy {
            below: below.clone(),
            keys: keys.clone(),
            seen: seen.clone(),
        };
        let rng = Rng::seeded(1);
        let vfs = SealedVfs::new(Arc::new(spy), Path::new(DATA), keys.clone(), rng);
        let file = vfs.open(Path::new(super::FILE), OpenMode::CreateNew).unwrap();
        for part in 0..40_u64 {
            file.write_at(&[part as u8 + 1; 300], part * 300).await.unwrap();
        }
        file.sync().await.unwrap();
        // 40 parts, of which two lie across the end of a page.
        assert_eq!(seen.lock().nonces.len(), 42);
        let found = super::read_all(&sealed(&below, &keys), super::FILE);
        assert!(
            found
                .chunks(300)
                .zip(1..)
                .all(|(part, number)| part == [number; 300])
        );
    });
}
