//! How fast the legacy server is read at most: so many rows a second, all readers of a job together.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// A limit of rows a second.
#[derive(Debug)]
pub struct Pace {
    rows_per_second: Option<u64>,
    /// When the next row is due.
    due: Mutex<Instant>,
}

impl Pace {
    /// Without a limit when `None`.
    #[must_use]
    pub fn new(rows_per_second: Option<u64>) -> Self {
        Self { rows_per_second, due: Mutex::new(Instant::now()) }
    }

    /// Until these rows have had their time. Time that nobody used is not made up for: the limit
    /// holds in every second.
    pub async fn wait(&self, rows: u64) {
        let Some(rate) = self.rows_per_second else { return };
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
    }
}
