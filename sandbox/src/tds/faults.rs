//! Faults to inject.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Fault switches for tests, shared by all connections of a server. Each of the first two
/// strikes once.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    state: Arc<State>,
}

/// Zero is "no fault" everywhere.
#[derive(Debug, Default)]
struct State {
    error: AtomicU32,
    /// Rows plus one.
    rows: AtomicU64,
    delay_us: AtomicU64,
}

impl Faults {
    /// The next statement (session settings aside) fails with this error number; 1205 also
    /// rolls its transaction back.
    pub fn fail_next_query(&self, number: u32) {
        self.state.error.store(number, Ordering::Release);
    }

    /// The connection whose result is the first to have sent this many rows is cut.
    pub fn close_after_rows(&self, rows: u64) {
        self.state.rows.store(rows.saturating_add(1), Ordering::Release);
    }

    /// Every row takes this long; zero for full speed.
    pub fn delay_per_row(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.state.delay_us.store(delay, Ordering::Release);
    }

    pub(super) fn take_error(&self) -> Option<u32> {
        match self.state.error.swap(0, Ordering::AcqRel) {
            0 => None,
            number => Some(number),
        }
    }

    /// Whether a result that has sent `sent` rows is to be cut now.
    pub(super) fn take_close(&self, sent: u64) -> bool {
        let armed = self.state.rows.load(Ordering::Acquire);
        armed == sent.saturating_add(1)
            && self
                .state
                .rows
                .compare_exchange(armed, 0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    pub(super) fn delay(&self) -> Option<Duration> {
        match self.state.delay_us.load(Ordering::Acquire) {
            0 => None,
            delay => Some(Duration::from_micros(delay)),
        }
    }
}
