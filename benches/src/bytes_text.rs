//! Numbers of bytes as people write and read them.

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

/// Reads `512MiB`, `4KiB`, `1GiB` or plain bytes. The error is for people.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let suffix = text.get(digits.len()..).unwrap_or_default();
    let number: u64 = digits
        .trim()
        .parse()
        .map_err(|_| format!("\"{text}\" is not a number of bytes such as 4096 or 512MiB"))?;
    let unit = UNITS.iter().find(|(name, _)| *name == suffix);
    let (_, factor) = unit.ok_or_else(|| format!("\"{suffix}\" is none of KiB, MiB, GiB"))?;
    number
        .checked_mul(*factor)
        .ok_or_else(|| format!("\"{text}\" is more than there can be"))
}

/// About three digits and the unit that fits.
pub(crate) fn show(bytes: f64) -> String {
    let unit = UNITS.iter().find(|(_, factor)| bytes >= *factor as f64);
    match unit {
        Some((name, factor)) if *factor > 1 => format!("{:.1} {name}", bytes / *factor as f64),
        _ => format!("{bytes:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("4KiB"), Ok(4096));
        assert_eq!(parse("512MiB"), Ok(512 << 20));
        assert_eq!(parse("3GiB"), Ok(3 << 30));
        for wrong in ["", "MiB", "1MB", "-1", "1.5GiB", "18446744073709551615KiB"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_people_read() {
        assert_eq!(show(0.0), "0 B");
        assert_eq!(show(1023.0), "1023 B");
        assert_eq!(show(1536.0), "1.5 KiB");
        assert_eq!(show(3.0 * 1024.0 * 1024.0), "3.0 MiB");
        assert_eq!(show(2.5 * 1024.0 * 1024.0 * 1024.0), "2.5 GiB");
    }
}
