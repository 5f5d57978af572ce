//! What all drafts stand in: the catalogue, and what is asked of it again and again.

use std::collections::BTreeMap;

use mapping::catalog::{Catalog, Table};

use super::{
    Choices,
    facts::Facts,
    family::{Families, Place},
    outline::base_name,
    words::{singular, snake, words},
};

pub(super) struct Room<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) families: Families<'c>,
    pub(super) facts: Facts<'c>,
    pub(super) choices: &'c Choices,
    by_name: BTreeMap<String, Vec<&'c Table>>,
    composites: Vec<&'c Table>,
    hubs: Vec<Vec<String>>,
}

impl<'c> Room<'c> {
    pub(super) fn new(catalog: &'c Catalog, facts: Facts<'c>, choices: &'c Choices) -> Self {
        let families = Families::of(catalog);
        let mut by_name: BTreeMap<String, Vec<&'c Table>> = BTreeMap::new();
        let mut composites = Vec::new();
        let mut hubs: Vec<Vec<String>> = Vec::new();
        for table in &catalog.tables {
            if families.is_system(table) || families.dictionary() == Some(table) {
                continue;
            }
            if table.primary_key.len() > 1 {
                composites.push(table);
            }
            if families.place(table) != Place::Root {
                hubs.push(words(&table.table.name));
            }
            let base = base_name(table);
            for name in [snake(&table.table.name), singular(&base), base] {
                let known = by_name.entry(name).or_default();
                if !known.contains(&table) {
                    known.push(table);
                }
            }
        }
        hubs.retain(|words| !words.is_empty());
        Self { catalog, families, facts, choices, by_name, composites, hubs }
    }

    /// The tables that are called so, in `snake_case` and in the singular.
    pub(super) fn named(&self, name: &str) -> &[&'c Table] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// The tables with a key of several columns.
    pub(super) fn composites(&self) -> &[&'c Table] {
        &self.composites
    }

    /// The words of the names that a domain's tables may begin with.
    pub(super) fn hubs(&self) -> &[Vec<String>] {
        &self.hubs
    }
}
