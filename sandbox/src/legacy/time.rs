//! Dates and times between [`LegacyValue`]'s ticks of 100 ns and SQL Server's own units.
//!
//! [`LegacyValue`]: mapping::value::LegacyValue

use mapping::value::TICKS_PER_SECOND;

/// Ticks of 100 ns in a day.
pub(crate) const DAY: i64 = 86_400 * TICKS_PER_SECOND;
/// Days from 0001-01-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_162;
/// Days from 1900-01-01 to 1970-01-01.
const DAYS_FROM_1900: i64 = 25_567;
/// 9999-12-31, counted from 0001-01-01.
const LAST_DAY: i64 = 3_652_058;
/// 1753-01-01, counted from 1900-01-01.
const FIRST_DATETIME_DAY: i64 = -53_690;
/// 9999-12-31, counted from 1900-01-01.
const LAST_DATETIME_DAY: i64 = 2_958_463;
/// 1/300 s in a day.
const THIRDS_PER_DAY: i64 = 86_400 * 300;

/// `datetime`: days since 1900 and 1/300 s. Rounded to the nearest, as SQL Server does.
pub(crate) fn to_datetime(ticks: i64) -> Option<(i32, u32)> {
    let day = ticks.div_euclid(DAY).checked_add(DAYS_FROM_1900)?;
    let thirds = (ticks.rem_euclid(DAY) * 3 + 50_000) / 100_000;
    let (day, thirds) = if thirds == THIRDS_PER_DAY { (day + 1, 0) } else { (day, thirds) };
    if !(FIRST_DATETIME_DAY..=LAST_DATETIME_DAY).contains(&day) {
        return None;
    }
    Some((i32::try_from(day).ok()?, u32::try_from(thirds).ok()?))
}

/// The ticks of a `datetime`, rounded to milliseconds as SQL Server prints it.
pub(crate) fn from_datetime(day: i32, thirds: u32) -> i64 {
    let milliseconds = (i64::from(thirds) * 10 + 1) / 3;
    (i64::from(day) - DAYS_FROM_1900) * DAY + milliseconds * 10_000
}

/// `smalldatetime`: days since 1900 and minutes, rounded to the nearest minute.
pub(crate) fn to_smalldatetime(ticks: i64) -> Option<(u16, u16)> {
    let minute = 60 * TICKS_PER_SECOND;
    let rounded = ticks.checked_add(minute / 2)?.div_euclid(minute);
    let day = rounded.div_euclid(1_440) + DAYS_FROM_1900;
    Some((u16::try_from(day).ok()?, u16::try_from(rounded.rem_euclid(1_440)).ok()?))
}

/// The ticks of a `smalldatetime`.
pub(crate) fn from_smalldatetime(day: u16, minutes: u16) -> i64 {
    (i64::from(day) - DAYS_FROM_1900) * DAY + i64::from(minutes) * 60 * TICKS_PER_SECOND
}

/// Days since 0001-01-01 of days since 1970.
pub(crate) fn to_date(days: i64) -> Option<u32> {
    let days = days.checked_add(DAYS_BEFORE_1970)?;
    if days > LAST_DAY { None } else { u32::try_from(days).ok() }
}

/// Days since 1970 of days since 0001-01-01.
pub(crate) fn from_date(days: u32) -> Option<i32> {
    i32::try_from(i64::from(days) - DAYS_BEFORE_1970).ok()
}

/// 100 ns ticks in one unit of a type with `scale` digits.
pub(crate) fn unit(scale: u8) -> i64 {
    10_i64.pow(7_u32.saturating_sub(u32::from(scale)))
}

/// `time(scale)`: its units since midnight. `None` when rounding reaches midnight.
pub(crate) fn to_time(ticks: i64, scale: u8) -> Option<u64> {
    let unit = unit(scale);
    let units = (ticks + unit / 2).div_euclid(unit);
    if !(0..DAY).contains(&ticks) || units * unit >= DAY { None } else { u64::try_from(units).ok() }
}

/// `datetime2(scale)`: days since 0001-01-01 and units since midnight.
pub(crate) fn to_datetime2(ticks: i64, scale: u8) -> Option<(u32, u64)> {
    let unit = unit(scale);
    let rounded = ticks.checked_add(unit / 2)?.div_euclid(unit).checked_mul(unit)?;
    let units = u64::try_from(rounded.rem_euclid(DAY) / unit).ok()?;
    Some((to_date(rounded.div_euclid(DAY))?, units))
}

/// The ticks of a `datetime2(scale)`.
pub(crate) fn from_datetime2(days: u32, units: u64, scale: u8) -> Option<i64> {
    let in_day = i64::try_from(units).ok()?.checked_mul(unit(scale))?;
    Some(i64::from(from_date(days)?) * DAY + in_day)
}

/// ISO 8601 without a zone, at most `digits` fractional digits: what styles 126 and, with a space, 121 read.
pub(crate) fn parse_iso(text: &str, digits: usize) -> Option<i64> {
    let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if fraction > digits {
        return None;
    }
    let parsed = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
    let utc = parsed.and_utc();
    let ticks = utc.timestamp().checked_mul(TICKS_PER_SECOND)?;
    ticks.checked_add(i64::from(utc.timestamp_subsec_nanos()) / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn datetime_rounds_to_thirds_of_a_hundredth() {
        for (text, printed) in [
            ("2024-02-29T13:14:15.001", "2024-02-29T13:14:15.000"),
            ("2024-02-29T13:14:15.002", "2024-02-29T13:14:15.003"),
            ("2024-02-29T13:14:15.005", "2024-02-29T13:14:15.007"),
            ("2024-02-29T23:59:59.999", "2024-03-01T00:00:00.000"),
            ("1753-01-01T00:00:00.000", "1753-01-01T00:00:00.000"),
            ("9999-12-31T23:59:59.997", "9999-12-31T23:59:59.997"),
        ] {
            let ticks = parse_iso(text, 3).expect("a time");
            let (day, thirds) = to_datetime(ticks).expect("in range");
            assert_eq!(
                from_datetime(day, thirds),
                parse_iso(printed, 3).expect("a time"),
                "{text}"
            );
        }
        let before = parse_iso("1752-12-31T23:59:59.000", 3).expect("a time");
        assert_eq!(to_datetime(before), None);
        assert_eq!(parse_iso("2024-02-29T13:14:15.0001", 3), None);
    }

    proptest! {
        #[test]
        fn a_stored_datetime_survives_its_printed_form(day in -53_690..2_958_463_i32, thirds in 0..25_920_000_u32) {
            prop_assert_eq!(to_datetime(from_datetime(day, thirds)), Some((day, thirds)));
        }

        #[test]
        fn datetime2_round_trips_at_its_scale(ticks in -600_000_000_000_000_000..2_500_000_000_000_000_000_i64, scale in 0..=7_u8) {
            let (days, units) = to_datetime2(ticks, scale).expect("in range");
            let back = from_datetime2(days, units, scale).expect("in range");
            prop_assert!((back - ticks).abs() * 2 <= unit(scale));
            prop_assert_eq!(to_datetime2(back, scale), Some((days, units)));
        }
    }
}
