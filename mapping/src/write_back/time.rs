//! Days and times on their way back, and how SQL Server rounds them.

use crate::{
    catalog::SqlType,
    convert::{Fault, Sentinel, Sentinels},
    encode::{EPOCH_DAYS, EPOCH_MICROSECONDS, TICKS_PER_DAY, TICKS_PER_MICROSECOND},
    value::{LegacyValue, TICKS_PER_SECOND},
    zone::{Gap, Overlap, Zone},
};

type Inverted = Result<LegacyValue<'static>, Fault>;

/// 0001-01-01 and the day after 9999-12-31, in ticks since 1970.
const YEARS: std::ops::Range<i64> = -719_162 * TICKS_PER_DAY..2_932_897 * TICKS_PER_DAY;
/// 1753-01-01.
const DATETIME_BEGIN: i64 = -79_257 * TICKS_PER_DAY;
/// 1900-01-01 and 2079-06-07.
const SMALL: std::ops::Range<i64> = -25_567 * TICKS_PER_DAY..39_969 * TICKS_PER_DAY;
const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;
const TICKS_PER_MILLISECOND: i64 = TICKS_PER_SECOND / 1000;

fn range(what: &'static str) -> Fault {
    Fault::new("time.range", what)
}

/// What stands for infinity in the legacy column.
fn sentinel(wanted: Sentinel, sentinels: &Sentinels) -> Result<i64, Fault> {
    let ticks = sentinels.ticks.iter().find(|(_, meaning)| *meaning == wanted);
    let days = sentinels.days.iter().find(|(_, meaning)| *meaning == wanted);
    let days = days.map(|(day, _)| i64::from(*day) * TICKS_PER_DAY);
    ticks.map(|(ticks, _)| *ticks).or(days).ok_or_else(|| {
        Fault::new("time.infinity", "is infinite, and no sentinel of the column says so")
    })
}

/// What would be read as something else when it comes back.
fn not_a_sentinel(ticks: i64, sentinels: &Sentinels) -> Result<i64, Fault> {
    match sentinels.of_ticks(ticks) {
        None => Ok(ticks),
        Some(_) => Err(Fault::new(
            "time.sentinel",
            "is a value that means something else in the legacy column",
        )),
    }
}

pub(super) fn day(days: i32, sentinels: &Sentinels, sql_type: &SqlType) -> Inverted {
    let ticks = match days {
        i32::MAX => sentinel(Sentinel::Infinity, sentinels)?,
        i32::MIN => sentinel(Sentinel::MinusInfinity, sentinels)?,
        days => {
            let ticks = (i64::from(days) + i64::from(EPOCH_DAYS)).checked_mul(TICKS_PER_DAY);
            not_a_sentinel(ticks.unwrap_or(i64::MAX), sentinels)?
        }
    };
    if *sql_type == SqlType::Date {
        let day = i32::try_from(ticks.div_euclid(TICKS_PER_DAY));
        return day.map(LegacyValue::Date).map_err(|_| range("is no day that a legacy type holds"));
    }
    Ok(LegacyValue::Timestamp(ticks))
}

pub(super) fn time_of_day(microseconds: i64) -> Inverted {
    Ok(LegacyValue::Time(microseconds.saturating_mul(TICKS_PER_MICROSECOND)))
}

/// Ticks since 1970 of a Postgres time.
fn ticks(microseconds: i64, sentinels: &Sentinels) -> Result<(i64, bool), Fault> {
    match microseconds {
        i64::MAX => Ok((sentinel(Sentinel::Infinity, sentinels)?, true)),
        i64::MIN => Ok((sentinel(Sentinel::MinusInfinity, sentinels)?, true)),
        microseconds => {
            let since_1970 = microseconds.checked_add(EPOCH_MICROSECONDS);
            let ticks = since_1970.and_then(|us| us.checked_mul(TICKS_PER_MICROSECOND));
            let ticks = ticks.ok_or_else(|| range("is outside the years 1 to 9999"))?;
            Ok((ticks, false))
        }
    }
}

pub(super) fn wall(microseconds: i64, sentinels: &Sentinels) -> Inverted {
    let (ticks, is_sentinel) = ticks(microseconds, sentinels)?;
    let ticks = if is_sentinel { ticks } else { not_a_sentinel(ticks, sentinels)? };
    Ok(LegacyValue::Timestamp(ticks))
}

/// An instant: as wall time in the column's zone, or with the offset zero.
pub(super) fn instant(
    microseconds: i64,
    zone: Option<(&Zone, Gap, Overlap)>,
    sentinels: &Sentinels,
) -> Inverted {
    let (ticks, is_sentinel) = ticks(microseconds, sentinels)?;
    let Some((zone, gap, overlap)) = zone else {
        let utc_ticks = if is_sentinel { ticks } else { not_a_sentinel(ticks, sentinels)? };
        return Ok(LegacyValue::TimestampOffset { utc_ticks, offset_minutes: 0 });
    };
    if is_sentinel {
        return Ok(LegacyValue::Timestamp(ticks));
    }
    let (seconds, rest) = (ticks.div_euclid(TICKS_PER_SECOND), ticks.rem_euclid(TICKS_PER_SECOND));
    let wall = zone.wall(seconds);
    if zone.instant(wall, gap, overlap) != Ok(seconds) {
        return Err(Fault::new(
            "zone.overlap",
            "is in the hour that the clock shows twice, and the legacy column would mean the other",
        ));
    }
    let ticks = wall.saturating_mul(TICKS_PER_SECOND).saturating_add(rest);
    Ok(LegacyValue::Timestamp(not_a_sentinel(ticks, sentinels)?))
}

/// `value` to the nearest multiple, halves up.
fn nearest(value: i64, multiple: i64) -> i64 {
    let rest = value.rem_euclid(multiple);
    let down = value - rest;
    if rest * 2 >= multiple { down.saturating_add(multiple) } else { down }
}

/// Ticks of one step of a type with so many digits after the second.
fn step(digits: u8) -> i64 {
    let digits = u32::from(digits.min(7));
    10_i64.pow(7 - digits)
}

/// To the nearest 1/300 s, and as milliseconds from there: .000, .003, .007, as SQL Server
/// prints it and as [`LegacyValue::Timestamp`] holds it.
fn three_hundredths(ticks: i64) -> i64 {
    let second = ticks.div_euclid(TICKS_PER_SECOND);
    let steps =
        nearest(ticks.rem_euclid(TICKS_PER_SECOND) * 300, TICKS_PER_SECOND) / TICKS_PER_SECOND;
    let milliseconds = (steps * 1000 + 150) / 300;
    second * TICKS_PER_SECOND + milliseconds * TICKS_PER_MILLISECOND
}

pub(super) fn fit_datetime(ticks: i64) -> Result<i64, Fault> {
    let what = "is outside 1753-01-01 to 9999-12-31 23:59:59.997, all that a datetime holds";
    if !YEARS.contains(&ticks) || ticks < DATETIME_BEGIN {
        return Err(range(what));
    }
    let rounded = three_hundredths(ticks);
    if YEARS.contains(&rounded) { Ok(rounded) } else { Err(range(what)) }
}

/// To the minute; through a `datetime`, so that 29.999 s is half a minute.
pub(super) fn fit_smalldatetime(ticks: i64) -> Result<i64, Fault> {
    let what = "is outside 1900-01-01 to 2079-06-06 23:59, all that a smalldatetime holds";
    if !SMALL.contains(&ticks) {
        return Err(range(what));
    }
    let rounded = nearest(three_hundredths(ticks), TICKS_PER_MINUTE);
    if SMALL.contains(&rounded) { Ok(rounded) } else { Err(range(what)) }
}

pub(super) fn fit_datetime2(ticks: i64, digits: u8) -> Result<i64, Fault> {
    let rounded = nearest(ticks, step(digits));
    if YEARS.contains(&ticks) && YEARS.contains(&rounded) {
        return Ok(rounded);
    }
    Err(range("is outside the years 1 to 9999, all that a datetime2 holds"))
}

pub(super) fn fit_time(ticks: i64, digits: u8) -> Result<i64, Fault> {
    let rounded = nearest(ticks, step(digits));
    // SQL Server would turn the last moment of a day into its first one.
    if (0..TICKS_PER_DAY).contains(&ticks) && rounded < TICKS_PER_DAY {
        return Ok(rounded);
    }
    Err(range("is no time before 24:00 with the digits that the column keeps"))
}

pub(super) fn fit_date(day: i32) -> Result<i32, Fault> {
    let ticks = i64::from(day).checked_mul(TICKS_PER_DAY);
    match ticks.filter(|ticks| YEARS.contains(ticks)) {
        Some(_) => Ok(day),
        None => Err(range("is outside the years 1 to 9999, all that a date holds")),
    }
}

pub(super) fn fit_offset(
    utc_ticks: i64,
    offset_minutes: i16,
    digits: u8,
) -> Result<(i64, i16), Fault> {
    let rounded = nearest(utc_ticks, step(digits));
    let local = rounded.saturating_add(i64::from(offset_minutes) * TICKS_PER_MINUTE);
    let is_known = (-840..=840).contains(&offset_minutes);
    if is_known && YEARS.contains(&rounded) && YEARS.contains(&local) && YEARS.contains(&utc_ticks)
    {
        return Ok((rounded, offset_minutes));
    }
    Err(range("is outside what a datetimeoffset holds: the years 1 to 9999, 14 hours"))
}
