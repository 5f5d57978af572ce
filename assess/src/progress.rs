//! What an assessment tells while it runs. The engine counts; the cli draws.

use mapping::catalog::LegacyTable;

/// Who is told. Must not block.
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

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The catalogue was read.
    Catalog {
        /// Tables that are in it.
        tables: usize,
    },
    /// It is known what will be read.
    Planned {
        /// Tables, those of which only the keys are read included.
        tables: usize,
    },
    /// A table is about to be read.
    Started {
        /// The table.
        table: &'a LegacyTable,
        /// Rows, about, where the server says.
        rows_estimate: Option<u64>,
    },
    /// Rows were looked at.
    Looked {
        /// The table.
        table: &'a LegacyTable,
        /// How many, in this batch.
        rows: u64,
    },
    /// A table was read.
    Done {
        /// The table.
        table: &'a LegacyTable,
    },
    /// The connection was lost, and the table is read again from its beginning.
    Again {
        /// The table.
        table: &'a LegacyTable,
        /// Why.
        reason: &'a str,
    },
    /// A table was given up; the others go on.
    Failed {
        /// The table.
        table: &'a LegacyTable,
        /// Why.
        reason: &'a str,
    },
}
