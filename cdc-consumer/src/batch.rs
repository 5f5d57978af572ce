//! From messages to batches: the consumer's pure core.
//!
//! It knows no broker, no Postgres and no clock. Messages of several partitions go in, each
//! accounted for by its offset; a [`target::Batch`] comes out, with the steps of all partitions
//! that it touches. What can't be mapped goes into the batch's quarantine, whole.

mod aside;
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
    plan::{Context, ObjectTypes, Outcome, Plan, TableId, TablePlan, TableRole},
    position::Lsn,
};
use target::{
    Batch, Checkpoint,
    batch::{Fence, LeftOut, ReadCounts},
    drift::DriftKind,
};

use crate::{
    breaker::Breaker,
    decode::{Decoder, Event, Message, OLD_KEY_HEADER},
    error::Error,
    settings::{DriftPolicies, Settings},
    status::{Drift, MessageCounts},
    topics::Topics,
};

use drift::Met;
pub use headers::Headers;
use holds::Holds;
use kept::Kept;
pub use offsets::Owned;
use offsets::{Arrival, Offsets};
use route::{Route, RouteMemo};
use table::{Change, Tables};
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

    /// Bytes of messages collected, and of the objects that were made from them: a file that was
    /// compressed may be much larger than its message.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.open.bytes + self.open.batch.rows.object_byte_count()
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
        let taken = match self.decoder.decode(topic, incoming.value) {
            Ok(Message::Data(event)) => self.push_event(incoming, &event, now_us),
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
            self.open.bytes += incoming.value.map_or(0, <[u8]>::len);
            self.offsets.accept(topic, partition, offset);
        }
        Ok(())
    }

    /// Whether the event is in the batch; otherwise its partition waits before it.
    fn push_event(&mut self, incoming: &Incoming<'_>, event: &Event<'_>, now_us: i64) -> bool {
        let lsn = event.source.commit_lsn;
        if event.op != crate::decode::Op::Read {
            self.last_lsn = self.last_lsn.max(lsn);
        }
        if self.until.is_some_and(|until| lsn > Some(until)) {
            self.leave_for_good(incoming);
            return false;
        }
        let plan = Arc::clone(&self.plan);
        let taken = match self.route(incoming.topic, event) {
            Route::Table(index) => match plan.tables.get(index) {
                Some(table) => self.push_change(incoming, event, table, now_us),
                None => true,
            },
            Route::Marker => {
                self.seen.messages.marker += 1;
                self.marker_lsn = self.marker_lsn.max(lsn);
                true
            }
            Route::Unmapped => {
                self.count_unmapped(event);
                true
            }
        };
        if taken {
            self.seen.messages.data += 1;
            self.note_delete(incoming, event.op);
            self.offsets.note(incoming.topic, incoming.partition, lsn, event.source.ts_ms);
        }
        taken
    }

    fn push_change(
        &mut self,
        incoming: &Incoming<'_>,
        event: &Event<'_>,
        table: &TablePlan,
        now_us: i64,
    ) -> bool {
        if self.holds.contains(table.id) {
            self.leave(incoming, table.id);
            return false;
        }
        if matches!(table.role, TableRole::Ignored { .. }) {
            count(&mut self.open.read_one(table).ignored, "ignored-table");
            return true;
        }
        let mut change = self.tables.read(incoming, event, table, &mut self.decoder);
        let met = self.meet(incoming, table, &change);
        if let Met::Stopped = met {
            return false;
        }
        if let Met::InPart(_) = met {
            change.trouble = None;
        }
        if table.role == TableRole::ObjectTypes && change.trouble.is_none() {
            if let Some((oid, name)) = change.object_type(table) {
                self.object_types.insert(oid, name.clone());
                self.open.batch.object_types.push((oid, name));
            }
            count(&mut self.open.read_one(table).ignored, "object-types");
            self.tables.recycle(change.values);
            return true;
        }
        match met {
            Met::Aside(column, DriftKind::Unknown) => {
                let mut entry = self.entry(incoming, table, &change);
                entry.rule = "column.unknown".into();
                entry.detail = format!("`{column}` is a column that the mapping does not know");
                entry.column = column;
                self.put_aside(incoming, table, entry)
            }
            _ if change.trouble.is_some() => {
                let entry = self.entry(incoming, table, &change);
                self.put_aside(incoming, table, entry)
            }
            Met::InPart(tolerant) => self.map_change(incoming, &tolerant, change, (now_us, false)),
            Met::Whole | Met::Aside(..) | Met::Stopped => {
                let hidden = self.tables.hidden && !table.sensitive_columns().is_empty();
                let tolerant = hidden.then(|| self.tolerant(table)).flatten();
                let table = tolerant.as_deref().unwrap_or(table);
                self.map_change(incoming, table, change, (now_us, false))
            }
        }
    }

    /// Maps a change; whether it is in the batch. One of unknown type waits for its batch's end,
    /// unless it `has_waited` (and was counted as read then).
    fn map_change(
        &mut self,
        incoming: &Incoming<'_>,
        table: &TablePlan,
        change: Change<'_>,
        (now_us, has_waited): (i64, bool),
    ) -> bool {
        let sequence = u32::try_from(self.open.batch.tables.len()).unwrap_or(u32::MAX);
        let context = Context { object_types: &self.object_types, seen_at_us: now_us };
        let mapped = table.map(&change.source(sequence), &context, &mut self.open.batch.rows);
        if let Outcome::Rejected(rejection) = mapped {
            if rejection.rule == "type.unknown" && !has_waited {
                self.open.read_one(table);
                self.open.waiting.push(Waiting::new(incoming, now_us));
                return true;
            }
            let mut entry = self.entry(incoming, table, &change);
            entry.entity = rejection.entity;
            entry.key = rejection.key.or(entry.key);
            entry.rule = rejection.rule.into();
            entry.column = rejection.column;
            entry.detail = rejection.detail;
            if has_waited {
                self.open.batch.quarantine.push(entry);
                return true;
            }
            return self.put_aside(incoming, table, entry);
        }
        if !has_waited {
            self.open.read_one(table);
        }
        self.breaker.good(table.id, 1);
        if let Outcome::Ignored(rule) = mapped {
            count(&mut self.open.counts(table).ignored, &rule);
            let feeds = matches!(&table.role, TableRole::Entities(all) if all.len() > 1);
            let key = feeds.then(|| table.canonical_key(&change.values)).flatten();
            let position = change.position;
            let left_out = key.map(|key| LeftOut { table: table.id, key, position });
            self.open.batch.left_out.extend(left_out);
        } else {
            self.open.batch.tables.push(table.id);
            self.open.kept.push(incoming, table.id);
        }
        self.tables.recycle(change.values);
        true
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
            let mut change = self.tables.read(&incoming, &event, table, &mut self.decoder);
            let in_part = change.trouble.take().and_then(|_| self.tolerant(table));
            let table = in_part.as_deref().unwrap_or(table);
            self.map_change(&incoming, table, change, (waiting.now_us, true));
        }
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
