//! From messages to batches: the consumer's pure core.
//!
//! It knows no broker, no Postgres and no clock. Messages of several partitions go in, each
//! accounted for by its offset; a [`target::Batch`] comes out, with the steps of all partitions
//! that it touches. What can't be mapped goes into the batch's quarantine, whole.

mod aside;
mod change;
pub(crate) mod copied;
mod drift;
mod headers;
mod holds;
mod kept;
mod mask;
pub(crate) mod offsets;
mod route;
mod table;
mod tombstone;
mod waiting;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mapping::{
    catalog::LegacyTable,
    plan::{ObjectTypes, Plan, TableId, TablePlan},
    position::Lsn,
};
use target::{
    Batch, Checkpoint,
    batch::{Fence, ReadCounts},
};

use crate::{
    breaker::Breaker,
    decode::{Decoder, Message, OLD_KEY_HEADER},
    error::Error,
    settings::{DriftPolicies, Settings},
    status::{Drift, MessageCounts},
    topics::Topics,
};

pub use headers::Headers;
use holds::Holds;
use kept::Kept;
pub use offsets::Owned;
use offsets::{Arrival, Offsets};
use route::RouteMemo;
use table::Tables;
use waiting::Waiting;

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// Its headers, as [`Headers::as_bytes`] gives them.
    pub headers: &'a [u8],
    /// When Kafka got it, milliseconds since 1970 UTC.
    pub timestamp_ms: Option<i64>,
    /// Tells it from any other message that may come to stand at its offset.
    pub fingerprint: Option<i64>,
}

impl Incoming<'_> {
    /// Whether it has the header [`crate::decode::OLD_KEY_HEADER`].
    fn is_renamed(&self) -> bool {
        headers::each(self.headers).any(|(key, _)| key == OLD_KEY_HEADER.as_bytes())
    }
}

/// Counts since the start that are not in Postgres.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages by kind.
    pub messages: MessageCounts,
    /// Events of tables that no mapping file names.
    pub unmapped: BTreeMap<String, u64>,
    /// Columns that surprise, by table.
    pub drift: BTreeMap<TableId, Drift>,
}

/// What is collected for the next transaction.
#[derive(Debug, Default)]
struct Open {
    batch: Batch,
    /// By table index.
    read: Vec<ReadCounts>,
    kept: Kept,
    waiting: Vec<Waiting>,
    drift: drift::Notes,
    rows: usize,
    /// Of messages that are not among the kept ones.
    bytes: usize,
}

/// Collects messages into batches.
#[derive(Debug)]
pub struct Batcher {
    plan: Arc<Plan>,
    group: String,
    marker: LegacyTable,
    placeholder: String,
    allow_gaps: bool,
    /// Whether any row may have to be read again.
    reselects: bool,
    drift_policies: DriftPolicies,
    tolerant: BTreeMap<TableId, Option<Arc<TablePlan>>>,
    until: Option<Lsn>,
    topics: Topics,
    holds: Holds,
    decoder: Decoder,
    tables: Tables,
    routes: HashMap<Box<str>, RouteMemo>,
    object_types: ObjectTypes,
    breaker: Breaker,
    refused_max: u64,
    offsets: Offsets,
    open: Open,
    marker_lsn: Option<Lsn>,
    last_lsn: Option<Lsn>,
    seen: Seen,
}

impl Batcher {
    /// An empty one. `object_types` are those that Postgres knows.
    #[must_use]
    pub fn new(settings: &Settings, plan: Arc<Plan>, object_types: ObjectTypes) -> Self {
        let (schema, table) =
            settings.marker_table.split_once('.').unwrap_or(("dbo", &settings.marker_table));
        Self {
            group: settings.group.clone(),
            marker: LegacyTable::new(schema, table),
            placeholder: settings.modes.placeholder.clone(),
            allow_gaps: settings.allow_gaps,
            reselects: plan.reselects(),
            drift_policies: settings.drift.clone(),
            tolerant: BTreeMap::new(),
            until: settings.until,
            topics: Topics::new(settings, &plan),
            holds: Holds::default(),
            decoder: Decoder::default(),
            tables: Tables::new(settings.modes.clone()),
            routes: HashMap::new(),
            object_types,
            breaker: Breaker::new(settings.quarantine_in_a_row_max),
            refused_max: settings.quarantine_in_a_row_max,
            offsets: Offsets::default(),
            open: Open::new(&plan, &settings.modes.placeholder),
            marker_lsn: None,
            last_lsn: None,
            seen: Seen::default(),
            plan,
        }
    }

    /// Messages come out of the quarantine, without the values that may not be stored there.
    pub(crate) fn expect_hidden_values(&mut self) {
        self.tables.hidden = true;
    }

    /// Takes over partitions. What was collected is dropped: its offsets were not committed, so
    /// it comes again to whoever owns them.
    pub fn assign(&mut self, owned: Vec<Owned>) {
        self.offsets.assign(owned);
        self.open = Open::new(&self.plan, &self.placeholder);
        self.marker_lsn = None;
        self.last_lsn = None;
        self.forget_holds();
    }

    /// Data events collected.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.open.rows
    }

    /// Bytes of messages that are held (an inline schema counts once), and of the
    /// objects that were made from them: a file that was compressed may be much larger than its
    /// message.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let open = &self.open;
        open.bytes + open.kept.byte_count() + open.batch.rows.object_byte_count()
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let batch = &self.open.batch;
        !self.offsets.touched() && batch.fences.is_empty() && batch.stops.is_empty()
    }

    /// The newest marker met since the last call: its fence is to be recorded. A fence asked
    /// for later is as good: its ends are only further.
    pub fn take_marker(&mut self) -> Option<Lsn> {
        self.marker_lsn.take()
    }

    /// The highest commit LSN met by a streamed change since the assignment.
    #[must_use]
    pub fn last_lsn(&self) -> Option<Lsn> {
        self.last_lsn
    }

    /// Tables that the open batch stops.
    #[must_use]
    pub fn stops(&self) -> &[target::follow::TableStop] {
        &self.open.batch.stops
    }

    /// Adds a fence to the batch.
    pub fn add_fence(&mut self, fence: Fence) {
        self.open.batch.fences.push(fence);
    }

    /// Whether rows of the open batch wait for the name of their type.
    #[must_use]
    pub fn has_unknown_types(&self) -> bool {
        !self.open.waiting.is_empty()
    }

    /// Takes over type names that Postgres has by now.
    pub fn learn(&mut self, object_types: ObjectTypes) {
        // Those of the open batch are newer than what Postgres has.
        let newer = self.open.batch.object_types.iter().cloned();
        self.object_types.extend(object_types);
        self.object_types.extend(newer);
    }

    /// Counts since the start.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Topic, partition and next offset of everything that is owned.
    pub fn positions(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.offsets.positions()
    }

    /// Offsets from and to which there is no message are accounted for, unless something of them
    /// was read meanwhile.
    pub(crate) fn pass_over(&mut self, topic: &str, partition: i32, offsets: (i64, i64)) {
        self.offsets.pass_over(topic, partition, offsets);
    }

    /// Closes the batch, with the steps of all partitions that it touches. `None` when there
    /// is nothing to commit.
    pub fn take(&mut self) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        self.settle_waiting();
        let next = Open::new(&self.plan, &self.placeholder);
        let open = std::mem::replace(&mut self.open, next);
        let advances = self.offsets.advance();
        let mut batch = open.batch;
        batch.read = (self.plan.tables.iter().zip(open.read))
            .filter(|(_, counts)| counts.read > 0)
            .map(|(table, counts)| (table.id, counts))
            .collect();
        batch.sources = Some(Box::new(open.kept));
        batch.refused_max = usize::try_from(self.refused_max).ok();
        batch.drift = open.drift.into_values().collect();
        batch.checkpoint = Checkpoint::Offsets { group: self.group.clone(), advances };
        Some(batch)
    }

    /// Takes in a message. `now_us` is the clock, microseconds since 1970 UTC.
    ///
    /// # Errors
    /// [`Error::Gap`].
    pub fn push(&mut self, incoming: &Incoming<'_>, now_us: i64) -> Result<(), Error> {
        let Incoming { topic, partition, offset, .. } = *incoming;
        match self.offsets.arrive(topic, partition, offset, self.allow_gaps)? {
            Arrival::Next => {}
            Arrival::Again => {
                self.seen.messages.duplicate += 1;
                return Ok(());
            }
            Arrival::Foreign | Arrival::Waits => return Ok(()),
        }
        let kept = self.open.kept.byte_count();
        let taken = match self.decoder.decode(topic, incoming.value) {
            Ok(Message::Data(event)) => self.push_event(incoming, &event, now_us),
            Ok(Message::Transaction(mark)) => self.push_mark(incoming, &mark),
            Ok(other) => {
                self.seen.messages.count(&other);
                if let Message::Tombstone = other {
                    self.meet_tombstone(incoming);
                }
                true
            }
            Err(foreign) => {
                self.seen.messages.foreign += 1;
                self.push_foreign(incoming, foreign);
                true
            }
        };
        if taken {
            if self.open.kept.byte_count() == kept {
                self.open.bytes += incoming.value.map_or(0, <[u8]>::len);
            }
            self.offsets.accept(topic, partition, offset, incoming.fingerprint);
        }
        Ok(())
    }
}

impl Open {
    fn new(plan: &Arc<Plan>, placeholder: &str) -> Self {
        let read = vec![ReadCounts::default(); plan.tables.len()];
        Self { read, kept: Kept::new(plan, placeholder), ..Self::default() }
    }

    /// One event of the table more.
    fn read_one(&mut self, table: &TablePlan) -> &mut ReadCounts {
        self.rows += 1;
        let counts = self.counts(table);
        counts.read += 1;
        counts
    }

    fn counts(&mut self, table: &TablePlan) -> &mut ReadCounts {
        let index = usize::from(table.id.0);
        if index >= self.read.len() {
            self.read.resize(index + 1, ReadCounts::default());
        }
        #[expect(clippy::indexing_slicing, reason = "resized above")]
        &mut self.read[index]
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.into(), 1);
        }
    }
}
