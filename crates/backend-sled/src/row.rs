//! A row as sled has it: version u64, sum u32 (over key and value), both little endian, then the value.

use atoll_storage::value_crc;
use atoll_types::Version;
use bytes::Bytes;

use crate::SledError;

const VERSION_BYTES: usize = 8;
const SUM_BYTES: usize = 4;

/// What stands at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRow {
    pub(crate) version: Version,
    /// `value_crc` of key and value.
    pub(crate) vcrc: u32,
    pub(crate) value: Bytes,
}

impl StoredRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(VERSION_BYTES + SUM_BYTES + self.value.len());
        bytes.extend_from_slice(&self.version.0.to_le_bytes());
        bytes.extend_from_slice(&self.vcrc.to_le_bytes());
        bytes.extend_from_slice(&self.value);
        bytes
    }

    /// The row of a key, if these are its bytes.
    pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, SledError> {
        let row = Self::parse(bytes).filter(|row| value_crc(key, &row.value) == row.vcrc);
        row.ok_or_else(|| SledError::Row(key.escape_ascii().to_string()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<VERSION_BYTES>()?;
        let (vcrc, value) = rest.split_first_chunk::<SUM_BYTES>()?;
        Some(Self {
            version: Version(u64::from_le_bytes(*version)),
            vcrc: u32::from_le_bytes(*vcrc),
            value: Bytes::copy_from_slice(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: &'static [u8]) -> StoredRow {
        StoredRow {
            version: Version(0x0102_0304_0506_0708),
            vcrc: value_crc(b"key", value),
            value: Bytes::from_static(value),
        }
    }

    #[test]
    fn a_row_comes_back() {
        for row in [row(b""), row(b"v"), row(&[7; 3000])] {
            assert_eq!(StoredRow::decode(b"key", &row.encode()).unwrap(), row);
        }
    }

    #[test]
    fn a_row_of_another_key_or_with_a_flipped_or_missing_bit_of_its_value_is_refused() {
        let bytes = row(b"a value").encode();
        assert!(StoredRow::decode(b"other", &bytes).is_err());
        // A version has no sum of its own.
        for at in VERSION_BYTES * 8..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(StoredRow::decode(b"key", &bytes).is_err(), "bit {at}");
        }
        for len in 0..bytes.len() {
            assert!(StoredRow::decode(b"key", &bytes[..len]).is_err(), "{len} bytes");
        }
    }
}
