//! From a change to its records: pure, without a clock.

use std::{collections::HashMap, sync::Arc};

use mapping::{
    catalog::{LegacyTable, Table},
    position::Lsn,
    value::LegacyValue,
};

use super::{
    Error, Settings, VERSION,
    record::{Marker, Origin, Place, Reading, Record, RowChange},
    table::{Image, Mask, TableFormat},
    text,
};
use crate::legacy::Operation;

/// Writes records. It keeps its tables' formats and its buffers.
#[derive(Debug)]
pub struct Encoder {
    pub(super) settings: Settings,
    pub(super) database: String,
    pub(super) source_head: String,
    tables: HashMap<LegacyTable, Arc<TableFormat>>,
    mask: Mask,
    pub(super) key: String,
    other_key: String,
    pub(super) value: String,
}

impl Encoder {
    /// For one database.
    #[must_use]
    pub fn new(database: &str, settings: Settings) -> Self {
        let mut source_head = format!(
            "{{\"version\":\"{VERSION}\",\"connector\":\"sqlserver\",\"name\":\"{}\",\"ts_ms\":",
            settings.prefix
        );
        source_head.shrink_to_fit();
        Self {
            settings,
            database: database.to_owned(),
            source_head,
            tables: HashMap::new(),
            mask: Mask::default(),
            key: String::new(),
            other_key: String::new(),
            value: String::new(),
        }
    }

    /// The topic of a table's events.
    pub fn topic(&mut self, table: &Arc<Table>) -> String {
        self.format(table).topic.clone()
    }

    pub(super) fn format(&mut self, table: &Arc<Table>) -> Arc<TableFormat> {
        match self.tables.get(&table.table) {
            Some(format) if Arc::ptr_eq(&format.table, table) => Arc::clone(format),
            _ => {
                let format = TableFormat::new(Arc::clone(table), &self.database, &self.settings);
                let format = Arc::new(format);
                self.tables.insert(table.table.clone(), Arc::clone(&format));
                format
            }
        }
    }

    /// Writes the records of one change: an event, a tombstone after a delete, and twice as
    /// many when an update changed the key. `now_ns` is the connector's clock. The number of
    /// events (tombstones not counted) is returned.
    ///
    /// # Errors
    /// A value that its column can't have, or that Debezium can't express in a column without
    /// NULL (its task ends there).
    pub fn change(
        &mut self,
        table: &Arc<Table>,
        change: &RowChange<'_>,
        origin: &Origin,
        now_ns: i64,
        emit: &mut dyn FnMut(Record<'_>),
    ) -> Result<u64, Error> {
        let format = self.format(table);
        let columns = format.table.columns.len();
        if format.has_lobs() {
            match change.operation {
                Operation::Update => self.mask.set(columns, change.columns_changed.iter().copied()),
                Operation::Insert | Operation::Delete => self.mask.fill(columns),
            }
        }
        let mut event = Event { format: &format, change, origin: *origin, now_ns };
        let keyed =
            change.operation == Operation::Update && format.is_key_changed(change.columns_changed);
        match (keyed, change.before, change.after) {
            (true, Some(before), Some(after)) => {
                self.key_into(&format, after)?;
                std::mem::swap(&mut self.key, &mut self.other_key);
                let new = Some(NEW_KEY);
                self.event(&event, 'd', [Some((before, Image::UpdateBefore)), None], new, emit)?;
                std::mem::swap(&mut self.key, &mut self.other_key);
                self.key_into(&format, before)?;
                std::mem::swap(&mut self.key, &mut self.other_key);
                event.origin.place = event.origin.place.map(Place::next);
                let old = Some(OLD_KEY);
                self.event(&event, 'c', [None, Some((after, Image::UpdateAfter))], old, emit)?;
                Ok(2)
            }
            (_, before, after) => {
                let (op, before_image, after_image) = match change.operation {
                    Operation::Insert => ('c', None, after.zip(Some(Image::Insert))),
                    Operation::Delete => ('d', before.zip(Some(Image::Delete)), None),
                    Operation::Update => (
                        'u',
                        before.zip(Some(Image::UpdateBefore)),
                        after.zip(Some(Image::UpdateAfter)),
                    ),
                };
                self.event(&event, op, [before_image, after_image], None, emit)?;
                Ok(1)
            }
        }
    }

    /// Writes a row that was read from the table, as a snapshot does.
    ///
    /// # Errors
    /// As [`Encoder::change`].
    pub fn read(
        &mut self,
        table: &Arc<Table>,
        row: &[LegacyValue<'_>],
        (reading, marker): (&Reading, Marker),
        now_ns: i64,
        emit: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), Error> {
        let format = self.format(table);
        self.value.clear();
        self.value.push_str(&format.value_head);
        self.value.push_str("{\"before\":null,\"after\":");
        format.write_image(&mut self.value, row, Image::Read, &self.mask)?;
        let lsns = Lsns { change: reading.streamed, commit: reading.lsn };
        self.source(&format.source_names, reading.at_ns, marker.name(), &lsns);
        self.value.push_str(",\"transaction\":null,\"op\":\"r\"");
        self.times(now_ns);
        self.value.push_str(format.tail);
        self.write_key(&format, row)?;
        emit(Record {
            topic: &format.topic,
            key: format.has_key().then_some(&self.key),
            value: Some(&self.value),
            context: true,
            key_change: None,
        });
        Ok(())
    }

    fn event(
        &mut self,
        event: &Event<'_>,
        op: char,
        [before, after]: [Option<(&[LegacyValue<'_>], Image)>; 2],
        key_change: Option<&'static str>,
        emit: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), Error> {
        let format = event.format;
        self.value.clear();
        self.value.push_str(&format.value_head);
        for (label, image) in [("{\"before\":", before), (",\"after\":", after)] {
            self.value.push_str(label);
            match image {
                Some((row, image)) => {
                    format.write_image(&mut self.value, row, image, &self.mask)?;
                }
                None => self.value.push_str("null"),
            }
        }
        let Event { change, origin, .. } = event;
        let lsns = Lsns {
            change: Some((change.change_lsn, change.event_serial_no)),
            commit: origin.commit_lsn,
        };
        self.source(&format.source_names, origin.commit_ms * 1_000_000, "false", &lsns);
        self.transaction(origin);
        self.value.push_str(",\"op\":\"");
        self.value.push(op);
        self.value.push('"');
        self.times(event.now_ns);
        self.value.push_str(format.tail);
        let row = after.or(before).map(|(row, _)| row).unwrap_or_default();
        self.write_key(format, row)?;
        let mut record = Record {
            topic: &format.topic,
            key: format.has_key().then_some(&self.key),
            value: Some(&self.value),
            context: true,
            key_change: key_change.map(|name| (name, self.other_key.as_str())),
        };
        emit(record);
        if op == 'd' && self.settings.tombstones {
            record.value = None;
            emit(record);
        }
        Ok(())
    }

    fn write_key(&mut self, format: &TableFormat, row: &[LegacyValue<'_>]) -> Result<(), Error> {
        self.key.clear();
        if format.has_key() {
            self.key.push_str(&format.key_head);
            format.write_key(&mut self.key, row)?;
            self.key.push_str(format.tail);
        }
        Ok(())
    }

    /// The bare key, as it stands in a header.
    fn key_into(&mut self, format: &TableFormat, row: &[LegacyValue<'_>]) -> Result<(), Error> {
        self.key.clear();
        format.write_key(&mut self.key, row)
    }

    pub(super) fn source(&mut self, names: &str, at_ns: i64, snapshot: &str, lsns: &Lsns) {
        let out = &mut self.value;
        out.push_str(",\"source\":");
        source(out, (&self.source_head, &self.database, names), at_ns, snapshot, lsns);
    }

    fn transaction(&mut self, origin: &Origin) {
        let Some(place) = origin.place else {
            self.value.push_str(",\"transaction\":null");
            return;
        };
        self.value.push_str(",\"transaction\":{\"id\":\"");
        text::lsn(&mut self.value, origin.commit_lsn);
        self.value.push_str("\",\"total_order\":");
        text::number(&mut self.value, place.total_order);
        self.value.push_str(",\"data_collection_order\":");
        text::number(&mut self.value, place.collection_order);
        self.value.push('}');
    }

    fn times(&mut self, now_ns: i64) {
        let times = [(",\"ts_ms\":", 1_000_000), (",\"ts_us\":", 1_000), (",\"ts_ns\":", 1)];
        for (label, unit) in times {
            self.value.push_str(label);
            text::number(&mut self.value, now_ns.div_euclid(unit));
        }
        self.value.push('}');
    }
}

const NEW_KEY: &str = "__debezium.newkey";
const OLD_KEY: &str = "__debezium.oldkey";

struct Event<'a> {
    format: &'a TableFormat,
    change: &'a RowChange<'a>,
    origin: Origin,
    now_ns: i64,
}

/// The LSNs of a source block.
pub(super) struct Lsns {
    pub(super) change: Option<(Lsn, u8)>,
    pub(super) commit: Lsn,
}

fn source(
    out: &mut String,
    (head, database, names): (&str, &str, &str),
    at_ns: i64,
    snapshot: &str,
    lsns: &Lsns,
) {
    out.push_str(head);
    text::number(out, at_ns.div_euclid(1_000_000));
    out.push_str(",\"snapshot\":\"");
    out.push_str(snapshot);
    out.push_str("\",\"db\":");
    text::string(out, database);
    out.push_str(",\"sequence\":null,\"ts_us\":");
    text::number(out, at_ns.div_euclid(1_000));
    out.push_str(",\"ts_ns\":");
    text::number(out, at_ns);
    out.push_str(names);
    out.push_str(",\"change_lsn\":");
    match lsns.change {
        Some((lsn, _)) => {
            out.push('"');
            text::lsn(out, lsn);
            out.push('"');
        }
        None => out.push_str("null"),
    }
    out.push_str(",\"commit_lsn\":\"");
    text::lsn(out, lsns.commit);
    out.push_str("\",\"event_serial_no\":");
    match lsns.change {
        Some((_, serial)) => text::number(out, serial),
        None => out.push_str("null"),
    }
    out.push('}');
}
