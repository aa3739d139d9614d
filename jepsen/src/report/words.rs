//! Numbers, times and operations as people write them.

use atoll_history::{Call, Level, Operation, Outcome};

/// A span of time with three digits: `850 µs`, `3.21 ms`, `12.5 s`, `2 min 5 s`.
pub(super) fn span(ns: u64) -> String {
    let value = ns as f64;
    if ns < 1_000_000 {
        format!("{} µs", three_digits(value / 1e3))
    } else if ns < 1_000_000_000 {
        format!("{} ms", three_digits(value / 1e6))
    } else if ns < 120_000_000_000 {
        format!("{} s", three_digits(value / 1e9))
    } else {
        let seconds = ns / 1_000_000_000;
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

fn three_digits(value: f64) -> String {
    let text = if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        return format!("{value:.0}");
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A moment of a run: `12.345 s`.
pub(super) fn moment(ns: u64) -> String {
    format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1_000)
}

/// A count, with commas: `12,345`.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count of things: `1 fault`, `2 faults`.
pub(super) fn things(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(number))
}

/// A number of a demand: at most two digits behind the point.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number beside an axis: `2,500`, `0.5`.
pub(super) fn axis(value: f64) -> String {
    let whole = value.round();
    let text = format!("{whole:.0}");
    match text.parse::<usize>() {
        Ok(many) if whole.to_bits() == value.to_bits() => count(many),
        _ => number(value),
    }
}

/// A moment of the world, in UTC: `2026-01-31 12:00:00 UTC`.
pub(super) fn utc(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of the Gregorian calendar, from days since 1970. Counted from the first of March,
/// because a leap day is then the last day of a year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day_of_month)
}

/// The first letters of a text, and a sign if there were more.
pub(super) fn clip(text: &str, letters_max: usize) -> String {
    match text.char_indices().nth(letters_max) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

/// What kind of call it is: `put`, `get session`.
pub(super) fn kind(call: &Call) -> String {
    let (verb, level) = match call {
        Call::Put { .. } => ("put", None),
        Call::Delete => ("delete", None),
        Call::Cas { .. } => ("cas", None),
        Call::CounterAdd { .. } => ("counter add", None),
        Call::SetAdd { .. } => ("set add", None),
        Call::Get { level } => ("get", Some(level)),
        Call::CounterRead { level } => ("counter read", Some(level)),
        Call::SetRead { level } => ("set read", Some(level)),
        Call::Scan { level, .. } => ("scan", Some(level)),
        Call::Txn { .. } => ("txn", None),
    };
    match level {
        None | Some(Level::Linearizable) => verb.to_owned(),
        Some(Level::Session) => format!("{verb} session"),
        Some(Level::Bounded { .. }) => format!("{verb} bounded"),
        Some(Level::Eventual) => format!("{verb} eventual"),
    }
}

/// A call with its arguments: `put a17`.
pub(super) fn call(call: &Call) -> String {
    let kind = kind(call);
    match call {
        Call::Put { value } => format!("{kind} {value}"),
        Call::Cas { expected, value } => {
            let new = value.as_deref().unwrap_or("nothing");
            format!("{kind} v{} → {new}", expected.version)
        }
        Call::CounterAdd { amount } => format!("{kind} {amount}"),
        Call::SetAdd { element } => format!("{kind} {element}"),
        Call::Txn { steps, .. } => format!("{kind} of {}", things(steps.len(), "step")),
        Call::Scan { keys, reverse, .. } => {
            let order = if *reverse { "down" } else { "up" };
            format!("{kind} {order} over {}", things(keys.len(), "key"))
        }
        Call::Delete | Call::Get { .. } | Call::CounterRead { .. } | Call::SetRead { .. } => kind,
    }
}

/// An answer: `a17 (v4)`.
pub(super) fn answer(outcome: &Outcome) -> String {
    let with_version = |text: &str, version: Option<u64>| match version {
        Some(version) if text.is_empty() => format!("v{version}"),
        Some(version) => format!("{text} (v{version})"),
        None => text.to_owned(),
    };
    match outcome {
        Outcome::Written { version: None } => "done".to_owned(),
        Outcome::Written { version } => with_version("", *version),
        Outcome::Read(None) => "nothing".to_owned(),
        Outcome::Read(Some(seen)) => with_version(&seen.value, seen.version),
        Outcome::Counted(number) | Outcome::Added(number) => number.to_string(),
        Outcome::Done { found, .. } => with_version(&things(found.len(), "step"), outcome.version_written()),
        Outcome::Rows(rows) => things(rows.len(), "row"),
        Outcome::Refused { step, actual } => format!("step {step} refused: v{actual}"),
        Outcome::Elements(elements) => format!("{} elements", elements.len()),
        Outcome::Conflict { actual: 0 } => "conflict: absent".to_owned(),
        Outcome::Conflict { actual } => format!("conflict: v{actual}"),
        Outcome::Failed => "failed".to_owned(),
        Outcome::Unknown => "?".to_owned(),
    }
}

/// A text with only the end of each long number: versions have some twenty digits, of which the last tell them apart.
pub(super) fn short_versions(text: &str) -> String {
    const DIGITS: usize = 6;
    let mut short = String::new();
    for part in text.split_inclusive(|letter: char| !letter.is_ascii_digit()) {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 2 * DIGITS {
            short.push('…');
            short.push_str(part.get(digits - DIGITS..).unwrap_or_default());
        } else {
            short.push_str(part);
        }
    }
    short
}

/// A call and its answer: `get → a17 (v4)`.
pub(super) fn operation(operation: &Operation) -> String {
    format!("{} → {}", call(&operation.call), answer(&operation.outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_three_digits() {
        let cases = [
            (0, "0 µs"),
            (850_000, "850 µs"),
            (3_214_000, "3.21 ms"),
            (30_000_000, "30 ms"),
            (12_500_000_000, "12.5 s"),
            (125_000_000_000, "2 min 5 s"),
        ];
        for (ns, text) in cases {
            assert_eq!(span(ns), text);
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_798_761_599_000), "2026-12-31 23:59:59 UTC");
    }

    #[test]
    fn counts_are_grouped_and_texts_clipped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(things(1, "fault"), "1 fault");
        assert_eq!(clip("äöü", 2), "äö…");
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(axis(0.5), "0.5");
        assert_eq!(axis(2_500.0), "2,500");
        assert_eq!(number(0.5), "0.5");
        assert_eq!(number(1200.0), "1200");
        assert_eq!(
            short_versions("get → a17 (v117656455043743744)"),
            "get → a17 (v…743744)"
        );
        assert_eq!(short_versions("v12 → 123456789012"), "v12 → 123456789012");
    }
}
