//! What goes through the one way in, and what comes of it.

use std::collections::BTreeMap;

use mapping::{
    key::CanonicalKey,
    plan::{EntityId, TableId},
    position::{Lsn, Position},
    row::Batches,
};

use crate::{drift::DriftNote, follow::TableStop, retry::RetryStep};

/// Everything that one transaction writes.
#[derive(Debug, Default)]
pub struct Batch {
    /// The mapped rows.
    pub rows: Batches,
    /// The rows that could not be mapped.
    pub quarantine: Vec<QuarantineEntry>,
    /// Rows of tables that feed several entities, and that are none of them: what was in
    /// quarantine because nobody knew their type is settled by it.
    pub left_out: Vec<LeftOut>,
    /// For each [`mapping::row::Row::sequence`], the table that it was read from.
    pub tables: Vec<TableId>,
    /// Source rows read and ignored, by table.
    pub read: BTreeMap<TableId, ReadCounts>,
    /// New or changed `XPObjectType` rows.
    pub object_types: Vec<(i64, String)>,
    /// Marker rows seen: `(token, commit LSN)` and the end offsets of all partitions at that
    /// moment. The stream has passed the LSN once every partition has reached its end offset.
    pub fences: Vec<Fence>,
    /// Tables that the stream follows no further than the checkpoint says.
    pub stops: Vec<TableStop>,
    /// Columns that surprised, each at most once.
    pub drift: Vec<DriftNote>,
    /// What accounts for the rows.
    pub checkpoint: Checkpoint,
    /// So many refused rows, if they are most of those that were tried, are a flood: then nothing
    /// is written ([`crate::Error::Flood`]). 100 when it is not said.
    pub refused_max: Option<usize>,
    /// The source rows behind the mapped ones, for the quarantine; without it, a row that
    /// Postgres refuses is kept as its mapped fields.
    pub sources: Option<Box<dyn Sources>>,
}

/// Gives back what a change was made from. Only asked when Postgres refuses the mapped row, so
/// it may be slow.
pub trait Sources: std::fmt::Debug + Send + Sync {
    /// What was received for [`mapping::row::Row::sequence`].
    fn source(&self, sequence: u32) -> Option<SourceRow>;
}

/// A source row as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// The message's value as received, or the row as JSON.
    pub payload: Vec<u8>,
    /// The message's key as received.
    pub payload_key: Option<Vec<u8>>,
    /// The message's headers, as a JSON list of `{"key", "value"}`.
    pub payload_headers: Option<Vec<u8>>,
    /// Topic, partition and offset of a message; `None` for a row.
    pub source: Option<(String, i32, i64)>,
}

/// A row that a rule of the mapping leaves out (its counts are in [`ReadCounts::ignored`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The table that it came from.
    pub table: TableId,
    /// Its key.
    pub key: CanonicalKey,
    /// Its position.
    pub position: Position,
}

/// What was read from one table, before mapping.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ReadCounts {
    /// All source rows or data events.
    pub read: u64,
    /// Those left out, by the rule's name.
    pub ignored: BTreeMap<String, u64>,
    /// Replaced by a later change of the same row within the batch, before they were mapped.
    pub folded: u64,
}

/// A place in the stream: all changes up to `lsn` are below these offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The marker's commit LSN.
    pub lsn: Lsn,
    /// `(topic, partition, end offset)`.
    pub ends: Vec<(String, i32, i64)>,
}

/// What a transaction accounts for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Checkpoint {
    /// Nothing (a repair, a test).
    #[default]
    None,
    /// These offsets, under the consumer group.
    Offsets {
        /// The group.
        group: String,
        /// One for each partition that the batch touches.
        advances: Vec<OffsetAdvance>,
    },
    /// Progress of a backfill chunk.
    Chunk(ChunkProgress),
    /// An entry of the quarantine, tried again ([`crate::Target::retry`]).
    Retry(RetryStep),
}

/// A partition's step. Commits only while `expected` and `epoch` are what Postgres has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetAdvance {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that Postgres has now.
    pub expected: i64,
    /// The offset after the batch.
    pub next: i64,
    /// The owner's epoch.
    pub epoch: i64,
    /// The highest commit LSN in the batch.
    pub commit_lsn: Option<Lsn>,
    /// Commit time of the newest change, milliseconds since 1970 UTC by the legacy server's
    /// clock (for dashboards only).
    pub source_ts_ms: Option<i64>,
    /// Tells the message at `next - 1` from any other; `None` where there is none.
    pub fingerprint: Option<i64>,
    /// When Kafka got that change, likewise.
    pub kafka_ts_ms: Option<i64>,
}

/// A chunk's step. Commits only while `epoch` is what Postgres has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkProgress {
    /// The chunk's id in `ficus.backfill_chunk`.
    pub chunk: i64,
    /// The owner's epoch.
    pub epoch: i64,
    /// The key after which reading goes on, in the chunk's own encoding
    /// ([`mapping::key::CanonicalKey::as_bytes`] with unfolded text).
    pub last_key: Option<Vec<u8>>,
    /// Rows read in this step.
    pub rows: u64,
    /// Whether the chunk is done.
    pub done: bool,
    /// With `done`: max LSN after the last row was read.
    pub high_watermark: Option<Lsn>,
}

/// A row that could not be mapped, stored whole.
#[derive(Debug, Clone, PartialEq)]
pub struct QuarantineEntry {
    /// The table that it came from; `None` for a message that is nobody's.
    pub table: Option<TableId>,
    /// The entity, where it is known.
    pub entity: Option<EntityId>,
    /// The key, where it could be made.
    pub key: Option<CanonicalKey>,
    /// Its position.
    pub position: Position,
    /// Stable code (see `mapping::plan::Rejection::rule`).
    pub rule: String,
    /// The legacy column.
    pub column: String,
    /// One sentence.
    pub detail: String,
    /// The message's value as received, or the row as JSON.
    pub payload: Vec<u8>,
    /// The message's key as received.
    pub payload_key: Option<Vec<u8>>,
    /// The message's headers, as a JSON list of `{"key", "value"}`.
    pub payload_headers: Option<Vec<u8>>,
    /// Topic, partition and offset of a message.
    pub source: Option<(String, i32, i64)>,
    /// Whether it carried every column: then it settles older entries of the row.
    pub whole: bool,
}

/// How the rows of one table fared. `read = applied + stale + folded + ignored + quarantined`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Source rows or data events.
    pub read: u64,
    /// Written (or known to be deleted).
    pub applied: u64,
    /// Older than what the target has: a no-op.
    pub stale: u64,
    /// Replaced by a newer change of the same batch.
    pub folded: u64,
    /// Left out by a named rule.
    pub ignored: u64,
    /// Kept in quarantine, parked changes included.
    pub quarantined: u64,
}

/// What one transaction did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Applied {
    /// By table.
    pub tables: BTreeMap<TableId, Counts>,
    /// Rows put into the quarantine that nothing has settled yet, by table. (Parked changes are
    /// counted as quarantined, too, but nothing is wrong with them.)
    pub put_aside: BTreeMap<TableId, u64>,
}
