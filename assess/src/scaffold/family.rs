//! Hierarchies with a table for each class (TPT), as far as one entity can be made of several
//! tables.
//!
//! A root row and a leaf row are one entity. A root may be shared by leaves, because `ObjectType`
//! tells whose row it is; a table between root and leaf can't, so a deeper class becomes an
//! entity of its own that refers to the one above it.

use std::collections::BTreeMap;

use mapping::catalog::{Catalog, LegacyTable, Table};

use crate::kind::{Hierarchy, TableKind};

/// Where a table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'c> {
    /// An entity by itself.
    Alone,
    /// Its rows belong to its leaves' entities.
    Root,
    /// The second part of an entity whose first part is the root.
    Leaf { root: &'c Table },
    /// A class below a leaf: an entity by itself, one row for each of its parent's.
    Deeper { parent: &'c Table },
}

/// A table's kind and its relatives.
struct Member<'c> {
    kind: TableKind,
    /// The nearest first.
    ancestors: Vec<&'c Table>,
    /// In the catalogue's order.
    descendants: Vec<&'c Table>,
}

/// Every table's kind and place.
pub(super) struct Families<'c> {
    members: BTreeMap<LegacyTable, Member<'c>>,
    dictionary: Option<&'c Table>,
}

impl<'c> Families<'c> {
    pub(super) fn of(catalog: &'c Catalog, kinds: Vec<(LegacyTable, TableKind)>) -> Self {
        let is_dictionary = |table: &&Table| {
            table.table.name.eq_ignore_ascii_case("XPObjectType")
                && ["OID", "TypeName"].iter().all(|name| table.column(name).is_some())
        };
        let dictionary = catalog.tables.iter().find(is_dictionary);
        let kinds: BTreeMap<LegacyTable, TableKind> = kinds.into_iter().collect();
        let mut members: BTreeMap<LegacyTable, Member<'c>> = BTreeMap::new();
        for (name, kind) in &kinds {
            let ancestors =
                if dictionary.is_some() { ancestors(catalog, &kinds, name) } else { Vec::new() };
            let kind = kind.clone();
            members.insert(name.clone(), Member { kind, ancestors, descendants: Vec::new() });
        }
        for table in &catalog.tables {
            let above: Vec<&Table> = members
                .get(&table.table)
                .map(|member| member.ancestors.clone())
                .unwrap_or_default();
            for ancestor in above {
                if let Some(member) = members.get_mut(&ancestor.table) {
                    member.descendants.push(table);
                }
            }
        }
        Self { members, dictionary }
    }

    /// XPO's dictionary of types, where the database has one.
    pub(super) fn dictionary(&self) -> Option<&'c Table> {
        self.dictionary
    }

    pub(super) fn kind(&self, table: &Table) -> Option<&TableKind> {
        self.members.get(&table.table).map(|member| &member.kind)
    }

    /// Whether XPO or XAF keeps the table for itself.
    pub(super) fn is_system(&self, table: &Table) -> bool {
        self.kind(table).is_some_and(|kind| kind.system)
    }

    pub(super) fn place(&self, table: &Table) -> Place<'c> {
        match self.ancestors(table) {
            [] if self.descendants(table).is_empty() => Place::Alone,
            [] => Place::Root,
            [root] => Place::Leaf { root },
            [parent, ..] => Place::Deeper { parent },
        }
    }

    /// The tables above, the nearest first.
    pub(super) fn ancestors(&self, table: &Table) -> &[&'c Table] {
        self.members.get(&table.table).map_or(&[], |member| member.ancestors.as_slice())
    }

    /// The tables below, and below those.
    pub(super) fn descendants(&self, table: &Table) -> &[&'c Table] {
        self.members.get(&table.table).map_or(&[], |member| member.descendants.as_slice())
    }

    /// How many entities a root's rows are shared by.
    pub(super) fn leaf_count(&self, root: &Table) -> usize {
        let is_leaf = |below: &&&Table| matches!(self.place(below), Place::Leaf { .. });
        self.descendants(root).iter().filter(is_leaf).count()
    }
}

/// The tables above, the nearest first. None below a table that does not tell its rows' types, or
/// where two tables' keys refer to each other: those are rows one to one, and no hierarchy.
fn ancestors<'c>(
    catalog: &'c Catalog,
    kinds: &BTreeMap<LegacyTable, TableKind>,
    table: &LegacyTable,
) -> Vec<&'c Table> {
    let mut found: Vec<&'c Table> = Vec::new();
    let mut here = table;
    while let Some(Hierarchy::TptLeaf { root }) = kinds.get(here).map(|kind| &kind.hierarchy) {
        let Some(parent) = catalog.table(root) else { return Vec::new() };
        if parent.table == *table || found.contains(&parent) {
            return Vec::new();
        }
        found.push(parent);
        here = &parent.table;
    }
    let is_system = kinds.get(here).is_some_and(|kind| kind.system);
    let tells = found.last().is_some_and(|root| root.column("ObjectType").is_some());
    if tells && !is_system { found } else { Vec::new() }
}
