//! How fast the legacy server is read at most: so many rows a second, all readers of a job together.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

/// A limit of rows a second.
#[derive(Debug)]
pub struct Pace {
    rows_per_second: Option<u64>,
    /// How many processes share the limit.
    sharers: AtomicU64,
    /// When the next row is due.
    due: Mutex<Instant>,
}

impl Pace {
    /// Without a limit when `None`.
    #[must_use]
    pub fn new(rows_per_second: Option<u64>) -> Self {
        Self { rows_per_second, sharers: AtomicU64::new(1), due: Mutex::new(Instant::now()) }
    }

    /// Whether there is a limit.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.rows_per_second.is_some()
    }

    /// From now on so many processes, this one among them, share the limit evenly.
    pub fn share(&self, processes: u64) {
        self.sharers.store(processes.max(1), Ordering::Relaxed);
    }

    /// Until these rows have had their time. Time that nobody used is not made up for: the limit
    /// holds in every second.
    pub async fn wait(&self, rows: u64) {
        let Some(rate) = self.rows_per_second else { return };
        let rows = rows.saturating_mul(self.sharers.load(Ordering::Relaxed));
        let time = Duration::from_micros(rows.saturating_mul(1_000_000) / rate.max(1));
        let due = {
            let mut due = self.due.lock().await;
            *due = (*due).max(Instant::now()) + time;
            *due
        };
        tokio::time::sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readers_share_the_pace() {
        let began = Instant::now();
        let pace = Pace::new(Some(1000));
        tokio::join!(pace.wait(500), pace.wait(1500));
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        tokio::time::advance(Duration::from_secs(5)).await;
        pace.wait(1000).await;
        assert_eq!(began.elapsed(), Duration::from_secs(8), "nothing is made up for");
        Pace::new(None).wait(u64::MAX).await;
        assert_eq!(began.elapsed(), Duration::from_secs(8));
        pace.share(3);
        pace.wait(1000).await;
        assert_eq!(began.elapsed(), Duration::from_secs(11), "a third is ours");
    }
}
