//! Bytes as text: how arguments are read and how tables show what is not text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::ValueEnum;

use crate::failure::{Failure, Result};

/// How keys and values are written in arguments and shown in tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    /// The text's own bytes. What is not printable text is shown escaped.
    #[default]
    Utf8,
    /// Hexadecimal digits.
    Hex,
    /// Standard base64 with padding.
    Base64,
}

impl Encoding {
    /// Reads an argument; `what` names it in the error.
    pub(crate) fn decode(self, text: &str, what: &str) -> Result<Bytes> {
        let decoded = match self {
            Self::Utf8 => Some(text.as_bytes().to_vec()),
            Self::Hex => hex_decode(text),
            Self::Base64 => base64_decode(text),
        };
        let name = if self == Self::Hex {
            "hexadecimal"
        } else {
            "base64"
        };
        decoded.map(Bytes::from).ok_or_else(|| {
            Failure::usage(format!("the {what} '{}' is not {name}", text.escape_debug()))
                .next("--encoding says how keys and values are written: utf8, hex or base64")
        })
    }

    /// Shows bytes within one line.
    pub(crate) fn line(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => escape(bytes, false),
            Self::Hex => hex_encode(bytes),
            Self::Base64 => base64_encode(bytes),
        }
    }

    /// Shows bytes as text that may have several lines.
    pub(crate) fn text(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => escape(bytes, true),
            Self::Hex | Self::Base64 => self.line(bytes),
        }
    }
}

/// Text as it is; control characters and bytes that are not UTF-8 as `\xNN`, so that a stored value
/// can neither break a table nor command a terminal.
fn escape(bytes: &[u8], keep_lines: bool) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\t' if keep_lines => shown.push(c),
                c if c.is_control() => shown.extend(c.escape_default()),
                c => shown.push(c),
            }
        }
        for byte in chunk.invalid() {
            shown.extend(['\\', 'x', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
    shown
}

fn hex_decode(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    let (pairs, []) = digits.as_deref()?.as_chunks::<2>() else {
        return None;
    };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn hex_encode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 15)])
        .collect()
}

fn hex_digit(half: u8) -> char {
    char::from_digit(u32::from(half), 16).unwrap_or('?')
}

/// Standard base64 with padding.
pub(crate) fn base64_encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The inverse of [`base64_encode`].
pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_hex_and_base64() {
        let all: Vec<u8> = (0..=255).collect();
        for encoding in [Encoding::Hex, Encoding::Base64] {
            let shown = encoding.line(&all);
            assert_eq!(encoding.decode(&shown, "key").unwrap(), all);
        }
        assert_eq!(
            Encoding::Hex.decode("00fFA5", "key").unwrap(),
            &[0, 255, 0xa5][..]
        );
    }

    #[test]
    fn bad_arguments_name_the_argument() {
        for (encoding, text) in [
            (Encoding::Hex, "abc"),
            (Encoding::Hex, "zz"),
            (Encoding::Base64, "a"),
            (Encoding::Base64, "????"),
        ] {
            let failure = encoding.decode(text, "key").unwrap_err();
            assert_eq!(failure.exit, crate::failure::Exit::Usage);
            assert!(failure.what.contains("the key"), "{}", failure.what);
        }
    }

    #[test]
    fn tables_show_text_and_escape_the_rest() {
        assert_eq!(Encoding::Utf8.line("grün".as_bytes()), "grün");
        assert_eq!(Encoding::Utf8.line(b"a\xff\x00b"), "a\\xff\\u{0}b");
        assert_eq!(Encoding::Utf8.line(b"a\nb\x1b[2J"), "a\\nb\\u{1b}[2J");
        assert_eq!(Encoding::Utf8.text(b"a\nb\tc\r"), "a\nb\tc\\r");
        assert_eq!(Encoding::Utf8.line(b"truncated \xe2\x82"), "truncated \\xe2\\x82");
    }
}
