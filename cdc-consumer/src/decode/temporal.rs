//! Dates and times: Debezium's units and ISO 8601 texts, as ticks of 100 ns.

use mapping::value::TICKS_PER_SECOND;

const SECONDS_PER_DAY: i64 = 86_400;
const TICKS_PER_DAY: i64 = SECONDS_PER_DAY * TICKS_PER_SECOND;
const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;

/// The unit of a whole number that stands for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

impl Unit {
    /// Ticks, cut towards minus infinity as Debezium cuts. `None` when out of range.
    pub(crate) fn ticks(self, value: i64) -> Option<i64> {
        match self {
            Self::Milliseconds => value.checked_mul(10_000),
            Self::Microseconds => value.checked_mul(10),
            Self::Nanoseconds => Some(value.div_euclid(100)),
        }
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar (the usual count of
/// 400-year eras that begin on 1 March).
pub(crate) fn days_of_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a count of days: year, month, day.
pub(crate) fn date_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Reads a fixed number of digits.
fn digits(text: &[u8], count: usize) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let value = digits.iter().try_fold(0_i64, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
    })?;
    Some((value, rest))
}

fn date_part(text: &[u8]) -> Option<(i64, &[u8])> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix(b"-")?, 2)?;
    let (day, rest) = digits(rest.strip_prefix(b"-")?, 2)?;
    let days = days_of_date(year, month, day);
    (date_of_days(days) == (year, month, day)).then_some((days, rest))
}

fn time_part(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, mut rest) = digits(rest.strip_prefix(b":")?, 2)?;
    let mut second = 0;
    if let Some(seconds) = rest.strip_prefix(b":") {
        (second, rest) = digits(seconds, 2)?;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut ticks = (hour * 3_600 + minute * 60 + second) * TICKS_PER_SECOND;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        // Seven digits are ticks; Java may print nine.
        let mut unit = TICKS_PER_SECOND;
        for digit in fraction.iter().take(length) {
            unit /= 10;
            ticks += i64::from(digit - b'0') * unit;
        }
        rest = fraction.get(length..)?;
    }
    Some((ticks, rest))
}

/// Minutes east of UTC; nothing and `Z` are zero.
fn offset_part(text: &[u8]) -> Option<i16> {
    let (sign, rest) = match text.split_first() {
        None => return Some(0),
        Some((b'Z', [])) => return Some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return None,
    };
    let (hours, rest) = digits(rest, 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(b":").unwrap_or(rest), 2)?;
    // An offset with seconds is not one that SQL Server has.
    (rest.is_empty() && hours <= 14 && minutes <= 59).then_some(())?;
    i16::try_from(sign * (hours * 60 + minutes)).ok()
}

/// `2024-02-29Z`, as days.
pub(crate) fn iso_date(text: &[u8]) -> Option<i32> {
    let (days, rest) = date_part(text)?;
    (offset_part(rest)? == 0).then_some(())?;
    i32::try_from(days).ok()
}

/// `13:14:15.1234567Z`, as ticks since midnight.
pub(crate) fn iso_time(text: &[u8]) -> Option<i64> {
    let (ticks, rest) = time_part(text)?;
    (offset_part(rest)? == 0).then_some(ticks)
}

fn date_and_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (days, rest) = date_part(text)?;
    let rest = rest.strip_prefix(b"T").or_else(|| rest.strip_prefix(b" "))?;
    let (ticks, rest) = time_part(rest)?;
    Some((days * TICKS_PER_DAY + ticks, rest))
}

/// `2024-02-29T13:14:15.123Z`, where `Z` says nothing about a zone: ticks of wall time.
pub(crate) fn iso_timestamp(text: &[u8]) -> Option<i64> {
    let (ticks, rest) = date_and_time(text)?;
    (offset_part(rest)? == 0).then_some(ticks)
}

/// `2024-02-29T13:14:15.1234567+08:00`: the instant in ticks, and minutes east of UTC.
pub(crate) fn zoned_timestamp(text: &[u8]) -> Option<(i64, i16)> {
    let (ticks, rest) = date_and_time(text)?;
    let offset = offset_part(rest)?;
    Some((ticks - i64::from(offset) * TICKS_PER_MINUTE, offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((2024, 2, 29), 19_782),
            ((1, 1, 1), -719_162),
            ((9999, 12, 31), 2_932_896),
        ] {
            assert_eq!(days_of_date(date.0, date.1, date.2), days);
            assert_eq!(date_of_days(days), date);
        }
    }

    #[test]
    fn iso_texts() {
        assert_eq!(iso_date(b"2024-02-29Z"), Some(19_782));
        assert_eq!(iso_date(b"2023-02-29Z"), None);
        assert_eq!(iso_date(b"2023-13-01Z"), None);
        assert_eq!(iso_time(b"13:14:15.1234567Z"), Some(476_551_234_567));
        assert_eq!(iso_time(b"13:14Z"), Some(476_400_000_000));
        assert_eq!(iso_time(b"24:00:00Z"), None);
        assert_eq!(iso_timestamp(b"1970-01-01T00:00:00.5Z"), Some(5_000_000));
        assert_eq!(iso_timestamp(b"1970-01-01T00:00:00+08:00"), None);
        assert_eq!(zoned_timestamp(b"1970-01-01T08:00:00+08:00"), Some((0, 480)));
        assert_eq!(zoned_timestamp(b"1969-12-31T16:00:00.0000001-08:00"), Some((1, -480)));
        assert_eq!(Unit::Nanoseconds.ticks(-1), Some(-1));
        assert_eq!(Unit::Milliseconds.ticks(i64::MAX), None);
    }

    proptest! {
        #[test]
        fn every_day_has_one_date(days in -1_000_000_i64..4_000_000) {
            let (year, month, day) = date_of_days(days);
            prop_assert_eq!(days_of_date(year, month, day), days);
        }

        #[test]
        fn arbitrary_text_never_panics(bytes: Vec<u8>, near in "[0-9:TZ+. -]{0,30}") {
            for text in [&bytes[..], near.as_bytes()] {
                let _ = (iso_date(text), iso_time(text), iso_timestamp(text), zoned_timestamp(text));
            }
        }
    }
}
