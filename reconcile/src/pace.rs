//! How fast the legacy side is read at most.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// So many rows a second, whoever reads them.
#[derive(Debug)]
pub(crate) struct Pace {
    rows_per_second: Option<u64>,
    /// When the rows that were let through so far are paid for.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    /// Without a limit when `None`.
    pub(crate) fn new(rows_per_second: Option<u64>) -> Self {
        Self { rows_per_second, paid: Mutex::new(None) }
    }

    /// Waits until the rows before these are paid for.
    pub(crate) async fn take(&self, rows: usize) {
        let Some(rate) = self.rows_per_second else { return };
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let cost = Duration::from_micros(rows.saturating_mul(1_000_000) / rate.max(1));
        let now = Instant::now();
        let start = {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            // Time in which nothing was read is not saved up.
            let start = paid.map_or(now, |paid| paid.max(now));
            *paid = Some(start + cost);
            start
        };
        sleep_until(start).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rows_come_as_fast_as_they_may_and_no_faster() {
        let began = Instant::now();
        let pace = Pace::new(Some(1_000));
        for _ in 0..10 {
            pace.take(500).await;
        }
        // The last one is let through when the nine before it are paid for.
        assert_eq!(began.elapsed().as_millis(), 4_500);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let later = Instant::now();
        pace.take(500).await;
        pace.take(500).await;
        assert_eq!(later.elapsed().as_millis(), 500);
        let free = Instant::now();
        Pace::new(None).take(usize::MAX).await;
        assert_eq!(free.elapsed(), Duration::ZERO);
    }
}
