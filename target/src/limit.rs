//! How many rows a batch may have.
//!
//! Where others hold the rows' locks, or a statement runs into its time limit, a smaller batch
//! gets through more easily: it holds fewer locks, for a shorter time, and whoever is in its way
//! is in the way of fewer rows. So whoever makes batches halves them after
//! [`crate::Disposition::RetrySmaller`], down to one row, and lets them grow again bit by bit
//! while all goes well.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A limit that shrinks and grows; shared by those who make batches and those who write them.
#[derive(Debug)]
pub struct BatchLimit {
    most: usize,
    now: AtomicUsize,
}

impl BatchLimit {
    /// At first, and at most, so many rows.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most, now: AtomicUsize::new(most) }
    }

    /// Rows that the next batch may have.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// A batch of so many rows did not get through: half of it may.
    pub fn shrink(&self, failed: usize) {
        let halve = |now: usize| Some((now.min(failed) / 2).max(1));
        if self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, halve).is_ok() {
            tracing::info!(rows = self.rows(), "smaller batches: others are in the way");
        }
    }

    /// A batch got through: the next may have an eighth more. (Twice as many would fail at once
    /// where the reason is still there.)
    pub fn grow(&self) {
        let more = |now: usize| {
            let next = now.saturating_add((now / 8).max(1)).min(self.most);
            (next != now).then_some(next)
        };
        if let Ok(before) = self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            tracing::debug!(before, rows = self.rows(), "larger batches again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_what_failed_and_comes_back_slowly() {
        let limit = BatchLimit::new(10_000);
        // The batch that failed was smaller than it had to be.
        limit.shrink(40);
        assert_eq!(limit.rows(), 20);
        limit.shrink(20);
        limit.grow();
        assert_eq!(limit.rows(), 11);
        for _ in 0..20 {
            limit.shrink(1);
        }
        assert_eq!(limit.rows(), 1);
        for _ in 0..100 {
            limit.grow();
        }
        assert_eq!(limit.rows(), 10_000);
        assert_eq!(BatchLimit::new(0).rows(), 1);
    }
}
