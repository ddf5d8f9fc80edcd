//! Whole numbers, as JSON numbers or texts.
//!
//! `5.0` and `"1e2"` are whole numbers too; they are read digit by digit, since a float would lose some.

use super::error::{JsonError, Reason};
use super::read::expected;
use super::text::{Json, number_length};

/// No field takes a number of more digits; what is longer is refused before it is worked on.
const DIGITS_MAX: i64 = 25;

/// Reads a number that fits `T`; `wanted` says in words what does.
pub(super) fn read<T: TryFrom<i128>>(json: &Json, wanted: &'static str) -> Result<T, JsonError> {
    let (Json::Number(text) | Json::Text(text)) = json else {
        return Err(expected("a number", json));
    };
    let fitting = whole(text).and_then(|number| T::try_from(number).ok());
    fitting.ok_or_else(|| {
        let (expected, got) = (wanted, json.described());
        Reason::Number { expected, got }.into()
    })
}

/// The whole number that `text` writes; nothing when it is none, or one that nothing takes.
fn whole(text: &str) -> Option<i128> {
    if number_length(text)? != text.len() {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (digits, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or((1, digits), |digits| (-1, digits));
    let all = format!("{digits}{fraction}");
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // How many zeros stand between the last significant digit and the decimal point.
    let trailing = all.len() - all.trim_end_matches('0').len();
    let zeros = exponent_value(exponent)?
        .checked_add(i64::try_from(trailing).ok()?)?
        .checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let length = i64::try_from(significant.len()).ok()?;
    if zeros < 0 || length.checked_add(zeros)? > DIGITS_MAX {
        return None;
    }
    let power = 10_i128.checked_pow(u32::try_from(zeros).ok()?)?;
    significant
        .parse::<i128>()
        .ok()?
        .checked_mul(power)?
        .checked_mul(sign)
}

/// An exponent; nothing when it is beyond everything that digits could make up for.
fn exponent_value(text: &str) -> Option<i64> {
    text.strip_prefix('+').unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_in_every_form() {
        for (text, number) in [
            ("5", 5),
            ("5.0", 5),
            ("-0", 0),
            ("0e99999999999999999999", 0),
            ("1e2", 100),
            ("1.50E+1", 15),
            ("1500e-2", 15),
            ("-120", -120),
            ("18446744073709551615.00", 18_446_744_073_709_551_615),
        ] {
            assert_eq!(whole(text), Some(number), "{text}");
        }
        let long = format!("0.{}1e1001", "0".repeat(1000));
        assert_eq!(whole(&long), Some(1));
    }

    #[test]
    fn other_numbers_and_texts_are_refused() {
        for text in [
            "5.5",
            "1e-1",
            "",
            " 5",
            "5 ",
            "+5",
            "05",
            "0x5",
            "1e",
            "five",
            "1e99999999999999999999",
            "1e1000000000",
            "-1e-9223372036854775808",
            "1.5e-9223372036854775808",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn the_range_is_that_of_the_field() {
        let number = |text: &str| Json::Number(text.to_owned());
        assert_eq!(read::<u32>(&number("4294967295"), "number"), Ok(u32::MAX));
        assert!(read::<u32>(&number("4294967296"), "number").is_err());
        assert!(read::<u64>(&number("-1"), "number").is_err());
        assert_eq!(read::<i32>(&number("-2147483648"), "number"), Ok(i32::MIN));
        assert!(read::<i32>(&Json::Bool(true), "number").is_err());
    }
}
