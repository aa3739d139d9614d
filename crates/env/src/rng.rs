//! Randomness: jitter, ids and, from [`Rng::key`] alone, keys of ciphers.

use std::sync::Arc;

use parking_lot::Mutex;

/// A random generator shared by clones: the operating system's, or, in the simulator, one that
/// repeats from the run's seed.
#[derive(Clone, Debug)]
pub struct Rng {
    generator: Arc<Mutex<fastrand::Rng>>,
    seeded: bool,
}

impl Rng {
    /// Seeded from the operating system.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn from_os() -> Self {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).expect("the operating system gives random bytes");
        Self {
            seeded: false,
            ..Self::seeded(u64::from_le_bytes(seed))
        }
    }

    /// Repeats the same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self {
            generator: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))),
            seeded: true,
        }
    }

    /// 64 random bits.
    pub fn bits64(&self) -> u64 {
        self.generator.lock().u64(..)
    }

    /// 128 random bits, for ids. In production straight from the operating system: an id drawn from
    /// a generator with a 64-bit seed would collide once two seeds do.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn bits128(&self) -> u128 {
        if self.seeded {
            return self.generator.lock().u128(..);
        }
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        u128::from_le_bytes(bytes)
    }

    /// 256 random bits, for keys of ciphers. In production straight from the operating system.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        if self.seeded {
            self.generator.lock().fill(&mut key);
        } else {
            getrandom::fill(&mut key).expect("the operating system gives random bytes");
        }
        key
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            self.generator.lock().u64(..bound)
        }
    }

    /// A number from 0 up to, without, 1.
    pub fn fraction(&self) -> f64 {
        self.generator.lock().f64()
    }
}
