//! Tables in memory, assessed without a server.

use std::collections::BTreeMap;

use legacy::LegacyRow;
use mapping::{
    catalog::{Catalog, Column, ForeignKey, LegacyTable, Table, UniqueIndex},
    probe::WallClock,
    value::{Decimal, LegacyValue},
};

use crate::{
    assessment::{CdcState, ColumnFacts, Hazard, TableAssessment},
    book::Book,
    check::{Context, TypeNames},
    keys::Keys,
    read::Ending,
    run::Known,
    sheet::Sheet,
    survey::Survey,
};

pub(super) type Value = LegacyValue<'static>;
pub(super) const NULL: Value = LegacyValue::Null;

pub(super) fn text(text: &str) -> Value {
    LegacyValue::Text(text.to_owned().into())
}

pub(super) fn broken(text: &str) -> Value {
    LegacyValue::BrokenText(text.to_owned().into())
}

pub(super) fn int(value: i64) -> Value {
    LegacyValue::Int(value)
}

pub(super) fn decimal(unscaled: i128, scale: u8) -> Value {
    LegacyValue::Decimal(Decimal { unscaled, scale })
}

/// Ticks of `2024-02-29T13:14:15`, with a fraction or without a time.
pub(super) fn ticks(written: &str) -> i64 {
    let written = if written.len() == 10 { format!("{written}T00:00:00") } else { written.into() };
    let time = chrono::NaiveDateTime::parse_from_str(&written, "%Y-%m-%dT%H:%M:%S%.f");
    let time = time.expect("a time").and_utc();
    time.timestamp() * 10_000_000 + i64::from(time.timestamp_subsec_nanos()) / 100
}

pub(super) fn at(written: &str) -> Value {
    LegacyValue::Timestamp(ticks(written))
}

/// A column: its name and its type, `nvarchar(4) not null identity collate X`.
fn column(name: &str, described: &str) -> Column {
    let mut words = described.split(' ');
    let sql_type = words.next().unwrap_or_default().parse().expect("a type");
    let rest: Vec<&str> = words.collect();
    let is_text = described.contains("char") || described.starts_with("text");
    let collation = rest.iter().position(|word| *word == "collate").map(|at| rest[at + 1]);
    Column {
        name: name.to_owned(),
        sql_type,
        nullable: !rest.contains(&"not"),
        collation: is_text.then(|| collation.unwrap_or(COLLATION).to_owned()),
        computed: rest.contains(&"computed"),
        identity: rest.contains(&"identity"),
    }
}

pub(super) const COLLATION: &str = "Cyrillic_General_CI_AS";

/// A database under construction.
pub(super) struct Base {
    pub(super) catalog: Catalog,
    pub(super) rows: BTreeMap<String, Vec<LegacyRow>>,
    pub(super) types: TypeNames,
    pub(super) clock: Option<WallClock>,
    pub(super) cdc: bool,
    pub(super) keys_max: usize,
}

impl Base {
    pub(super) fn new() -> Self {
        Self {
            catalog: Catalog {
                database: "Test".to_owned(),
                collation: COLLATION.to_owned(),
                tables: Vec::new(),
            },
            rows: BTreeMap::new(),
            types: TypeNames::new(),
            clock: None,
            cdc: false,
            keys_max: 1_000_000,
        }
    }

    /// A table with its rows. The key is the columns described as `… key`.
    pub(super) fn table(
        mut self,
        name: &str,
        columns: &[(&str, &str)],
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> Self {
        let is_key = |described: &str| described.split(' ').any(|word| word == "key");
        let key = columns.iter().filter(|(_, d)| is_key(d)).map(|(name, _)| (*name).to_owned());
        let table = Table::new(
            LegacyTable::new("dbo", name),
            columns.iter().map(|(name, described)| column(name, described)).collect(),
            key.collect(),
        );
        self.catalog.tables.push(table);
        self.rows.insert(name.to_owned(), rows.into_iter().collect());
        self
    }

    /// Changes the last table.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Table)) -> Self {
        change(self.catalog.tables.last_mut().expect("a table"));
        self
    }

    pub(super) fn unique(self, columns: &[&str]) -> Self {
        let columns = columns.iter().map(ToString::to_string).collect();
        let index = UniqueIndex { name: "iUnique".to_owned(), columns, filter: None };
        self.with(|table| table.unique_indexes.push(index))
    }

    pub(super) fn refers(self, column: &str, parent: &str, key: &str) -> Self {
        let foreign_key = ForeignKey {
            name: format!("FK_{column}"),
            columns: vec![column.to_owned()],
            references: LegacyTable::new("dbo", parent),
            referenced_columns: vec![key.to_owned()],
        };
        self.with(|table| table.foreign_keys.push(foreign_key))
    }

    pub(super) fn assess(&self) -> Vec<TableAssessment> {
        let survey = Survey::new(&self.catalog);
        let selected = survey.select(&[]).expect("all");
        let cdc = CdcState { enabled: self.cdc, max_lsn: None };
        let known = Known { cdc, sizes: BTreeMap::new(), types: Some(self.types.clone()) };
        let subjects: Vec<_> = survey
            .reading_order(&selected, true)
            .into_iter()
            .filter_map(|(at, depth)| survey.subject(at, depth))
            .collect();
        let mut book = Book::new(&survey, &known, &selected, true);
        let mut keys = Keys::new(self.catalog.tables.len(), self.keys_max);
        let mut open = Vec::new();
        for subject in &subjects {
            let context = Context { types: known.types.as_ref(), clock: self.clock.as_ref() };
            let root_of = |table: &LegacyTable| survey.root_of(survey.place(table)?);
            let leaves = survey.leaves(subject.at);
            let mut sheet = Sheet::new(subject, context, &leaves, true, root_of);
            for row in self.rows.get(&subject.table.table.name).into_iter().flatten() {
                sheet.look(row, &mut keys);
            }
            open.extend(book.take(sheet, Ending::Whole, &mut keys).map(|open| (subject, open)));
        }
        for (subject, open) in open {
            book.settle(subject, open, &keys);
        }
        book.close()
    }

    /// The hazards of a table, but those of some codes: `code columns count examples`.
    pub(super) fn hazards(&self, table: &str, but: &[&str]) -> Vec<String> {
        let assessed = self.assess();
        let found = assessed.iter().find(|a| a.table.name == table).expect("assessed");
        let wanted = found.hazards.iter().filter(|h| !but.contains(&h.code.as_str()));
        wanted.map(shown).collect()
    }

    pub(super) fn facts(&self, table: &str, column: &str) -> ColumnFacts {
        let assessed = self.assess();
        let found = assessed.iter().find(|a| a.table.name == table).expect("assessed");
        found.columns.iter().find(|facts| facts.name == column).expect("a column").clone()
    }
}

fn shown(hazard: &Hazard) -> String {
    let count = hazard.count.map_or(String::new(), |count| format!(" {count}"));
    let examples = hazard.examples.join(" ");
    let examples = if examples.is_empty() { examples } else { format!(": {examples}") };
    format!("{} {}{count}{examples}", hazard.code, hazard.columns.join("+"))
}

/// Rows with keys from 1 and one value each.
pub(super) fn numbered(values: impl IntoIterator<Item = Value>) -> Vec<Vec<Value>> {
    values.into_iter().zip(1..).map(|(value, n)| vec![int(n), value]).collect()
}

/// A table `T` of a key and one column `name`.
pub(super) fn one(name: &str, described: &str, values: impl IntoIterator<Item = Value>) -> Base {
    Base::new().table(
        "T",
        &[("OID", "int not null identity key"), (name, described)],
        numbered(values),
    )
}
