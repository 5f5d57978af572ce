//! A message's way into the open batch, by its kind.

use std::sync::Arc;

use mapping::plan::{Context, EntityId, Outcome, TablePlan, TableRole};
use target::{batch::LeftOut, drift::DriftKind, reselect::Reselect};

use super::{
    Batcher, Incoming, copied::Copied, count, drift::Met, route::Route, table::Change,
    waiting::Waiting,
};
use crate::decode::{Event, Message, TransactionMark};

impl Batcher {
    /// Whether the mark is in the batch. How far they were read is what `--atomic` begins with.
    pub(super) fn push_mark(
        &mut self,
        incoming: &Incoming<'_>,
        mark: &TransactionMark<'_>,
    ) -> bool {
        let lsn = mark.lsn();
        if self.until.is_some_and(|until| lsn > Some(until)) {
            self.leave_for_good(incoming);
            return false;
        }
        self.seen.messages.transaction += 1;
        if mark.is_end() {
            self.offsets.note(incoming.topic, incoming.partition, lsn, (None, None));
        }
        true
    }

    /// Whether the event is in the batch; otherwise its partition waits before it.
    pub(super) fn push_event(
        &mut self,
        incoming: &Incoming<'_>,
        event: &Event<'_>,
        now_us: i64,
    ) -> bool {
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
            let times = (event.source.ts_ms, incoming.timestamp_ms);
            self.offsets.note(incoming.topic, incoming.partition, lsn, times);
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
                let message = Copied::new(incoming);
                self.open.waiting.push(Waiting { message, now_us });
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
        if let Outcome::Mapped(entity) = mapped
            && self.reselects
        {
            self.ask_for(table, entity, sequence);
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
            self.open.kept.push(incoming, table.id, self.decoder.head(incoming.topic));
        }
        self.tables.recycle(change.values);
        true
    }

    /// Asks for a row that lacks what its mapping wants to know.
    fn ask_for(&mut self, table: &TablePlan, entity: EntityId, sequence: u32) {
        let Some(plan) = self.plan.entities.get(usize::from(entity.0)) else { return };
        let part = plan.parts.iter().position(|part| part.table == table.id);
        let Some(part) = part.and_then(|part| u8::try_from(part).ok()) else { return };
        let rows = &self.open.batch.rows.part(entity, part).rows;
        let Some(row) = rows.last().filter(|row| row.sequence == sequence) else { return };
        if plan.is_reselected(part, row.unchanged) {
            let (table, key, position) = (table.id, row.key.clone(), row.position);
            self.open.batch.reselect.push(Reselect { table, key, position });
        }
    }

    /// Maps what has waited for its type, for the last time.
    pub(super) fn settle_waiting(&mut self) {
        let plan = Arc::clone(&self.plan);
        for waiting in std::mem::take(&mut self.open.waiting) {
            let incoming = waiting.message.incoming();
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
