//! Replays a fuzz target's corpus as a plain test, and mutations of it. Included by the tests of the
//! crates whose decoders are fuzzed.
//!
//! The corpus begins with seeds that the crate itself makes, so that it can be made again after a
//! change of a format: run the tests with `ATOLL_FUZZ_SEEDS=write`. Whatever else lies in the folder, such
//! as inputs that a fuzzer has found, is replayed as well.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{fs, io};

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A fuzz target.
pub struct Target {
    /// Its name in `fuzz/fuzz_targets` and `fuzz/corpus`.
    pub name: &'static str,
    /// Inputs that are worth starting from, by name.
    pub seeds: Vec<(String, Vec<u8>)>,
    /// Panics if the decoder breaks a promise.
    pub check: fn(&[u8]),
    /// Bytes that one check may take, whatever the input.
    pub base: usize,
    /// Bytes that it may take per byte of the input.
    pub per_byte: usize,
}

const INPUT_MAX: usize = 1 << 20;

impl Target {
    /// The corpus and then so many mutations of it. One test program runs one of these at a time: memory is
    /// counted for the whole process.
    pub fn replay(&self, mutations: u64) {
        let corpus = self.corpus();
        for (name, input) in &corpus {
            self.run(input, name);
        }
        let mut rng = fastrand::Rng::with_seed(self.name.len() as u64);
        for number in 0..mutations {
            let input = mutated(&corpus, &mut rng);
            self.run(&input, &format!("mutation {number}"));
        }
    }

    fn run(&self, input: &[u8], name: &str) {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.check)(input)));
        let taken = MEMORY.peak_usage().saturating_sub(before);
        let of = || {
            let start = &input[..input.len().min(4096)];
            format!("{} {name}, {} bytes: {start:02x?}", self.name, input.len())
        };
        assert!(outcome.is_ok(), "{}", of());
        let bound = self.base + self.per_byte * input.len();
        assert!(
            taken <= bound,
            "{taken} bytes of memory, at most {bound}: {}",
            of()
        );
    }

    /// The seeds, which must be in the folder as they are, and what else is there.
    fn corpus(&self) -> Vec<(String, Vec<u8>)> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fuzz/corpus")
            .join(self.name);
        if std::env::var_os("ATOLL_FUZZ_SEEDS").is_some() {
            write(&dir, &self.seeds).unwrap();
        }
        let corpus = read(&dir).unwrap();
        for seed in &self.seeds {
            let (name, _) = seed;
            assert!(
                corpus.contains(seed),
                "{name} is not the seed that the crate makes now"
            );
        }
        assert!(corpus.len() >= 3, "{} has next to no corpus", self.name);
        corpus
    }
}

#[expect(clippy::disallowed_methods, reason = "the corpus is part of the sources")]
fn write(dir: &Path, seeds: &[(String, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    seeds
        .iter()
        .try_for_each(|(name, input)| fs::write(dir.join(name), input))
}

#[expect(clippy::disallowed_methods, reason = "the corpus is part of the sources")]
fn read(dir: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)?
        .map(|file| file.map(|file| file.path()))
        .collect::<Result<_, _>>()?;
    paths.sort_unstable();
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    paths
        .into_iter()
        .map(|path| Ok((name(&path), fs::read(&path)?)))
        .collect()
}

/// One of the corpus with one to five changes.
fn mutated(corpus: &[(String, Vec<u8>)], rng: &mut fastrand::Rng) -> Vec<u8> {
    let (_, first) = &corpus[rng.usize(..corpus.len())];
    let (_, other) = &corpus[rng.usize(..corpus.len())];
    let mut input = first.clone();
    for _ in 0..rng.u8(1..6) {
        mutate(&mut input, other, rng);
        input.truncate(INPUT_MAX);
    }
    input
}

/// Mostly where something stands: many formats are nearly all zeros.
fn place(input: &[u8], rng: &mut fastrand::Rng) -> usize {
    let mut at = rng.usize(..=input.len());
    for _ in 0..rng.u8(..64) {
        if input.get(at).is_none_or(|byte| *byte != 0) {
            break;
        }
        at = rng.usize(..=input.len());
    }
    at
}

const ODD: [u64; 8] = [0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, u64::MAX];

fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut fastrand::Rng) {
    let at = place(input, rng);
    let rest = input.len() - at;
    let len = rng.usize(..=rest.min(64));
    match rng.u8(..10) {
        0..=2 if rest > 0 => input[at] ^= 1 << rng.u8(..8),
        3 if rest > 0 => input[at] = rng.u8(..),
        // A number, where perhaps a number stands.
        4 | 5 => {
            let odd = ODD[rng.usize(..ODD.len())].to_le_bytes();
            let width = [1, 2, 4, 8][rng.usize(..4)].min(rest);
            input[at..at + width].copy_from_slice(&odd[..width]);
        }
        6 => input.truncate(at),
        7 => drop(input.drain(at..at + len)),
        8 => {
            let copy = input[at..at + len].to_vec();
            input.splice(at..at, copy);
        }
        // The head of one, the tail of another.
        _ => {
            let from = rng.usize(..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}
