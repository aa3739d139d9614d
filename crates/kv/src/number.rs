//! Numbers as they are stored: the decimal text of 64 bits, so that a reader of the key sees them.

use std::io::Write as _;

/// Bytes of the longest number, `-9223372036854775808`.
pub(crate) const NUMBER_BYTES_MAX: usize = 20;

/// The text of a number.
#[derive(Clone, Copy)]
pub(crate) struct NumberText {
    bytes: [u8; NUMBER_BYTES_MAX],
    len: usize,
}

impl NumberText {
    pub(crate) fn of(number: i64) -> Self {
        let mut bytes = [0; NUMBER_BYTES_MAX];
        let mut rest = &mut bytes[..];
        write!(rest, "{number}").expect("the longest number fits");
        let len = NUMBER_BYTES_MAX - rest.len();
        Self { bytes, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The number of a text, if the text is exactly what [`NumberText`] makes of it: an optional minus and
/// digits, no plus, no spaces, no leading zeros, no minus zero. What only looks like a number (a zip
/// code, `007`) is text that somebody stored, and counting on it would destroy it.
pub(crate) fn number_of(text: &[u8]) -> Option<i64> {
    if text.len() > NUMBER_BYTES_MAX {
        return None;
    }
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    (NumberText::of(number).as_bytes() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_nothing_else() {
        for number in [0, 1, -1, 10, 42, -307, i64::MAX, i64::MIN, i64::MAX - 1] {
            let text = NumberText::of(number);
            assert_eq!(text.as_bytes(), number.to_string().as_bytes());
            assert_eq!(number_of(text.as_bytes()), Some(number));
        }
        let others = [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "007",
            "-01",
            " 1",
            "1 ",
            "1\n",
            "1.0",
            "1e3",
            "0x1",
            "1_000",
            "a",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "000000000000000000001",
            "\u{661}",
        ];
        for text in others {
            assert_eq!(number_of(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(number_of(b"1\xff"), None);
        assert_eq!(number_of(&[b'1'; 4096]), None);
    }
}
