//! When so much of a table goes to quarantine that the mapping, or the schema, must be wrong and
//! not the rows (pure). One bad row never stops anything.

use std::collections::BTreeMap;

use mapping::plan::TableId;

/// Events that a share is taken of.
const WINDOW: u64 = 1_000;

#[derive(Debug, Clone, Copy, Default)]
struct Score {
    in_a_row: u64,
    events: u64,
    bad: u64,
}

/// How each table fares lately.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// So many bad events in a row are too many; and so are as many of the last thousand, when
    /// they are more than half.
    bad_max: u64,
    tables: BTreeMap<TableId, Score>,
}

impl Breaker {
    pub(crate) fn new(bad_max: u64) -> Self {
        Self { bad_max: bad_max.max(1), tables: BTreeMap::new() }
    }

    pub(crate) fn good(&mut self, table: TableId, events: u64) {
        // The window begins with a bad event: a table that has only good ones has no score.
        if let Some(score) = self.tables.get_mut(&table)
            && events > 0
        {
            score.in_a_row = 0;
            score.add(events, 0);
        }
    }

    /// Notes bad events; whether they are too many now. Then the score begins anew.
    pub(crate) fn bad(&mut self, table: TableId, events: u64) -> bool {
        if events == 0 {
            return false;
        }
        let score = self.tables.entry(table).or_default();
        score.in_a_row += events;
        score.add(events, events);
        let is_flood = score.in_a_row >= self.bad_max
            || (score.bad >= self.bad_max && score.bad * 2 > score.events);
        if is_flood {
            self.tables.remove(&table);
        }
        is_flood
    }
}

impl Score {
    fn add(&mut self, events: u64, bad: u64) {
        if self.events >= WINDOW {
            (self.events, self.bad) = (0, 0);
        }
        self.events += events;
        self.bad += bad;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: TableId = TableId(1);

    #[test]
    fn f43_one_in_twenty_is_no_flood() {
        let mut breaker = Breaker::new(100);
        for event in 0..100_000_u32 {
            if event % 20 == 0 {
                assert!(!breaker.bad(T, 1), "at {event}");
            } else {
                breaker.good(T, 1);
            }
        }
    }

    #[test]
    fn f44_all_of_them_are_a_flood_after_so_many() {
        let mut breaker = Breaker::new(100);
        breaker.good(T, 50_000);
        assert!(!breaker.bad(TableId(2), 99), "each table has its own score");
        for _ in 0..99 {
            assert!(!breaker.bad(T, 1));
        }
        assert!(breaker.bad(T, 1));
        // It was mended, says somebody: the count begins anew.
        assert!(!breaker.bad(T, 99));
        assert!(breaker.bad(T, 1));
    }

    #[test]
    fn most_of_them_are_a_flood_too() {
        let mut breaker = Breaker::new(100);
        let tripped = (0..1_000_u32).find(|event| {
            if event % 5 == 0 {
                breaker.good(T, 1);
                false
            } else {
                breaker.bad(T, 1)
            }
        });
        assert!(tripped.is_some_and(|event| event < 200), "{tripped:?}");
        // A whole batch at once.
        let mut breaker = Breaker::new(100);
        assert!(!breaker.bad(T, 40));
        breaker.good(T, 100);
        assert!(!breaker.bad(T, 60), "half of them");
        assert!(breaker.bad(T, 1));
    }
}
