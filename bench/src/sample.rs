//! What a benchmark of mapping works on: rows in memory, and the same bytes to copy.

use std::hint::black_box;

use anyhow::{Context as _, ensure};
use mapping::{
    plan::{Context, ObjectTypes, Outcome, Plan, SourceChange, SourceOp, TablePlan},
    position::{Lsn, Position},
    row::Batches,
};
use sandbox::legacy::Values;

use crate::data;

/// As many as apply takes at once.
pub const BATCH_ROWS: usize = 10_000;

/// Legacy rows of one table, as a reader gives them.
pub struct Sample {
    plan: TablePlan,
    rows: Vec<Values>,
}

/// The bytes of mapped rows.
pub struct Bytes {
    bytes: Vec<u8>,
    row_bytes: usize,
}

impl Sample {
    /// So many rows of `Contract`, `Invoice` or `InvoiceLine`.
    ///
    /// # Errors
    /// For another table.
    pub fn new(plan: &Plan, table: &str, rows: u64) -> anyhow::Result<Self> {
        let row: fn(u64) -> Values = match table {
            "Contract" => |number| data::contract(number, 1),
            "Invoice" => data::invoice,
            "InvoiceLine" => data::invoice_line,
            other => anyhow::bail!("there are no rows for the table {other}"),
        };
        let plan = plan.table("dbo", table);
        let plan = plan.with_context(|| format!("the mapping does not name {table}"))?.clone();
        Ok(Self { plan, rows: (0..rows).map(row).collect() })
    }

    /// The number of rows.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.rows.len()).unwrap_or(u64::MAX)
    }

    /// Maps all rows, a batch at a time as a copy does; the last batch.
    ///
    /// # Errors
    /// When a row is not mapped: all of them are good.
    pub fn map(&self) -> anyhow::Result<Batches> {
        let object_types = ObjectTypes::new();
        let context = Context { object_types: &object_types, seen_at_us: 1_700_000_000_000_000 };
        let position = Position::read_after(Lsn::ZERO);
        let mut last = Batches::default();
        for chunk in self.rows.chunks(BATCH_ROWS) {
            let mut batches = Batches::default();
            for (row, sequence) in chunk.iter().zip(0_u32..) {
                let change = SourceChange { op: SourceOp::Upsert, values: row, position, sequence };
                let outcome = self.plan.map(&change, &context, &mut batches);
                ensure!(matches!(outcome, Outcome::Mapped(_)), "not mapped: {outcome:?}");
            }
            last = black_box(batches);
        }
        Ok(last)
    }

    /// What the rows became.
    ///
    /// # Errors
    /// As [`Sample::map`].
    pub fn bytes(&self) -> anyhow::Result<Bytes> {
        let batch = self.map()?.into_inner().into_iter().next().context("no rows")?;
        let row_bytes = (batch.fields.len() / batch.rows.len().max(1)).max(1);
        Ok(Bytes { bytes: batch.fields, row_bytes })
    }
}

impl Bytes {
    /// Bytes of an average row.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The number of rows.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.bytes.len().div_ceil(self.row_bytes)).unwrap_or(u64::MAX)
    }

    /// Appends them to a new buffer, row by row: what no mapping can beat.
    #[must_use]
    pub fn copy(&self) -> Vec<u8> {
        let mut copy = Vec::new();
        for row in self.bytes.chunks(self.row_bytes) {
            copy.extend_from_slice(black_box(row));
        }
        copy
    }
}
