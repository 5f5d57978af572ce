//! Dates and times. Postgres itself counts days and knows the zones.

use mapping::value::LegacyValue;
use proptest::prelude::*;

use super::cell::{Cell, Pair, cell, pair};

/// Ticks of 100 ns.
const SECOND: i64 = 10_000_000;
const DAY: i64 = 86_400 * SECOND;
/// 0001-01-01, 1753-01-01, 1900-01-01, 9999-12-31.
const FIRST: i64 = -719_162;
const SEVENTEEN_FIFTY_THREE: i64 = -79_257;
const NINETEEN_HUNDRED: i64 = -25_567;
const LAST: i64 = 2_932_896;

fn days(first: i64) -> BoxedStrategy<i64> {
    let edges = vec![first, SEVENTEEN_FIFTY_THREE, NINETEEN_HUNDRED, -1, 0, 1, 10_957, LAST];
    prop_oneof![first..=LAST, prop::sample::select(edges), -25_000_i64..25_000].boxed()
}

/// Ticks of a day that a column with this step holds.
fn ticks_of_day(step: i64) -> BoxedStrategy<i64> {
    let last = DAY / step - 1;
    prop_oneof![0..=last, prop::sample::select(vec![0, 1, last]), Just(last / 2)]
        .prop_map(move |steps| steps * step)
        .boxed()
}

/// Steps of 1/300 s, as SQL Server prints them: .000, .003, .007.
fn datetime_of_day() -> BoxedStrategy<i64> {
    let step = |n: i64| (n / 3 * 10 + [0, 3, 7][usize::try_from(n % 3).expect("0 to 2")]) * 10_000;
    prop_oneof![Just(0), 0_i64..86_400 * 300].prop_map(step).boxed()
}

/// A time of day as a literal of whole microseconds.
fn clock(ticks: i64) -> String {
    let microseconds = ticks / 10;
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    format!("'{:02}:{:02}:{:02}.{rest:06}'::time", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn day(days: i64) -> String {
    format!("(date '1970-01-01' + '{days}'::int4)")
}

/// A wall time: the day and the time of day are added by Postgres.
fn wall(days: i64, ticks: i64) -> String {
    format!("({} + {})", day(days), clock(ticks))
}

fn timestamp(days: i64, ticks: i64) -> LegacyValue<'static> {
    LegacyValue::Timestamp(days * DAY + ticks)
}

pub(super) fn cells() -> Vec<BoxedStrategy<Cell>> {
    let date = |days: i64| LegacyValue::Date(i32::try_from(days).expect("a day"));
    let meant = |days: i64| {
        let day = day(days);
        format!(
            "case {day} when '1753-01-01' then null when '9999-12-31' then 'infinity' \
             when '1900-01-01' then '-infinity' else {day} end::date"
        )
    };
    let mut cells = vec![
        cell("date_date", "Date", "null", days(FIRST).prop_map(move |d| pair(date(d), day(d)))),
        cell(
            "date_drop",
            "DateTime",
            "null",
            (days(SEVENTEEN_FIFTY_THREE), datetime_of_day())
                .prop_map(|(d, t)| pair(timestamp(d, t), day(d))),
        ),
        cell(
            "date_sentinel",
            "Date2",
            "null",
            days(FIRST).prop_map(move |d| pair(date(d), meant(d))),
        ),
        cell(
            "time_cut",
            "Time",
            "null",
            ticks_of_day(1).prop_map(|t| pair(LegacyValue::Time(t), clock(t))),
        ),
        cell(
            "timestamp_7",
            "DateTime2",
            "null",
            (days(FIRST), ticks_of_day(1)).prop_map(|(d, t)| pair(timestamp(d, t), wall(d, t))),
        ),
        cell(
            "timestamp_3",
            "DateTime3",
            "null",
            (days(SEVENTEEN_FIFTY_THREE), datetime_of_day()).prop_map(sentinel),
        ),
        cell(
            "timestamp_0",
            "Minute",
            "null",
            (NINETEEN_HUNDRED..=40_000, ticks_of_day(60 * SECOND))
                .prop_map(|(d, t)| pair(timestamp(d, t), wall(d, t))),
        ),
    ];
    cells.extend(zoned());
    cells
}

/// A day or an exact time that means something else.
fn sentinel((days, ticks): (i64, i64)) -> Pair {
    let last = (86_400 * 1000 - 3) * 10_000;
    // The very last step of a datetime is hit by chance too seldom.
    let ticks = if days == LAST { last } else { ticks };
    let sql = match (days, ticks) {
        (SEVENTEEN_FIFTY_THREE, _) => "'-infinity'::timestamp".to_owned(),
        (LAST, ticks) if ticks == last => "'infinity'::timestamp".to_owned(),
        _ => wall(days, ticks),
    };
    pair(timestamp(days, ticks), sql)
}

fn zoned() -> Vec<BoxedStrategy<Cell>> {
    let created = (days(SEVENTEEN_FIFTY_THREE), datetime_of_day()).prop_map(|(d, t)| {
        let sql = match d {
            SEVENTEEN_FIFTY_THREE => "null".to_owned(),
            _ => format!("{} at time zone 'Asia/Ulaanbaatar'", wall(d, t)),
        };
        pair(timestamp(d, t), sql)
    });
    let berlin = (days(FIRST), ticks_of_day(10)).prop_map(|(d, t)| {
        pair(timestamp(d, t), format!("{} at time zone 'Europe/Berlin'", wall(d, t)))
    });
    let utc = (days(FIRST), ticks_of_day(10_000))
        .prop_map(|(d, t)| pair(timestamp(d, t), format!("{} at time zone 'UTC'", wall(d, t))));
    let offset =
        (days(FIRST), ticks_of_day(1), -840_i16..=840).prop_map(|(d, t, offset_minutes)| {
            let value = LegacyValue::TimestampOffset { utc_ticks: d * DAY + t, offset_minutes };
            pair(value, format!("{} at time zone 'UTC'", wall(d, t)))
        });
    vec![
        cell("tz_ulaanbaatar", "CreatedOn", "null", created),
        cell("tz_berlin", "Berlin", "null", berlin),
        cell("tz_utc", "Utc", "null", utc),
        cell("tz_offset", "Offset", "null", offset),
    ]
}
