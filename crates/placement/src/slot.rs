//! From a key to its slot.

use atoll_types::SlotId;
use atoll_types::limits::SLOTS;

/// The slot of a key: CRC-16/XMODEM of its hash part, modulo 16,384.
///
/// Redis Cluster's rule to the letter, so that cluster-aware Redis clients can compute routes: if
/// the key has a `{`, and a `}` after that first `{`, and something stands between the two, only
/// that something is hashed. Keys that share a tag share a slot and can be written in one batch.
pub fn slot_of(key: &[u8]) -> SlotId {
    SlotId(crc16(hash_part(key)) % SLOTS)
}

/// The part of a key that is hashed: its tag, or all of it. See [`slot_of`].
pub fn hash_part(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else {
        return key;
    };
    let after = key.get(open + 1..).unwrap_or_default();
    match after.iter().position(|&byte| byte == b'}') {
        None | Some(0) => key,
        Some(close) => after.get(..close).unwrap_or(key),
    }
}

/// CRC-16/XMODEM: polynomial 0x1021, start 0, not reflected, no final xor.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        let index = (crc >> 8) as u8 ^ byte;
        // A u8 always indexes a table of 256.
        let row = CRC16.get(usize::from(index)).copied().unwrap_or_default();
        (crc << 8) ^ row
    })
}

const CRC16: [u16; 256] = crc16_table();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time; an overrun would not compile"
)]
const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_check_value() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(crc16(b""), 0);
    }

    #[test]
    fn slots_that_redis_prints() {
        // CLUSTER KEYSLOT of the Redis documentation and test suite.
        assert_eq!(slot_of(b"foo"), SlotId(12182));
        assert_eq!(slot_of(b"bar"), SlotId(5061));
        assert_eq!(slot_of(b"hello"), SlotId(866));
        assert_eq!(slot_of(b"123456789"), SlotId(12739));
    }

    #[test]
    fn equal_tags_share_a_slot() {
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
    }

    #[test]
    fn the_tag_rule_at_its_edges() {
        assert_eq!(hash_part(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hash_part(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(hash_part(b"foo{bar}{zap}"), b"bar");
        assert_eq!(hash_part(b"{"), b"{");
        assert_eq!(hash_part(b"{}"), b"{}");
        assert_eq!(hash_part(b"}a{b"), b"}a{b");
        assert_eq!(hash_part(b"}{b}"), b"b");
        assert_eq!(hash_part(b"a{b"), b"a{b");
        assert_eq!(hash_part(b""), b"");
    }
}
