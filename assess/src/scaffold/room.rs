//! What all drafts stand in: the catalogue, and what is told from it once.

use std::collections::BTreeMap;

use mapping::catalog::{Catalog, LegacyTable, Table};

use super::{Choices, facts::Facts, family::Families};
use crate::{domain::propose, kind::classify, reference};

pub(super) struct Room<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) families: Families<'c>,
    pub(super) facts: Facts<'c>,
    pub(super) choices: &'c Choices,
    domains: BTreeMap<LegacyTable, String>,
    references: BTreeMap<LegacyTable, Vec<reference::Reference>>,
}

impl<'c> Room<'c> {
    pub(super) fn new(catalog: &'c Catalog, facts: Facts<'c>, choices: &'c Choices) -> Self {
        let kinds = classify(catalog);
        let found = reference::find(catalog, &kinds);
        let names = catalog.tables.iter().map(|table| table.table.clone());
        let domains = names.zip(propose(catalog, &kinds, &found));
        let domains = domains.filter_map(|(table, domain)| Some((table, domain?))).collect();
        let mut references: BTreeMap<LegacyTable, Vec<reference::Reference>> = BTreeMap::new();
        for reference in found {
            references.entry(reference.table.clone()).or_default().push(reference);
        }
        let families = Families::of(catalog, kinds);
        Self { catalog, families, facts, choices, domains, references }
    }

    /// The domain that the assessment proposes, or would.
    pub(super) fn domain(&self, table: &Table) -> Option<&str> {
        let assessed = self.facts.table(&table.table).and_then(|table| table.domain.as_deref());
        assessed.or_else(|| self.domains.get(&table.table).map(String::as_str))
    }

    /// What a table's columns refer to, by a constraint or by their names.
    pub(super) fn references(&self, table: &Table) -> &[reference::Reference] {
        self.references.get(&table.table).map_or(&[], Vec::as_slice)
    }
}
