//! What is a key, and what is said of what is none.

use super::super::keys::{KEY_TEXT_BYTES_MAX, KeyError, KeyRing};

const ONE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const TWO: &str = "ff0102030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f";

#[test]
fn bytes_and_lines_are_keys_and_the_first_is_the_newest() {
    let raw: Vec<u8> = (0..32).collect();
    let raw = KeyRing::parse(&raw).unwrap();
    let one = KeyRing::parse(ONE.as_bytes()).unwrap();
    assert_eq!(raw.newest(), one.newest());
    // sha256 of the 32 bytes, as `sha256sum` says it.
    assert_eq!(one.newest().to_string(), "630dcd2966c43366");
    let text = format!("# a comment\n\n{TWO}\r\n  {ONE}\n{TWO}\n");
    let both = KeyRing::parse(text.as_bytes()).unwrap();
    assert!(both.has(one.newest()) && both.newest() != one.newest());
    assert_eq!(both.to_string(), format!("{}, {}", both.newest(), one.newest()));
}

#[test]
fn what_is_no_key_is_refused_and_never_shown() {
    let refused = |text: &[u8]| KeyRing::parse(text).unwrap_err();
    assert_eq!(refused(b""), KeyError::Empty);
    assert_eq!(refused(b"\n# nothing\n"), KeyError::Empty);
    for (text, line) in [
        (ONE[1..].to_owned(), 1),
        (format!("{ONE}0"), 1),
        (format!("{ONE}\nsecret"), 2),
        (format!("{ONE}\n{}", ONE.replace("0a", "0g")), 2),
        ("x".repeat(31), 1),
        ("é".repeat(32), 1),
    ] {
        assert_eq!(refused(text.as_bytes()), KeyError::Malformed { line }, "{text}");
    }
    assert_eq!(refused(&[0; 32]), KeyError::Weak { line: 1 });
    assert_eq!(refused("ab".repeat(32).as_bytes()), KeyError::Weak { line: 1 });
    assert_eq!(refused(&vec![b'\n'; KEY_TEXT_BYTES_MAX + 1]), KeyError::TooMany);
    let many: Vec<_> = (0..17)
        .map(|number| format!("{number:02x}{}", &ONE[2..]))
        .collect();
    assert_eq!(refused(many.join("\n").as_bytes()), KeyError::TooMany);
    let shown = format!("{:?}", KeyRing::parse(ONE.as_bytes()).unwrap());
    assert_eq!(shown, "KeyRing(630dcd2966c43366)");
}
