//! What a backfill tells while it runs. The engine counts; the cli draws.

use mapping::catalog::LegacyTable;

use crate::hold::Hold;

/// Who is told. Called from many tasks at a time, and must not block.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event<'_>) {}
}

/// What happened. Numbers are totals of the run so far, earlier attempts of it included.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A table's chunks are known.
    Planned {
        /// The table.
        table: &'a LegacyTable,
        /// Rows, about (the legacy server's statistics); 0 when nobody knows.
        rows_estimate: u64,
        /// Rows that an earlier attempt of this run has read.
        rows_before: u64,
        /// Chunks that are done already.
        chunks_done: u64,
        /// All its chunks.
        chunks_total: u64,
    },
    /// A chunk is begun.
    Reading {
        /// The table.
        table: &'a LegacyTable,
    },
    /// A batch was committed.
    Committed {
        /// The table.
        table: &'a LegacyTable,
        /// Rows read in this batch.
        rows: u64,
        /// Rows of this batch that went to quarantine.
        quarantined: u64,
    },
    /// A chunk is done.
    ChunkDone {
        /// The table.
        table: &'a LegacyTable,
        /// Chunks done.
        chunks_done: u64,
        /// All its chunks.
        chunks_total: u64,
    },
    /// Something failed and is tried again.
    Retrying {
        /// The table.
        table: &'a LegacyTable,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// How long it waits first.
        pause: std::time::Duration,
        /// Why, with its causes; no row values.
        reason: &'a str,
    },
    /// A table was given up; the others go on.
    Failed {
        /// The table.
        table: &'a LegacyTable,
        /// Why, with its causes; no row values.
        reason: &'a str,
    },
    /// A chunk was split, because its statement ran into the time limit: the rest is a chunk of
    /// its own, for whoever is free.
    ChunkSplit {
        /// The table.
        table: &'a LegacyTable,
        /// All its chunks now.
        chunks_total: u64,
    },
    /// Nothing is read until the reason is gone.
    Holding {
        /// The reason.
        hold: &'a Hold,
    },
    /// Reading goes on.
    GoingOn,
    /// The user should know.
    Warning {
        /// One sentence.
        text: &'a str,
    },
}
