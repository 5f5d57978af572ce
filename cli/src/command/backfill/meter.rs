//! What is known of each table's copy, for whoever shows it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use backfill::Event;

use crate::out;

/// All tables.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<BTreeMap<String, Table>>);

/// One table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Rows, about; 0 when nobody knows.
    pub(super) estimate: u64,
    /// Rows that an earlier attempt has read.
    before: u64,
    /// Rows that this process has read.
    pub(super) rows: u64,
    pub(super) quarantined: u64,
    pub(super) retries: u64,
    pub(super) chunks_done: u64,
    pub(super) chunks_total: u64,
    /// When its first chunk was begun.
    began: Option<Instant>,
}

impl Table {
    /// Rows that are read, those of earlier attempts included.
    pub(super) fn rows_read(&self) -> u64 {
        self.before + self.rows
    }

    /// How long it has been read for.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// Rows a second, of this process.
    pub(super) fn rate(&self) -> u64 {
        let milliseconds = self.elapsed().as_millis().max(1);
        u64::try_from(u128::from(self.rows) * 1000 / milliseconds).unwrap_or(u64::MAX)
    }

    /// How long the rest takes, if the server's estimate is right and the rate stays.
    pub(super) fn left(&self) -> Option<Duration> {
        let rest = self.estimate.checked_sub(self.rows_read())?;
        rest.checked_div(self.rate()).map(Duration::from_secs)
    }

    /// Whether every chunk is done.
    pub(super) fn is_done(&self) -> bool {
        self.chunks_done == self.chunks_total
    }

    /// As one line.
    pub(super) fn line(&self, name: &str) -> String {
        let mut text = format!("{name}: {} rows", out::thousands(self.rows_read()));
        if self.estimate > 0 && !self.is_done() {
            let percent = (self.rows_read().saturating_mul(100) / self.estimate).min(100);
            text.push_str(&format!(" of about {} ({percent} %)", out::thousands(self.estimate)));
        }
        text.push_str(&format!(", {} rows/s", out::rate(self.rows, self.elapsed())));
        if let Some(left) = self.left().filter(|_| !self.is_done()) {
            text.push_str(&format!(", about {} left (estimate)", duration(left)));
        }
        text.push_str(&format!(", {} of {} chunks", self.chunks_done, self.chunks_total));
        text.push_str(&self.troubles());
        text
    }

    /// Retries and quarantine, where there are any.
    pub(super) fn troubles(&self) -> String {
        let mut text = String::new();
        if self.retries > 0 {
            text.push_str(&format!(", {} retries", self.retries));
        }
        if self.quarantined > 0 {
            text.push_str(&format!(", {} quarantined", out::thousands(self.quarantined)));
        }
        text
    }
}

/// `95` seconds as `1 min 35 s`.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

impl Meter {
    /// Takes an event in; the table that it is about, as it is now.
    pub(super) fn take(&self, event: &Event<'_>) -> Option<(String, Table)> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = table_of(event)?;
        if let Event::Planned { rows_estimate, rows_before, chunks_done, chunks_total, .. } = event
        {
            tables.insert(
                name.clone(),
                Table {
                    estimate: *rows_estimate,
                    before: *rows_before,
                    rows: 0,
                    quarantined: 0,
                    retries: 0,
                    chunks_done: *chunks_done,
                    chunks_total: *chunks_total,
                    began: None,
                },
            );
        }
        let table = tables.get_mut(&name)?;
        match event {
            Event::Reading { .. } => {
                table.began.get_or_insert_with(Instant::now);
            }
            Event::Committed { rows, quarantined, .. } => {
                table.rows += rows;
                table.quarantined += quarantined;
            }
            Event::ChunkDone { chunks_done, chunks_total, .. } => {
                table.chunks_done = *chunks_done;
                table.chunks_total = *chunks_total;
            }
            Event::ChunkSplit { chunks_total, .. } => table.chunks_total = *chunks_total,
            Event::Retrying { .. } => table.retries += 1,
            _ => {}
        }
        let table = table.clone();
        Some((name, table))
    }
}

fn table_of(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Planned { table, .. }
        | Event::Reading { table }
        | Event::Committed { table, .. }
        | Event::ChunkDone { table, .. }
        | Event::ChunkSplit { table, .. }
        | Event::Retrying { table, .. }
        | Event::Failed { table, .. } => Some(table.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mapping::catalog::LegacyTable;

    use super::*;

    #[test]
    fn a_line_tells_what_there_is_to_tell() {
        let (meter, table) = (Meter::default(), LegacyTable::new("dbo", "Contract"));
        let table = &table;
        let planned = |rows_estimate| Event::Planned {
            table,
            rows_estimate,
            rows_before: 500,
            chunks_done: 1,
            chunks_total: 4,
        };
        meter.take(&planned(2000));
        meter.take(&Event::Reading { table });
        std::thread::sleep(Duration::from_millis(20));
        let pause = Duration::ZERO;
        meter.take(&Event::Retrying { table, attempt: 1, pause, reason: "" });
        let (name, mut shown) = meter
            .take(&Event::Committed { table, rows: 1000, quarantined: 2 })
            .expect("a table that is planned");
        assert!(shown.rate() < 100_000, "what the first batch took is counted: {}", shown.rate());
        shown.began = Instant::now().checked_sub(Duration::from_secs(15));
        assert_eq!(
            shown.line(&name),
            "dbo.Contract: 1,500 rows of about 2,000 (75 %), 66 rows/s, about 7 s left (estimate), \
             1 of 4 chunks, 1 retries, 2 quarantined"
        );
        shown.chunks_done = 4;
        assert!(!shown.line(&name).contains("estimate"), "{}", shown.line(&name));
        shown = meter.take(&planned(0)).expect("planned again").1;
        assert_eq!(shown.line(&name), "dbo.Contract: 500 rows, 0 rows/s, 1 of 4 chunks");
        assert_eq!(duration(Duration::from_secs(7384)), "2 h 3 min");
    }
}
