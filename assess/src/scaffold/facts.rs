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

    pub(super) fn column(&self, table: &Table, column: &Column) -> Option<&'a ColumnFacts> {
        let facts = self.table(&table.table)?.columns.iter();
        facts.into_iter().find(|facts| facts.name.eq_ignore_ascii_case(&column.name))
    }

    /// Why a column looks dead: nobody ever wrote it.
    pub(super) fn dead(&self, table: &Table, column: &Column) -> Option<String> {
        let rows = self.table(&table.table).filter(|table| table.read_whole)?.rows;
        let facts = self.column(table, column)?;
        (rows > 0 && facts.nulls == rows).then(|| format!("NULL in all {rows} rows"))
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

    /// Dates of the column that mean something else, oldest first: those that the hazard's
    /// sentences name.
    pub(super) fn sentinels(&self, table: &Table, column: &Column) -> Vec<String> {
        let Some(hazard) = self.hazard(table, column, "sentinel") else { return Vec::new() };
        let mut found: Vec<String> =
            [&hazard.message, &hazard.advice].into_iter().flat_map(|text| dates(text)).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Full names of the types that the table's rows have, where the assessment tells them.
    pub(super) fn types(&self, table: &Table) -> Vec<String> {
        let Some(assessed) = self.table(&table.table) else { return Vec::new() };
        let mut found: Vec<String> = Vec::new();
        for hazard in assessed.hazards.iter().filter(|hazard| hazard.code.starts_with("type")) {
            for name in [&hazard.message, &hazard.advice].into_iter().flat_map(|text| quoted(text))
            {
                if !found.contains(&name) {
                    found.push(name);
                }
            }
        }
        found
    }
}

/// The ISO dates in a sentence.
fn dates(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '-');
    let is_date = |word: &&str| {
        let parts: Vec<usize> = word.split('-').map(str::len).collect();
        parts == [4, 2, 2]
    };
    words.filter(is_date).map(str::to_owned).collect()
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
        let advice = "write sentinels = { \"1753-01-01\" = \"null\" }; 9999-12-31 too, not 2024-1";
        assert_eq!(dates(advice), ["1753-01-01", "9999-12-31"]);
        let advice = "write type = \"App.Owner\" or `App.Tenant`, as in \"a sentence. Or two\"";
        assert_eq!(quoted(advice), ["App.Owner", "App.Tenant"]);
    }
}
