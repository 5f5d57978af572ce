//! From messages to batches: the consumer's pure core.
//!
//! It knows no broker, no Postgres and no clock. Messages of several partitions go in, each
//! accounted for by its offset; a [`target::Batch`] comes out, with the steps of all partitions
//! that it touches. What can't be mapped goes into the batch's quarantine, whole.

mod mask;
pub(crate) mod offsets;
mod table;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mapping::{
    catalog::LegacyTable,
    plan::{Context, ObjectTypes, Outcome, Plan, TablePlan, TableRole},
    position::{Lsn, Position},
};
use target::{
    Batch, Checkpoint, QuarantineEntry,
    batch::{Fence, ReadCounts},
};

use crate::{
    decode::{Decoder, Event, Foreign, Message},
    error::Error,
    settings::{DriftPolicy, Settings},
    status::{Drift, MessageCounts},
};

pub use offsets::Owned;
use offsets::{Arrival, Offsets};
use table::{Change, Tables, Trouble};

/// Names of tables that no mapping file names, kept at most.
const UNMAPPED_MAX: usize = 1_000;

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
    /// Whether it has the header [`crate::decode::OLD_KEY_HEADER`].
    pub renamed: bool,
}

/// Counts since the start that are not in Postgres.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages by kind.
    pub messages: MessageCounts,
    /// Events of tables that no mapping file names.
    pub unmapped: BTreeMap<String, u64>,
    /// Columns that surprise, by table.
    pub drift: BTreeMap<mapping::plan::TableId, Drift>,
}

/// Where a topic's events go; topics carry one table each, nearly always.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Table(usize),
    Marker,
    Unmapped,
}

#[derive(Debug)]
struct RouteMemo {
    schema: String,
    table: String,
    route: Route,
}

/// What is collected for the next transaction.
#[derive(Debug, Default)]
struct Open {
    batch: Batch,
    /// By table index.
    read: Vec<ReadCounts>,
    rows: usize,
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
    drift_policy: DriftPolicy,
    decoder: Decoder,
    tables: Tables,
    routes: HashMap<Box<str>, RouteMemo>,
    object_types: ObjectTypes,
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
            drift_policy: settings.drift,
            decoder: Decoder::default(),
            tables: Tables::new(settings.modes.clone()),
            routes: HashMap::new(),
            object_types,
            offsets: Offsets::default(),
            open: Open::new(&plan),
            marker_lsn: None,
            last_lsn: None,
            seen: Seen::default(),
            plan,
        }
    }

    /// Takes over partitions. What was collected is dropped: its offsets were not committed, so
    /// it comes again to whoever owns them.
    pub fn assign(&mut self, owned: Vec<Owned>) {
        self.offsets.assign(owned);
        self.open = Open::new(&self.plan);
        self.marker_lsn = None;
        self.last_lsn = None;
    }

    /// Data events collected.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.open.rows
    }

    /// Bytes of messages collected.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.open.bytes
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.offsets.touched() && self.open.batch.fences.is_empty()
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

    /// Adds a fence to the batch.
    pub fn add_fence(&mut self, fence: Fence) {
        self.open.batch.fences.push(fence);
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

    /// Closes the batch, with the steps of all partitions that it touches. `None` when there
    /// is nothing to commit.
    pub fn take(&mut self) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        let open = std::mem::replace(&mut self.open, Open::new(&self.plan));
        let advances = self.offsets.advance();
        let mut batch = open.batch;
        batch.read = (self.plan.tables.iter().zip(open.read))
            .filter(|(_, counts)| counts.read > 0)
            .map(|(table, counts)| (table.id, counts))
            .collect();
        batch.checkpoint = Checkpoint::Offsets { group: self.group.clone(), advances };
        Some(batch)
    }

    /// Takes in a message. `now_us` is the clock, microseconds since 1970 UTC.
    ///
    /// # Errors
    /// [`Error::Gap`], and [`Error::Drift`] where the policy is to stop.
    pub fn push(&mut self, incoming: &Incoming<'_>, now_us: i64) -> Result<(), Error> {
        let Incoming { topic, partition, offset, .. } = *incoming;
        match self.offsets.arrive(topic, partition, offset, self.allow_gaps)? {
            Arrival::Next => {}
            Arrival::Again => {
                self.seen.messages.duplicate += 1;
                return Ok(());
            }
            Arrival::Foreign => return Ok(()),
        }
        self.open.bytes += incoming.value.map_or(0, <[u8]>::len);
        let messages = &mut self.seen.messages;
        match self.decoder.decode(topic, incoming.value) {
            Ok(Message::Data(event)) => {
                messages.data += 1;
                self.push_event(incoming, &event, now_us)?;
            }
            Ok(Message::Tombstone) => messages.tombstone += 1,
            Ok(Message::Heartbeat) => messages.heartbeat += 1,
            Ok(Message::Transaction(_)) => messages.transaction += 1,
            Ok(Message::SchemaChange) => messages.schema_change += 1,
            Err(foreign) => {
                messages.foreign += 1;
                self.push_foreign(incoming, foreign);
            }
        }
        Ok(())
    }

    fn push_event(
        &mut self,
        incoming: &Incoming<'_>,
        event: &Event<'_>,
        now_us: i64,
    ) -> Result<(), Error> {
        let lsn = event.source.commit_lsn;
        self.offsets.note(incoming.topic, incoming.partition, lsn, event.source.ts_ms);
        if event.op != crate::decode::Op::Read {
            self.last_lsn = self.last_lsn.max(lsn);
        }
        let plan = Arc::clone(&self.plan);
        match self.route(incoming.topic, event) {
            Route::Table(index) => match plan.tables.get(index) {
                Some(table) => self.push_change(incoming, event, table, now_us),
                None => Ok(()),
            },
            Route::Marker => {
                self.seen.messages.marker += 1;
                self.marker_lsn = self.marker_lsn.max(lsn);
                Ok(())
            }
            Route::Unmapped => {
                self.count_unmapped(event);
                Ok(())
            }
        }
    }

    fn push_change(
        &mut self,
        incoming: &Incoming<'_>,
        event: &Event<'_>,
        table: &TablePlan,
        now_us: i64,
    ) -> Result<(), Error> {
        self.open.rows += 1;
        let counts = self.open.counts(table);
        counts.read += 1;
        if matches!(table.role, TableRole::Ignored { .. }) {
            count(&mut counts.ignored, "ignored-table");
            return Ok(());
        }
        let sequence = u32::try_from(self.open.batch.tables.len()).unwrap_or(u32::MAX);
        let change = self.tables.read(incoming, event, table, &mut self.decoder);
        self.note_drift(table, &change);
        if table.role == TableRole::ObjectTypes && change.trouble.is_none() {
            if let Some((oid, name)) = change.object_type(table) {
                self.object_types.insert(oid, name.clone());
                self.open.batch.object_types.push((oid, name));
            }
            count(&mut self.open.counts(table).ignored, "object-types");
            self.tables.recycle(change.values);
            return Ok(());
        }
        if let Some(trouble) = &change.trouble {
            if trouble.drift && self.drift_policy == DriftPolicy::Stop {
                return Err(drift_error(incoming, table, trouble));
            }
            let entry = self.entry(incoming, table, &change);
            self.open.batch.quarantine.push(entry);
            return Ok(());
        }
        let context = Context { object_types: &self.object_types, seen_at_us: now_us };
        let mapped = table.map(&change.source(sequence), &context, &mut self.open.batch.rows);
        match mapped {
            Outcome::Mapped(_) => self.open.batch.tables.push(table.id),
            Outcome::Ignored(rule) => count(&mut self.open.counts(table).ignored, &rule),
            Outcome::Rejected(rejection) => {
                let mut entry = self.entry(incoming, table, &change);
                entry.entity = rejection.entity;
                entry.key = rejection.key.or(entry.key);
                entry.rule = rejection.rule.into();
                entry.column = rejection.column;
                entry.detail = rejection.detail;
                self.open.batch.quarantine.push(entry);
            }
        }
        self.tables.recycle(change.values);
        Ok(())
    }

    /// A quarantine entry for a change that was read, as far as it could be.
    fn entry(
        &self,
        incoming: &Incoming<'_>,
        table: &TablePlan,
        change: &Change<'_>,
    ) -> QuarantineEntry {
        let secret = table.sensitive_columns();
        let trouble = change.trouble.as_ref();
        QuarantineEntry {
            table: Some(table.id),
            key: table.canonical_key(&change.values),
            position: change.position,
            rule: trouble.map(|trouble| trouble.fault.rule).unwrap_or_default().into(),
            column: trouble.map(|trouble| trouble.column.clone()).unwrap_or_default(),
            detail: trouble.map(|trouble| trouble.fault.detail.clone()).unwrap_or_default(),
            ..stored(incoming, secret, &self.placeholder)
        }
    }

    fn push_foreign(&mut self, incoming: &Incoming<'_>, foreign: Foreign) {
        // The topic's table, where an event told it before. Without one nobody knows which
        // columns are secret, so the first sensitive table's rule would be a guess: all are.
        let plan = Arc::clone(&self.plan);
        let memo = self.routes.get(incoming.topic);
        let table = memo.and_then(|memo| match memo.route {
            Route::Table(index) => plan.tables.get(index),
            Route::Marker | Route::Unmapped => None,
        });
        let secret: Vec<String> = match table {
            Some(table) => table.sensitive_columns().to_vec(),
            None => {
                plan.tables.iter().flat_map(|t| t.sensitive_columns().iter().cloned()).collect()
            }
        };
        if let Some(table) = table {
            self.open.rows += 1;
            self.open.counts(table).read += 1;
        }
        self.open.batch.quarantine.push(QuarantineEntry {
            table: table.map(|table| table.id),
            rule: foreign.rule.into(),
            detail: foreign.detail,
            ..stored(incoming, &secret, &self.placeholder)
        });
    }

    fn route(&mut self, topic: &str, event: &Event<'_>) -> Route {
        let source = &event.source;
        if let Some(memo) = self.routes.get(topic)
            && memo.table == source.table
            && memo.schema == source.schema
        {
            return memo.route.clone();
        }
        let is_marker = self.marker.schema.eq_ignore_ascii_case(&source.schema)
            && self.marker.name.eq_ignore_ascii_case(&source.table);
        let index = self.plan.tables.iter().position(|plan| {
            plan.table.schema.eq_ignore_ascii_case(&source.schema)
                && plan.table.name.eq_ignore_ascii_case(&source.table)
        });
        let route = match index {
            _ if is_marker => Route::Marker,
            Some(index) => Route::Table(index),
            None => Route::Unmapped,
        };
        let (schema, table) = (source.schema.to_string(), source.table.to_string());
        self.routes.insert(topic.into(), RouteMemo { schema, table, route: route.clone() });
        route
    }

    fn count_unmapped(&mut self, event: &Event<'_>) {
        let name = format!("{}.{}", event.source.schema, event.source.table);
        let unmapped = &mut self.seen.unmapped;
        if !unmapped.contains_key(&name) {
            tracing::warn!(table = %name, "events of a table that no mapping file names are ignored");
        }
        if unmapped.len() < UNMAPPED_MAX || unmapped.contains_key(&name) {
            count(unmapped, &name);
        }
    }

    fn note_drift(&mut self, table: &TablePlan, change: &Change<'_>) {
        let missing = change.trouble.as_ref().filter(|trouble| trouble.missing);
        if change.unknown.is_empty() && missing.is_none() {
            return;
        }
        let drift = self.seen.drift.entry(table.id).or_default();
        for column in &change.unknown {
            if !drift.unknown.contains_key(column) {
                tracing::warn!(table = %table.table, column, "a column that the mapping doesn't know");
            }
            count(&mut drift.unknown, column);
        }
        if let Some(trouble) = missing {
            if !drift.missing.contains_key(&trouble.column) {
                let column = &trouble.column;
                tracing::warn!(table = %table.table, column, "a mapped column is not in the events");
            }
            count(&mut drift.missing, &trouble.column);
        }
    }
}

impl Open {
    fn new(plan: &Plan) -> Self {
        Self { read: vec![ReadCounts::default(); plan.tables.len()], ..Self::default() }
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

/// The message itself, as it goes to quarantine.
fn stored(incoming: &Incoming<'_>, secret: &[String], placeholder: &str) -> QuarantineEntry {
    let value = incoming.value.unwrap_or_default();
    QuarantineEntry {
        table: None,
        entity: None,
        key: None,
        position: Position::ZERO,
        rule: String::new(),
        column: String::new(),
        detail: String::new(),
        payload: mask::mask(value, secret, placeholder).into_owned(),
        payload_key: incoming.key.map(<[u8]>::to_vec),
        source: Some((incoming.topic.into(), incoming.partition, incoming.offset)),
    }
}

fn drift_error(incoming: &Incoming<'_>, table: &TablePlan, trouble: &Trouble) -> Error {
    let Incoming { topic, partition, offset, .. } = incoming;
    Error::Drift {
        table: table.table.to_string(),
        column: trouble.column.clone(),
        problem: trouble.fault.detail.clone(),
        place: format!("{topic}/{partition} offset {offset}"),
    }
}
