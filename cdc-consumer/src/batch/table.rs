//! One event's row, in the order of the mapping's columns.

use std::collections::HashMap;

use mapping::{
    plan::{SourceChange, SourceOp, TableId, TablePlan},
    position::{Lsn, Position},
    value::LegacyValue,
};

use super::Incoming;
use crate::{
    decode::{Decoder, Event, Fault, Image, Op, RowCodec, RowFault},
    settings::Modes,
};

/// Codecs kept at most: a schema for each version of each table.
const CODECS_MAX: usize = 10_000;

/// Why an event can't go to the mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) column: String,
    pub(super) fault: Fault,
    /// The table's shape is another than the mapping's.
    pub(super) drift: bool,
    /// The column isn't there at all.
    pub(super) missing: bool,
}

/// A change as far as it could be read.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) op: SourceOp,
    pub(super) values: Vec<LegacyValue<'a>>,
    pub(super) position: Position,
    pub(super) trouble: Option<Trouble>,
    /// Columns of the event that the mapping doesn't know.
    pub(super) unknown: Vec<String>,
}

impl Change<'_> {
    pub(super) fn source(&self, sequence: u32) -> SourceChange<'_> {
        SourceChange { op: self.op, values: &self.values, position: self.position, sequence }
    }

    /// The row of `XPObjectType`, unless it was deleted: rows of the type may still be on
    /// their way.
    pub(super) fn object_type(&self, table: &TablePlan) -> Option<(i64, String)> {
        if self.op == SourceOp::Delete {
            return None;
        }
        let value = |name: &str| {
            let index = table.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))?;
            self.values.get(index)
        };
        match (value("OID")?, value("TypeName")?) {
            (LegacyValue::Int(oid), LegacyValue::Text(name)) => Some((*oid, name.to_string())),
            _ => None,
        }
    }
}

/// The codecs of all tables, one for each schema that their events carry.
#[derive(Debug)]
pub(super) struct Tables {
    modes: Modes,
    /// Messages come out of the quarantine, without what may not be stored there.
    pub(super) hidden: bool,
    rows: HashMap<(TableId, u64), RowCodec>,
    keys: HashMap<(TableId, u64), RowCodec>,
    spare: Vec<LegacyValue<'static>>,
}

impl Tables {
    pub(super) fn new(modes: Modes) -> Self {
        Self { modes, hidden: false, rows: HashMap::new(), keys: HashMap::new(), spare: Vec::new() }
    }

    /// Keeps the allocation of a row's values for the next row.
    pub(super) fn recycle(&mut self, mut values: Vec<LegacyValue<'_>>) {
        values.clear();
        // Collecting in place keeps the allocation and changes the lifetime.
        self.spare = values.into_iter().map(LegacyValue::into_owned).collect();
    }

    /// Reads the event's row, or as much of it as there is.
    pub(super) fn read<'a>(
        &mut self,
        incoming: &Incoming<'a>,
        event: &Event<'a>,
        table: &TablePlan,
        decoder: &mut Decoder,
    ) -> Change<'a> {
        let position = event.position(Some(incoming.offset));
        let mut change = Change {
            op: if event.op == Op::Delete { SourceOp::Delete } else { SourceOp::Upsert },
            values: std::mem::take(&mut self.spare),
            position: position.unwrap_or_else(|| Position::streamed(Lsn::ZERO, 0)),
            trouble: None,
            unknown: Vec::new(),
        };
        let (object, image) = match event.op {
            Op::Delete => (event.before, Image::Before),
            Op::Create => (event.after, event.after_image(incoming.is_renamed())),
            _ => (event.after, event.after_image(false)),
        };
        let schema = event.schema.as_deref();
        let id = (table.id, schema.map_or(0, |schema| schema.id));
        let codecs = if object.is_some() { &mut self.rows } else { &mut self.keys };
        if codecs.len() > CODECS_MAX {
            codecs.clear();
        }
        let codec = codecs.entry(id).or_insert_with(|| {
            let left_out = table.left_out().iter().map(|left| left.column.clone()).collect();
            let codec = RowCodec::new(&table.columns, left_out, schema, &self.modes);
            if self.hidden { codec.with_hidden(table.sensitive_columns()) } else { codec }
        });
        let read = match object {
            Some(object) => codec.read(object, image, &mut change.values),
            None => read_key(codec, incoming, decoder, &mut change.values),
        };
        change.unknown.extend_from_slice(codec.unknown());
        change.trouble = trouble_of(read, event.op, position);
        change
    }
}

/// A delete that says nothing but its key.
fn read_key<'a>(
    codec: &mut RowCodec,
    incoming: &Incoming<'a>,
    decoder: &mut Decoder,
    values: &mut Vec<LegacyValue<'a>>,
) -> Result<(), RowFault> {
    match decoder.decode_key(incoming.topic, incoming.key) {
        Ok(Some(key)) => codec.read_key(key, values),
        _ => Err(RowFault::Value {
            column: String::new(),
            fault: Fault {
                rule: "delete.no-key",
                detail: "a delete without the row and without a key".into(),
            },
        }),
    }
}

fn trouble_of(read: Result<(), RowFault>, op: Op, position: Option<Position>) -> Option<Trouble> {
    let whole = |rule, detail: &str| {
        let fault = Fault { rule, detail: detail.into() };
        Some(Trouble { column: String::new(), fault, drift: false, missing: false })
    };
    if op == Op::Truncate {
        return whole("op.truncate", "the table was truncated: backfill or reconcile it");
    }
    match read {
        Err(RowFault::Malformed(error)) => whole("message.json", &error.to_string()),
        Err(RowFault::Missing { column }) => Some(Trouble {
            column,
            fault: Fault {
                rule: "column.missing",
                detail: "the event does not have this mapped column".into(),
            },
            drift: true,
            missing: true,
        }),
        Err(RowFault::Value { column, fault }) => {
            let drift = fault.rule == "column.type";
            Some(Trouble { column, fault, drift, missing: false })
        }
        Ok(()) if position.is_none() => whole("source.lsn", "a change without its commit LSN"),
        Ok(()) => None,
    }
}
