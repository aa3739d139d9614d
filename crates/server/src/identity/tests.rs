//! Directories that are damaged, in use, or not what they seem.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_env::net::NoNet;
use atoll_env::vfs::{Crash, MemVfs, OpenMode, Vfs, replace_file};
use atoll_env::{Clock, Env, Halt, Rng, Scope, Spawn};
use atoll_storage::sealed::KeyRing;
use atoll_types::{ClusterId, NodeId, NodeUuid};

use super::{Claim, DataDir, Hints, Ident, IdentityError, Member};
use crate::crypt;

fn env(vfs: &MemVfs, seed: u64) -> Env {
    let rng = Rng::seeded(seed);
    Env {
        clock: Clock::simulated(1.0, 0),
        rng: rng.clone(),
        spawn: Spawn::simulated(Scope::new(rng)),
        vfs: Arc::new(vfs.clone()),
        net: Arc::new(NoNet),
        halt: Halt::simulated(|reason| panic!("{reason}")),
    }
}

fn path() -> PathBuf {
    PathBuf::from("/nodes/a/data")
}

fn claim_of(uuid: NodeUuid) -> Claim {
    let member = |uuid: u128| Member {
        node: NodeId(0),
        uuid: NodeUuid(uuid),
        address: format!("h:{}", uuid % 99),
        zone: String::new(),
    };
    Claim::new(
        ClusterId(5),
        6,
        vec![member(uuid.0), member(1), member(u128::MAX)],
    )
}

/// A directory of an admitted node.
async fn admitted(vfs: &MemVfs) -> DataDir {
    let dir = DataDir::open(&env(vfs, 1), &path()).await.unwrap();
    dir.write_claim(&claim_of(dir.uuid())).await.unwrap();
    dir.create_journal().unwrap();
    replace_file(vfs, &dir.journal().join("segment"), b"log")
        .await
        .unwrap();
    dir.write_ident(&Ident {
        cluster: ClusterId(5),
        node: NodeId(2),
    })
    .await
    .unwrap();
    dir.write_hints(&Hints {
        starts: 3,
        nodes: claim_of(dir.uuid()).members,
    })
    .await
    .unwrap();
    dir
}

#[tokio::test(start_paused = true)]
async fn everything_written_survives_a_power_cut() {
    let vfs = MemVfs::default();
    let dir = admitted(&vfs).await;
    let uuid = dir.uuid();
    let vfs = vfs.crash(Crash::LoseAll);
    let dir = DataDir::open(&env(&vfs, 2), &path()).await.unwrap();
    assert_eq!(dir.uuid(), uuid);
    assert_eq!(dir.claim().unwrap(), Some(claim_of(uuid)));
    assert_eq!(
        dir.ident().unwrap(),
        Some(Ident {
            cluster: ClusterId(5),
            node: NodeId(2)
        })
    );
    assert_eq!(
        dir.hints(),
        Hints {
            starts: 3,
            nodes: claim_of(uuid).members
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_used_by_one_process_at_a_time() {
    let vfs = MemVfs::default();
    let first = DataDir::open(&env(&vfs, 1), &path()).await.unwrap();
    let second = DataDir::open(&env(&vfs, 2), &path()).await;
    assert!(matches!(second.err(), Some(IdentityError::Locked(_))));
    first.unlock();
    let third = DataDir::open(&env(&vfs, 3), &path()).await.unwrap();
    assert_eq!(third.uuid(), first.uuid());
}

async fn reopened(vfs: &MemVfs) -> Result<(Option<Claim>, Option<Ident>), IdentityError> {
    let dir = DataDir::open(&env(vfs, 9), &path()).await?;
    let found = dir.claim().and_then(|claim| Ok((claim, dir.ident()?)));
    dir.unlock();
    found
}

#[tokio::test(start_paused = true)]
async fn every_flipped_bit_is_noticed() {
    let vfs = MemVfs::default();
    admitted(&vfs).await.unlock();
    for name in ["UUID", "CLAIM", "IDENT"] {
        let file = path().join(name);
        let bytes = vfs.read_small(&file, 1 << 20).unwrap();
        for offset in 0..bytes.len() as u64 {
            vfs.flip_bit(&file, offset, (offset % 8) as u8);
            let error = reopened(&vfs).await.expect_err(&format!("{name} at {offset}"));
            assert!(
                matches!(&error, IdentityError::Corrupt { path, .. } if *path == file),
                "{error}"
            );
            vfs.flip_bit(&file, offset, (offset % 8) as u8);
        }
        for len in 0..bytes.len() as u64 {
            vfs.truncate(&file, len);
            assert!(reopened(&vfs).await.is_err(), "{name} cut to {len}");
        }
        vfs.truncate(&file, 0);
        replace_file(&vfs, &file, &bytes).await.unwrap();
        assert!(reopened(&vfs).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn damaged_hints_start_anew() {
    let vfs = MemVfs::default();
    let dir = admitted(&vfs).await;
    vfs.flip_bit(&path().join("ADDRESSES"), 13, 3);
    assert_eq!(dir.hints(), Hints::default());
}

#[tokio::test(start_paused = true)]
async fn another_version_says_so() {
    let vfs = MemVfs::default();
    admitted(&vfs).await.unlock();
    vfs.flip_bit(&path().join("IDENT"), 5, 1);
    let error = reopened(&vfs).await.unwrap_err().to_string();
    assert!(error.contains("version 3") && error.contains("IDENT"), "{error}");
    assert!(error.contains("a newer Atoll wrote it"), "{error}");
}

/// As version 1 of this program wrote it.
#[tokio::test(start_paused = true)]
async fn a_claim_without_zones_is_still_read() {
    let vfs = MemVfs::default();
    let dir = admitted(&vfs).await;
    let file = path().join("CLAIM");
    let mut bytes = vfs.read_small(&file, 1 << 20).unwrap();
    // The three empty zones at the end and the sum behind them go.
    bytes.truncate(bytes.len() - 4 - 3 * 2);
    bytes[5] = 1;
    let body = (bytes.len() - 12) as u32;
    bytes[8..12].copy_from_slice(&body.to_le_bytes());
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    replace_file(&vfs, &file, &bytes).await.unwrap();
    assert_eq!(dir.claim().unwrap(), Some(claim_of(dir.uuid())));
}

#[tokio::test(start_paused = true)]
async fn a_folder_of_other_things_is_left_alone() {
    let vfs = MemVfs::default();
    vfs.create_dir_all(&path()).unwrap();
    for harmless in ["LOCK", "lost+found", "UUID.new"] {
        replace_file(&vfs, &path().join(harmless), b"x").await.unwrap();
    }
    DataDir::open(&env(&vfs, 1), &path()).await.unwrap().unlock();

    let other = Path::new("/home/somebody");
    vfs.create_dir_all(other).unwrap();
    for name in ["a.txt", "b.txt", "c.txt", "d.txt"] {
        replace_file(&vfs, &other.join(name), b"x").await.unwrap();
    }
    let error = DataDir::open(&env(&vfs, 2), other).await.err().unwrap();
    assert!(matches!(error, IdentityError::Foreign { .. }));
    let text = error.to_string();
    assert!(
        text.contains("a.txt, b.txt, c.txt, …") && text.contains("/home/somebody"),
        "{text}"
    );
    assert_eq!(vfs.list(other).unwrap(), ["a.txt", "b.txt", "c.txt", "d.txt"]);
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_promised_once() {
    let vfs = MemVfs::default();
    let dir = DataDir::open(&env(&vfs, 1), &path()).await.unwrap();
    let ident = Ident {
        cluster: ClusterId(5),
        node: NodeId(9),
    };
    assert_eq!(dir.join().unwrap(), None);
    dir.write_join(ident).await.unwrap();
    dir.unlock();
    let vfs = vfs.crash(Crash::LoseAll);
    let dir = DataDir::open(&env(&vfs, 2), &path()).await.unwrap();
    assert_eq!(dir.join().unwrap(), Some(ident));
    dir.write_claim(&claim_of(dir.uuid())).await.unwrap();
    assert!(matches!(dir.join(), Err(IdentityError::Corrupt { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_identity_without_its_log_is_refused() {
    let vfs = MemVfs::default();
    let dir = admitted(&vfs).await;
    vfs.remove(&dir.journal().join("segment")).unwrap();
    dir.unlock();
    let error = reopened(&vfs).await.unwrap_err().to_string();
    assert!(
        error.contains("log is lost") && error.contains("node 2"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_lost_its_uuid_is_refused() {
    let vfs = MemVfs::default();
    admitted(&vfs).await.unlock();
    vfs.remove(&path().join("UUID")).unwrap();
    let error = reopened(&vfs).await.unwrap_err().to_string();
    assert!(error.contains("UUID") && error.contains("CLAIM"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_claim_copied_from_another_directory_is_refused() {
    let vfs = MemVfs::default();
    admitted(&vfs).await.unlock();
    let bytes = vfs.read_small(&path().join("CLAIM"), 1 << 20).unwrap();
    let other = Path::new("/nodes/b/data");
    DataDir::open(&env(&vfs, 77), other).await.unwrap().unlock();
    replace_file(&vfs, &other.join("CLAIM"), &bytes).await.unwrap();
    let dir = DataDir::open(&env(&vfs, 78), other).await.unwrap();
    assert!(matches!(dir.claim(), Err(IdentityError::Corrupt { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_power_cut_at_any_step_leaves_one_uuid_or_none() {
    let trial = MemVfs::default();
    DataDir::open(&env(&trial, 1), &path()).await.unwrap();
    for step in 1..=trial.operations() {
        let vfs = MemVfs::default();
        vfs.freeze_at(step);
        let seen = DataDir::open(&env(&vfs, 1), &path())
            .await
            .ok()
            .map(|dir| dir.uuid());
        let vfs = vfs.crash(Crash::LoseAll);
        let uuid = DataDir::open(&env(&vfs, 2), &path()).await.unwrap().uuid();
        assert!(seen.is_none_or(|seen| seen == uuid), "step {step}");
        assert!(vfs.open(&path().join("UUID"), OpenMode::Read).is_ok());
    }
}

#[test]
fn claims_that_no_init_could_have_made_are_refused() {
    let good = claim_of(NodeUuid(50));
    assert_eq!(good.check(), Ok(()));
    let spoilt = |spoil: fn(&mut Claim)| {
        let mut claim = good.clone();
        spoil(&mut claim);
        claim.check()
    };
    assert!(spoilt(|claim| claim.members.clear()).is_err());
    assert!(spoilt(|claim| claim.members.swap(0, 1)).is_err());
    assert!(spoilt(|claim| claim.members[1].uuid = claim.members[0].uuid).is_err());
    assert!(spoilt(|claim| claim.members[2].node = NodeId(4)).is_err());
    assert!(spoilt(|claim| claim.members[0].address.clear()).is_err());
    assert!(spoilt(|claim| claim.groups = 0).is_err());
}

fn with_keys(vfs: &MemVfs, seed: u64) -> Env {
    let mut env = env(vfs, seed);
    let keys = KeyRing::parse(&[*b"0123456789abcdef"; 2].concat()).unwrap();
    crypt::seal(&mut env, &path(), &Arc::new(keys));
    env
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_encrypted_from_its_beginning_or_never() {
    let vfs = MemVfs::default();
    DataDir::open(&with_keys(&vfs, 1), &path())
        .await
        .unwrap()
        .unlock();
    let error = DataDir::open(&env(&vfs, 2), &path()).await.err().unwrap();
    assert!(matches!(error, IdentityError::Sealed { .. }), "{error}");
    assert!(error.to_string().contains("--encryption-key-file"), "{error}");
    DataDir::open(&with_keys(&vfs, 3), &path())
        .await
        .unwrap()
        .unlock();

    let vfs = MemVfs::default();
    DataDir::open(&env(&vfs, 1), &path()).await.unwrap().unlock();
    let error = DataDir::open(&with_keys(&vfs, 2), &path()).await.err().unwrap();
    assert!(matches!(error, IdentityError::Clear { .. }), "{error}");
    assert!(error.to_string().contains("empty directories"), "{error}");
    DataDir::open(&env(&vfs, 3), &path()).await.unwrap().unlock();
}

/// Wherever the first start ends, no uuid is without what says whether the directory is encrypted.
#[tokio::test(start_paused = true)]
async fn a_power_cut_never_leaves_an_encrypted_directory_that_looks_clear() {
    let trial = MemVfs::default();
    DataDir::open(&with_keys(&trial, 1), &path()).await.unwrap();
    for step in 1..=trial.operations() {
        let vfs = MemVfs::default();
        vfs.freeze_at(step);
        let begun = DataDir::open(&with_keys(&vfs, 1), &path()).await.is_ok();
        let vfs = vfs.crash(Crash::Random);
        let clear = DataDir::open(&env(&vfs.fork(0).crash(Crash::Process), 2), &path()).await;
        assert!(!begun || clear.is_err(), "step {step}");
        DataDir::open(&with_keys(&vfs, 3), &path()).await.unwrap();
    }
}
