//! How long an event waits after an attempt.

use std::time::Duration;

use rand::RngExt as _;

/// Never longer, whatever a receiver asks for.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Doubles with each attempt up to a limit; half of it is by chance, so that events which failed
/// together do not come back together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// After the attempt of this number (from 1).
    pub(crate) fn after(self, attempt: i32, asked: Option<Duration>) -> Duration {
        self.with_chance(attempt, asked, rand::rng().random_range(0..=1000))
    }

    /// `chance` is in thousandths.
    fn with_chance(self, attempt: i32, asked: Option<Duration>, chance: u32) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(31);
        let whole = self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.max);
        let half = whole / 2;
        let own = half + half * chance.min(1000) / 1000;
        match asked {
            // Not before the receiver said; a little later by chance.
            Some(asked) => asked.min(RETRY_AFTER_MAX) + self.first * chance.min(1000) / 1000,
            None => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_secs(2), max: Duration::from_secs(60) };

    fn millis(attempt: i32, chance: u32) -> u128 {
        BACKOFF.with_chance(attempt, None, chance).as_millis()
    }

    #[test]
    fn it_doubles_up_to_its_limit_between_half_and_whole() {
        assert_eq!((millis(1, 0), millis(1, 1000)), (1_000, 2_000));
        assert_eq!((millis(2, 0), millis(2, 1000)), (2_000, 4_000));
        assert_eq!((millis(5, 0), millis(5, 500)), (16_000, 24_000));
        for attempt in [6, 40, i32::MAX] {
            assert_eq!((millis(attempt, 0), millis(attempt, 1000)), (30_000, 60_000));
        }
        assert_eq!(millis(i32::MIN, 0), 1_000);
    }

    #[test]
    fn a_receiver_is_not_asked_before_it_said() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(BACKOFF.with_chance(1, asked(90), 0), Duration::from_secs(90));
        assert_eq!(BACKOFF.with_chance(9, asked(0), 0), Duration::ZERO);
        assert_eq!(BACKOFF.with_chance(1, asked(u64::MAX), 0), RETRY_AFTER_MAX);
    }
}
