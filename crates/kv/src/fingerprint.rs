//! A running hash of everything applied.

use atoll_types::{Misfit, Outcome, Refusal, Version};

/// Two replicas that applied the same entries have equal fingerprints; two that decided anything
/// differently have not, except by a chance of one in 2^64. No defence against an attacker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn value(self) -> u64 {
        self.0
    }

    /// The hash that had this value.
    pub(crate) fn restored(value: u64) -> Self {
        Self(value)
    }

    /// The finaliser of SplitMix64 over the sum; equal on every platform.
    pub(crate) fn word(&mut self, word: u64) {
        let mut z = (self.0 ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.0 = z ^ (z >> 31);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.word(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn change(&mut self, key: &[u8], version: Version, vcrc: u32) {
        self.bytes(key);
        self.word(version.0);
        self.word(u64::from(vcrc));
    }

    pub(crate) fn outcome(&mut self, outcome: &Outcome) {
        match *outcome {
            Outcome::Done { version } => self.words(&[1, version.0]),
            Outcome::GuardFailed { guard, actual } => {
                self.words(&[2, u64::from(guard), actual.map_or(0, |version| version.0)]);
            }
            Outcome::Computed { version, number } => self.words(&[10, version.0, number.cast_unsigned()]),
            Outcome::Misfit { op, misfit } => {
                let misfit = match misfit {
                    Misfit::NotANumber => 1,
                    Misfit::Overflow => 2,
                    Misfit::TooLong => 3,
                };
                self.words(&[11, u64::from(op), misfit]);
            }
            Outcome::Refused(refusal) => self.refusal(&refusal),
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        match *refusal {
            Refusal::SessionExpired => self.word(3),
            Refusal::Stale => self.word(4),
            Refusal::TooManyOpen => self.word(5),
            Refusal::BelowHorizon => self.word(6),
            Refusal::NotOwner { slot, epoch } => self.words(&[7, u64::from(slot.0), epoch.0]),
            Refusal::NoGenesis => self.word(8),
            Refusal::Unsupported => self.word(9),
        }
    }

    fn words(&mut self, words: &[u64]) {
        for &word in words {
            self.word(word);
        }
    }
}
