//! Rows become a transaction's worth of mapped rows.

use legacy::{LegacyRow, payload::Form};
use mapping::{
    plan::{
        Context, ObjectTypes, Outcome, Rejection, SourceChange, SourceOp, TablePlan, TableRole,
    },
    position::{Lsn, Position},
};
use target::{
    batch::{Batch, Checkpoint, ChunkProgress, LeftOut, QuarantineEntry, SourceRow, Sources},
    chunk::ChunkClaim,
};

use crate::key;

/// What is the same for all rows of one attempt at a chunk.
pub(crate) struct Mapper<'a> {
    pub(crate) table: &'a TablePlan,
    /// The low watermark's position.
    pub(crate) position: Position,
    pub(crate) object_types: &'a ObjectTypes,
    /// Microseconds since 1970 UTC.
    pub(crate) seen_at_us: i64,
    pub(crate) form: Form,
}

impl<'a> Mapper<'a> {
    pub(crate) fn new(
        table: &'a TablePlan,
        object_types: &'a ObjectTypes,
        (position, seen_at_us): (Position, i64),
    ) -> Self {
        Self { table, position, object_types, seen_at_us, form: Form::new(table) }
    }
}

/// A batch that is being filled.
#[derive(Default)]
pub(crate) struct OpenBatch {
    batch: Batch,
    rows: u64,
    /// The last row's key; `None` when that can't be a bound, and then the batch can't end here.
    last_key: Option<Vec<u8>>,
    payload_bytes: usize,
    /// The mapped rows, in case that Postgres refuses one.
    sources: Vec<LegacyRow>,
}

/// How many rows in a row could not be mapped.
#[derive(Debug, Default)]
pub(crate) struct Streak {
    bad: u64,
    /// The longest so far, and why its last row was put aside: rule and column.
    longest: u64,
    why: String,
}

impl Streak {
    fn good(&mut self) {
        self.bad = 0;
    }

    fn bad(&mut self, rejection: &Rejection) {
        self.bad += 1;
        if self.bad > self.longest {
            self.longest = self.bad;
            let column = rejection.column.as_str();
            let place = if column.is_empty() { "" } else { " at " };
            self.why = format!("{}{place}{column}", rejection.rule);
        }
    }

    /// Why so many were put aside, if so many were.
    pub(crate) fn reaches(&self, most: u64) -> Option<&str> {
        (self.longest >= most).then_some(&self.why)
    }
}

/// Rows by their number in the batch.
#[derive(Debug)]
struct RowSources {
    form: Form,
    rows: Vec<LegacyRow>,
}

impl Sources for RowSources {
    fn source(&self, sequence: u32) -> Option<SourceRow> {
        let row = self.rows.get(usize::try_from(sequence).ok()?)?;
        Some(SourceRow {
            payload: self.form.show(row),
            payload_key: None,
            payload_headers: None,
            source: None,
        })
    }
}

/// What a batch ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// More of the chunk follows.
    Step,
    /// The chunk is done.
    Chunk {
        /// Max LSN after its last row was read.
        high_watermark: Option<Lsn>,
    },
}

impl OpenBatch {
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes that the batch holds, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.batch.rows.byte_count() + self.payload_bytes
    }

    /// Whether reading can go on after the last row. A key that the server could not be sent
    /// back (a lone surrogate in it) can't end a batch; the next one can.
    pub(crate) fn can_end_here(&self) -> bool {
        self.last_key.is_some()
    }

    /// Maps rows into the batch.
    pub(crate) fn add(&mut self, mapper: &Mapper<'_>, rows: Vec<LegacyRow>, streak: &mut Streak) {
        let table = mapper.table;
        if let Some(last) = rows.last() {
            let parts: Option<Vec<_>> = table.key.iter().map(|&index| last.get(index)).collect();
            self.last_key = parts.and_then(key::encode);
        }
        for row in rows {
            self.add_row(mapper, row, streak);
        }
    }

    fn add_row(&mut self, mapper: &Mapper<'_>, row: LegacyRow, streak: &mut Streak) {
        let table = mapper.table;
        let counts = self.batch.read.entry(table.id).or_default();
        counts.read += 1;
        self.rows += 1;
        let sequence = u32::try_from(self.batch.tables.len()).unwrap_or(u32::MAX);
        let change = SourceChange {
            op: SourceOp::Upsert,
            values: &row,
            position: mapper.position,
            sequence,
        };
        let context = Context { object_types: mapper.object_types, seen_at_us: mapper.seen_at_us };
        match table.map(&change, &context, &mut self.batch.rows) {
            Outcome::Mapped(_) => {
                streak.good();
                self.batch.tables.push(table.id);
                self.sources.push(row);
            }
            Outcome::Ignored(rule) => {
                streak.good();
                *counts.ignored.entry(rule.to_string()).or_default() += 1;
                self.leave_out(mapper, &row);
            }
            Outcome::Rejected(rejection) => {
                streak.bad(&rejection);
                self.put_aside(mapper, &row, *rejection);
            }
        }
    }

    /// Only a table that feeds several entities can have an entry whose entity is not known.
    fn leave_out(&mut self, mapper: &Mapper<'_>, row: &LegacyRow) {
        let feeds = matches!(&mapper.table.role, TableRole::Entities(all) if all.len() > 1);
        let key = feeds.then(|| mapper.table.canonical_key(row)).flatten();
        let (table, position) = (mapper.table.id, mapper.position);
        self.batch.left_out.extend(key.map(|key| LeftOut { table, key, position }));
    }

    fn put_aside(&mut self, mapper: &Mapper<'_>, row: &LegacyRow, rejection: Rejection) {
        let payload = mapper.form.show(row);
        self.payload_bytes += payload.len();
        self.batch.quarantine.push(QuarantineEntry {
            table: Some(mapper.table.id),
            entity: rejection.entity,
            key: rejection.key,
            position: mapper.position,
            rule: rejection.rule.to_string(),
            column: rejection.column,
            detail: rejection.detail,
            payload,
            payload_key: None,
            payload_headers: None,
            source: None,
            whole: true,
        });
    }

    /// Ends a batch that is of no chunk.
    pub(crate) fn close_alone(mut self, form: &Form) -> Batch {
        self.batch.sources = Some(Box::new(RowSources { form: form.clone(), rows: self.sources }));
        self.batch
    }

    /// Ends the batch with a step of the chunk.
    pub(crate) fn close(mut self, form: &Form, claim: &ChunkClaim, end: End) -> Batch {
        let (done, high_watermark) = match end {
            End::Step => (false, None),
            End::Chunk { high_watermark } => (true, high_watermark),
        };
        let rows = self.sources;
        self.batch.sources = Some(Box::new(RowSources { form: form.clone(), rows }));
        self.batch.checkpoint = Checkpoint::Chunk(ChunkProgress {
            chunk: claim.chunk,
            epoch: claim.epoch,
            // The last batch may be empty.
            last_key: self.last_key.or_else(|| claim.last_key.clone()),
            rows: self.rows,
            done,
            high_watermark,
        });
        self.batch
    }
}
