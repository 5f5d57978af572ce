//! A small legacy database and a mapping of it, for tests.

use std::collections::BTreeMap;

use crate::{
    catalog::{Catalog, Column, LegacyTable, Table},
    encode,
    file::MappingFile,
    plan::{
        Context, EntityId, EntityPlan, ObjectTypes, Outcome, Plan, SourceChange, SourceOp,
        TablePlan,
    },
    position::{Lsn, Position},
    row::{Batches, Row, RowBatch, fields},
    value::LegacyValue,
};

pub(crate) const MAPPING: &str = include_str!("fixture/mapping.toml");
const SCHEMA: &str = include_str!("fixture/schema.txt");
const COLLATION: &str = "Cyrillic_General_CI_AS";

/// Lines of `dbo.Table: Column type [key]; …`.
pub(crate) fn catalog() -> Catalog {
    let mut tables: Vec<Table> = SCHEMA.lines().map(table).collect();
    tables.sort_by(|a, b| a.table.cmp(&b.table));
    Catalog { database: "Test23".into(), collation: COLLATION.into(), tables }
}

pub(crate) fn table(line: &str) -> Table {
    let (name, columns) = line.split_once(": ").expect("a name and columns");
    let (schema, name) = name.split_once('.').expect("a schema");
    let mut primary_key = Vec::new();
    let columns = columns.split("; ").map(|column| {
        let mut words = column.split(' ');
        let name = words.next().expect("a name").to_owned();
        let sql_type = words.next().expect("a type").parse().expect("any text is a type");
        let key = words.next() == Some("key");
        if key {
            primary_key.push(name.clone());
        }
        Column { name, sql_type, nullable: !key, collation: None, computed: false, identity: false }
    });
    let columns = columns.collect();
    Table::new(LegacyTable::new(schema, name), columns, primary_key)
}

pub(crate) fn file(text: &str) -> MappingFile {
    MappingFile { name: "test.toml".into(), text: text.into() }
}

pub(crate) fn plan() -> Plan {
    Plan::compile(&[file(MAPPING)], &catalog()).unwrap_or_else(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|m| format!("{m} ({})", m.help)).collect();
        panic!("{}", lines.join("\n"))
    })
}

pub(crate) fn text(text: &str) -> LegacyValue<'_> {
    LegacyValue::Text(text.into())
}

pub(crate) fn money(unscaled: i128) -> LegacyValue<'static> {
    LegacyValue::Decimal(crate::value::Decimal { unscaled, scale: 4 })
}

/// Ticks of a wall time such as `2024-03-01T12:00:00.5`.
pub(crate) fn time(text: &str) -> LegacyValue<'static> {
    LegacyValue::Timestamp(crate::convert::parse_timestamp(text).expect("a time"))
}

pub(crate) fn types() -> ObjectTypes {
    let names = ["Demo.Owner", "Demo.Tenant", "Demo.Party", "Demo.Space", "Demo.Parking"];
    let numbered = names.iter().zip(7_i64..).map(|(name, number)| (number, (*name).to_owned()));
    numbered.collect::<BTreeMap<_, _>>()
}

/// The time at which every test sees its rows.
pub(crate) const SEEN_AT_US: i64 = 1_700_000_000_000_000;

/// A plan, what it has mapped, and what became of the last row.
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) types: ObjectTypes,
    pub(crate) batches: Batches,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { plan: plan(), types: types(), batches: Batches::default() }
    }

    pub(crate) fn table(&self, name: &str) -> &TablePlan {
        self.plan.table("dbo", name).expect("a table of the fixture")
    }

    pub(crate) fn entity(&self, name: &str) -> &EntityPlan {
        self.plan.entity(name).expect("an entity of the fixture")
    }

    /// Maps a row given by its columns; the others have `rest`.
    pub(crate) fn map_op(
        &mut self,
        op: SourceOp,
        table: &str,
        given: &[(&str, LegacyValue<'_>)],
        rest: &LegacyValue<'_>,
    ) -> Outcome {
        let table = self.plan.table("dbo", table).expect("a table of the fixture");
        for (name, _) in given {
            assert!(table.columns.iter().any(|c| c.name == *name), "{name} is not read");
        }
        let value = |name: &str| {
            given.iter().find(|(given, _)| *given == name).map_or(rest, |(_, value)| value).clone()
        };
        let values: Vec<_> = table.columns.iter().map(|column| value(&column.name)).collect();
        let change = SourceChange {
            op,
            values: &values,
            position: Position::streamed(Lsn::ZERO, 1),
            sequence: 5,
        };
        let context = Context { object_types: &self.types, seen_at_us: SEEN_AT_US };
        let before: Vec<RowBatch> = self.batches.iter().cloned().collect();
        let outcome = table.map(&change, &context, &mut self.batches);
        if !matches!(outcome, Outcome::Mapped(_)) {
            let after: Vec<RowBatch> = self.batches.iter().cloned().collect();
            assert_eq!(format!("{before:?}"), format!("{after:?}"), "the batches were touched");
        }
        outcome
    }

    pub(crate) fn map(&mut self, table: &str, given: &[(&str, LegacyValue<'_>)]) -> Outcome {
        self.map_op(SourceOp::Upsert, table, given, &LegacyValue::Null)
    }

    /// Maps a row that must be mapped, and shows it.
    pub(crate) fn mapped(&mut self, table: &str, given: &[(&str, LegacyValue<'_>)]) -> Shown {
        match self.map(table, given) {
            Outcome::Mapped(entity) => self.last(entity),
            other => panic!("{other:?}"),
        }
    }

    /// Maps a row that must be rejected; its rule and detail.
    pub(crate) fn rejected(
        &mut self,
        table: &str,
        given: &[(&str, LegacyValue<'_>)],
    ) -> (String, String) {
        match self.map(table, given) {
            Outcome::Rejected(rejection) => (rejection.rule.to_owned(), rejection.detail.clone()),
            other => panic!("{other:?}"),
        }
    }

    /// The last row of an entity, in whatever part's batch was filled last.
    pub(crate) fn last(&self, entity: EntityId) -> Shown {
        let batches = self.batches.iter().filter(|batch| batch.entity == entity);
        let batch = batches.last().expect("a batch");
        let row = batch.rows.last().expect("a row").clone();
        let plan = &self.plan.entities[usize::from(entity.0)];
        let part = &plan.parts[usize::from(batch.part)];
        let bytes = &batch.fields[row.fields.clone()];
        let mut shown = BTreeMap::new();
        let mut raw = BTreeMap::new();
        for (column, field) in part.columns.iter().zip(fields(bytes)) {
            let column = &plan.columns[*column];
            let text = field.map(|bytes| encode::display(column.pg_type, bytes));
            shown.insert(column.name.clone(), text.unwrap_or_else(|| "NULL".into()));
            raw.insert(column.name.clone(), field.map(<[u8]>::to_vec));
        }
        if !bytes.is_empty() {
            assert_eq!(fields(bytes).count(), part.columns.len(), "every column has a field");
        }
        let slots = batch.slots[row.slots.clone()].to_vec();
        let slots = slots.iter().map(|slot| (slot.entity, slot.key.to_string())).collect();
        Shown { row, shown, raw, slots }
    }
}

/// A mapped row, readable.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) row: Row,
    pub(crate) shown: BTreeMap<String, String>,
    pub(crate) raw: BTreeMap<String, Option<Vec<u8>>>,
    pub(crate) slots: Vec<(EntityId, String)>,
}

impl Shown {
    pub(crate) fn get(&self, column: &str) -> &str {
        self.shown.get(column).unwrap_or_else(|| panic!("no column {column} in {self:?}"))
    }

    pub(crate) fn i64(&self, column: &str) -> i64 {
        let bytes = self.raw[column].as_ref().expect("not NULL");
        i64::from_be_bytes(bytes.as_slice().try_into().expect("8 bytes"))
    }
}
