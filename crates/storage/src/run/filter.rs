//! Which keys are not in a run, nearly always.
//!
//! A blocked Bloom filter: a key's six bits all stand in one line of 64 bytes, so that asking costs one cache miss.
//! With ten bits per key about one absent key in a hundred is taken for present. The hash is seeded with
//! the run's salt: keys that collide in one run do not in the next.

/// Bits per key.
const KEY_BITS: u64 = 10;
/// Bits that a key sets, nine bits of hash each.
const PROBES: u32 = 6;
/// Words of a line.
const WORDS: usize = 8;
/// Bytes of a line.
pub(super) const LINE_LEN: usize = 64;
/// Spreads the hash over the bits of a line (the golden ratio).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// One line, in one line of the processor's cache.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(align(64))]
struct Line([u64; WORDS]);

/// The filter of one run.
#[derive(Default)]
pub(super) struct Filter {
    lines: Vec<Line>,
    salt: u64,
}

impl Filter {
    /// The filter over keys with these hashes.
    pub(super) fn of(hashes: &[u64], salt: u64) -> Self {
        let lines = (hashes.len() as u64 * KEY_BITS).div_ceil(LINE_LEN as u64 * 8);
        let mut filter = Self {
            lines: vec![Line::default(); lines as usize],
            salt,
        };
        for hash in hashes {
            let line = filter.line_of(*hash);
            if let Some(line) = filter.lines.get_mut(line) {
                line.set(*hash);
            }
        }
        filter
    }

    /// A filter to be filled by [`Filter::extend`].
    pub(super) fn empty(salt: u64) -> Self {
        Self {
            lines: Vec::new(),
            salt,
        }
    }

    /// Takes in stored bytes. Those of a line that is not whole are left out: the caller checks the length.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let (lines, _) = bytes.as_chunks::<LINE_LEN>();
        self.lines.extend(lines.iter().map(Line::decode));
    }

    /// True if the key may be in the run.
    pub(super) fn may_hold(&self, key: &[u8]) -> bool {
        let hash = hash(key, self.salt);
        let line = self.lines.get(self.line_of(hash));
        line.is_some_and(|line| line.has(hash))
    }

    pub(super) fn bytes(&self) -> u64 {
        (self.lines.len() * LINE_LEN) as u64
    }

    /// Stored bytes, in pieces of at most `len`, a multiple of a line.
    pub(super) fn pieces(&self, len: usize) -> impl Iterator<Item = Vec<u8>> {
        let pieces = self.lines.chunks(len / LINE_LEN);
        pieces.map(|lines| lines.iter().flat_map(Line::encode).collect())
    }

    /// By the upper half of the hash.
    fn line_of(&self, hash: u64) -> usize {
        (((hash >> 32) * self.lines.len() as u64) >> 32) as usize
    }
}

impl Line {
    fn decode(bytes: &[u8; LINE_LEN]) -> Self {
        let (words, _) = bytes.as_chunks();
        let mut line = Self::default();
        for (word, bytes) in line.0.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        line
    }

    fn encode(&self) -> impl Iterator<Item = u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes())
    }

    fn set(&mut self, hash: u64) {
        for (word, bit) in probes(hash) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= bit;
            }
        }
    }

    fn has(&self, hash: u64) -> bool {
        probes(hash).all(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }
}

/// Words of a line, and the bit in each.
fn probes(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let spread = hash.wrapping_mul(SPREAD);
    (0..PROBES).map(move |probe| {
        let bits = spread >> (64 - 9 * (probe + 1));
        ((bits >> 6 & 7) as usize, 1 << (bits & 63))
    })
}

/// MurmurHash64A: fast on keys, and simple enough to be part of a format.
pub(super) fn hash(key: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xC6A4_A793_5BD1_E995;
    const R: u32 = 47;
    let mut hash = seed ^ (key.len() as u64).wrapping_mul(M);
    let (words, tail) = key.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> R;
        hash = (hash ^ word.wrapping_mul(M)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let word = tail
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash ^= hash >> R;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> R)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Vec<u8> {
        format!("\0user/{number:08}").into_bytes()
    }

    #[test]
    fn every_key_is_found_and_about_one_absent_in_a_hundred() {
        let hashes: Vec<u64> = (0..100_000).map(|number| hash(&key(number), 5)).collect();
        let built = Filter::of(&hashes, 5);
        let mut filter = Filter::empty(5);
        for piece in built.pieces(4096) {
            filter.extend(&piece);
        }
        assert_eq!(filter.lines, built.lines);
        assert!((0..100_000).all(|number| filter.may_hold(&key(number))));
        let taken = (100_000..200_000).filter(|number| filter.may_hold(&key(*number)));
        let taken = taken.count();
        assert!((500..1_500).contains(&taken), "{taken} of 100,000");
    }

    #[test]
    fn without_keys_there_is_nothing() {
        let filter = Filter::of(&[], 5);
        assert_eq!(filter.bytes(), 0);
        assert!(!filter.may_hold(b"\0k"));
    }

    /// Filters on disk were made with this hash: it must not change. The values are those of `std::_Hash_bytes` of
    /// libstdc++, the same function.
    #[test]
    fn the_hash_stays_as_it_is() {
        let hashes = [
            hash(b"", 0),
            hash(b"\0abc", 1),
            hash(b"0123456789abcdef", 2),
            hash(b"0123456789abcde", 2),
        ];
        assert_eq!(
            hashes,
            [
                0,
                11_829_792_138_476_383_727,
                10_095_301_734_598_908_498,
                12_803_920_673_239_218_376
            ]
        );
    }
}
