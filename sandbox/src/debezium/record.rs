//! What goes into the encoder, and what comes out.

use mapping::{position::Lsn, value::LegacyValue};

use crate::legacy::Operation;

/// A message before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The topic.
    pub topic: &'a str,
    /// `None` for tables without a primary key.
    pub key: Option<&'a str>,
    /// `None` for a tombstone.
    pub value: Option<&'a str>,
    /// Whether it has the four `__debezium.context.*` headers.
    pub context: bool,
    /// `__debezium.newkey` or `__debezium.oldkey`, with the key's payload.
    pub key_change: Option<(&'static str, &'a str)>,
}

/// A row's change, with the full rows; what the change table keeps of them is decided here.
#[derive(Debug, Clone, Copy)]
pub struct RowChange<'a> {
    /// What happened. An update with another key comes out as delete and insert.
    pub operation: Operation,
    /// In table column order.
    pub before: Option<&'a [LegacyValue<'a>]>,
    /// In table column order.
    pub after: Option<&'a [LegacyValue<'a>]>,
    /// `__$seqval`.
    pub change_lsn: Lsn,
    /// 1, or 2 for updates.
    pub event_serial_no: u8,
    /// Indexes of the columns that an update changed.
    pub columns_changed: &'a [usize],
}

/// The transaction to which a change belongs.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// Its commit LSN.
    pub commit_lsn: Lsn,
    /// When it was committed, in milliseconds.
    pub commit_ms: i64,
    /// The event's place in it; `None` without transaction metadata.
    pub place: Option<Place>,
}

/// An event's place in its transaction, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Among all its events.
    pub total_order: u64,
    /// Among those of its table.
    pub collection_order: u64,
}

impl Place {
    pub(super) fn next(self) -> Self {
        let Self { total_order, collection_order } = self;
        Self { total_order: total_order + 1, collection_order: collection_order + 1 }
    }
}

/// Where a row that was read from the table stands in its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are Debezium's own names")]
pub enum Marker {
    First,
    FirstInDataCollection,
    True,
    LastInDataCollection,
    Last,
    Incremental,
}

impl Marker {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::FirstInDataCollection => "first_in_data_collection",
            Self::True => "true",
            Self::LastInDataCollection => "last_in_data_collection",
            Self::Last => "last",
            Self::Incremental => "incremental",
        }
    }
}

/// A read: the highest captured LSN before it, and when it happened.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The LSN.
    pub lsn: Lsn,
    /// For incremental snapshots, the change LSN and serial number of the last streamed event.
    pub streamed: Option<(Lsn, u8)>,
    /// Nanoseconds since 1970.
    pub at_ns: i64,
}
