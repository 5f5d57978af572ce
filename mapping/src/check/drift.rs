//! A saved catalogue against the live one: everything that works offline stands on the former.

use crate::{
    catalog::{Catalog, Column, LegacyTable, Table},
    finding::{Finding, Rule, Subject},
};

/// The differences, one finding each. Indexes, foreign keys and captured columns are compared
/// where both sides know of any: not every reader asks for them.
#[must_use]
pub fn drift(saved: &Catalog, live: &Catalog) -> Vec<Finding> {
    let mut differences = Differences::default();
    if saved.database != live.database {
        let what =
            format!("it is of `{}`, and the server's is `{}`", saved.database, live.database);
        differences.note(Subject::Files, "", what);
    }
    if !saved.collation.eq_ignore_ascii_case(&live.collation) && !live.collation.is_empty() {
        let what = format!("its collation is {}, the server's {}", saved.collation, live.collation);
        differences.note(Subject::Files, "", what);
    }
    let known = Known::by_both(saved, live);
    for table in saved.tables.iter().filter(|table| !is_marker(&table.table)) {
        match live.table(&table.table) {
            Some(other) => differences.table(table, other, known),
            None => {
                let what = format!("the server has no table `{}`", table.table);
                differences.note(Subject::Table(table.table.clone()), &table.table.name, what);
            }
        }
    }
    let new = live.tables.iter().filter(|table| saved.table(&table.table).is_none());
    for table in new.filter(|table| !is_marker(&table.table)) {
        let what = format!("the server has a table `{}`, which is not in it", table.table);
        differences.note(Subject::Table(table.table.clone()), &table.table.name, what);
    }
    differences.found
}

fn is_marker(table: &LegacyTable) -> bool {
    table.name == "ficus_marker"
}

/// What both catalogues were asked for.
#[derive(Debug, Clone, Copy)]
struct Known {
    unique_indexes: bool,
    foreign_keys: bool,
    captured_columns: bool,
}

impl Known {
    fn by_both(saved: &Catalog, live: &Catalog) -> Self {
        let both =
            |has: fn(&Table) -> bool| saved.tables.iter().any(has) && live.tables.iter().any(has);
        Self {
            unique_indexes: both(|table| !table.unique_indexes.is_empty()),
            foreign_keys: both(|table| !table.foreign_keys.is_empty()),
            captured_columns: both(|table| !table.captured_columns.is_empty()),
        }
    }
}

#[derive(Default)]
struct Differences {
    found: Vec<Finding>,
}

impl Differences {
    fn note(&mut self, subject: Subject, about: &str, what: String) {
        let message = format!("the saved catalogue is out of date: {what}");
        let help = "save it again (ficus catalog save), and see what the mapping has to say of it";
        self.found.push(Finding::new(Rule::CatalogueDiffers, subject, about, message, help));
    }

    fn table(&mut self, saved: &Table, live: &Table, known: Known) {
        let name = &saved.table;
        let subject = || Subject::Table(name.clone());
        for column in &saved.columns {
            match live.column(&column.name) {
                Some(other) => self.column(name, column, other),
                None => {
                    let what = format!("the server has no column `{name}.{}`", column.name);
                    self.note(subject(), &column.name, what);
                }
            }
        }
        for column in live.columns.iter().filter(|column| saved.column(&column.name).is_none()) {
            let what = format!(
                "the server has a column `{name}.{}` ({}), which is not in it",
                column.name, column.sql_type
            );
            self.note(subject(), &column.name, what);
        }
        let mut compare = |what: &str, saved: String, live: String| {
            if saved != live {
                let or_none = |text: String| if text.is_empty() { "none".into() } else { text };
                let what = format!(
                    "{what} of `{name}` is {} there, and {} on the server",
                    or_none(saved),
                    or_none(live)
                );
                self.note(subject(), "", what);
            }
        };
        compare("the primary key", saved.primary_key.join(", "), live.primary_key.join(", "));
        let instance = |table: &Table| table.capture_instance.clone().unwrap_or_default();
        compare("the capture instance", instance(saved), instance(live));
        if known.captured_columns {
            let columns = |table: &Table| sorted(table.captured_columns.iter().cloned());
            compare("the list of captured columns", columns(saved), columns(live));
        }
        if known.unique_indexes {
            let unique = |table: &Table| {
                sorted(table.unique_indexes.iter().map(|index| {
                    let filter = index.filter.as_deref().unwrap_or_default();
                    format!("{} ({}){filter}", index.name, index.columns.join(", "))
                }))
            };
            compare("the list of unique indexes", unique(saved), unique(live));
        }
        if known.foreign_keys {
            let keys = |table: &Table| {
                sorted(table.foreign_keys.iter().map(|key| {
                    format!("{} ({}) to {}", key.name, key.columns.join(", "), key.references)
                }))
            };
            compare("the list of foreign keys", keys(saved), keys(live));
        }
    }

    fn column(&mut self, table: &LegacyTable, saved: &Column, live: &Column) {
        let describe = |column: &Column| {
            let mut text = column.sql_type.to_string();
            text.push_str(if column.nullable { " null" } else { " not null" });
            if column.computed {
                text.push_str(" computed");
            }
            if let Some(collation) = &column.collation {
                text.push_str(" collate ");
                text.push_str(collation);
            }
            text
        };
        let (saved_as, live_as) = (describe(saved), describe(live));
        if saved_as != live_as {
            let what = format!(
                "`{table}.{}` is {saved_as} there, and {live_as} on the server",
                saved.name
            );
            self.note(Subject::Table(table.clone()), &saved.name, what);
        }
    }
}

fn sorted(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.join(", ")
}
