//! Local wall time to instants, by a table of a zone's offsets.
//!
//! `chrono-tz` answers one question at a time and slowly; a column asks a million with the
//! same zone. So the zone's transitions are found once, when the mapping is compiled, and a
//! wall time costs one binary search. Earlier times are asked of `chrono-tz`.
//!
//! `chrono-tz` knows the transitions up to the year 2099 and none after it, as if summer time
//! ended then. Where it goes on until the last year, it goes on for ever here, as Postgres and
//! SQL Server have it: a later year is read as one of before that begins on the same day.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDate, Offset, TimeZone, Utc};
use chrono_tz::Tz;

/// What a wall time that never was (the hour that summer time skips) becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The row is rejected. The default.
    Reject,
    /// The instant that the clock would have shown, had it not been put forward.
    Later,
}

/// What a wall time that was twice becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// The second one, in standard time, as Postgres takes it. The default.
    Standard,
    /// The first one, in summer time.
    Daylight,
    /// The row is rejected.
    Reject,
}

/// Why a wall time has no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoInstant {
    Gap,
    Overlap,
}

/// A time of constant offset: from `begin` (UTC seconds) to the next span's begin.
#[derive(Debug, Clone, Copy)]
struct Span {
    begin: i64,
    offset: i64,
}

/// A zone's offsets.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    zone: Tz,
    spans: Vec<Span>,
    /// Whether transitions come every year for ever.
    recurs: bool,
}

const DAY: i64 = 86_400;
/// 1850-01-01: before the first railway clock of any zone.
const TABLE_BEGIN: i64 = -3_786_825_600;
/// 2150-01-01.
const TABLE_END: i64 = 5_680_281_600;
/// 2098-01-01 and 2099-01-01: the last year of which all is known.
const LAST_YEAR: std::ops::Range<i64> = 4_039_372_800..4_070_908_800;
/// In 28 years without a century's exception every kind of year occurs.
const KNOWN_YEARS: std::ops::RangeInclusive<i32> = 2071..=2098;

/// Tables made so far: a zone is asked for by many columns, and always has the same table.
static TABLES: Mutex<Vec<(Tz, Arc<Zone>)>> = Mutex::new(Vec::new());

impl Zone {
    /// The zone's table, made once a process.
    pub(crate) fn shared(zone: Tz) -> Arc<Self> {
        let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, table)) = tables.iter().find(|(known, _)| *known == zone) {
            return Arc::clone(table);
        }
        let table = Arc::new(Self::new(zone));
        tables.push((zone, Arc::clone(&table)));
        table
    }

    fn new(zone: Tz) -> Self {
        let mut spans = vec![Span { begin: i64::MIN, offset: offset(zone, TABLE_BEGIN) }];
        let mut current = offset(zone, TABLE_BEGIN);
        let mut day = TABLE_BEGIN;
        while day < TABLE_END {
            let next = offset(zone, day + DAY);
            if next != current {
                let begin = first_second(zone, day, current);
                let offset = offset(zone, begin);
                spans.push(Span { begin, offset });
                current = offset;
                if offset != next {
                    // Two transitions within a day: look at the same day again.
                    day = begin - DAY;
                }
            }
            day += DAY;
        }
        let recurs = spans.iter().any(|span| LAST_YEAR.contains(&span.begin));
        Self { zone, spans, recurs }
    }

    /// Its name, such as `Asia/Ulaanbaatar`.
    pub(crate) fn name(&self) -> &'static str {
        self.zone.name()
    }

    /// The UTC second of a wall time given in seconds since 1970-01-01 00:00 on the wall.
    pub(crate) fn instant(&self, wall: i64, gap: Gap, overlap: Overlap) -> Result<i64, NoInstant> {
        if self.recurs && wall >= LAST_YEAR.end {
            let known = in_a_known_year(wall).ok_or(NoInstant::Gap)?;
            return Ok(self.instant(known, gap, overlap)? + (wall - known));
        }
        if !(TABLE_BEGIN + DAY..TABLE_END - DAY).contains(&wall) {
            return self.ask(wall, gap, overlap);
        }
        let after =
            self.spans.partition_point(|span| span.begin.saturating_add(span.offset) <= wall);
        let span = |index: usize| self.spans.get(index).copied();
        // The first span has no begin, so `after` is at least 1.
        let Some(current) = after.checked_sub(1).and_then(span) else {
            return self.ask(wall, gap, overlap);
        };
        if let Some(next) = span(after)
            && wall - current.offset >= next.begin
        {
            return match gap {
                Gap::Later => Ok(wall - current.offset),
                Gap::Reject => Err(NoInstant::Gap),
            };
        }
        match after.checked_sub(2).and_then(span) {
            Some(before) if wall - before.offset < current.begin => match overlap {
                Overlap::Standard => Ok(wall - current.offset),
                Overlap::Daylight => Ok(wall - before.offset),
                Overlap::Reject => Err(NoInstant::Overlap),
            },
            _ => Ok(wall - current.offset),
        }
    }

    /// The wall time of a UTC second, in seconds since 1970-01-01 00:00 on the wall.
    pub(crate) fn wall(&self, instant: i64) -> i64 {
        if self.recurs
            && instant >= LAST_YEAR.end
            && let Some(known) = in_a_known_year(instant)
        {
            return self.wall(known).saturating_add(instant - known);
        }
        let offset = if (TABLE_BEGIN..TABLE_END - DAY).contains(&instant) {
            let after = self.spans.partition_point(|span| span.begin <= instant);
            // The first span begins before everything, so there is one.
            after.checked_sub(1).and_then(|index| self.spans.get(index)).map(|span| span.offset)
        } else {
            None
        };
        instant.saturating_add(offset.unwrap_or_else(|| self::offset(self.zone, instant)))
    }

    fn ask(&self, wall: i64, gap: Gap, overlap: Overlap) -> Result<i64, NoInstant> {
        let Some(local) = DateTime::<Utc>::from_timestamp(wall, 0).map(|t| t.naive_utc()) else {
            return Err(NoInstant::Gap);
        };
        match self.zone.from_local_datetime(&local) {
            MappedLocalTime::Single(instant) => Ok(instant.timestamp()),
            MappedLocalTime::Ambiguous(first, second) => match overlap {
                Overlap::Standard => Ok(second.timestamp().max(first.timestamp())),
                Overlap::Daylight => Ok(second.timestamp().min(first.timestamp())),
                Overlap::Reject => Err(NoInstant::Overlap),
            },
            MappedLocalTime::None => match gap {
                Gap::Later => Ok(wall - offset(self.zone, wall - DAY)),
                Gap::Reject => Err(NoInstant::Gap),
            },
        }
    }
}

/// The same second of the same day in a year that begins on the same weekday and is a leap year
/// too or not: rules of summer time can't tell the two years apart.
fn in_a_known_year(wall: i64) -> Option<i64> {
    let begin = |year: i32| {
        NaiveDate::from_ymd_opt(year, 1, 1)
            .map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc())
    };
    let year = DateTime::<Utc>::from_timestamp(wall, 0)?.year();
    let is = begin(year)?;
    let alike = |known: &DateTime<Utc>| {
        known.weekday() == is.weekday()
            && known.date_naive().leap_year() == is.date_naive().leap_year()
    };
    let known = KNOWN_YEARS.filter_map(begin).find(alike)?;
    Some(known.timestamp() + (wall - is.timestamp()))
}

fn offset(zone: Tz, second: i64) -> i64 {
    let instant = DateTime::<Utc>::from_timestamp(second, 0).unwrap_or_default();
    i64::from(zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc())
}

/// The first second of the day after `day` whose offset is not `current`.
fn first_second(zone: Tz, day: i64, current: i64) -> i64 {
    let (mut same, mut changed) = (day, day + DAY);
    while changed - same > 1 {
        let middle = same + (changed - same) / 2;
        if offset(zone, middle) == current {
            same = middle;
        } else {
            changed = middle;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDateTime;
    use proptest::prelude::*;

    fn wall(text: &str) -> i64 {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S")
            .expect("a time")
            .and_utc()
            .timestamp()
    }

    fn check(text: &str, gap: Gap, overlap: Overlap, expect: Result<&str, NoInstant>) {
        let zone = Zone::shared(chrono_tz::Asia::Ulaanbaatar);
        assert_eq!(zone.instant(wall(text), gap, overlap), expect.map(wall), "{text}");
    }

    #[test]
    fn ulaanbaatar_as_the_tables_say() {
        use {Gap as G, Overlap as O};
        for (text, gap, overlap, expect) in [
            ("2024-03-01T00:00:00", G::Reject, O::Standard, Ok("2024-02-29T16:00:00")),
            ("2005-07-01T12:00:00", G::Reject, O::Standard, Ok("2005-07-01T03:00:00")),
            ("2015-03-28T02:30:00", G::Reject, O::Standard, Err(NoInstant::Gap)),
            ("2015-03-28T02:30:00", G::Later, O::Standard, Ok("2015-03-27T18:30:00")),
            ("2015-09-25T23:30:00", G::Reject, O::Standard, Ok("2015-09-25T15:30:00")),
            ("2015-09-25T23:30:00", G::Reject, O::Daylight, Ok("2015-09-25T14:30:00")),
            ("2015-09-25T23:30:00", G::Reject, O::Reject, Err(NoInstant::Overlap)),
            ("1900-01-01T00:00:00", G::Reject, O::Standard, Ok("1899-12-31T16:52:28")),
            ("1753-01-01T00:00:00", G::Reject, O::Standard, Ok("1752-12-31T16:52:28")),
            ("9999-12-31T00:00:00", G::Reject, O::Standard, Ok("9999-12-30T16:00:00")),
        ] {
            check(text, gap, overlap, expect);
        }
    }

    #[test]
    fn summer_time_goes_on_for_ever_where_it_is_kept() {
        let berlin = Zone::shared(chrono_tz::Europe::Berlin);
        let at = |text| berlin.instant(wall(text), Gap::Reject, Overlap::Reject);
        for (text, expect) in [
            ("2098-07-01T12:00:00", Ok("2098-07-01T10:00:00")),
            ("2099-07-01T12:00:00", Ok("2099-07-01T10:00:00")),
            ("2100-01-01T00:00:00", Ok("2099-12-31T23:00:00")),
            ("2100-07-01T12:00:00", Ok("2100-07-01T10:00:00")),
            // The last Sundays of March and October.
            ("2100-03-28T02:30:00", Err(NoInstant::Gap)),
            ("2100-10-31T02:30:00", Err(NoInstant::Overlap)),
            ("9999-03-28T02:30:00", Err(NoInstant::Gap)),
            ("9999-12-31T23:59:59", Ok("9999-12-31T22:59:59")),
        ] {
            assert_eq!(at(text), expect.map(wall), "{text}");
        }
        for zone in [chrono_tz::Asia::Ulaanbaatar, chrono_tz::Africa::Casablanca, chrono_tz::UTC] {
            assert!(!Zone::shared(zone).recurs, "{zone} has a list and no rule, or nothing");
        }
    }

    proptest! {
        #[test]
        fn a_wall_time_comes_back(second in -62_000_000_000_i64..LAST_YEAR.end, which in 0_usize..3) {
            let zones =
                [chrono_tz::Asia::Ulaanbaatar, chrono_tz::Europe::Berlin, chrono_tz::America::Sao_Paulo];
            let zone = Zone::shared(zones[which]);
            let wall = zone.wall(second);
            prop_assert_eq!(wall - second, offset(zones[which], second));
            let instants = [Overlap::Standard, Overlap::Daylight]
                .map(|overlap| zone.instant(wall, Gap::Reject, overlap));
            prop_assert!(instants.contains(&Ok(second)));
        }

        #[test]
        fn the_table_agrees_with_the_library(second in -4_000_000_000_i64..LAST_YEAR.end, which in 0_usize..4) {
            let zones = [
                chrono_tz::Asia::Ulaanbaatar,
                chrono_tz::Europe::Berlin,
                chrono_tz::America::Sao_Paulo,
                chrono_tz::Australia::Lord_Howe,
            ];
            let zone = Zone::shared(zones[which]);
            for (gap, overlap) in [(Gap::Reject, Overlap::Reject), (Gap::Later, Overlap::Standard), (Gap::Reject, Overlap::Daylight)] {
                prop_assert_eq!(zone.instant(second, gap, overlap), zone.ask(second, gap, overlap));
            }
        }
    }
}
