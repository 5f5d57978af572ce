//! Dates and times: days that are stored as instants, sentinels, hours that never were, and
//! what Debezium loses (traps 8 and 11; LEGACY-FACTS A11, A13, D).

use mapping::{
    catalog::SqlType,
    probe::{Shown, WallClock},
    value::{LegacyValue, TICKS_PER_SECOND},
};

use super::{Check, Told};
use crate::{
    advice, code,
    row::{Row, Tally},
    subject::Read,
};

const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;
const TICKS_PER_MICROSECOND: i64 = 10;
/// Days since 1970 that mean something else than themselves, and what to write for them.
const SENTINELS: [(i64, &str, &str); 4] = [
    (-719_162, "0001-01-01", "null"),
    (-79_257, "1753-01-01", "null"),
    (-25_567, "1900-01-01", "null"),
    (2_932_896, "9999-12-31", "infinity"),
];
/// A column is a day when at most one value in so many has a time.
const TIMES_MAX: u64 = 4;
/// What int64 nanoseconds hold, in ticks.
const NANOSECONDS: std::ops::RangeInclusive<i64> = i64::MIN / 100..=i64::MAX / 100;

/// Of one column.
pub(super) struct Time<'a> {
    read: Read<'a>,
    clock: Option<&'a WallClock>,
    sentinels: [u64; SENTINELS.len()],
    sentinel: Tally,
    /// Wall times that are no sentinels.
    wall: u64,
    not_midnight: Tally,
    seventh: Tally,
    gap: Tally,
    gap_at_midnight: Tally,
    overlap: Tally,
    beyond_nanoseconds: Tally,
    second_late: Tally,
}

impl<'a> Time<'a> {
    pub(super) fn new(read: Read<'a>, clock: Option<&'a WallClock>) -> Self {
        Self {
            read,
            clock,
            sentinels: [0; SENTINELS.len()],
            sentinel: Tally::default(),
            wall: 0,
            not_midnight: Tally::default(),
            seventh: Tally::default(),
            gap: Tally::default(),
            gap_at_midnight: Tally::default(),
            overlap: Tally::default(),
            beyond_nanoseconds: Tally::default(),
            second_late: Tally::default(),
        }
    }

    /// Whether it is a sentinel's day, which is counted then.
    fn is_sentinel(&mut self, day: i64, row: &Row<'_>) -> bool {
        let counts = self.sentinels.iter_mut().zip(SENTINELS);
        let found = counts.into_iter().find(|(_, (sentinel, ..))| *sentinel == day);
        let Some((count, _)) = found else { return false };
        *count += 1;
        self.sentinel.add(row);
        true
    }

    fn look_at_wall(&mut self, ticks: i64, row: &Row<'_>) {
        let is_seven = matches!(self.read.column.sql_type, SqlType::DateTime2 { scale: 7 });
        if is_seven && !NANOSECONDS.contains(&ticks) {
            self.beyond_nanoseconds.add(row);
        }
        if self.is_sentinel(ticks.div_euclid(TICKS_PER_DAY), row) {
            return;
        }
        self.wall += 1;
        let is_midnight = ticks.rem_euclid(TICKS_PER_DAY) == 0;
        if !is_midnight {
            self.not_midnight.add(row);
        }
        self.look_at_digits(ticks, row);
        match self.clock.map(|clock| clock.shown(ticks)) {
            Some(Shown::Never) => {
                self.gap.add(row);
                if is_midnight {
                    self.gap_at_midnight.add(row);
                }
            }
            Some(Shown::Twice) => self.overlap.add(row),
            Some(Shown::Once) | None => {}
        }
    }

    fn look_at_digits(&mut self, ticks: i64, row: &Row<'_>) {
        if ticks.rem_euclid(TICKS_PER_MICROSECOND) != 0 {
            self.seventh.add(row);
        }
    }

    /// The sentinels that were met, as the option is written.
    fn sentinel_option(&self) -> Option<String> {
        let met = self.sentinels.iter().zip(SENTINELS).filter(|(count, _)| **count > 0);
        let entries: Vec<(String, String)> = met
            .map(|(_, (_, day, meaning))| (advice::quote(day), advice::quote(meaning)))
            .collect();
        (!entries.is_empty()).then(|| advice::inline(entries))
    }

    fn line(&self, made_as: &str, options: &[(&str, &str)]) -> String {
        let sentinels = self.sentinel_option();
        let mut options = options.to_vec();
        options.extend(sentinels.as_deref().map(|sentinels| ("sentinels", sentinels)));
        advice::line(&self.read.column.name, made_as, &options)
    }

    fn is_wall_type(&self) -> bool {
        matches!(
            self.read.column.sql_type,
            SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. }
        )
    }

    /// Whether it holds days, but for a few.
    fn is_day(&self) -> bool {
        self.is_wall_type() && self.not_midnight.count.saturating_mul(TIMES_MAX) <= self.wall
    }
}

impl Check for Time<'_> {
    fn look(&mut self, row: &Row<'_>) {
        match row.value(self.read.place) {
            LegacyValue::Timestamp(ticks) => self.look_at_wall(*ticks, row),
            LegacyValue::Date(day) => {
                self.is_sentinel(i64::from(*day), row);
            }
            LegacyValue::Time(ticks) => self.look_at_digits(*ticks, row),
            LegacyValue::TimestampOffset { utc_ticks, offset_minutes } => {
                if *utc_ticks < 0 && utc_ticks.rem_euclid(TICKS_PER_SECOND) != 0 {
                    self.second_late.add(row);
                }
                let local = utc_ticks + i64::from(*offset_minutes) * 60 * TICKS_PER_SECOND;
                if !self.is_sentinel(local.div_euclid(TICKS_PER_DAY), row) {
                    self.look_at_digits(*utc_ticks, row);
                }
            }
            _ => {}
        }
    }

    fn tell(self: Box<Self>, told: &mut Told<'_>) {
        if let Some(facts) = told.facts(self.read.at) {
            facts.only_midnights =
                self.is_wall_type() && self.wall > 0 && self.not_midnight.is_empty();
        }
        if self.is_wall_type() && self.wall > 0 {
            self.tell_day(told);
        }
        self.tell_sentinels(told);
        self.tell_lost(told);
    }
}

impl Time<'_> {
    /// A day, or an instant of some zone.
    fn tell_day(&self, told: &mut Told<'_>) {
        let name = self.read.column.name.as_str();
        let clock = self.clock.map_or("", WallClock::name);
        if !self.is_day() {
            if self.clock.is_none() {
                told.wall_times.push(name.to_owned());
            }
            let zone = advice::quote(clock);
            let with =
                |option, value| self.line("timestamptz", &[("zone", &zone), (option, value)]);
            let message = format!("in an hour that summer time skipped in {clock}");
            let advice = with("gap", "\"later\"");
            told.rows(code::ZONE_GAP, &[name], self.gap.clone(), message, advice);
            let message = format!("in an hour that was twice in {clock}: the second one is taken");
            let advice = with("overlap", "\"standard\"");
            told.rows(code::ZONE_OVERLAP, &[name], self.overlap.clone(), message, advice);
            return;
        }
        let line = |time| self.line("date", &[("time", time)]);
        if self.not_midnight.is_empty() {
            let all = Tally { count: self.wall, examples: Vec::new() };
            let message = "a midnight in every row: a day, and no instant";
            told.rows(code::DATE_MIDNIGHT, &[name], all, message, line("\"midnight\""));
        } else {
            let message = format!(
                "a time of day, where {} other rows hold a midnight: a day, it seems. \
                 `time = \"midnight\"` puts these rows into quarantine",
                self.wall - self.not_midnight.count
            );
            let rows = self.not_midnight.clone();
            told.rows(code::DATE_TIME, &[name], rows, message, line("\"drop\""));
        }
        let message = format!(
            "midnights that {clock} skipped: a connector whose JVM runs in this zone says one \
             o'clock"
        );
        let advice = "start Kafka Connect with -Duser.timezone=UTC";
        told.rows(code::DEBEZIUM_GAP, &[name], self.gap_at_midnight.clone(), message, advice);
    }

    fn tell_sentinels(&self, told: &mut Told<'_>) {
        let met = self.sentinels.iter().zip(SENTINELS).filter(|(count, _)| **count > 0);
        let shown: Vec<String> =
            met.map(|(count, (_, day, _))| format!("{day} ({count})")).collect();
        let is_day = self.is_day() || self.read.column.sql_type == SqlType::Date;
        let line = match (is_day, self.read.column.sql_type == SqlType::Date) {
            (_, true) => self.line("date", &[]),
            (true, false) => self.line("date", &[("time", "\"midnight\"")]),
            (false, false) => {
                let zone = advice::quote(self.clock.map_or("…", WallClock::name));
                let is_wall = self.is_wall_type();
                let zone = is_wall.then_some(("zone", zone.as_str()));
                self.line("timestamptz", zone.as_slice())
            }
        };
        let message =
            format!("dates that mean something else than themselves: {}", shown.join(", "));
        let name = self.read.column.name.as_str();
        told.rows(code::TIME_SENTINEL, &[name], self.sentinel.clone(), message, line);
    }

    fn tell_lost(self, told: &mut Told<'_>) {
        let name = self.read.column.name.as_str();
        let made_as = match self.read.column.sql_type {
            SqlType::Time { .. } => "time",
            SqlType::DateTimeOffset { .. } => "timestamptz",
            _ => "timestamp",
        };
        let advice = advice::line(name, made_as, &[("precision", "\"truncate\"")]);
        told.rows(
            code::TIME_PRECISION,
            &[name],
            self.seventh,
            "a seventh digit of the second, which Postgres does not hold",
            advice,
        );
        let advice = "set time.precision.mode=isostring in the connector (kafka.time_mode here)";
        told.rows(
            code::DEBEZIUM_RANGE,
            &[name],
            self.beyond_nanoseconds,
            "before 1677-09-21 or after 2262-04-11: the connector says NULL, or stops where NULL \
             is not allowed",
            advice,
        );
        told.rows(
            code::DEBEZIUM_OFFSET,
            &[name],
            self.second_late,
            "before 1970 with a fraction of a second: the connector's events are a second late",
            "leave such rows to reconcile, or correct them in the legacy application",
        );
    }
}
