//! Directories full of bytes of any kind: always an answer.

use std::path::{Path, PathBuf};

use atoll_env::Vfs;
use atoll_env::vfs::{MemVfs, OpenMode};
use proptest::prelude::*;

use super::report;
use crate::check::{Dump, Space, plan_drop, plan_leftovers};
use crate::store::tests::disk::{
    GROUP, IDENTITY, data, env, group_dir, journal_dir, sealed, simulate, stopped,
};

#[derive(Clone, Debug)]
enum Mutation {
    /// Bits at a place, thousandths of a file.
    Write(u64, Vec<u8>),
    Cut(u64),
    Grow(u64),
    Remove,
    /// The bytes of another file.
    Copy(usize),
    /// A sum of the whole is right again.
    Sign,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        6 => (0..1000_u64, prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Mutation::Write(at, bytes)),
        2 => (0..1000_u64).prop_map(Mutation::Cut),
        1 => (1..20_000_u64).prop_map(Mutation::Grow),
        1 => Just(Mutation::Remove),
        2 => any::<usize>().prop_map(Mutation::Copy),
        4 => Just(Mutation::Sign),
    ]
}

fn files(vfs: &MemVfs) -> Vec<PathBuf> {
    let of = |dir: PathBuf| {
        let names = vfs.list(&dir).unwrap();
        names.into_iter().map(move |name| dir.join(name))
    };
    of(journal_dir()).chain(of(group_dir())).collect()
}

async fn mutate(vfs: &MemVfs, path: &Path, mutation: &Mutation) {
    let Ok(file) = vfs.open(path, OpenMode::Write) else {
        return;
    };
    let len = file.len().unwrap();
    match mutation {
        Mutation::Write(at, bytes) => file.write_at(bytes, len * at / 1000).await.unwrap(),
        Mutation::Cut(at) => vfs.truncate(path, len * at / 1000),
        Mutation::Grow(by) => vfs.truncate(path, len + by),
        Mutation::Remove => vfs.remove(path).unwrap(),
        Mutation::Copy(from) => {
            let all = files(vfs);
            let from = vfs.open(&all[from % all.len()], OpenMode::Read).unwrap();
            let mut bytes = vec![0; from.len().unwrap() as usize];
            from.read_exact_at(&mut bytes, 0).unwrap();
            vfs.truncate(path, 0);
            file.write_at(&bytes, 0).await.unwrap();
        }
        Mutation::Sign => {
            // As a manifest, a mark and the header of a segment or a run have it.
            let end = if len < 4096 { len } else { 4096 };
            let mut bytes = vec![0; end as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            if let Some((content, _)) = bytes.split_last_chunk::<4>() {
                let sum = crc32fast::hash(content).to_le_bytes();
                file.write_at(&sum, content.len() as u64).await.unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn there_is_always_an_answer(
        mutations in prop::collection::vec((any::<usize>(), mutation()), 1..6),
    ) {
        simulate(async {
            let vfs = stopped().await;
            for (file, mutation) in &mutations {
                let all = files(&vfs);
                let Some(path) = all.get(file % all.len().max(1)) else { continue };
                mutate(&vfs, path, mutation).await;
            }
            let found = report(&vfs);
            plan_leftovers(&found);
            // Whether it may be dropped or not, there is a reason.
            let _ = plan_drop(&found, GROUP);
            let mut dump = Dump::open(&env(&vfs), data(), IDENTITY, true).unwrap();
            let _ = (dump.groups().unwrap(), dump.manifest(GROUP), dump.entries(GROUP, 0, 50));
            let _ = (dump.rows(GROUP, Space::Users, None, 50), dump.rows(GROUP, Space::System, None, 50));
        });
    }
}

#[test]
fn there_is_always_an_answer_about_sealed_files() {
    sealed(there_is_always_an_answer);
}
