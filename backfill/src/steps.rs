//! How many rows one statement is asked for.
//!
//! One long ordered stream is the fastest way to read a range, so at first nothing is limited. A
//! statement that reads for longer than it should is asked for fewer rows the next time, in
//! proportion; one that runs into its time limit, for a quarter. Where it has become quick again,
//! for twice as many. Each table finds its own number, because rows differ in size.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mapping::plan::TableId;

/// What one statement may read of each table.
#[derive(Debug)]
pub(crate) struct Steps {
    /// How long a statement should read; zero for no limit.
    wanted: Duration,
    /// Of a table that nothing is known of yet.
    first: Option<u64>,
    rows: Mutex<BTreeMap<TableId, u64>>,
}

impl Steps {
    /// With a limit of rows a second the first statement needs no other measure.
    pub(crate) fn new(wanted: Duration, rows_per_second: Option<u64>) -> Self {
        let first = rows_per_second.filter(|_| !wanted.is_zero()).map(|rate| {
            u64::try_from(u128::from(rate) * wanted.as_millis() / 1000).unwrap_or(u64::MAX).max(1)
        });
        Self { wanted, first, rows: Mutex::default() }
    }

    /// Rows that the next statement is asked for at most.
    pub(crate) fn rows(&self, table: TableId) -> Option<u64> {
        self.state().get(&table).copied().or(self.first)
    }

    /// When a statement that begins now has taken so long that it is ended.
    pub(crate) fn patience(&self) -> Option<Duration> {
        (!self.wanted.is_zero()).then(|| self.wanted * 2)
    }

    /// A statement has read so many rows in this time.
    pub(crate) fn took(&self, table: TableId, rows: u64, elapsed: Duration) {
        if self.wanted.is_zero() || rows == 0 {
            return;
        }
        let wanted = u128::from(rows) * self.wanted.as_micros() / elapsed.as_micros().max(1);
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX).max(1);
        let limit = self.rows(table);
        if elapsed > self.wanted {
            self.set(table, wanted);
        } else if let Some(limit) = limit
            && rows >= limit
            && elapsed * 2 < self.wanted
        {
            self.set(table, limit.saturating_mul(2).min(wanted).max(limit));
        }
    }

    /// A statement that should read so many rows ran into its time limit.
    pub(crate) fn timed_out(&self, table: TableId, rows: u64) {
        let rows = self.rows(table).unwrap_or(rows).min(rows.max(1));
        self.set(table, (rows / 4).max(1));
    }

    /// So few rows bring no progress: the key of the last one can't be a bound.
    pub(crate) fn too_few(&self, table: TableId) {
        if let Some(rows) = self.rows(table) {
            self.set(table, rows.saturating_mul(2).saturating_add(1));
        }
    }

    fn set(&self, table: TableId, rows: u64) {
        self.state().insert(table, rows);
    }

    fn state(&self) -> MutexGuard<'_, BTreeMap<TableId, u64>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TableId = TableId(0);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_finds_what_fits_the_time() {
        let steps = Steps::new(10 * SECOND, None);
        assert_eq!(steps.rows(T), None);
        steps.took(T, 100_000, 5 * SECOND);
        assert_eq!(steps.rows(T), None, "nothing is limited that is quick enough");
        steps.took(T, 100_000, 40 * SECOND);
        assert_eq!(steps.rows(T), Some(25_000));
        steps.took(T, 25_000, SECOND);
        assert_eq!(steps.rows(T), Some(50_000));
        steps.took(T, 17, SECOND / 100);
        assert_eq!(steps.rows(T), Some(50_000), "the end of a chunk says nothing");
        assert_eq!(steps.rows(TableId(1)), None);
    }

    #[test]
    fn time_limits_make_it_smaller_down_to_a_row() {
        let steps = Steps::new(Duration::ZERO, Some(1000));
        assert_eq!((steps.rows(T), steps.patience()), (None, None));
        let mut seen = Vec::new();
        for _ in 0..5 {
            steps.timed_out(T, 400);
            seen.push(steps.rows(T).unwrap());
        }
        assert_eq!(seen, [100, 25, 6, 1, 1]);
        steps.too_few(T);
        assert_eq!(steps.rows(T), Some(3));
    }

    #[test]
    fn a_pace_is_a_first_measure() {
        let steps = Steps::new(Duration::from_millis(2500), Some(1000));
        assert_eq!(steps.rows(T), Some(2500));
    }
}
