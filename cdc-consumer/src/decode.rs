//! Debezium's messages: what kind, of which table, at which position, with which row.
//!
//! One pass over the message finds the parts; rows stay bytes until a [`RowCodec`] reads them
//! into [`mapping::value::LegacyValue`]s that borrow from the message. Whatever the bytes are,
//! decoding ends in a result: what isn't Debezium's is for the quarantine, never fatal.

mod codec;
pub(crate) mod envelope;
mod number;
mod row;
mod scan;
pub(crate) mod schema;
pub(crate) mod temporal;
mod text;

use std::{borrow::Cow, sync::Arc};

use mapping::position::{Lsn, Position};

pub use codec::Fault;
pub use envelope::{Decoder, Foreign};
pub use row::{Image, RowCodec, RowFault};
pub use scan::Malformed;
pub(crate) use scan::{Raw, Scanner};
pub use schema::RowSchema;

/// The header of a `c` that is the second half of an update of the message key.
pub const OLD_KEY_HEADER: &str = "__debezium.oldkey";

/// What happened to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `c`: inserted.
    Create,
    /// `u`: updated.
    Update,
    /// `d`: deleted.
    Delete,
    /// `r`: read by a snapshot.
    Read,
    /// `t`: the table was truncated. SQL Server's connector never says so.
    Truncate,
}

impl Op {
    /// Debezium's letter.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::Create => "c",
            Self::Update => "u",
            Self::Delete => "d",
            Self::Read => "r",
            Self::Truncate => "t",
        }
    }
}

/// Where a change comes from: the event's `source` block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source<'a> {
    /// The database.
    pub database: Cow<'a, str>,
    /// The schema. Topics are no help: characters are replaced in their names.
    pub schema: Cow<'a, str>,
    /// The table.
    pub table: Cow<'a, str>,
    /// The transaction's commit LSN.
    pub commit_lsn: Option<Lsn>,
    /// The change's number within `change_lsn`; 2 for updates and for what they are split into.
    pub event_serial_no: Option<u64>,
    /// The legacy server's commit time. For dashboards only.
    pub ts_ms: Option<i64>,
    /// `first`, `true`, `last`, `false`, `incremental`, …
    pub snapshot: Option<Cow<'a, str>>,
}

/// The event's `transaction` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionBlock<'a> {
    /// The transaction's id: its commit LSN.
    pub id: Cow<'a, str>,
    /// The change's number within the transaction.
    pub total_order: Option<u64>,
    /// Its number within the transaction's changes of this table.
    pub collection_order: Option<u64>,
}

/// A change or a read of a row.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// What happened.
    pub op: Op,
    /// Where.
    pub source: Source<'a>,
    /// In which transaction, where the connector says so.
    pub transaction: Option<TransactionBlock<'a>>,
    /// The row before, as JSON.
    pub before: Option<&'a [u8]>,
    /// The row after, as JSON.
    pub after: Option<&'a [u8]>,
    /// The rows' schema, where the message carries one.
    pub schema: Option<Arc<RowSchema>>,
}

impl Event<'_> {
    /// Whether `after` is an update's image, in which a LOB may be missing. An update that
    /// changes the message key comes as `d` and `c`; only the header `__debezium.oldkey` tells
    /// such a `c` from an insert (`renamed`).
    #[must_use]
    pub fn after_image(&self, renamed: bool) -> Image {
        match self.op {
            Op::Update => Image::Updated,
            Op::Create if renamed && self.source.event_serial_no == Some(2) => Image::Updated,
            _ => Image::Whole,
        }
    }

    /// Where in the log. A streamed change is ordered by its number within the transaction,
    /// else by its offset (trap 23). A read shows everything up to its LSN; one without an LSN
    /// never wins over anything. `None` for a change without a commit LSN, and for one whose
    /// order is not known.
    #[must_use]
    pub fn position(&self, offset: Option<i64>) -> Option<Position> {
        if self.op == Op::Read {
            return Some(Position::read_after(self.source.commit_lsn.unwrap_or(Lsn::ZERO)));
        }
        let total_order = self.transaction.as_ref().and_then(|block| block.total_order);
        let order = total_order.or_else(|| offset.and_then(|offset| u64::try_from(offset).ok()));
        Some(Position::streamed(self.source.commit_lsn?, order?))
    }

    /// The image that says what the row is, or was.
    #[must_use]
    pub fn image(&self) -> Option<&[u8]> {
        match self.op {
            Op::Delete => self.before,
            _ => self.after,
        }
    }
}

/// BEGIN or END of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionMark<'a> {
    /// `BEGIN` or `END`.
    pub status: Cow<'a, str>,
    /// The transaction's id: its commit LSN.
    pub id: Cow<'a, str>,
    /// The number of its events, at its end.
    pub event_count: Option<u64>,
    /// How many of them are of which table, at its end: a JSON list.
    pub collections: Option<&'a [u8]>,
}

impl TransactionMark<'_> {
    /// The transaction's LSN; `None` when its id is none.
    #[must_use]
    pub fn lsn(&self) -> Option<Lsn> {
        Lsn::parse(&self.id).ok()
    }

    /// Whether it is an end.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.status == "END"
    }

    /// Events by table, as `database.schema.table`.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        #[derive(serde::Deserialize)]
        struct Count {
            data_collection: String,
            event_count: u64,
        }
        let counts: Vec<Count> =
            self.collections.and_then(|list| serde_json::from_slice(list).ok()).unwrap_or_default();
        counts.into_iter().map(|count| (count.data_collection, count.event_count)).collect()
    }
}

/// A message, decoded as far as its kind needs.
#[derive(Debug, Clone)]
pub enum Message<'a> {
    /// A change or a read of a row.
    Data(Box<Event<'a>>),
    /// The key's last value is gone: for compaction. A `d` went before it.
    Tombstone,
    /// The connector lives.
    Heartbeat,
    /// A transaction begins or ends.
    Transaction(TransactionMark<'a>),
    /// A table's structure, on the schema change topic.
    SchemaChange,
}

impl Message<'_> {
    /// The kind's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Data(_) => "data",
            Self::Tombstone => "tombstone",
            Self::Heartbeat => "heartbeat",
            Self::Transaction(_) => "transaction",
            Self::SchemaChange => "schema_change",
        }
    }
}
