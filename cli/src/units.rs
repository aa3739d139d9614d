//! Durations, sizes and addresses as people write them, and back.

use std::time::Duration;

/// Parses `500ms`, `10s`, `2m`, `1h`; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.parse().map_err(|_| bad_duration(text))?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(bad_duration(text)),
    };
    if !(0.0..=31_536_000.0).contains(&seconds) {
        return Err(format!("'{text}' is out of range; at most a year"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn bad_duration(text: &str) -> String {
    format!("'{text}' is not a duration; write for example 500ms, 10s, 2m or 1h")
}

/// Checks `host:port`.
pub(crate) fn parse_address(text: &str) -> Result<String, String> {
    let bad = || format!("'{text}' is not an address; write host:port, for example 127.0.0.1:7401");
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || bare_ipv6 || host.contains(char::is_whitespace) || host.contains('/') {
        return Err(bad());
    }
    port.parse::<u16>().map_err(|_| bad())?;
    Ok(text.to_owned())
}

/// Bytes with a binary unit.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut scaled = count as f64;
    let mut name = "B";
    for unit in UNITS {
        if scaled < 1024.0 {
            break;
        }
        scaled /= 1024.0;
        name = unit;
    }
    format!("{scaled:.1} {name}")
}

/// A count with thousands separated.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A duration in the unit that reads best.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0 if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        0 => format!("{:.2} ms", seconds * 1e3),
        1..120 => format!("{seconds:.1} s"),
        120..7200 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

/// Things per second; 0 for no time.
pub(crate) fn rate(number: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 {
        number as f64 / seconds
    } else {
        0.0
    }
}

/// Things per second, rounded down.
pub(crate) fn per_second(number: u64, elapsed: Duration) -> u64 {
    let nanos = elapsed.as_nanos().max(1);
    u64::try_from(u128::from(number) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_duration("7"), Ok(Duration::from_secs(7)));
        assert_eq!(parse_duration("20us"), Ok(Duration::from_micros(20)));
        for bad in [
            "",
            "s",
            "-1s",
            "1d",
            "1.2.3s",
            "10 s",
            "99999999999h",
            "nan",
            "inf",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses() {
        for good in [
            "127.0.0.1:7401",
            "localhost:1",
            "[::1]:65535",
            "node-1.example.org:7401",
        ] {
            assert_eq!(parse_address(good), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "localhost",
            ":7401",
            "::1:7401",
            "h:70000",
            "h:x",
            "http://h:1/",
            "a b:1",
            "http://h:1",
        ] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn figures_for_people() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(span(Duration::from_micros(42)), "42 µs");
        assert_eq!(span(Duration::from_micros(1420)), "1.42 ms");
        assert_eq!(span(Duration::from_secs(3)), "3.0 s");
        assert_eq!(span(Duration::from_secs(600)), "10 min");
        assert!((rate(50, Duration::from_millis(500)) - 100.0).abs() < 1e-9);
        assert!(rate(50, Duration::ZERO).abs() < 1e-9);
        assert_eq!(per_second(50, Duration::from_millis(300)), 166);
    }
}
