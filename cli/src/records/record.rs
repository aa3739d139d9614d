//! One record: read from a file, or made up from a seed.

use atoll_types::Key;
use atoll_types::limits::VALUE_BYTES_MAX;
use bytes::Bytes;
use serde::Deserialize;

use crate::encoding::base64_decode;

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its line or position, from 1.
    pub(crate) number: u64,
    /// The key, within its bounds.
    pub(crate) key: Bytes,
    /// The value, within its bounds.
    pub(crate) value: Bytes,
}

impl Record {
    /// Bytes of key and value.
    pub(crate) fn size(&self) -> usize {
        self.key.len() + self.value.len()
    }

    /// CRC-32 of key and value; sums of it do not depend on the order of records.
    pub(crate) fn checksum(&self) -> u64 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.key);
        hasher.update(&self.value);
        u64::from(hasher.finalize())
    }

    /// Reads a line of JSON.
    pub(crate) fn parse(number: u64, line: &[u8]) -> Result<Self, String> {
        let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let key = bytes_of("key", line.key, line.key_base64)?;
        let value = bytes_of("value", line.value, line.value_base64)?;
        Self::checked(number, key, value)
    }

    /// A record within its bounds.
    pub(crate) fn checked(number: u64, key: Bytes, value: Bytes) -> Result<Self, String> {
        Key::check(&key).map_err(|error| error.to_string())?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!(
                "the value has {} bytes; at most {VALUE_BYTES_MAX} are allowed",
                value.len()
            ));
        }
        Ok(Self { number, key, value })
    }

    /// Makes up record `number` (from 1); the same for the same seed and size.
    pub(crate) fn synthetic(number: u64, value_size: usize, seed: u64) -> Self {
        let key = Bytes::from(format!("synthetic-{number:012}"));
        let mut value = vec![0; value_size];
        // Weyl's step keeps the generators of neighbours apart.
        let mixed = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        fastrand::Rng::with_seed(mixed).fill(&mut value);
        Self {
            number,
            key,
            value: value.into(),
        }
    }
}

#[derive(Deserialize)]
struct Line {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
}

fn bytes_of(name: &str, text: Option<String>, base64: Option<String>) -> Result<Bytes, String> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into()),
        (None, Some(encoded)) => match base64_decode(&encoded) {
            Some(decoded) => Ok(decoded.into()),
            None => Err(format!("\"{name}_base64\" is not base64")),
        },
        (Some(_), Some(_)) => Err(format!("both \"{name}\" and \"{name}_base64\" are given")),
        (None, None) => Err(format!("neither \"{name}\" nor \"{name}_base64\" is given")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Record, String> {
        Record::parse(3, line.as_bytes())
    }

    #[test]
    fn text_and_base64() {
        let record = parse(r#"{"key":"grün","value":"a\nb"}"#).unwrap();
        assert_eq!(
            record,
            Record {
                number: 3,
                key: "grün".into(),
                value: "a\nb".into()
            }
        );
        let record = parse(r#"{"key_base64":"AP8=","value_base64":"","version":"7"}"#).unwrap();
        assert_eq!((&record.key[..], &record.value[..]), (&[0, 255][..], &[][..]));
    }

    #[test]
    fn malformed_lines_say_what_is_wrong() {
        for (line, part) in [
            ("", "EOF"),
            ("[]", "expected"),
            ("{", "EOF"),
            (r#"{"key":1,"value":"v"}"#, "string"),
            (r#"{"value":"v"}"#, "neither \"key\""),
            (r#"{"key":"k"}"#, "neither \"value\""),
            (r#"{"key":"k","value":"v","value_base64":"dg=="}"#, "both"),
            (r#"{"key":"k","value_base64":"?"}"#, "not base64"),
            (r#"{"key":"","value":"v"}"#, "empty"),
            (r#"{"key":"k","value":"v"} x"#, "trailing"),
            ("{\"key\":\"\u{1}\",\"value\":\"v\"}", "control"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
        let long = format!(r#"{{"key":"{}","value":"v"}}"#, "k".repeat(4097));
        assert!(parse(&long).unwrap_err().contains("4097"));
    }

    #[test]
    fn what_scan_prints_can_be_imported() {
        use crate::output::JsonRow;
        for (key, value) in [(&b"k"[..], &b"v"[..]), (b"\xff", b"\x00\x01"), (b"\"\n", b"")] {
            let line = serde_json::to_string(&JsonRow::new(key, Some(value), 9)).unwrap();
            let record = parse(&line).unwrap();
            assert_eq!((&record.key[..], &record.value[..]), (key, value));
        }
    }

    #[test]
    fn made_up_records_repeat_and_differ() {
        let record = Record::synthetic(1, 256, 7);
        assert_eq!(record, Record::synthetic(1, 256, 7));
        assert_ne!(record.value, Record::synthetic(2, 256, 7).value);
        assert_ne!(record.value, Record::synthetic(1, 256, 8).value);
        assert_eq!(record.value.len(), 256);
    }

    #[test]
    fn the_checksum_is_the_crc_of_key_and_value() {
        let record = Record {
            number: 1,
            key: "1234".into(),
            value: "56789".into(),
        };
        // The check value of CRC-32 over "123456789".
        assert_eq!(record.checksum(), 0xcbf4_3926);
    }
}
