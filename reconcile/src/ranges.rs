//! The ranges of a table that is being scanned: who reads which, and what counts already.
//!
//! What a range adds to the digests counts when all of its rows have been folded, and not before:
//! so the digests are always those of whole ranges, and whoever goes on after a stop reads each
//! row once. The few ranges that are being read are held apart, some megabytes each.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use legacy::session::KeyRange;
use mapping::{key::CanonicalKey, plan::TableId};

use crate::{legacy_scan::Scan, subject::Delta};

/// Rows of a range that are held apart. A range that is larger (the server's estimate was wrong)
/// goes into the digests as it comes, and nothing of the table can be kept until it is whole.
const HELD_ROWS_MAX: usize = 1 << 18;

/// By subject.
pub(crate) type Deltas = BTreeMap<usize, Delta>;

/// The ranges of one table.
#[derive(Debug)]
pub(crate) struct Ranges {
    pub(crate) table: TableId,
    /// The last key of each range but the final one.
    pub(crate) cuts: Vec<CanonicalKey>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<usize>,
    open: BTreeMap<usize, Open>,
    done: BTreeSet<usize>,
    /// How many were done when they were last shown.
    shown: usize,
}

/// A range that is being read.
#[derive(Debug, Default)]
struct Open {
    deltas: Deltas,
    folded: u64,
    /// How many rows it has; known when the server has sent the last.
    rows: Option<u64>,
    has_spilled: bool,
}

impl Ranges {
    /// A table that is cut at these keys, some of whose ranges count already.
    pub(crate) fn new(table: TableId, cuts: Vec<CanonicalKey>, done: BTreeSet<usize>) -> Self {
        let waiting = (0..=cuts.len()).filter(|range| !done.contains(range)).collect();
        Self {
            table,
            cuts,
            state: Mutex::new(State { waiting, open: BTreeMap::new(), done, shown: 0 }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ranges that nobody has begun.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// The next range to read.
    pub(crate) fn next(&self) -> Option<(usize, KeyRange)> {
        let mut state = self.state();
        let range = state.waiting.pop_front()?;
        state.open.insert(range, Open::default());
        let bound = |cut: Option<&CanonicalKey>| cut.map(CanonicalKey::parts);
        let after = range.checked_sub(1).and_then(|before| self.cuts.get(before));
        Some((range, KeyRange { after: bound(after), up_to: bound(self.cuts.get(range)) }))
    }

    /// The server has sent the last of a range's rows.
    pub(crate) fn sent(&self, scan: &Scan, range: usize, rows: u64) {
        let mut state = self.state();
        if let Some(open) = state.open.get_mut(&range) {
            open.rows = Some(rows);
        }
        state.close(scan, range);
    }

    /// So many more of a range's rows have been folded into these.
    pub(crate) fn fold(&self, scan: &Scan, range: usize, (rows, deltas): (u64, Deltas)) {
        let mut state = self.state();
        let Some(open) = state.open.get_mut(&range) else { return };
        open.folded += rows;
        for (subject, delta) in deltas {
            let held = open.deltas.entry(subject).or_default();
            held.counted.absorb(delta.counted, scan.settings.candidates_max);
            held.hashed.extend(delta.hashed);
        }
        if open.deltas.values().map(|delta| delta.hashed.len()).sum::<usize>() > HELD_ROWS_MAX {
            open.has_spilled = true;
            commit(scan, std::mem::take(&mut open.deltas));
        }
        state.close(scan, range);
    }

    /// Shows the ranges that count, while nothing is added to the digests; `None` when there is none
    /// more than the last time, and while the digests hold a part of a range.
    pub(crate) fn whole<T>(&self, show: impl FnOnce(&BTreeSet<usize>) -> T) -> Option<T> {
        let mut state = self.state();
        let is_torn = state.open.values().any(|open| open.has_spilled);
        if is_torn || state.shown == state.done.len() {
            return None;
        }
        state.shown = state.done.len();
        Some(show(&state.done))
    }

    /// Whether every range counts.
    pub(crate) fn is_complete(&self) -> bool {
        self.state().done.len() > self.cuts.len()
    }
}

impl State {
    /// A range whose rows are all folded counts from now on.
    fn close(&mut self, scan: &Scan, range: usize) {
        if self.open.get(&range).is_none_or(|open| open.rows != Some(open.folded)) {
            return;
        }
        if let Some(open) = self.open.remove(&range) {
            commit(scan, open.deltas);
            self.done.insert(range);
        }
    }
}

fn commit(scan: &Scan, deltas: Deltas) {
    for (subject, delta) in deltas {
        scan.tally(subject).add(delta, scan.settings.candidates_max);
    }
}
