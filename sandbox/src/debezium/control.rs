//! The connector's own records: transaction boundaries, heartbeats, schema changes.

use std::sync::Arc;

use mapping::{
    catalog::{Column, SqlType, Table},
    position::Lsn,
};

use super::{
    encoder::{Encoder, Lsns},
    record::{Reading, Record},
    schema, text,
};

/// How many events of each table a transaction had, in the order of the first of each.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    tables: Vec<(Arc<str>, u64)>,
    total: u64,
}

impl Counts {
    /// Counts one event more and says how many of its table and in all came before it.
    pub(super) fn add(&mut self, collection: &str, events: u64) {
        self.total += events;
        match self.tables.iter_mut().find(|(name, _)| **name == *collection) {
            Some((_, count)) => *count += events,
            None => self.tables.push((collection.into(), events)),
        }
    }

    /// Events so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Events of one table so far.
    pub(super) fn of(&self, collection: &str) -> u64 {
        self.tables.iter().find(|(name, _)| **name == *collection).map_or(0, |(_, count)| *count)
    }

    /// The connector prints a Java `HashMap`: by bucket, then by insertion.
    fn in_java_order(&self) -> Vec<&(Arc<str>, u64)> {
        let mut buckets: usize = 16;
        while self.tables.len() * 4 > buckets * 3 {
            buckets *= 2;
        }
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by_key(|(name, _)| {
            let hash = java_hash(name);
            usize::try_from(hash ^ hash >> 16).map_or(0, |hash| hash & (buckets - 1))
        });
        tables
    }
}

/// `String.hashCode`, over UTF-16 units.
fn java_hash(text: &str) -> u32 {
    text.encode_utf16()
        .fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

impl Encoder {
    /// A transaction's BEGIN record. Debezium's clock for it is the transaction's.
    pub fn begin(&mut self, id: Lsn, at_ms: i64, emit: &mut dyn FnMut(Record<'_>)) {
        self.transaction_key(id);
        self.value.push_str("{\"status\":\"BEGIN\",\"id\":\"");
        text::lsn(&mut self.value, id);
        self.value.push_str("\",\"event_count\":null,\"data_collections\":null,\"ts_ms\":");
        self.end_transaction(at_ms, emit);
    }

    /// A transaction's END record: sent when the next one begins, with that one's time, or by a
    /// timer with its own.
    pub fn end(&mut self, id: Lsn, counts: &Counts, at_ms: i64, emit: &mut dyn FnMut(Record<'_>)) {
        self.transaction_key(id);
        self.value.push_str("{\"status\":\"END\",\"id\":\"");
        text::lsn(&mut self.value, id);
        self.value.push_str("\",\"event_count\":");
        text::number(&mut self.value, counts.total());
        self.value.push_str(",\"data_collections\":[");
        for (index, (name, count)) in counts.in_java_order().into_iter().enumerate() {
            self.value.push_str(if index == 0 { "" } else { "," });
            self.value.push_str("{\"data_collection\":");
            text::string(&mut self.value, name);
            self.value.push_str(",\"event_count\":");
            text::number(&mut self.value, count);
            self.value.push('}');
        }
        self.value.push_str("],\"ts_ms\":");
        self.end_transaction(at_ms, emit);
    }

    fn transaction_key(&mut self, id: Lsn) {
        self.key.clear();
        self.value.clear();
        if self.settings.schemas {
            self.key.push_str(schema::TRANSACTION_KEY);
            self.value.push_str(schema::TRANSACTION);
        }
        self.key.push_str("{\"id\":\"");
        text::lsn(&mut self.key, id);
        self.key.push_str("\"}");
    }

    fn end_transaction(&mut self, at_ms: i64, emit: &mut dyn FnMut(Record<'_>)) {
        text::number(&mut self.value, at_ms);
        self.value.push('}');
        self.emit_control(&self.settings.transaction_topic(), false, emit);
    }

    /// A heartbeat.
    pub fn heartbeat(&mut self, now_ms: i64, emit: &mut dyn FnMut(Record<'_>)) {
        self.key.clear();
        self.value.clear();
        if self.settings.schemas {
            self.key.push_str(schema::HEARTBEAT_KEY);
            self.value.push_str(schema::HEARTBEAT);
        }
        self.key.push_str("{\"serverName\":");
        text::string(&mut self.key, &self.settings.prefix);
        self.key.push('}');
        self.value.push_str("{\"ts_ms\":");
        text::number(&mut self.value, now_ms);
        self.value.push('}');
        self.emit_control(&self.settings.heartbeat_topic(), false, emit);
    }

    /// A table's structure, as the connector tells it when it first meets the table.
    pub fn schema_change(
        &mut self,
        table: &Arc<Table>,
        reading: &Reading,
        now_ms: i64,
        emit: &mut dyn FnMut(Record<'_>),
    ) {
        let format = self.format(table);
        self.key.clear();
        self.value.clear();
        if self.settings.schemas {
            self.key.push_str(schema::SCHEMA_CHANGE_KEY);
            self.value.push_str(&schema::schema_change());
        }
        self.key.push_str("{\"databaseName\":");
        text::string(&mut self.key, &self.database);
        self.key.push('}');
        let start = self.value.len();
        let lsns = Lsns { change: None, commit: reading.lsn };
        self.source(&format.source_names, reading.at_ns, "true", &lsns);
        self.value.replace_range(start..=start, "{"); // the block begins with a comma
        let out = &mut self.value;
        out.push_str(",\"ts_ms\":");
        text::number(out, now_ms);
        out.push_str(",\"databaseName\":");
        text::string(out, &self.database);
        out.push_str(",\"schemaName\":");
        text::string(out, &table.table.schema);
        out.push_str(",\"ddl\":null,\"tableChanges\":[{\"type\":\"CREATE\",\"id\":");
        let name = &table.table;
        text::string(out, &format!("\"{}\".\"{}\".\"{}\"", self.database, name.schema, name.name));
        out.push_str(",\"table\":{\"defaultCharsetName\":null,\"primaryKeyColumnNames\":[");
        for (index, name) in table.primary_key.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "," });
            text::string(out, name);
        }
        out.push_str("],\"columns\":[");
        for (index, column) in table.columns.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "," });
            column_change(out, column, index + 1);
        }
        out.push_str("],\"comment\":null}}]}");
        let topic = self.settings.prefix.clone();
        self.emit_control(&topic, true, emit);
    }

    /// Closes the inline schemas and emits what the buffers hold.
    fn emit_control(&mut self, topic: &str, context: bool, emit: &mut dyn FnMut(Record<'_>)) {
        if self.settings.schemas {
            self.key.push('}');
            self.value.push('}');
        }
        emit(Record {
            topic,
            key: Some(&self.key),
            value: Some(&self.value),
            context,
            key_change: None,
        });
    }
}

/// A column in a schema change. Default expressions are not known here.
fn column_change(out: &mut String, column: &Column, position: usize) {
    let (jdbc, length, scale) = jdbc(&column.sql_type);
    let full = column.sql_type.to_string();
    let base = full.split('(').next().unwrap_or_default();
    let name = if column.identity { format!("{base} identity") } else { base.to_owned() };
    out.push_str("{\"name\":");
    text::string(out, &column.name);
    out.push_str(&format!(
        ",\"jdbcType\":{jdbc},\"nativeType\":null,\"typeName\":\"{name}\",\"typeExpression\":\"{name}\",\"charsetName\":null,\"length\":{length},\"scale\":{},\"position\":{position},\"optional\":{},\"autoIncremented\":{},\"generated\":{},\"comment\":null,\"defaultValueExpression\":null,\"enumValues\":null}}",
        scale.map_or_else(|| "null".to_owned(), |scale| scale.to_string()),
        column.nullable,
        column.identity,
        column.computed,
    ));
}

/// What the driver says of a type: JDBC's number, length and scale.
fn jdbc(sql_type: &SqlType) -> (i32, u32, Option<u32>) {
    const MAX: u32 = 2_147_483_647;
    let time = |base: u32, scale: u8| {
        let point = u32::from(scale > 0);
        (base + point + u32::from(scale), Some(u32::from(scale)))
    };
    let sized = |jdbc: i32, length: &Option<u16>| (jdbc, length.map_or(MAX, u32::from), None);
    match sql_type {
        SqlType::Bit => (-7, 1, None),
        SqlType::TinyInt => (-6, 3, Some(0)),
        SqlType::SmallInt => (5, 5, Some(0)),
        SqlType::Int => (4, 10, Some(0)),
        SqlType::BigInt => (-5, 19, Some(0)),
        SqlType::Decimal { precision, scale } => {
            (3, u32::from(*precision), Some(u32::from(*scale)))
        }
        SqlType::Money => (3, 19, Some(4)),
        SqlType::SmallMoney => (3, 10, Some(4)),
        SqlType::Real => (7, 24, None),
        SqlType::Float => (8, 53, None),
        SqlType::Date => (91, 10, Some(0)),
        SqlType::Time { scale } => {
            let (length, scale) = time(8, *scale);
            (92, length, scale)
        }
        SqlType::DateTime => (93, 23, Some(3)),
        SqlType::SmallDateTime => (93, 16, Some(0)),
        SqlType::DateTime2 { scale } => {
            let (length, scale) = time(19, *scale);
            (93, length, scale)
        }
        SqlType::DateTimeOffset { scale } => {
            let (length, scale) = time(26, *scale);
            (-155, length, scale)
        }
        SqlType::Char { length } => (1, u32::from(*length), None),
        SqlType::VarChar { length } => sized(12, length),
        SqlType::NChar { length } => (-15, u32::from(*length), None),
        SqlType::NVarChar { length } => sized(-9, length),
        SqlType::Text => (-1, MAX, None),
        SqlType::NText => (-16, MAX / 2, None),
        SqlType::Binary { length } => (-2, u32::from(*length), None),
        SqlType::VarBinary { length } => sized(-3, length),
        SqlType::Image => (-4, MAX, None),
        SqlType::UniqueIdentifier => (1, 36, None),
        SqlType::Xml => (-16, MAX, None),
        SqlType::RowVersion => (-2, 8, None),
        SqlType::Other(_) => (1111, 0, None),
    }
}
