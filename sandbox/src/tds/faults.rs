//! Faults to inject.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
    /// Ordered ranges that were answered.
    ranges: AtomicU64,
    more: Mutex<More>,
}

/// Faults that are asked for by whole statements only.
#[derive(Debug, Default)]
struct More {
    /// Statements that contain a text fail with a number, until they are mended.
    failing: Vec<(String, u32)>,
    /// After so many rows of a range, an error.
    late: Option<(u64, u32)>,
    /// After a range's DONE, an error.
    after_done: Option<u32>,
    /// After so many rows of a range, one that does not arrive.
    loss: Option<u64>,
    /// The answer to a statement that contains this text lacks its first row.
    losing: Option<String>,
    /// A range of this table and of more rows than this takes so long to begin.
    stall: Option<(String, u64, Duration)>,
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

    /// Statements that contain this text fail with this number until [`Faults::mend`]: 208 for a
    /// table that was dropped, 207 for a column, 229 for a permission that was taken away.
    pub fn fail_statements(&self, containing: &str, number: u32) {
        self.more().failing.push((containing.to_owned(), number));
    }

    /// Ends what [`Faults::fail_statements`] and [`Faults::stall_ranges_above`] began.
    pub fn mend(&self) {
        let mut more = self.more();
        more.failing.clear();
        more.stall = None;
    }

    /// The ordered range that is the first to have sent this many rows ends with this error, once.
    pub fn fail_after_rows(&self, rows: u64, number: u32) {
        self.more().late = Some((rows, number));
    }

    /// The next ordered range is sent whole, with its DONE, and then has this error, once.
    pub fn fail_after_done(&self, number: u32) {
        self.more().after_done = Some(number);
    }

    /// The ordered range that is the first to have sent this many rows loses the next one, once: the
    /// server has counted it, and it does not arrive.
    pub fn lose_row_after(&self, rows: u64) {
        self.more().loss = Some(rows);
    }

    /// The answer to the next statement with this text in it lacks its first row, once: the server has
    /// counted it, and it does not arrive.
    pub fn lose_row_of(&self, containing: &str) {
        self.more().losing = Some(containing.to_owned());
    }

    /// Statements with this text in them that ask for an ordered range of more than so many rows
    /// say nothing for this long, until [`Faults::mend`].
    pub fn stall_ranges_above(&self, containing: &str, rows: u64, delay: Duration) {
        self.more().stall = Some((containing.to_owned(), rows, delay));
    }

    /// How many ordered ranges have been asked for so far.
    #[must_use]
    pub fn ranges(&self) -> u64 {
        self.state.ranges.load(Ordering::Relaxed)
    }

    pub(super) fn count_range(&self) {
        self.state.ranges.fetch_add(1, Ordering::Relaxed);
    }

    fn more(&self) -> MutexGuard<'_, More> {
        self.state.more.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failing(&self, text: &str) -> Option<u32> {
        let more = self.more();
        more.failing.iter().find(|(part, _)| text.contains(part)).map(|(_, number)| *number)
    }

    pub(super) fn take_late(&self, sent: u64) -> Option<u32> {
        let mut more = self.more();
        more.late.take_if(|(rows, _)| *rows == sent).map(|(_, number)| number)
    }

    pub(super) fn take_loss(&self, sent: u64) -> bool {
        self.more().loss.take_if(|rows| *rows == sent).is_some()
    }

    pub(super) fn take_losing(&self, text: &str) -> bool {
        self.more().losing.take_if(|containing| text.contains(containing.as_str())).is_some()
    }

    pub(super) fn take_after_done(&self) -> Option<u32> {
        self.more().after_done.take()
    }

    /// How long a range of so many rows (all when `None`) says nothing.
    pub(super) fn stall(&self, text: &str, asked: Option<u64>) -> Option<Duration> {
        let more = self.more();
        let (containing, rows, delay) = more.stall.as_ref()?;
        (text.contains(containing) && asked.is_none_or(|asked| asked > *rows)).then_some(*delay)
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
