//! The change log, as CDC's capture job sees it.
//!
//! A commit is written to the log at once and *captured* a lag later; readers see captured
//! transactions only. As in SQL Server, only transactions with changes to captured tables are
//! there, LSNs rise with commits, and enabling CDC makes the first LSN.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use mapping::{catalog::Table, position::Lsn};
use tokio::sync::watch;
use uuid::Uuid;

use super::{Error, Row, state::Inner};

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It is new. Only `after`.
    Insert,
    /// Its values changed, its key did not. `before` and `after`.
    Update,
    /// It is gone. Only `before`.
    Delete,
}

/// One row's change, in the form in which CDC records it: an update of a key column is a
/// delete and an insert (other key), an update of a column in a unique index a *deferred*
/// update, that is a delete and an insert with the same key.
#[derive(Debug, Clone)]
pub struct Change {
    /// The table.
    pub table: Arc<Table>,
    /// What happened.
    pub operation: Operation,
    /// The row before.
    pub before: Option<Row>,
    /// The row after.
    pub after: Option<Row>,
    /// `__$seqval`; the two halves of a split update share it.
    pub change_lsn: Lsn,
    /// As Debezium's function mode counts: 2 for updates and for the insert of a split update,
    /// else 1.
    pub event_serial_no: u8,
    /// Whether it is one half of a deferred update (same key).
    pub deferred: bool,
    /// Indexes of the columns whose value changed, for an update (split ones included); all
    /// columns else.
    pub columns_changed: Vec<usize>,
}

/// A committed transaction with its changes in statement order.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its commit LSN, greater than every earlier one.
    pub lsn: Lsn,
    /// When it began: milliseconds since 1970 UTC.
    pub begin_ms: i64,
    /// When it was committed: milliseconds since 1970 UTC.
    pub commit_ms: i64,
    /// Its changes to captured tables; never empty.
    pub changes: Vec<Change>,
}

/// A handle to the change log.
#[derive(Debug, Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

impl Log {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The captured transactions after `after`, oldest first, at most `limit`.
    /// `Lsn::ZERO` means from the beginning.
    ///
    /// # Errors
    /// [`Error::LogTrimmed`] when transactions after `after` have been cut off.
    pub fn read(&self, after: Lsn, limit: usize) -> Result<Vec<Arc<Committed>>, Error> {
        let state = self.inner.read();
        let log = &state.log;
        if after < log.trimmed {
            return Err(Error::LogTrimmed { after, begins: log.trimmed });
        }
        let start = log.entries.partition_point(|entry| entry.committed.lsn <= after);
        let captured = log.entries.iter().take(log.captured_count).skip(start).take(limit);
        Ok(captured.map(|entry| Arc::clone(&entry.committed)).collect())
    }

    /// `sys.fn_cdc_get_max_lsn()` as it moves: wait for `changed()`, then [`Log::read`].
    #[must_use]
    pub fn captured(&self) -> watch::Receiver<Lsn> {
        self.inner.watch()
    }

    /// The highest captured LSN. Before the first transaction, the one at which CDC was enabled.
    #[must_use]
    pub fn captured_lsn(&self) -> Lsn {
        self.inner.read().log.captured
    }

    /// The LSN of the last commit, captured or not.
    #[must_use]
    pub fn committed_lsn(&self) -> Lsn {
        self.inner.read().log.committed
    }

    /// `sys.fn_cdc_get_min_lsn(instance)`; `None` for an unknown instance.
    #[must_use]
    pub fn min_lsn(&self, capture_instance: &str) -> Option<Lsn> {
        self.inner.min_lsn(capture_instance)
    }

    /// CDC's clean-up job: forgets the captured transactions up to and including `up_to`, and
    /// raises every instance's minimum.
    pub fn trim(&self, up_to: Lsn) {
        self.inner.write().log.trim(up_to);
    }
}

impl Log {
    /// CDC's clean-up job, run for one table: its changes up to and including `up_to` are gone
    /// for whoever asks its capture instance, and its minimum is raised.
    ///
    /// # Errors
    /// [`Error::UnknownTable`].
    pub fn trim_table(&self, table: &str, up_to: Lsn) -> Result<(), Error> {
        let (index, _) = self.inner.table(table)?;
        self.inner.write().log.trim_table(index, up_to);
        Ok(())
    }
}

impl Inner {
    /// `MAX(__$start_lsn)` of a change table; the outer `None` is an unknown instance.
    pub(crate) fn last_change(&self, capture_instance: &str) -> Option<Option<Lsn>> {
        let lowest = self.min_lsn(capture_instance)?;
        let state = self.read();
        let captured = state.log.entries.iter().take(state.log.captured_count).rev();
        let found = captured.map(|entry| &entry.committed).find(|committed| {
            committed.changes.iter().any(|change| {
                let instance = change.table.capture_instance.as_deref();
                instance.is_some_and(|name| name.eq_ignore_ascii_case(capture_instance))
            })
        });
        Some(found.map(|committed| committed.lsn).filter(|lsn| *lsn >= lowest))
    }

    /// The images of an instance's change table after the first LSN and up to the second, and which
    /// table they are of; `None` for an unknown instance.
    pub(crate) fn changes_between(
        &self,
        capture_instance: &str,
        (after, up_to): (Lsn, Lsn),
    ) -> Option<(usize, Vec<Row>)> {
        let is_same = |name: Option<&str>| {
            name.is_some_and(|name| name.eq_ignore_ascii_case(capture_instance))
        };
        let index = self
            .layouts
            .iter()
            .position(|layout| is_same(layout.table.capture_instance.as_deref()))?;
        let state = self.read();
        let lowest = state.log.instance(index)?;
        let captured = state.log.entries.iter().take(state.log.captured_count);
        let commits = captured.map(|entry| &entry.committed).filter(|committed| {
            committed.lsn > after && committed.lsn <= up_to && committed.lsn >= lowest
        });
        let changes = commits.flat_map(|committed| &committed.changes);
        let ours = changes.filter(|change| is_same(change.table.capture_instance.as_deref()));
        let images = ours.flat_map(|change| change.before.iter().chain(&change.after).cloned());
        Some((index, images.collect()))
    }

    pub(crate) fn min_lsn(&self, capture_instance: &str) -> Option<Lsn> {
        let index = self.layouts.iter().position(|layout| {
            let instance = layout.table.capture_instance.as_deref();
            instance.is_some_and(|instance| instance.eq_ignore_ascii_case(capture_instance))
        })?;
        self.read().log.instance(index)
    }
}

#[derive(Debug)]
struct Entry {
    committed: Arc<Committed>,
    at: Instant,
}

/// The log itself.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) enabled: bool,
    pub(crate) lag: Duration,
    entries: VecDeque<Entry>,
    /// How many of `entries` are captured.
    captured_count: usize,
    captured: Lsn,
    committed: Lsn,
    trimmed: Lsn,
    /// The lowest LSN of each table's capture instance.
    instances: Vec<Option<Lsn>>,
    /// `cdc.dbo_ficus_marker_CT`, by token.
    markers: HashMap<Uuid, Lsn>,
    /// LSNs handed out.
    counter: u64,
}

impl LogState {
    pub(crate) fn new(tables: usize) -> Self {
        let mut log = Self {
            enabled: true,
            lag: Duration::ZERO,
            entries: VecDeque::new(),
            captured_count: 0,
            captured: Lsn::ZERO,
            committed: Lsn::ZERO,
            trimmed: Lsn::ZERO,
            instances: Vec::new(),
            markers: HashMap::new(),
            counter: 0x758 << 10,
        };
        let start = log.next_lsn();
        log.instances = vec![Some(start); tables];
        log.captured = start;
        log.committed = start;
        log
    }

    /// The next LSN: 1,024 records to a block, as if each block were written whole.
    pub(crate) fn next_lsn(&mut self) -> Lsn {
        let counter = self.counter;
        self.counter += 1;
        let [.., f0, f1, f2, f3] = (0x27 + (counter >> 42)).to_be_bytes();
        let [.., b0, b1, b2, b3] = (counter >> 10 & 0xFFFF_FFFF).to_be_bytes();
        let [.., s0, s1] = ((counter & 0x3FF) + 1).to_be_bytes();
        Lsn::from_bytes([f0, f1, f2, f3, b0, b1, b2, b3, s0, s1])
    }

    pub(crate) fn captured(&self) -> Lsn {
        self.captured
    }

    pub(crate) fn committed(&self) -> Lsn {
        self.committed
    }

    pub(crate) fn max_lsn(&self) -> Option<Lsn> {
        self.enabled.then_some(self.captured)
    }

    /// The lowest LSN of a table's capture instance, where the table is captured.
    pub(crate) fn instance(&self, table: usize) -> Option<Lsn> {
        let lowest = self.instances.get(table).copied().flatten();
        lowest.filter(|_| self.enabled)
    }

    pub(crate) fn set_captured(&mut self, table: usize, captured: bool) {
        let now = self.committed;
        if let Some(instance) = self.instances.get_mut(table) {
            *instance = captured.then(|| instance.unwrap_or(now));
        }
    }

    /// The LSN of a captured marker row.
    pub(crate) fn marker(&self, token: Uuid, table: usize) -> Option<Lsn> {
        let lowest = self.instance(table)?;
        self.markers.get(&token).copied().filter(|lsn| (lowest..=self.captured).contains(lsn))
    }

    pub(crate) fn add_marker(&mut self, token: Uuid, lsn: Lsn) {
        self.markers.insert(token, lsn);
    }

    /// Appends a transaction.
    pub(crate) fn append(&mut self, committed: Committed) {
        self.committed = committed.lsn;
        let at = Instant::now();
        self.entries.push_back(Entry { committed: Arc::new(committed), at });
        if self.lag.is_zero() {
            self.capture(at);
        }
    }

    /// Captures what is due; returns the time until the next one is.
    pub(crate) fn capture(&mut self, now: Instant) -> Option<Duration> {
        while let Some(entry) = self.entries.get(self.captured_count) {
            let due = entry.at.checked_add(self.lag)?;
            if due > now {
                return Some(due - now);
            }
            self.captured = entry.committed.lsn;
            self.captured_count += 1;
        }
        None
    }

    fn trim_table(&mut self, table: usize, up_to: Lsn) {
        if let Some(Some(lowest)) = self.instances.get_mut(table) {
            *lowest = (*lowest).max(up_to);
        }
    }

    fn trim(&mut self, up_to: Lsn) {
        while self.captured_count > 0
            && let Some(entry) = self.entries.pop_front_if(|e| e.committed.lsn <= up_to)
        {
            self.captured_count -= 1;
            self.trimmed = entry.committed.lsn;
        }
        let lowest = self.trimmed;
        self.instances.iter_mut().flatten().for_each(|lsn| *lsn = (*lsn).max(lowest));
        self.markers.retain(|_, lsn| *lsn > lowest);
    }
}
