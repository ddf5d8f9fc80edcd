//! Times in RFC 3339, for the years 1 to 9999 (`docs/spec/tools.md` §3.2, §3.3).

/// Seconds since 1970 and nanoseconds of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp {
    pub(super) seconds: i64,
    pub(super) nanos: i32,
}

const DAY_SECONDS: i64 = 86_400;
/// 0001-01-01T00:00:00Z
const SECONDS_MIN: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z
const SECONDS_MAX: i64 = 253_402_300_799;
const NANOS_MAX: i32 = 999_999_999;

impl Timestamp {
    /// In UTC with 0, 3, 6 or 9 fraction digits; nothing when it is out of range.
    pub(super) fn format(self) -> Option<String> {
        if !in_range(self.seconds) || !(0..=NANOS_MAX).contains(&self.nanos) {
            return None;
        }
        let (year, month, day) = date(self.seconds.div_euclid(DAY_SECONDS));
        let second = self.seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let fraction = match self.nanos {
            0 => String::new(),
            nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
            nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
            nanos => format!(".{nanos:09}"),
        };
        Some(format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"
        ))
    }

    /// Reads a date, a time with at most 9 fraction digits, and `Z` or an offset.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let year = number(&mut rest, 4, "-")?;
        let month = number(&mut rest, 2, "-")?;
        let day = number(&mut rest, 2, "T")?;
        let hour = number(&mut rest, 2, ":")?;
        let minute = number(&mut rest, 2, ":")?;
        let second = number(&mut rest, 2, "")?;
        let nanos = fraction(&mut rest)?;
        let offset = offset_seconds(rest)?;
        let plausible = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
        if !plausible || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let of_day = hour * 3600 + minute * 60 + second;
        let seconds = days(year, month, day) * DAY_SECONDS + of_day - offset;
        in_range(seconds).then_some(Self { seconds, nanos })
    }
}

fn in_range(seconds: i64) -> bool {
    (SECONDS_MIN..=SECONDS_MAX).contains(&seconds)
}

/// Takes so many digits, and what must follow them.
fn number(rest: &mut &str, digits: usize, then: &str) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(digits)?;
    *rest = tail.strip_prefix(then)?;
    decimal(head)
}

fn decimal(digits: &str) -> Option<i64> {
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| digits.parse().ok())?
}

fn fraction(rest: &mut &str) -> Option<i32> {
    let Some(digits) = rest.strip_prefix('.') else {
        return Some(0);
    };
    let end = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, tail) = digits.split_at_checked(end)?;
    *rest = tail;
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

fn offset_seconds(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, mut rest) = text.split_at_checked(1)?;
    let hours = number(&mut rest, 2, ":")?;
    let minutes = number(&mut rest, 2, "")?;
    if !rest.is_empty() || hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

fn month_days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date. Years begin in March here, so that a leap day is the last of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// The date so many days after 1970 began.
fn date(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        Timestamp::parse(text).map(|time| time.seconds)
    }

    #[test]
    fn the_ends_of_the_range_are_written_and_read() {
        for (text, at) in [
            ("0001-01-01T00:00:00Z", SECONDS_MIN),
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("9999-12-31T23:59:59Z", SECONDS_MAX),
        ] {
            assert_eq!(seconds(text), Some(at), "{text}");
            let time = Timestamp {
                seconds: at,
                nanos: 0,
            };
            assert_eq!(time.format().as_deref(), Some(text));
        }
        let outside = |seconds, nanos| Timestamp { seconds, nanos }.format();
        assert_eq!(outside(SECONDS_MIN - 1, 0), None);
        assert_eq!(outside(SECONDS_MAX + 1, 0), None);
        assert_eq!(outside(0, -1), None);
        assert_eq!(outside(0, NANOS_MAX + 1), None);
        assert_eq!(seconds("0001-01-01T00:00:00+00:01"), None);
    }

    #[test]
    fn every_day_of_four_centuries_has_one_date() {
        let first = days(1900, 1, 1);
        for day in first..first + 146_097 {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
            assert!((1..=month_days(year, month)).contains(&of_month));
        }
    }

    #[test]
    fn fractions_have_as_few_groups_of_digits_as_they_need() {
        let text = |nanos| Timestamp { seconds: 0, nanos }.format().unwrap();
        assert_eq!(text(500_000_000), "1970-01-01T00:00:00.500Z");
        assert_eq!(text(500), "1970-01-01T00:00:00.000000500Z");
        assert_eq!(
            Timestamp::parse("1970-01-01T00:00:00.25Z").unwrap().nanos,
            250_000_000
        );
    }

    #[test]
    fn offsets_are_taken_off() {
        assert_eq!(seconds("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(seconds("1969-12-31T23:30:00-00:30"), Some(0));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-1-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.0123456789Z",
            "2026-01-01T00:00:00+2:00",
            "2026-01-01T00:00:00Z ",
            "é026-01-01T00:00:00Z",
            "",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
