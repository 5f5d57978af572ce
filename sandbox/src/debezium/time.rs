//! Dates and times as Debezium's converters print them, their mistakes included.

use std::fmt::Write;

use mapping::value::TICKS_PER_SECOND;

/// Ticks of 100 ns in a day.
pub(super) const DAY: i64 = 86_400 * TICKS_PER_SECOND;

/// 1582-10-05, a day that Java's hybrid calendar does not have, in days since 1970.
const GAP_FIRST_DAY: i64 = -141_437;
const GAP_DAYS: i64 = 10;

/// A date or wall time of the ten days that the Gregorian reform skipped comes ten days late.
/// `unit` is a day in the value's own unit.
pub(super) fn as_java_reads(value: i64, unit: i64) -> i64 {
    let day = value.div_euclid(unit);
    if (GAP_FIRST_DAY..GAP_FIRST_DAY + GAP_DAYS).contains(&day) {
        value + GAP_DAYS * unit
    } else {
        value
    }
}

/// The instant of a `datetimeoffset` as the connector understands it. Two mistakes: days before
/// the reform are read in the Julian calendar, and before 1970 a fraction of a second makes
/// the value one second late (milliseconds are divided toward zero).
pub(super) fn offset_instant(utc_ticks: i64) -> i64 {
    let day = utc_ticks.div_euclid(DAY);
    let utc_ticks = if day < GAP_FIRST_DAY + GAP_DAYS {
        utc_ticks + julian_shift(day) * DAY
    } else {
        utc_ticks
    };
    let milliseconds = utc_ticks.div_euclid(10_000);
    if milliseconds < 0 && milliseconds % 1_000 != 0 {
        utc_ticks + TICKS_PER_SECOND
    } else {
        utc_ticks
    }
}

/// How many days later the same year, month and day is in the Julian calendar.
fn julian_shift(day: i64) -> i64 {
    let (mut year, month, _) = civil(day);
    if month <= 2 {
        year -= 1;
    }
    year.div_euclid(100) - year.div_euclid(400) - 2
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970: the algorithm
/// counts from 1 March of year 0 in eras of 400 years.
pub(super) fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

/// `2024-02-29`.
pub(super) fn iso_date(out: &mut String, day: i64) {
    let (year, month, day) = civil(day);
    write!(out, "{year:04}-{month:02}-{day:02}").expect("a String takes everything");
}

/// `13:14:15.123`: a fraction only where there is one, without its trailing zeros.
pub(super) fn iso_time(out: &mut String, ticks: i64) {
    let seconds = ticks.div_euclid(TICKS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    write!(out, "{hour:02}:{minute:02}:{second:02}").expect("a String takes everything");
    let fraction = ticks.rem_euclid(TICKS_PER_SECOND);
    if fraction != 0 {
        let digits = format!("{fraction:07}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// `2024-02-29T13:14:15.123`.
pub(super) fn iso_timestamp(out: &mut String, ticks: i64) {
    iso_date(out, ticks.div_euclid(DAY));
    out.push('T');
    iso_time(out, ticks.rem_euclid(DAY));
}

/// `Z`, or `+08:00`.
pub(super) fn iso_offset(out: &mut String, minutes: i16) {
    if minutes == 0 {
        out.push('Z');
        return;
    }
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        .expect("a String takes everything");
}
