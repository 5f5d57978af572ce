//! Dates and times. Sentinels are recognised on the wall time, before any conversion (trap 11).

use chrono::{NaiveDate, NaiveDateTime};

use super::{Converted, Fault, Wrote, wrong_type};
use crate::{
    encode::{self, EPOCH_DAYS, EPOCH_MICROSECONDS, Mutant, TICKS_PER_DAY, TICKS_PER_MICROSECOND},
    value::{LegacyValue, TICKS_PER_SECOND},
    zone::{Gap, NoInstant, Overlap, Zone},
};

/// What a value that means something else than itself becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sentinel {
    Null,
    Infinity,
    MinusInfinity,
}

/// The sentinels of a column: whole days, and exact times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sentinels {
    pub(crate) days: Vec<(i32, Sentinel)>,
    pub(crate) ticks: Vec<(i64, Sentinel)>,
}

impl Sentinels {
    fn of_day(&self, day: i32) -> Option<Sentinel> {
        self.days.iter().find(|(sentinel, _)| *sentinel == day).map(|(_, meaning)| *meaning)
    }

    pub(crate) fn of_ticks(&self, ticks: i64) -> Option<Sentinel> {
        if self.days.is_empty() && self.ticks.is_empty() {
            return None;
        }
        let exact = self.ticks.iter().find(|(sentinel, _)| *sentinel == ticks);
        exact.map(|(_, meaning)| *meaning).or_else(|| self.of_day(day_of(ticks)))
    }
}

/// A zone and what it does with hours that were never or twice.
pub(super) struct Wall<'a> {
    pub(super) zone: &'a Zone,
    pub(super) gap: Gap,
    pub(super) overlap: Overlap,
}

/// 0001-01-01 and 9999-12-31, all that SQL Server holds.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

fn day_of(ticks: i64) -> i32 {
    i32::try_from(ticks.div_euclid(TICKS_PER_DAY)).unwrap_or(i32::MAX)
}

fn out_of_range() -> Fault {
    Fault::new("time.range", "is outside the years 1 to 9999")
}

pub(super) fn date(
    value: &LegacyValue<'_>,
    drop_time: bool,
    sentinels: &Sentinels,
    out: &mut Vec<u8>,
) -> Converted {
    let (day, sentinel, midnight) = match value {
        LegacyValue::Date(day) => (*day, sentinels.of_day(*day), true),
        LegacyValue::Timestamp(ticks) => {
            (day_of(*ticks), sentinels.of_ticks(*ticks), ticks.rem_euclid(TICKS_PER_DAY) == 0)
        }
        LegacyValue::Text(text) => {
            let day = parse_day(text).ok_or_else(not_a_date)?;
            (day, sentinels.of_day(day), true)
        }
        _ => return Err(wrong_type()),
    };
    let days = match sentinel {
        Some(Sentinel::Null) => return Ok(Wrote::Nothing),
        Some(Sentinel::Infinity) => i32::MAX,
        Some(Sentinel::MinusInfinity) => i32::MIN,
        None if !midnight && !drop_time => {
            return Err(Fault::new(
                "date.time",
                "is not at midnight; say `time = \"drop\"`, or use `as = \"timestamptz\"`",
            ));
        }
        None if DAYS.contains(&day) => day - EPOCH_DAYS,
        None => return Err(out_of_range()),
    };
    encode::put_i32(out, days - i32::from(Mutant::Day.is_on()));
    Ok(Wrote::Field)
}

fn not_a_date() -> Fault {
    Fault::new("date.text", "is a text that is not a date of the form 2024-12-31")
}

/// Whole microseconds, or a fault unless the file allows to cut.
fn microseconds(ticks: i64, truncate: bool) -> Result<i64, Fault> {
    if ticks % TICKS_PER_MICROSECOND != 0 && !truncate {
        return Err(Fault::new(
            "time.precision",
            "has a seventh digit, which Postgres does not hold; say `precision = \"truncate\"`",
        ));
    }
    Ok(ticks.div_euclid(TICKS_PER_MICROSECOND))
}

pub(super) fn time(value: &LegacyValue<'_>, truncate: bool, out: &mut Vec<u8>) -> Converted {
    match value {
        LegacyValue::Time(ticks) if (0..TICKS_PER_DAY).contains(ticks) => {
            encode::put_i64(out, microseconds(*ticks, truncate)?);
            Ok(Wrote::Field)
        }
        LegacyValue::Time(_) => Err(Fault::new("time.range", "is not a time of a day")),
        _ => Err(wrong_type()),
    }
}

/// A sentinel's field, or what NULL is.
fn put_sentinel(sentinel: Sentinel, out: &mut Vec<u8>) -> Wrote {
    match sentinel {
        Sentinel::Null => return Wrote::Nothing,
        Sentinel::Infinity => encode::put_i64(out, i64::MAX),
        Sentinel::MinusInfinity => encode::put_i64(out, i64::MIN),
    }
    Wrote::Field
}

fn put_timestamp(ticks: i64, truncate: bool, out: &mut Vec<u8>) -> Converted {
    let late = i64::from(Mutant::Hour.is_on()) * 3_600_000_000;
    encode::put_i64(out, microseconds(ticks, truncate)? - EPOCH_MICROSECONDS + late);
    Ok(Wrote::Field)
}

pub(super) fn timestamp(
    value: &LegacyValue<'_>,
    truncate: bool,
    sentinels: &Sentinels,
    out: &mut Vec<u8>,
) -> Converted {
    let ticks = wall_ticks(value)?;
    match sentinels.of_ticks(ticks) {
        Some(sentinel) => Ok(put_sentinel(sentinel, out)),
        None => put_timestamp(in_range(ticks)?, truncate, out),
    }
}

fn wall_ticks(value: &LegacyValue<'_>) -> Result<i64, Fault> {
    match value {
        LegacyValue::Timestamp(ticks) => Ok(*ticks),
        LegacyValue::Text(text) => parse_timestamp(text).ok_or_else(not_a_date),
        _ => Err(wrong_type()),
    }
}

fn in_range(ticks: i64) -> Result<i64, Fault> {
    if DAYS.contains(&day_of(ticks)) { Ok(ticks) } else { Err(out_of_range()) }
}

pub(super) fn timestamptz(
    value: &LegacyValue<'_>,
    wall: Option<&Wall<'_>>,
    truncate: bool,
    sentinels: &Sentinels,
    out: &mut Vec<u8>,
) -> Converted {
    if let LegacyValue::TimestampOffset { utc_ticks, offset_minutes } = value {
        let local = utc_ticks.saturating_add(i64::from(*offset_minutes) * 60 * TICKS_PER_SECOND);
        return match sentinels.of_ticks(local) {
            Some(sentinel) => Ok(put_sentinel(sentinel, out)),
            None => put_timestamp(in_range(*utc_ticks)?, truncate, out),
        };
    }
    let ticks = wall_ticks(value)?;
    if let Some(sentinel) = sentinels.of_ticks(ticks) {
        return Ok(put_sentinel(sentinel, out));
    }
    let ticks = in_range(ticks)?;
    let wall = wall.ok_or_else(wrong_type)?;
    let (seconds, rest) = (ticks.div_euclid(TICKS_PER_SECOND), ticks.rem_euclid(TICKS_PER_SECOND));
    let instant = wall.zone.instant(seconds, wall.gap, wall.overlap).map_err(|none| match none {
        NoInstant::Gap => Fault::new(
            "zone.gap",
            "is in the hour that summer time skipped; say `gap = \"later\"`, or correct the row",
        ),
        NoInstant::Overlap => Fault::new(
            "zone.overlap",
            "is in the hour that was twice; say `overlap = \"standard\"` or \"daylight\"",
        ),
    })?;
    put_timestamp(instant * TICKS_PER_SECOND + rest, truncate, out)
}

/// Days since 1970 of `2024-12-31`.
pub(crate) fn parse_day(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.to_epoch_days();
    DAYS.contains(&day).then_some(day)
}

/// Ticks since 1970 of `2024-12-31T23:59:59.997`, with a blank instead of the `T` or no time.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    if let Some(day) = parse_day(text) {
        return Some(i64::from(day) * TICKS_PER_DAY);
    }
    let time = NaiveDateTime::parse_from_str(&text.replacen(' ', "T", 1), "%Y-%m-%dT%H:%M:%S%.f");
    let time = time.ok()?.and_utc();
    let ticks = time.timestamp().checked_mul(TICKS_PER_SECOND)?;
    let ticks = ticks + i64::from(time.timestamp_subsec_nanos()) / 100;
    DAYS.contains(&day_of(ticks)).then_some(ticks)
}
