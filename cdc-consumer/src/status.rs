//! What the consumer says about itself while it runs, and at its end.

use std::collections::BTreeMap;

use mapping::{plan::TableId, position::Lsn};
use target::{Counts, follow::TableState};

use crate::decode::Message;

/// What the consumer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// No partition yet.
    #[default]
    Joining,
    /// Applying what comes.
    Following,
    /// Postgres or Kafka is away; the same batch is tried again.
    Waiting,
    /// Done.
    Stopped,
}

/// One partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionProgress {
    /// The next offset to apply, as committed in Postgres.
    pub next: i64,
    /// The log's end, when last asked.
    pub end: i64,
    /// Its table is paused or stopped, or it has nothing more up to the run's end.
    pub waits: bool,
}

/// Messages by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Changes and reads of rows.
    pub data: u64,
    /// Tombstones.
    pub tombstone: u64,
    /// Those among them whose delete did not come before them: it was lost, or compacted away.
    /// A tombstone has no place in the legacy log, so it deletes nothing; the row stays until
    /// reconcile finds it.
    pub lone_tombstone: u64,
    /// Heartbeats.
    pub heartbeat: u64,
    /// Transaction BEGIN and END.
    pub transaction: u64,
    /// Schema changes.
    pub schema_change: u64,
    /// Rows of the marker table.
    pub marker: u64,
    /// Messages that are not Debezium's (in quarantine).
    pub foreign: u64,
    /// Messages that were delivered again and passed over by their offset.
    pub duplicate: u64,
}

impl MessageCounts {
    /// Counts a message that is no data.
    pub(crate) fn count(&mut self, message: &Message<'_>) {
        match message {
            Message::Data(_) => self.data += 1,
            Message::Tombstone => self.tombstone += 1,
            Message::Heartbeat => self.heartbeat += 1,
            Message::Transaction(_) => self.transaction += 1,
            Message::SchemaChange => self.schema_change += 1,
        }
    }
}

/// The shape of a table's events is not what the mapping expects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Columns in the events that the mapping doesn't read, with the events that had them.
    pub unknown: BTreeMap<String, u64>,
    /// Columns that the mapping reads and events didn't have, with those events' number.
    pub missing: BTreeMap<String, u64>,
    /// Columns whose values are of another type, with those events' number.
    pub retyped: BTreeMap<String, u64>,
}

/// With `--atomic`: the oldest transaction that is not whole yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The transaction.
    pub transaction: Lsn,
    /// Its events that are here.
    pub here: u64,
    /// How many it has, once its END has come.
    pub needed: Option<u64>,
    /// Bytes of everything that waits.
    pub bytes: usize,
}

/// A picture of the consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub state: State,
    /// Why, while waiting.
    pub waiting_for: Option<String>,
    /// The partitions that this process owns, by topic and number.
    pub partitions: BTreeMap<(String, i32), PartitionProgress>,
    /// How rows fared since the start, by table.
    pub tables: BTreeMap<TableId, Counts>,
    /// Messages since the start.
    pub messages: MessageCounts,
    /// Events of tables that no mapping file names (ignored by the rule `unmapped-table`), as
    /// `schema.table`. They belong to no table of the plan, so they are counted here and not
    /// in Postgres.
    pub unmapped: BTreeMap<String, u64>,
    /// Columns that surprise, by table.
    pub drift: BTreeMap<TableId, Drift>,
    /// Tables that are paused or stopped: they wait, the others go on.
    pub held: BTreeMap<TableId, TableState>,
    /// With `--atomic`: what is waited for.
    pub pending: Option<Pending>,
    /// Batches applied since the start.
    pub batches: u64,
    /// Attempts that failed and were repeated.
    pub retries: u64,
    /// Rebalances that gave this process partitions.
    pub assignments: u64,
    /// The highest commit LSN applied.
    pub applied_lsn: Option<Lsn>,
    /// The legacy server's commit time of the newest applied change, milliseconds since 1970.
    pub applied_source_ts_ms: Option<i64>,
    /// Data events applied per second, lately.
    pub events_per_second: u64,
}

impl Progress {
    /// Messages not applied yet, over all owned partitions.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.partitions.values().map(|partition| (partition.end - partition.next).max(0)).sum()
    }

    /// Data events read since the start.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.tables.values().map(|counts| counts.read).sum()
    }
}

/// Why a run ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Cancelled,
    /// Everything up to the asked LSN is applied.
    ReachedLsn,
}

/// A run's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Why it ended.
    pub ended: Ended,
    /// The last picture.
    pub progress: Progress,
}
