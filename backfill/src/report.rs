//! What a backfill did.

use std::{collections::BTreeMap, time::Duration};

use mapping::{catalog::LegacyTable, plan::TableId};
use target::batch::{Applied, Counts};

/// What a backfill did, this process's share of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The selected tables, in the order in which they were copied.
    pub tables: Vec<TableReport>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Whether it was stopped; what is committed stays, and the next run goes on there.
    pub cancelled: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// What became of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// The table.
    pub table: LegacyTable,
    /// Its rows by what became of them; zero for chunks that had been copied before.
    pub counts: Counts,
    /// Chunks done, those of earlier attempts and of other processes included.
    pub chunks_done: u64,
    /// All its chunks.
    pub chunks_total: u64,
    /// Attempts that failed and were made again.
    pub retries: u64,
    /// Lines of a list of keys that name rows which the legacy side does not have.
    pub keys_missing: Vec<usize>,
    /// Why it was given up, where it was.
    pub failure: Option<String>,
}

impl Report {
    /// Whether every chunk of every selected table is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.cancelled && self.tables.iter().all(TableReport::is_complete)
    }

    /// Rows read in this run.
    #[must_use]
    pub fn rows_read(&self) -> u64 {
        self.tables.iter().map(|table| table.counts.read).sum()
    }

    /// Rows put into quarantine in this run.
    #[must_use]
    pub fn rows_quarantined(&self) -> u64 {
        self.tables.iter().map(|table| table.counts.quarantined).sum()
    }
}

impl TableReport {
    pub(crate) fn new(table: LegacyTable) -> Self {
        Self {
            table,
            counts: Counts::default(),
            chunks_done: 0,
            chunks_total: 0,
            retries: 0,
            keys_missing: Vec::new(),
            failure: None,
        }
    }

    /// Whether every chunk is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        // A table has one chunk at least, once it is cut.
        self.failure.is_none() && self.chunks_total > 0 && self.chunks_done == self.chunks_total
    }
}

/// Adds what one transaction did.
pub(crate) fn add(tables: &mut BTreeMap<TableId, TableReport>, applied: &Applied) {
    for (id, counts) in &applied.tables {
        let Some(report) = tables.get_mut(id) else { continue };
        let sum = &mut report.counts;
        sum.read += counts.read;
        sum.applied += counts.applied;
        sum.stale += counts.stale;
        sum.folded += counts.folded;
        sum.ignored += counts.ignored;
        sum.quarantined += counts.quarantined;
    }
}
