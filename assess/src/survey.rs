//! What the catalogue alone says: kinds, references, domains, what is read and in which order.

use std::collections::{BTreeMap, BTreeSet};

use mapping::catalog::{Catalog, LegacyTable};

use crate::{
    Error, domain,
    kind::{self, Hierarchy, TableKind},
    order::parents_first,
    reference::{self, Reference, is_ours, is_same},
    subject::Subject,
};

/// A catalogue, understood.
pub(crate) struct Survey<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) kinds: Vec<(LegacyTable, TableKind)>,
    pub(crate) references: Vec<Reference>,
    pub(crate) domains: Vec<Option<String>>,
}

/// How much of a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Every column.
    Whole,
    /// Only what others' references are checked by.
    Keys,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        let kinds = kind::classify(catalog);
        let references = reference::find(catalog, &kinds);
        let domains = domain::propose(catalog, &kinds, &references);
        Self { catalog, kinds, references, domains }
    }

    /// The place of a table in the catalogue.
    pub(crate) fn place(&self, table: &LegacyTable) -> Option<usize> {
        self.catalog.tables.iter().position(|other| is_same(&other.table, table))
    }

    /// The tables of these names, as `Contract` or `dbo.Contract`; without a name all but
    /// XPO's own and this engine's.
    pub(crate) fn select(&self, names: &[String]) -> Result<BTreeSet<usize>, Error> {
        if names.is_empty() {
            let all = self.catalog.tables.iter().zip(&self.kinds).enumerate();
            let own = all.filter(|(_, (table, (_, kind)))| !kind.system && !is_ours(table));
            return Ok(own.map(|(at, _)| at).collect());
        }
        names.iter().map(|name| self.named(name)).collect()
    }

    fn named(&self, name: &str) -> Result<usize, Error> {
        let bare = name.replace(['[', ']'], "");
        let (schema, table) = bare.split_once('.').unwrap_or(("dbo", &bare));
        self.place(&LegacyTable::new(schema, table)).ok_or_else(|| Error::Unknown {
            database: self.catalog.database.clone(),
            name: name.to_owned(),
            near: self.near(table),
        })
    }

    /// The table whose name shares the longest beginning with what was named, and is nearest to
    /// it in length.
    fn near(&self, name: &str) -> Option<LegacyTable> {
        let length = |table: &LegacyTable| table.name.len().abs_diff(name.len());
        let common = |table: &LegacyTable| {
            let pairs = table.name.chars().zip(name.chars());
            pairs.take_while(|(a, b)| a.to_lowercase().eq(b.to_lowercase())).count()
        };
        let tables = self.catalog.tables.iter().map(|table| &table.table);
        let nearest =
            tables.max_by_key(|table| (common(table), std::cmp::Reverse(length(table))))?;
        (common(nearest) >= 3).then(|| nearest.clone())
    }

    /// What is read, parents before their children. `across`: whether references are checked,
    /// for which the keys of other tables are needed too.
    pub(crate) fn reading_order(
        &self,
        selected: &BTreeSet<usize>,
        across: bool,
    ) -> Vec<(usize, Depth)> {
        let mut tables: Vec<(usize, Depth)> =
            selected.iter().map(|&at| (at, Depth::Whole)).collect();
        if across {
            let asked = self.asked_for(selected);
            tables.extend(asked.difference(selected).map(|&at| (at, Depth::Keys)));
        }
        let place: BTreeMap<usize, usize> =
            tables.iter().enumerate().map(|(index, (at, _))| (*at, index)).collect();
        let of = |table: &LegacyTable| place.get(&self.place(table)?).copied();
        let edges = self.references.iter().filter_map(|r| Some((of(&r.table)?, of(&r.parent)?)));
        let order = parents_first(tables.len(), edges);
        order.into_iter().filter_map(|index| tables.get(index).copied()).collect()
    }

    /// The tables whose keys are needed to check the references of these.
    fn asked_for(&self, selected: &BTreeSet<usize>) -> BTreeSet<usize> {
        let is_of =
            |table: &LegacyTable| self.place(table).is_some_and(|at| selected.contains(&at));
        let of_selected = self.references.iter().filter(|reference| is_of(&reference.table));
        let mut asked: BTreeSet<usize> =
            of_selected.filter_map(|reference| self.place(&reference.parent)).collect();
        for at in selected {
            asked.extend(self.leaves(*at).into_iter().map(|(_, leaf)| leaf));
        }
        // What is deleted is known to the roots alone.
        let roots: Vec<usize> =
            asked.iter().chain(selected).filter_map(|&at| self.root_of(at)).collect();
        asked.extend(roots);
        asked
    }

    /// A table, ready to be read so deep.
    pub(crate) fn subject(&self, at: usize, depth: Depth) -> Option<Subject<'_>> {
        let keys_only = depth == Depth::Keys;
        Subject::new(self.catalog, &self.kinds, &self.references, at, keys_only)
    }

    /// The topmost table of a leaf's hierarchy.
    pub(crate) fn root_of(&self, at: usize) -> Option<usize> {
        kind::root_of(self.catalog, &self.kinds, at)
    }

    /// All leaf tables below a root, by name.
    pub(crate) fn leaves(&self, at: usize) -> Vec<(String, usize)> {
        let is_root = matches!(
            self.kinds.get(at).map(|(_, kind)| &kind.hierarchy),
            Some(Hierarchy::TptRoot { .. })
        );
        let tables = self.catalog.tables.iter().enumerate().filter(|_| is_root);
        tables
            .filter(|(leaf, _)| self.root_of(*leaf) == Some(at))
            .map(|(leaf, table)| (table.table.name.clone(), leaf))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(names: &[&str], across: bool) -> Vec<String> {
        let catalog = spacehub::catalog().expect("the fixture");
        let survey = Survey::new(&catalog);
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let selected = survey.select(&names).expect("tables of the fixture");
        let shown = |(at, depth): (usize, Depth)| {
            let name = &survey.catalog.tables[at].table.name;
            if depth == Depth::Keys { format!("{name}'s keys") } else { name.clone() }
        };
        survey.reading_order(&selected, across).into_iter().map(shown).collect()
    }

    #[test]
    fn parents_come_before_their_children() {
        let all = order(&[], true);
        assert_eq!(all.len(), 19, "XPO's own are not read");
        let place = |name: &str| all.iter().position(|other| other == name).expect("read");
        for (parent, child) in [
            ("Party", "Tenant"),
            ("Tenant", "Contract"),
            ("Contract", "ContractItem"),
            ("Space", "ContractItem"),
            ("Contract", "Invoice"),
            ("Payment", "PaymentAllocation"),
        ] {
            assert!(place(parent) < place(child), "{parent} {child}");
        }
    }

    #[test]
    fn of_tables_that_are_referred_to_the_keys_are_read() {
        assert_eq!(order(&["dbo.contract"], true), ["Party's keys", "Tenant's keys", "Contract"]);
        assert_eq!(order(&["Party"], true), ["Party", "Owner's keys", "Tenant's keys"]);
        assert_eq!(order(&["[dbo].[Contract]"], false), ["Contract"]);
        assert_eq!(order(&["XPWeakReference"], true), ["XPWeakReference"]);
    }

    #[test]
    fn an_unknown_table_is_told_with_the_nearest() {
        let catalog = spacehub::catalog().expect("the fixture");
        let survey = Survey::new(&catalog);
        let error = survey.select(&["Contracts".to_owned()]).expect_err("no such table");
        assert_eq!(error.to_string(), "the legacy database `Spacehub23` has no table `Contracts`");
        assert_eq!(error.hint(), "did you mean dbo.Contract?");
    }

    /// A thousand tables, each of which refers to the one before it by a constraint and to
    /// another by its name: nothing here may look at every pair of tables twice.
    #[test]
    fn a_large_catalogue_is_understood() {
        let mut catalog = spacehub::catalog().expect("the fixture");
        let invoice = LegacyTable::new("dbo", "Invoice");
        let pattern = catalog.table(&invoice).cloned().expect("a table to copy");
        catalog.tables.clear();
        for number in 0..1000 {
            let mut table = pattern.clone();
            table.table.name = format!("T{number:04}Row");
            table.foreign_keys = vec![mapping::catalog::ForeignKey {
                name: "FK".to_owned(),
                columns: vec!["Status".to_owned()],
                references: LegacyTable::new("dbo", format!("T{:04}Row", (number + 1) % 1000)),
                referenced_columns: vec!["OID".to_owned()],
            }];
            if let Some(column) = table.columns.get_mut(1) {
                column.name = format!("T{:04}Row_ID", (number + 7) % 1000);
                column.sql_type = mapping::catalog::SqlType::Int;
            }
            catalog.tables.push(table);
        }
        let survey = Survey::new(&catalog);
        assert_eq!(survey.references.len(), 2000);
        let all = survey.select(&[]).expect("all");
        assert_eq!(survey.reading_order(&all, true).len(), 1000);
    }
}
