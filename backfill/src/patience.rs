//! Pauses between attempts, and their bound.

use std::time::Duration;

use crate::Settings;

/// How often in a row something has failed without any progress.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    attempts_max: u32,
    pause_min: Duration,
    pause_max: Duration,
    failed: u32,
}

impl Patience {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            attempts_max: settings.attempts_max.max(1),
            pause_min: settings.pause_min,
            pause_max: settings.pause_max,
            failed: 0,
        }
    }

    /// Attempts that failed in a row.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }

    /// There was progress.
    pub(crate) fn restore(&mut self) {
        self.failed = 0;
    }

    /// An attempt failed: how long to wait before the next; `None` when it was the last.
    pub(crate) fn fail(&mut self) -> Option<Duration> {
        self.failed += 1;
        if self.failed >= self.attempts_max {
            return None;
        }
        let doublings = (self.failed - 1).min(16);
        Some(self.pause_min.saturating_mul(1 << doublings).min(self.pause_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_end() {
        let settings = Settings {
            attempts_max: 6,
            pause_min: Duration::from_millis(200),
            pause_max: Duration::from_millis(1000),
            ..Settings::default()
        };
        let mut patience = Patience::new(&settings);
        let pauses: Vec<_> = std::iter::from_fn(|| patience.fail()).collect();
        let milliseconds: Vec<u128> = pauses.iter().map(Duration::as_millis).collect();
        assert_eq!(milliseconds, [200, 400, 800, 1000, 1000]);
        patience.restore();
        assert_eq!(patience.fail(), Some(Duration::from_millis(200)));
    }
}
