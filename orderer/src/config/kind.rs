//! One raw text into one typed value.

use std::time::Duration;

use super::keys::Kind;

/// A typed setting.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Number(u64),
    Decimal(f64),
    Duration(Duration),
    List(Vec<String>),
}

/// Reads `text` as `kind`; the error says what was expected, without the key's name.
pub(super) fn parse(kind: Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Text | Kind::Secret | Kind::Path(_) => Ok(Value::Text(text.to_owned())),
        Kind::Choice(choices) => choice(choices, text),
        Kind::Flag => flag(text).map(Value::Flag),
        Kind::Port => port(text).map(Value::Number),
        Kind::Count => count(text).map(Value::Number),
        Kind::Size => size(text).map(Value::Number),
        Kind::Room => bytes(text)
            .map(Value::Number)
            .ok_or_else(|| format!("'{text}' is no number of bytes, such as 100 MB or 2 GB")),
        Kind::Decimal => decimal(text).map(Value::Decimal),
        Kind::Duration => duration(text).map(Value::Duration),
        Kind::Paths(_) => Ok(Value::List(list(text))),
    }
}

fn choice(choices: &'static [&'static str], text: &str) -> Result<Value, String> {
    choices
        .iter()
        .find(|choice| choice.eq_ignore_ascii_case(text))
        .map(|choice| Value::Text((*choice).to_owned()))
        .ok_or_else(|| format!("'{text}' is none of {}", choices.join(", ")))
}

/// The spellings Go's `strconv.ParseBool` takes.
fn flag(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

fn port(text: &str) -> Result<u64, String> {
    let port: Result<u16, _> = text.parse();
    port.map(u64::from)
        .map_err(|_| format!("'{text}' is no port number (0 to 65535)"))
}

fn count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{text}' is no whole number"))
}

fn decimal(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|number| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| format!("'{text}' is no number"))
}

/// As [`bytes`], below 4 GiB.
fn size(text: &str) -> Result<u64, String> {
    bytes(text)
        .filter(|bytes| u32::try_from(*bytes).is_ok())
        .ok_or_else(|| format!("'{text}' is no size below 4 GiB, such as 65536, 64k or 1 MB"))
}

/// Bytes: `65536`, `64k`, `1 MB`, `2g`; the units are powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim().to_ascii_lowercase();
    let factor: Option<u64> = match unit.as_str() {
        "" => Some(1),
        "k" | "kb" => Some(1 << 10),
        "m" | "mb" => Some(1 << 20),
        "g" | "gb" => Some(1 << 30),
        "t" | "tb" => Some(1 << 40),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    let (number, factor) = number.zip(factor)?;
    number.checked_mul(factor)
}

/// `[a, b]`, or one element without brackets.
fn list(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let elements: Vec<&str> = inner.map_or_else(|| vec![text], |inner| inner.split(',').collect());
    elements
        .into_iter()
        .map(|element| element.trim().trim_matches(['"', '\'']).to_owned())
        .filter(|element| !element.is_empty())
        .collect()
}

/// Units of a Go duration, longest name first where one begins another.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// A duration as Go writes it: `5s`, `1m0s`, `2h45m`, `1.5s`, `642ms`; `0` needs no unit.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no duration such as 5s, 642ms, 1m30s or 2h");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (part, after) = leading_part(rest).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Ok(Duration::from_nanos(total))
}

/// Nanoseconds of the first `number unit` of `text`, and what follows it.
fn leading_part(text: &str) -> Option<(u64, &str)> {
    let number_len = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(number_len);
    let unit_len = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_len);
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some((scaled(number, *nanos)?, after))
}

/// `number` (with an optional fraction) times `nanos`, fractions of a nanosecond cut off.
fn scaled(number: &str, nanos: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut sum = whole.checked_mul(nanos)?;
    let mut place = nanos;
    for digit in fraction.chars() {
        place /= 10;
        sum = sum.checked_add(place * u64::from(digit.to_digit(10)?))?;
    }
    Some(sum)
}

/// `duration` as Go prints it: `0s`, `642ms`, `5s`, `1m0s`, `2h0m0s`.
pub fn go_duration(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    let seconds = duration.as_secs();
    if seconds == 0 {
        return below_a_second(nanos);
    }
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let last = format!("{}{}s", seconds % 60, fraction(u64::from(nanos), 9));
    match (hours, minutes) {
        (0, 0) => last,
        (0, minutes) => format!("{minutes}m{last}"),
        (hours, minutes) => format!("{hours}h{minutes}m{last}"),
    }
}

fn below_a_second(nanos: u32) -> String {
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}{}µs", nanos / 1_000, fraction(u64::from(nanos % 1_000), 3)),
        _ => format!(
            "{}{}ms",
            nanos / 1_000_000,
            fraction(u64::from(nanos % 1_000_000), 6)
        ),
    }
}

/// `.25` for 250 of `digits` = 3; empty for 0.
fn fraction(part: u64, digits: usize) -> String {
    if part == 0 {
        return String::new();
    }
    let padded = format!("{part:0digits$}");
    format!(".{}", padded.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_as_go_does() {
        for (text, millis, printed) in [
            ("5s", 5_000, "5s"),
            ("1m0s", 60_000, "1m0s"),
            ("15m0s", 900_000, "15m0s"),
            ("2h0m0s", 7_200_000, "2h0m0s"),
            ("7200s", 7_200_000, "2h0m0s"),
            ("642ms", 642, "642ms"),
            ("1.5s", 1_500, "1.5s"),
            (".5m", 30_000, "30s"),
            ("0", 0, "0s"),
            ("1h1ms", 3_600_001, "1h0m0.001s"),
        ] {
            let parsed = duration(text).expect(text);
            assert_eq!(parsed, Duration::from_millis(millis), "{text}");
            assert_eq!(go_duration(parsed), printed, "{text}");
        }
        assert_eq!(go_duration(Duration::from_nanos(1_500)), "1.5µs");
    }

    #[test]
    fn durations_without_unit_or_with_a_sign_are_refused() {
        for text in [
            "",
            "5",
            "-5s",
            "5 s",
            "s",
            ".s",
            "5x",
            "1s2",
            "99999999999h",
            "1..5s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024_in_any_spelling() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64k", 65_536),
            ("1 MB", 1 << 20),
            ("1mb", 1 << 20),
            ("2g", 1 << 31),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "1 TB", "-1", "4g", "1.5m", "99999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn room_on_a_disk_may_be_larger_than_other_sizes() {
        for (text, bytes) in [("100 MB", 100 << 20), ("20 GB", 20 << 30), ("1 TB", 1 << 40)] {
            assert_eq!(parse(Kind::Room, text), Ok(Value::Number(bytes)), "{text}");
        }
        for text in ["", "much", "-1", "99999999 TB"] {
            assert!(parse(Kind::Room, text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_in_text_has_brackets_or_one_element() {
        assert_eq!(list("[a, b]"), ["a", "b"]);
        assert_eq!(list("[ \"a b\" ]"), ["a b"]);
        assert_eq!(list("a"), ["a"]);
        assert!(list("[]").is_empty());
    }
}
