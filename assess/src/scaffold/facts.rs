//! What an assessment adds to the catalogue; nothing, where there is none.
//!
//! The only file of the scaffold that reads an assessment.

use mapping::catalog::{Column, LegacyTable, Table};

use crate::assessment::{Assessment, ColumnFacts, Hazard, TableAssessment};

/// What is known of the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    assessment: Option<&'a Assessment>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(assessment: Option<&'a Assessment>) -> Self {
        Self { assessment }
    }

    pub(super) fn table(&self, name: &LegacyTable) -> Option<&'a TableAssessment> {
        let same = |table: &&TableAssessment| {
            table.table.schema.eq_ignore_ascii_case(&name.schema)
                && table.table.name.eq_ignore_ascii_case(&name.name)
        };
        self.assessment?.tables.iter().find(same)
    }

    /// Whether rows were read, and all of them: what a column never held is known only then.
    pub(super) fn is_read(&self, table: &Table) -> bool {
        self.table(&table.table).is_some_and(|table| table.read_whole && table.rows > 0)
    }

    pub(super) fn column(&self, table: &Table, column: &Column) -> Option<&'a ColumnFacts> {
        let facts = self.table(&table.table)?.columns.iter();
        facts.into_iter().find(|facts| facts.name.eq_ignore_ascii_case(&column.name))
    }

    /// Why a column looks dead: nobody ever wrote it.
    pub(super) fn dead(&self, table: &Table, column: &Column) -> Option<String> {
        let rows = self.table(&table.table).filter(|table| table.read_whole)?.rows;
        let facts = self.column(table, column)?;
        (rows > 0 && facts.nulls == rows).then(|| format!("NULL in all {}", count(rows)))
    }

    /// A hazard of a column, by what its code contains.
    pub(super) fn hazard(&self, table: &Table, column: &Column, code: &str) -> Option<&'a Hazard> {
        let hazards = self.table(&table.table)?.hazards.iter();
        let concerns = |hazard: &&Hazard| {
            hazard.code.contains(code)
                && hazard.columns.iter().any(|name| name.eq_ignore_ascii_case(&column.name))
        };
        hazards.into_iter().find(concerns)
    }

    /// Whether all rows were read, and they do not say that the column refers to what its name says.
    pub(super) fn is_no_reference(&self, table: &Table, column: &Column) -> bool {
        let says = |code| self.hazard(table, column, code).is_some();
        self.is_read(table) && !says("reference.loose") && !says("reference.unchecked")
    }

    /// Dates of the column that mean something else, oldest first, with what they mean: those
    /// that the hazard's sentences name.
    pub(super) fn sentinels(&self, table: &Table, column: &Column) -> Vec<(String, &'static str)> {
        let Some(hazard) = self.hazard(table, column, "sentinel") else { return Vec::new() };
        let mut found: Vec<(String, &'static str)> =
            [&hazard.advice, &hazard.message].into_iter().flat_map(|text| dates(text)).collect();
        // What the advice means goes before what the message only mentions.
        found.sort_by(|(left, _), (right, _)| left.cmp(right));
        found.dedup_by(|(later, _), (earlier, _)| later == earlier);
        found
    }

    /// What else the data says of a column that a mapping has to answer.
    pub(super) fn open_hazards(&self, table: &Table, column: &Column) -> Vec<String> {
        let found = ASKED.iter().filter_map(|code| self.hazard(table, column, code));
        let told = found.map(|hazard| {
            let rows = hazard.count.map_or_else(String::new, |rows| format!(" ({})", count(rows)));
            format!("{}{rows}: {}", hazard.code, hazard.message)
        });
        told.collect()
    }

    /// Full names of the types that the table's rows have, where the assessment tells them.
    pub(super) fn types(&self, table: &Table) -> Vec<String> {
        let Some(assessed) = self.table(&table.table) else { return Vec::new() };
        let tables = self.assessment.map(|all| all.tables.as_slice()).unwrap_or_default();
        let is_table = |name: &String| tables.iter().any(|t| t.table.to_string() == *name);
        let mut found: Vec<String> = Vec::new();
        for hazard in assessed.hazards.iter().filter(|hazard| hazard.code.starts_with("type.")) {
            for name in [&hazard.message, &hazard.advice].into_iter().flat_map(|text| quoted(text))
            {
                if !found.contains(&name) && !is_table(&name) {
                    found.push(name);
                }
            }
        }
        found
    }
}

/// So many rows, in words.
pub(super) fn count(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// Hazards that are asked in their own words; the others have a rule here, or nothing to decide.
const ASKED: [&str; 6] =
    ["date.time", "zone.gap", "zone.overlap", "time.precision", "guid.empty", "reference.partial"];

/// The ISO dates in a sentence, with what follows them as in `"9999-12-31" = "infinity"`.
fn dates(text: &str) -> Vec<(String, &'static str)> {
    let mut found: Vec<(String, &'static str)> = Vec::new();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '-').collect();
    let mut words = words.into_iter().filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        let parts: Vec<usize> = word.split('-').map(str::len).collect();
        if parts != [4, 2, 2] || !word.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let meaning = match words.peek() {
            Some(&"infinity") => "infinity",
            Some(&"-infinity") => "-infinity",
            _ => "null",
        };
        found.push((word.to_owned(), meaning));
    }
    found
}

/// Quoted names with a dot in them and without a blank: types with their namespaces.
fn quoted(text: &str) -> Vec<String> {
    let inside = text.split(['"', '`']).skip(1).step_by(2);
    let is_type = |name: &&str| name.contains('.') && !name.contains(char::is_whitespace);
    inside.filter(is_type).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_types_are_read_from_sentences() {
        let advice =
            "sentinels = { \"1753-01-01\" = \"null\", \"9999-12-31\" = \"infinity\" }, not 2024-1";
        let expected = [("1753-01-01".to_owned(), "null"), ("9999-12-31".to_owned(), "infinity")];
        assert_eq!(dates(advice), expected);
        let advice = "write type = \"App.Owner\" or `App.Tenant`, as in \"a sentence. Or two\"";
        assert_eq!(quoted(advice), ["App.Owner", "App.Tenant"]);
    }
}
