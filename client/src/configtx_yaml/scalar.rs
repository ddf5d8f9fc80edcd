//! What a scalar stands for where a number, a bool, a duration or a text is wanted.
//!
//! Two steps, as in the reference: a plain scalar is first taken for what it looks like, which a quoted one and
//! an environment variable never are, and then turned into what the key wants (`docs/spec/tools.md` §2.2).

use configtx::duration::GoDuration;

/// A scalar, before anybody said what it should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar<'a> {
    pub(super) text: &'a str,
    /// In quotes, or out of the environment: a text whatever it looks like.
    pub(super) quoted: bool,
}

/// What a scalar looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Look {
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text,
}

impl Scalar<'_> {
    fn look(&self) -> Look {
        if self.quoted {
            return Look::Text;
        }
        match self.text {
            "true" | "True" | "TRUE" => return Look::Bool(true),
            "false" | "False" | "FALSE" => return Look::Bool(false),
            _ => {}
        }
        let begins_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
        if !self.text.starts_with(begins_number) {
            return Look::Text;
        }
        let digits = self.text.replace('_', "");
        let float = || digits.parse().ok().filter(|_| is_decimal_float(&digits));
        integer(&digits).map_or_else(|| float().map_or(Look::Text, Look::Float), Look::Integer)
    }

    /// As a whole number: fractions are cut off, true is 1, an empty text is 0.
    pub(super) fn whole(&self) -> Option<i128> {
        match self.look() {
            Look::Bool(value) => Some(value.into()),
            Look::Integer(value) => Some(value),
            Look::Float(value) => cut_off(value),
            Look::Text if self.text.is_empty() => Some(0),
            Look::Text => underscores_separate(self.text)
                .then(|| integer(&self.text.replace('_', "")))
                .flatten(),
        }
    }

    /// As a whole number, or a size such as `512kb` or `99 MB`.
    pub(super) fn size(&self) -> Option<i128> {
        match self.look() {
            Look::Text => self.whole().or_else(|| size(self.text)),
            _ => self.whole(),
        }
    }

    /// As a bool: also as a number, 0 being false, and as `t`, `f` and their like. Not `yes`, `no`, `on`, `off`.
    pub(super) fn bool(&self) -> Option<bool> {
        match self.look() {
            Look::Bool(value) => Some(value),
            Look::Integer(value) => Some(value != 0),
            Look::Float(value) => Some(value != 0.0),
            Look::Text => match self.text {
                "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
                "0" | "f" | "F" | "false" | "False" | "FALSE" | "" => Some(false),
                _ => None,
            },
        }
    }

    /// As a duration: `1m30s`, or a number of nanoseconds.
    pub(super) fn duration(&self) -> Option<GoDuration> {
        match self.look() {
            Look::Text => self.text.parse().ok(),
            _ => i64::try_from(self.whole()?).ok().map(GoDuration::from_nanos),
        }
    }

    /// As a text. A plain number becomes its usual form: `0x10` is the text `16`.
    pub(super) fn text(&self) -> String {
        match self.look() {
            Look::Bool(value) => u8::from(value).to_string(),
            Look::Integer(value) => value.to_string(),
            Look::Float(value) => value.to_string(),
            Look::Text => self.text.to_owned(),
        }
    }
}

/// Decimal, `0x`, `0o`, `0b`, and octal with a leading 0, with or without a sign; at most 64 bits.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let prefix = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (radix, digits) = match prefix.as_str() {
        "0x" => (16, &digits[2..]),
        "0o" => (8, &digits[2..]),
        "0b" => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    Some(if negative { -value } else { value })
}

/// Whether each underscore stands between two digits, or between the prefix and the first digit.
fn underscores_separate(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |index: Option<usize>| {
        let byte = index.and_then(|index| bytes.get(index));
        byte.is_some_and(u8::is_ascii_alphanumeric)
    };
    let mut underscores = (0..bytes.len()).filter(|index| bytes[*index] == b'_');
    underscores.all(|index| digit(index.checked_sub(1)) && digit(Some(index + 1)))
}

/// Whether `text` is made of digits with at most one dot, and a decimal exponent: no `inf`, no `nan`.
fn is_decimal_float(text: &str) -> bool {
    let only = |text: &str, more: &[char]| text.chars().all(|c| c.is_ascii_digit() || more.contains(&c));
    let unsigned = text.trim_start_matches(['+', '-']);
    let (number, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, ""));
    only(number, &['.']) && only(exponent, &['+', '-'])
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "cutting off is the rule, and the range was checked"
)]
fn cut_off(value: f64) -> Option<i128> {
    const BEYOND_64_BITS: f64 = 18_446_744_073_709_551_616.0;
    (value.abs() < BEYOND_64_BITS).then_some(value as i128)
}

/// Digits, blanks, and one of `k`, `m`, `g` with or without `b`, in any letter case.
fn size(text: &str) -> Option<i128> {
    let lower = text.to_ascii_lowercase();
    let number_and_unit = lower.strip_suffix('b').unwrap_or(&lower);
    let shift = match number_and_unit.as_bytes().last()? {
        b'k' => 10,
        b'm' => 20,
        b'g' => 30,
        _ => return None,
    };
    let number = number_and_unit[..number_and_unit.len() - 1].trim_end_matches([' ', '\t', '\r', '\n']);
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    integer(number).filter(|_| digits).map(|value| value << shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str) -> Scalar<'_> {
        Scalar { text, quoted: false }
    }

    fn quoted(text: &str) -> Scalar<'_> {
        Scalar { text, quoted: true }
    }

    #[test]
    fn whole_numbers_in_every_form() {
        let cases = [
            ("500", 500),
            ("0x20", 32),
            ("0X2a", 42),
            ("0o17", 15),
            ("0b101", 5),
            ("010", 8),
            ("1_000_000", 1_000_000),
            ("0x_ff", 255),
            ("+7", 7),
            ("-1", -1),
            ("18446744073709551615", u64::MAX.into()),
            ("true", 1),
            ("false", 0),
            ("2.9", 2),
            ("-2.9", -2),
            ("1e3", 1000),
            ("08", 8),
            ("0", 0),
        ];
        for (text, value) in cases {
            assert_eq!(plain(text).whole(), Some(value), "{text}");
        }
        for (text, value) in [
            ("65536", 65_536),
            ("0x20", 32),
            ("010", 8),
            ("1_000", 1000),
            ("", 0),
        ] {
            assert_eq!(quoted(text).whole(), Some(value), "{text:?}");
        }
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in [
            "seven",
            "yes",
            "1 2",
            "0x",
            "0b2",
            ".inf",
            ".nan",
            "-",
            "+",
            ".",
            "1e",
            "1e400",
            "0x-1",
            "\u{661}",
            "18446744073709551616000",
            "--1",
            "0x+1",
            "ROTATION_ON",
        ] {
            assert_eq!(plain(text).whole(), None, "{text:?}");
        }
        for text in ["2.5", "true", " 1", "1_", "_1", "1__0", "08", "1e3"] {
            assert_eq!(quoted(text).whole(), None, "{text:?}");
        }
    }

    #[test]
    fn sizes_have_binary_units_in_any_case() {
        let cases = [
            ("99 MB", 99 << 20),
            ("512kb", 512 << 10),
            ("5 m", 5 << 20),
            ("3G", 3 << 30),
            ("4 GB", 4 << 30),
            ("010k", 8 << 10),
            ("7", 7),
        ];
        for (text, value) in cases {
            assert_eq!(plain(text).size(), Some(value), "{text}");
            assert_eq!(quoted(text).size(), Some(value), "{text}");
        }
        for text in [
            "10 MiB", "10 bytes", "10 B", "k", " 5 MB", "5 MB ", "-5 MB", "1.5 MB", "0x5 MB", "5 5 k", "b",
        ] {
            assert_eq!(quoted(text).size(), None, "{text:?}");
        }
    }

    #[test]
    fn bools_in_the_usual_spellings_and_as_numbers() {
        for text in ["true", "True", "TRUE", "1", "t", "T", "0.5", "-3"] {
            assert_eq!(plain(text).bool(), Some(true), "{text}");
        }
        for text in ["false", "0", "f", "0.0", "0x0"] {
            assert_eq!(plain(text).bool(), Some(false), "{text}");
        }
        for text in ["yes", "no", "on", "off", "y", "tRUE"] {
            assert_eq!(plain(text).bool(), None, "{text}");
            assert_eq!(quoted(text).bool(), None, "{text}");
        }
        assert_eq!(quoted("t").bool(), Some(true));
        assert_eq!(quoted("2").bool(), None);
    }

    #[test]
    fn durations_are_texts_of_go_or_nanoseconds() {
        assert_eq!(plain("1m30s").duration(), "90s".parse().ok());
        assert_eq!(plain("2500000000").duration(), "2.5s".parse().ok());
        assert_eq!(plain("-1s").duration(), "-1s".parse().ok());
        assert_eq!(plain("2 fortnights").duration(), None);
        assert_eq!(quoted("2500000000").duration(), None);
        assert_eq!(quoted("").duration(), None);
        assert_eq!(plain("9223372036854775808").duration(), None);
    }

    #[test]
    fn plain_numbers_become_texts_in_their_usual_form() {
        for (text, value) in [
            ("0x10", "16"),
            ("1.10", "1.1"),
            ("true", "1"),
            ("10.0.0.3", "10.0.0.3"),
        ] {
            assert_eq!(plain(text).text(), value);
            assert_eq!(quoted(text).text(), text);
        }
        assert_eq!(plain("yes").text(), "yes");
        assert_eq!(plain("1e22").text(), "10000000000000000000000");
    }

    proptest! {
        #[test]
        fn no_text_makes_any_of_them_panic(text in "[-+.0-9_xobkmgeE ]{0,12}|\\PC{0,6}", quoted: bool) {
            let scalar = Scalar { text: &text, quoted };
            let _ = (scalar.whole(), scalar.size(), scalar.bool(), scalar.duration(), scalar.text());
        }
    }
}
