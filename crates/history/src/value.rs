//! Values: numbers, written so that a damaged or mixed-up one is noticed.

/// A value's bytes: its number and as much more as the number asks for, so that of a database that keeps
/// short values elsewhere than long ones, all ways are used.
pub fn spell(value: u64) -> Vec<u8> {
    let len = match value % 50 {
        0 => 70_000,
        1..20 => 0,
        more => more * 20,
    };
    let mut bytes = format!("{value}:").into_bytes();
    bytes.resize(bytes.len() + len as usize, b'a' + (value % 26) as u8);
    bytes
}

/// The number, if these are the bytes of one; else a number that nobody wrote.
pub fn read(bytes: &[u8]) -> u64 {
    let number = bytes
        .split(|byte| *byte == b':')
        .next()
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let number = number.and_then(|digits| digits.parse().ok());
    number
        .filter(|number| spell(*number) == bytes)
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_back_only_if_whole() {
        for value in 1..200 {
            assert_eq!(read(&spell(value)), value);
        }
        assert_eq!(read(&spell(45)[..20]), u64::MAX);
        assert_eq!(read(b"what"), u64::MAX);
    }
}
