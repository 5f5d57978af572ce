//! From messages to batches: the consumer's pure core.
//!
//! It knows no broker, no Postgres and no clock. Messages of several partitions go in, each
//! accounted for by its offset; a [`target::Batch`] comes out, with the steps of all partitions
//! that it touches. What can't be mapped goes into the batch's quarantine, whole.

mod aside;
mod kept;
mod mask;
pub(crate) mod offsets;
mod table;
mod waiting;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mapping::{
    catalog::LegacyTable,
    plan::{Context, ObjectTypes, Outcome, Plan, TablePlan, TableRole},
    position::Lsn,
};
use target::{
    Batch, Checkpoint,
    batch::{Fence, LeftOut, ReadCounts},
};

use crate::{
    decode::{Decoder, Event, Message},
    error::Error,
    settings::{DriftPolicy, Settings},
    status::{Drift, MessageCounts},
};

use kept::Kept;
pub use offsets::Owned;
use offsets::{Arrival, Offsets};
use table::{Change, Tables, Trouble};
use waiting::Waiting;

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
    kept: Kept,
    waiting: Vec<Waiting>,
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
            open: Open::new(&plan, &settings.modes.placeholder),
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
        self.open = Open::new(&self.plan, &self.placeholder);
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

    /// Takes note of what tells the message at an offset from others.
    pub(crate) fn note_fingerprint(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        fingerprint: i64,
    ) {
        self.offsets.note_fingerprint(topic, partition, offset, fingerprint);
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
        self.map_change(incoming, table, change, (now_us, false));
        Ok(())
    }

    /// Maps a change. One of unknown type waits for its batch's end, unless it `has_waited`.
    fn map_change(
        &mut self,
        incoming: &Incoming<'_>,
        table: &TablePlan,
        change: Change<'_>,
        (now_us, has_waited): (i64, bool),
    ) {
        let sequence = u32::try_from(self.open.batch.tables.len()).unwrap_or(u32::MAX);
        let context = Context { object_types: &self.object_types, seen_at_us: now_us };
        let mapped = table.map(&change.source(sequence), &context, &mut self.open.batch.rows);
        match mapped {
            Outcome::Mapped(_) => {
                self.open.batch.tables.push(table.id);
                self.open.kept.push(incoming, table.id);
            }
            Outcome::Ignored(rule) => {
                count(&mut self.open.counts(table).ignored, &rule);
                let feeds = matches!(&table.role, TableRole::Entities(all) if all.len() > 1);
                let key = feeds.then(|| table.canonical_key(&change.values)).flatten();
                let position = change.position;
                let left_out = key.map(|key| LeftOut { table: table.id, key, position });
                self.open.batch.left_out.extend(left_out);
            }
            Outcome::Rejected(rejection) if rejection.rule == "type.unknown" && !has_waited => {
                self.open.waiting.push(Waiting::new(incoming, now_us));
            }
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
    }

    /// Maps what has waited for its type, for the last time.
    fn settle_waiting(&mut self) {
        let plan = Arc::clone(&self.plan);
        for waiting in std::mem::take(&mut self.open.waiting) {
            let incoming = waiting.incoming();
            // It was decoded before, so it is an event of a table.
            let Ok(Message::Data(event)) = self.decoder.decode(incoming.topic, incoming.value)
            else {
                continue;
            };
            let Route::Table(index) = self.route(incoming.topic, &event) else { continue };
            let Some(table) = plan.tables.get(index) else { continue };
            let change = self.tables.read(&incoming, &event, table, &mut self.decoder);
            self.map_change(&incoming, table, change, (waiting.now_us, true));
        }
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
    fn new(plan: &Arc<Plan>, placeholder: &str) -> Self {
        let read = vec![ReadCounts::default(); plan.tables.len()];
        Self { read, kept: Kept::new(plan, placeholder), ..Self::default() }
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

fn drift_error(incoming: &Incoming<'_>, table: &TablePlan, trouble: &Trouble) -> Error {
    let Incoming { topic, partition, offset, .. } = incoming;
    Error::Drift {
        table: table.table.to_string(),
        column: trouble.column.clone(),
        problem: trouble.fault.detail.clone(),
        place: format!("{topic}/{partition} offset {offset}"),
    }
}
