//! Mapped rows as texts, without Postgres: what the engine's bytes say.

use std::collections::{BTreeMap, BTreeSet};

use mapping::{
    plan::{Context, EntityPlan, Outcome, PgType, Plan, SourceChange, SourceOp, TableRole},
    position::Position,
    row::{Batches, IdSlot, RowKind},
    value::LegacyValue,
};
use sandbox::legacy::Database;

use crate::model::key_text;

/// Table, key, column, rule.
pub(super) type Found = (String, String, String, &'static str);

#[derive(Default)]
pub(super) struct Row {
    pub(super) columns: BTreeMap<String, Option<String>>,
    pub(super) soft_deleted: bool,
    parts: usize,
}

#[derive(Default)]
pub(super) struct Mapped {
    pub(super) tables: BTreeMap<String, BTreeMap<String, Row>>,
    pub(super) rejected: BTreeSet<Found>,
    /// Rows whose document number is of no form that the mapping knows.
    pub(super) unread: BTreeSet<String>,
}

/// Maps all rows of all tables; entities with parts are there when all parts are.
pub(super) fn map_all(database: &Database, plan: &Plan) -> Mapped {
    let object_types = database
        .rows("XPObjectType")
        .expect("the table")
        .into_iter()
        .map(|row| match (&row[0], &row[1]) {
            (LegacyValue::Int(oid), LegacyValue::Text(name)) => (*oid, name.to_string()),
            other => panic!("{other:?}"),
        })
        .collect();
    let context = Context { object_types: &object_types, seen_at_us: 1_700_000_000_000_000 };
    let catalog = database.catalog();
    let mut mapped = Mapped::default();
    for table in &plan.tables {
        if !matches!(table.role, TableRole::Entities(_)) {
            continue;
        }
        let all: Vec<&str> = catalog
            .table(&table.table)
            .expect("the table")
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let places: Vec<usize> = table
            .columns
            .iter()
            .map(|wanted| all.iter().position(|name| *name == wanted.name).expect("a column"))
            .collect();
        for row in database.rows(&table.table.name).expect("the rows") {
            let values: Vec<_> = places.iter().map(|place| row[*place].clone()).collect();
            let change = SourceChange {
                op: SourceOp::Upsert,
                values: &values,
                position: Position::ZERO,
                sequence: 0,
            };
            let mut batches = Batches::default();
            let outcome = table.map(&change, &context, &mut batches);
            mapped.unread.extend(batches.numbers.unread.iter().map(|row| row.key.to_string()));
            match outcome {
                Outcome::Mapped(_) => read(plan, &batches, &mut mapped),
                Outcome::Ignored(_) => {}
                Outcome::Rejected(why) => {
                    let key = key_text(&why.key.as_ref().expect("a key").parts());
                    mapped.rejected.insert((
                        table.table.name.clone(),
                        key,
                        why.column.clone(),
                        why.rule,
                    ));
                }
            }
        }
    }
    for entity in &plan.entities {
        if let Some(rows) = mapped.tables.get_mut(&entity.target_table) {
            rows.retain(|_, row| row.parts == entity.parts.len());
        }
    }
    mapped
}

fn read(plan: &Plan, batches: &Batches, mapped: &mut Mapped) {
    for batch in batches.iter() {
        let entity = &plan.entities[usize::from(batch.entity.0)];
        for row in &batch.rows {
            assert_eq!(row.unchanged, 0);
            let rows = mapped.tables.entry(entity.target_table.clone()).or_default();
            let found = rows.entry(key_text(&row.key.parts())).or_default();
            found.parts += 1;
            found.soft_deleted |= row.kind == RowKind::SoftDelete;
            let mut at = row.fields.start;
            for column in &entity.parts[usize::from(batch.part)].columns {
                let length = i32::from_be_bytes(batch.fields[at..at + 4].try_into().expect("4"));
                at += 4;
                let bytes = usize::try_from(length).ok().map(|length| {
                    let slot = batch.slots[row.slots.clone()].iter().find(|s| s.offset == at);
                    at += length;
                    (&batch.fields[at - length..at], slot)
                });
                put(entity, *column, bytes, found);
            }
            assert_eq!(at, row.fields.end);
        }
    }
}

fn put(entity: &EntityPlan, column: usize, bytes: Option<(&[u8], Option<&IdSlot>)>, row: &mut Row) {
    let target = &entity.columns[column];
    if column == 0 || Some(column) == entity.deleted_at {
        return;
    }
    let text = bytes.map(|(bytes, slot)| match slot {
        Some(slot) => key_text(&slot.key.parts()),
        None => text(target.pg_type, bytes),
    });
    row.columns.insert(target.name.clone(), text);
}

fn text(pg_type: PgType, bytes: &[u8]) -> String {
    match pg_type {
        PgType::Text => String::from_utf8(bytes.to_vec()).expect("UTF-8"),
        PgType::Bool => (bytes == [1]).to_string(),
        PgType::Bytea => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\x{digits}")
        }
        PgType::Timestamptz => {
            let text = mapping::encode::display(pg_type, bytes);
            match text.strip_suffix("+00").map(|wall| (wall, wall.contains('.'))) {
                Some((wall, true)) => format!("{}+00", wall.trim_end_matches('0')),
                _ => text,
            }
        }
        other => mapping::encode::display(other, bytes),
    }
}
