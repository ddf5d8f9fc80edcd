//! What a scalar of `crypto-config.yaml` may be (`docs/spec/tools.md` §1.1).

use crate::yaml::{Place, YamlError};

/// A text; a number, or anything else without quotes, may stand for one.
pub(super) fn text(place: &Place<'_>) -> Result<String, YamlError> {
    Ok(place.scalar()?.text.clone())
}

/// A whole number: decimal, octal (`0o17`, `017`), `0x`, `0b`, with `_` in it, or with a fraction of zeros.
pub(super) fn integer(place: &Place<'_>) -> Result<i64, YamlError> {
    let scalar = place.scalar()?;
    let number = (!scalar.quoted).then(|| parse_integer(&scalar.text)).flatten();
    number.ok_or_else(|| {
        place.wrong(format!(
            "should be a whole number without quotes, not {:?}",
            scalar.text
        ))
    })
}

fn parse_integer(text: &str) -> Option<i64> {
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix(['-', '+']) {
        Some(digits) if plain.starts_with('-') => ("-", digits),
        Some(digits) => ("", digits),
        None => ("", plain.as_str()),
    };
    let (radix, digits) = radix(digits);
    // A second sign is none of the digits.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn radix(digits: &str) -> (u32, &str) {
    let marked = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    for (mark, radix) in marked {
        if let Some(rest) = digits.strip_prefix(mark) {
            return (radix, rest);
        }
    }
    if let Some((whole, fraction)) = digits.split_once('.')
        && fraction.chars().all(|c| c == '0')
    {
        return (10, whole);
    }
    match digits.strip_prefix('0') {
        Some(rest) if !rest.is_empty() => (8, rest),
        _ => (10, digits),
    }
}

/// A bool in any of its usual spellings, without quotes.
pub(super) fn flag(place: &Place<'_>) -> Result<bool, YamlError> {
    let scalar = place.scalar()?;
    match scalar.text.as_str() {
        _ if scalar.quoted => {}
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => return Ok(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            return Ok(false);
        }
        _ => {}
    }
    Err(place.wrong(format!(
        "should be true or false without quotes, not {:?}",
        scalar.text
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_in_the_forms_of_yaml() {
        for (text, number) in [
            ("0", 0),
            ("12", 12),
            ("+7", 7),
            ("-1", -1),
            ("0x2", 2),
            ("-0x10", -16),
            ("0o17", 15),
            ("017", 15),
            ("0b101", 5),
            ("1_000", 1000),
            ("2.0", 2),
            ("2.", 2),
        ] {
            assert_eq!(parse_integer(text), Some(number), "{text}");
        }
        for text in [
            "",
            "-",
            "many",
            "2.5",
            "08",
            "0x",
            "--1",
            "-+1",
            "0x-1",
            "1e2",
            "9223372036854775808",
        ] {
            assert_eq!(parse_integer(text), None, "{text}");
        }
    }
}
