//! Which operations, on which keys, with which values.

use bytes::{BufMut, Bytes, BytesMut};

/// Values are pieces of this many random bytes: making new ones would measure the generator.
const POOL_BYTES: usize = 1 << 20;
const KEY_DIGITS: usize = 10;

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Read a key.
    Get(Bytes),
    /// Write a key.
    Put(Bytes, Bytes),
}

/// The distribution that operations are drawn from.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    read_percent: u8,
    keys: u64,
    value_size: usize,
    seed: u64,
    pool: Bytes,
}

impl Plan {
    /// A plan; equal arguments draw equal operations.
    pub(super) fn new(read_percent: u8, keys: u64, value_size: usize, seed: u64) -> Self {
        let mut pool = vec![0; POOL_BYTES + value_size];
        fastrand::Rng::with_seed(seed).fill(&mut pool);
        Self {
            read_percent,
            keys,
            value_size,
            seed,
            pool: pool.into(),
        }
    }

    /// Different keys.
    pub(super) fn keys(&self) -> u64 {
        self.keys
    }

    /// The random numbers of one worker.
    pub(super) fn worker(&self, number: usize) -> fastrand::Rng {
        let step = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        fastrand::Rng::with_seed(self.seed.wrapping_add(step))
    }

    /// Draws an operation.
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> Operation {
        let key = Self::key(random.u64(..self.keys));
        if random.u8(..100) < self.read_percent {
            return Operation::Get(key);
        }
        Operation::Put(key, self.value(random))
    }

    /// Key number `number`: 11 bytes.
    pub(super) fn key(number: u64) -> Bytes {
        let mut digits = [b'0'; KEY_DIGITS];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let mut key = BytesMut::with_capacity(KEY_DIGITS + 1);
        key.put_u8(b'k');
        key.put_slice(&digits);
        key.freeze()
    }

    /// A piece of the pool.
    pub(super) fn value(&self, random: &mut fastrand::Rng) -> Bytes {
        let at = random.usize(..POOL_BYTES);
        self.pool.slice(at..at + self.value_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_numbers() {
        assert_eq!(Plan::key(0), &b"k0000000000"[..]);
        assert_eq!(Plan::key(999_999_999), &b"k0999999999"[..]);
        assert!(Plan::key(9) < Plan::key(10));
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draws = |plan: &Plan, worker| {
            let mut random = plan.worker(worker);
            (0..50).map(|_| plan.draw(&mut random)).collect::<Vec<_>>()
        };
        let plan = Plan::new(50, 1000, 64, 7);
        assert_eq!(draws(&plan, 3), draws(&Plan::new(50, 1000, 64, 7), 3));
        assert_ne!(draws(&plan, 3), draws(&plan, 4));
        assert_ne!(draws(&plan, 3), draws(&Plan::new(50, 1000, 64, 8), 3));
    }

    #[test]
    fn the_mix_is_as_asked() {
        let reads = |percent| {
            let plan = Plan::new(percent, 1000, 8, 1);
            let mut random = plan.worker(0);
            (0..10_000)
                .filter(|_| matches!(plan.draw(&mut random), Operation::Get(_)))
                .count()
        };
        assert_eq!(reads(0), 0);
        assert_eq!(reads(100), 10_000);
        assert!((9_300..9_700).contains(&reads(95)), "{}", reads(95));
    }

    #[test]
    fn values_have_the_size() {
        for size in [0, 1, 256, 1 << 20] {
            let plan = Plan::new(0, 1, size, 1);
            assert_eq!(plan.value(&mut plan.worker(0)).len(), size);
        }
    }
}
