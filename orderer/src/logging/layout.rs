//! Time layouts as Go writes them: the moment of Go's reference time, 2 January 2006, 15:04:05, stands for each part.
//!
//! A layout is turned into a few `strftime` texts once, when the format is read. Times are in UTC.

use std::fmt::Write as _;

use jiff::Timestamp;

/// The layout of `%{time}` without one.
pub const DEFAULT: &str = "2006-01-02T15:04:05.999Z07:00";

/// What stands for what, longer ones before their own beginnings.
const PARTS: &[(&str, &str)] = &[
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("2006", "%Y"),
    ("-07:00", "+00:00"),
    ("-0700", "+0000"),
    ("-07", "+00"),
    ("Z07:00", "Z"),
    ("Z0700", "Z"),
    ("Z07", "Z"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("_2006", "_%Y"),
    ("_2", "%e"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
    ("PM", "%p"),
    ("pm", "%P"),
];

/// A time layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Strftime(String),
    /// `.000` or `.999`: so many digits of a second, with their zeros at the end or without.
    Fraction {
        separator: char,
        digits: usize,
        keeps_zeros: bool,
    },
}

impl Layout {
    /// Reads a layout; what stands for nothing stands for itself.
    pub fn parse(mut text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut strftime = String::new();
        while let Some(first) = text.chars().next() {
            if let Some((fraction, rest)) = fraction(text) {
                pieces.push(Piece::Strftime(std::mem::take(&mut strftime)));
                pieces.push(fraction);
                text = rest;
            } else if let Some((part, rest)) = part(text) {
                strftime.push_str(part);
                text = rest;
            } else {
                match first {
                    '%' => strftime.push_str("%%"),
                    other => strftime.push(other),
                }
                text = &text[first.len_utf8()..];
            }
        }
        pieces.push(Piece::Strftime(strftime));
        Self(pieces)
    }

    /// Appends `time`.
    pub fn write(&self, time: Timestamp, out: &mut String) {
        for piece in &self.0 {
            match piece {
                // Every text comes from the table above, and writing to a String cannot fail.
                Piece::Strftime(text) => drop(write!(out, "{}", time.strftime(text))),
                Piece::Fraction {
                    separator,
                    digits,
                    keeps_zeros,
                } => write_fraction(time, *separator, *digits, *keeps_zeros, out),
            }
        }
    }
}

fn part(text: &str) -> Option<(&'static str, &str)> {
    PARTS.iter().find_map(|(go, strftime)| {
        let rest = text.strip_prefix(go)?;
        // `Month` is no month, and `January` was looked for before.
        let is_in_word = matches!(*go, "Jan" | "Mon") && rest.starts_with(|c: char| c.is_ascii_lowercase());
        (!is_in_word).then_some((*strftime, rest))
    })
}

/// A separator and then only zeros, or only nines, up to something that is no digit.
fn fraction(text: &str) -> Option<(Piece, &str)> {
    let separator = text.chars().next().filter(|first| matches!(first, '.' | ','))?;
    let rest = &text[1..];
    let digit = rest.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let after = rest.trim_start_matches(digit);
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let fraction = Piece::Fraction {
        separator,
        digits: rest.len() - after.len(),
        keeps_zeros: digit == '0',
    };
    Some((fraction, after))
}

fn write_fraction(time: Timestamp, separator: char, digits: usize, keeps_zeros: bool, out: &mut String) {
    let nanos = time.as_nanosecond().rem_euclid(1_000_000_000);
    let all = format!("{nanos:09}");
    let shown = &all[..digits.min(all.len())];
    let shown = if keeps_zeros {
        shown
    } else {
        shown.trim_end_matches('0')
    };
    if !shown.is_empty() {
        out.push(separator);
        out.push_str(shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(layout: &str) -> String {
        let time: Timestamp = "2026-11-03T09:05:07.0702Z".parse().unwrap();
        let mut out = String::new();
        Layout::parse(layout).write(time, &mut out);
        out
    }

    #[test]
    fn every_part_of_a_go_layout_is_understood() {
        for (layout, expected) in [
            ("2006-01-02 15:04:05.000 MST", "2026-11-03 09:05:07.070 UTC"),
            (DEFAULT, "2026-11-03T09:05:07.07Z"),
            ("Mon Jan _2 15:04:05 2006", "Tue Nov  3 09:05:07 2026"),
            (
                "Monday, January 2, 06 at 3:4:5pm",
                "Tuesday, November 3, 26 at 9:5:7am",
            ),
            ("03:04PM -0700 -07:00 -07", "09:05AM +0000 +00:00 +00"),
            ("002/1", "307/11"),
            ("05,000000", "07,070200"),
            ("05.00001", "07.00011"),
            ("Month %Y%%", "Month %Y%%"),
            ("", ""),
        ] {
            assert_eq!(written(layout), expected, "{layout}");
        }
    }

    #[test]
    fn nines_leave_zeros_out_and_a_whole_second_has_no_fraction() {
        let whole: Timestamp = "2026-11-03T09:05:07Z".parse().unwrap();
        let mut out = String::new();
        Layout::parse("05.999|05.000").write(whole, &mut out);
        assert_eq!(out, "07|07.000");
    }
}
