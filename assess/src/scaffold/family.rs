//! Hierarchies with a table for each class (TPT), as far as one entity can be made of several tables.
//!
//! A root row and a leaf row are one entity. A root may be shared by leaves, because `ObjectType`
//! tells whose row it is; a table between root and leaf can't, so a deeper class becomes an
//! entity of its own that refers to the one above it.

use std::collections::BTreeMap;

use mapping::catalog::{Catalog, LegacyTable, Table};

use crate::kind::{Hierarchy, TableKind, classify};

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

/// Every table's kind and place.
pub(super) struct Families<'c> {
    catalog: &'c Catalog,
    kinds: BTreeMap<LegacyTable, TableKind>,
    dictionary: Option<&'c Table>,
}

impl<'c> Families<'c> {
    pub(super) fn of(catalog: &'c Catalog) -> Self {
        let is_dictionary = |table: &&Table| {
            table.table.name.eq_ignore_ascii_case("XPObjectType")
                && ["OID", "TypeName"].iter().all(|name| table.column(name).is_some())
        };
        Self {
            catalog,
            kinds: classify(catalog).into_iter().collect(),
            dictionary: catalog.tables.iter().find(is_dictionary),
        }
    }

    /// XPO's dictionary of types, where the database has one.
    pub(super) fn dictionary(&self) -> Option<&'c Table> {
        self.dictionary
    }

    pub(super) fn kind(&self, table: &Table) -> Option<&TableKind> {
        self.kinds.get(&table.table)
    }

    /// Whether XPO or XAF keeps the table for itself.
    pub(super) fn is_system(&self, table: &Table) -> bool {
        self.kind(table).is_some_and(|kind| kind.system)
    }

    pub(super) fn place(&self, table: &'c Table) -> Place<'c> {
        match self.ancestors(table).as_slice() {
            [] if self.descendants(table).is_empty() => Place::Alone,
            [] => Place::Root,
            [root] => Place::Leaf { root },
            [parent, ..] => Place::Deeper { parent },
        }
    }

    /// The tables above, the nearest first. None below a table that does not tell its rows' types,
    /// or where two tables' keys refer to each other: those are rows one to one, no hierarchy.
    fn ancestors(&self, table: &'c Table) -> Vec<&'c Table> {
        let mut found: Vec<&'c Table> = Vec::new();
        let mut here = table;
        while let Some(parent) = self.parent(here) {
            if parent == table || found.contains(&parent) {
                return Vec::new();
            }
            found.push(parent);
            here = parent;
        }
        let is_root = here.column("ObjectType").is_some() && self.dictionary.is_some();
        if is_root && !self.is_system(here) { found } else { Vec::new() }
    }

    fn parent(&self, table: &Table) -> Option<&'c Table> {
        match &self.kind(table)?.hierarchy {
            Hierarchy::TptLeaf { root } => self.catalog.table(root),
            Hierarchy::None | Hierarchy::TptRoot { .. } | Hierarchy::TphRoot => None,
        }
    }

    /// The tables below, and below those.
    pub(super) fn descendants(&self, table: &'c Table) -> Vec<&'c Table> {
        let below = |candidate: &&'c Table| self.ancestors(candidate).contains(&table);
        self.catalog.tables.iter().filter(below).collect()
    }

    /// The leaves whose entities a root's rows belong to.
    pub(super) fn leaves(&self, root: &'c Table) -> Vec<&'c Table> {
        let ours = |leaf: &&'c Table| self.place(leaf) == Place::Leaf { root };
        self.catalog.tables.iter().filter(ours).collect()
    }

    /// A table with all that its entity can't be made without.
    pub(super) fn with_ancestors(&self, table: &'c Table) -> Vec<&'c Table> {
        let mut all = vec![table];
        all.extend(self.ancestors(table));
        all
    }
}
