//! The checksum that binds a value to its key.

/// CRC-32 over the key's length (u16, little-endian), the key and the value.
///
/// It covers the key, because a pointer that went astray still finds bytes that are intact, only
/// somebody else's. It travels from the leader's encoder to the read that returns the value.
pub fn value_crc(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(key.len() as u16).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

/// The checksum of a value with `suffix` behind it, from that of the value alone: a checksum goes on
/// where it ended.
pub fn appended_crc(vcrc: u32, suffix: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(vcrc);
    hasher.update(suffix);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_length_key_and_value() {
        assert_eq!(value_crc(b"k", b"v"), crc32fast::hash(b"\x01\x00kv"));
        assert_ne!(value_crc(b"ab", b"c"), value_crc(b"a", b"bc"));
    }

    #[test]
    fn goes_on_where_it_ended() {
        let long: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for cut in [0, 1, 63, 64, 4096, 5000] {
            let (value, suffix) = long.split_at(cut);
            assert_eq!(
                appended_crc(value_crc(b"k", value), suffix),
                value_crc(b"k", &long)
            );
        }
    }
}
