//! Which domain a table is likely to belong to: a first cut for people to move.
//!
//! The rule, in the order in which it is applied:
//!
//! 1. A table of XPO's or XAF's own has none.
//! 2. A table is *part of* another when it could not be without it:
//!    a leaf of its root (TPT); rows of a collection (a link table) of the class that its name
//!    begins with, else of the first that it refers to; a table whose key contains a reference,
//!    of that parent; a table that refers to another and whose name begins with the other's
//!    (`InvoiceLine` of `Invoice`).
//! 3. What is part of nothing is a *hub*; its parts, and their parts, are its domain.
//! 4. A hub without parts that refers to nothing, and that only one other domain refers to, is
//!    that domain's dictionary and goes with it.
//!
//! A domain is named after its hub, in the plural. Domains come in the order in which they are
//! best ported: one that is referred to before those that refer to it.

use mapping::catalog::{Catalog, LegacyTable};

use crate::{
    kind::{BaseClass, TableKind},
    names::{plural, words},
    order::parents_first,
    reference::{Reference, is_ours, is_same},
};

/// Each table's domain, in the catalogue's order.
#[must_use]
pub fn propose(
    catalog: &Catalog,
    kinds: &[(LegacyTable, TableKind)],
    references: &[Reference],
) -> Vec<Option<String>> {
    let graph = Graph::new(catalog, kinds, references);
    let hubs: Vec<Option<usize>> = (0..catalog.tables.len()).map(|at| graph.hub(at)).collect();
    let hubs = graph.with_dictionaries(hubs);
    let name = |hub: usize| {
        let table = catalog.tables.get(hub)?;
        let stem = strip(&table.table.name);
        let taken = |other: &&usize| {
            **other != hub
                && catalog.tables.get(**other).is_some_and(|o| strip(&o.table.name) == stem)
        };
        // `User` and `PermissionPolicyUser` are two domains.
        let is_taken = hubs.iter().flatten().any(|other| taken(&other));
        Some(plural(if is_taken { &table.table.name } else { stem }))
    };
    hubs.iter().map(|hub| name((*hub)?)).collect()
}

/// The domains, one that is referred to before those that refer to it, as far as there is such
/// an order; alphabetically where it does not matter.
#[must_use]
pub fn order(
    catalog: &Catalog,
    domains: &[Option<String>],
    references: &[Reference],
) -> Vec<String> {
    let domain_of = |table: &LegacyTable| {
        let at = catalog.tables.iter().position(|other| is_same(&other.table, table))?;
        domains.get(at)?.as_ref()
    };
    let mut names: Vec<&String> = domains.iter().flatten().collect();
    names.sort();
    names.dedup();
    let place = |table: &LegacyTable| names.binary_search(&domain_of(table)?).ok();
    let edges = references.iter().filter_map(|r| Some((place(&r.table)?, place(&r.parent)?)));
    let order = parents_first(names.len(), edges);
    order.into_iter().filter_map(|at| Some((*names.get(at)?).clone())).collect()
}

/// XAF's own prefixes say nothing of the domain.
fn strip(name: &str) -> &str {
    ["PermissionPolicy", "SecuritySystem"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix).filter(|rest| !rest.is_empty()))
        .unwrap_or(name)
}

struct Graph<'a> {
    catalog: &'a Catalog,
    kinds: &'a [(LegacyTable, TableKind)],
    /// From, to, and the reference; both ends migrate.
    edges: Vec<(usize, usize, &'a Reference)>,
}

impl<'a> Graph<'a> {
    fn new(
        catalog: &'a Catalog,
        kinds: &'a [(LegacyTable, TableKind)],
        references: &'a [Reference],
    ) -> Self {
        let mut graph = Self { catalog, kinds, edges: Vec::new() };
        let place = |table: &LegacyTable| {
            let at = catalog.tables.iter().position(|other| is_same(&other.table, table))?;
            graph.migrates(at).then_some(at)
        };
        let edges = references.iter().filter_map(|reference| {
            let (from, to) = (place(&reference.table)?, place(&reference.parent)?);
            (from != to).then_some((from, to, reference))
        });
        graph.edges = edges.collect();
        graph
    }

    fn migrates(&self, at: usize) -> bool {
        let system = self.kinds.get(at).is_none_or(|(_, kind)| kind.system);
        !system && self.catalog.tables.get(at).is_some_and(|table| !is_ours(table))
    }

    /// The table that this one is part of.
    fn whole(&self, at: usize) -> Option<usize> {
        let (table, (_, kind)) = self.catalog.tables.get(at).zip(self.kinds.get(at))?;
        let edges = || self.edges.iter().filter(|(from, ..)| *from == at);
        if let Some((_, root, _)) = edges().find(|(_, _, reference)| reference.inherits) {
            return Some(*root);
        }
        let begins = |to: usize| {
            let parent = self.catalog.tables.get(to)?;
            let (own, other) = (words(&table.table.name), words(&parent.table.name));
            (own.len() > other.len() && own.starts_with(&other)).then_some(other.len())
        };
        // The longest name that this one begins with.
        let named = edges().filter_map(|(_, to, _)| Some((begins(*to)?, *to)));
        let named = named.max_by_key(|(length, _)| *length).map(|(_, to)| to);
        if named.is_some() {
            return named;
        }
        let in_key = |reference: &Reference| {
            reference
                .columns
                .iter()
                .all(|column| table.primary_key.iter().any(|key| key.eq_ignore_ascii_case(column)))
        };
        // In the key's order: a row of a payment's allocation is the payment's.
        let first_place = |reference: &Reference| {
            let place = |column: &String| {
                table.primary_key.iter().position(|key| key.eq_ignore_ascii_case(column))
            };
            reference.columns.iter().filter_map(place).min()
        };
        let of_key = edges().filter(|(_, _, reference)| in_key(reference));
        let of_key = of_key.min_by_key(|(_, _, reference)| first_place(reference));
        let first = || edges().next().filter(|_| kind.base == BaseClass::LinkTable);
        of_key.or_else(first).map(|(_, to, _)| *to)
    }

    /// The hub of a table; `None` for one that does not migrate. In a ring of parts the first
    /// one met again is the hub.
    fn hub(&self, at: usize) -> Option<usize> {
        if !self.migrates(at) {
            return None;
        }
        let mut seen = vec![at];
        let mut current = at;
        while let Some(whole) = self.whole(current) {
            if seen.contains(&whole) {
                return seen.iter().min().copied();
            }
            seen.push(whole);
            current = whole;
        }
        Some(current)
    }

    /// Rule 4.
    fn with_dictionaries(&self, hubs: Vec<Option<usize>>) -> Vec<Option<usize>> {
        let hub_of = |at: usize| hubs.get(at).copied().flatten();
        let dictionary_of = |at: usize| {
            let is_alone = hubs.iter().filter(|hub| **hub == Some(at)).count() == 1;
            let refers = self.edges.iter().any(|(from, ..)| *from == at);
            let mut users: Vec<usize> = self
                .edges
                .iter()
                .filter(|(_, to, _)| *to == at)
                .filter_map(|(from, ..)| hub_of(*from))
                .collect();
            users.sort_unstable();
            users.dedup();
            match users.as_slice() {
                [user] if is_alone && !refers => Some(*user),
                _ => None,
            }
        };
        let places = 0..hubs.len();
        places.map(|at| hub_of(at).map(|hub| dictionary_of(hub).unwrap_or(hub))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn spacehub_falls_into_domains() {
        let catalog = spacehub::catalog().expect("the fixture");
        let kinds = crate::kind::classify(&catalog);
        let references = crate::reference::find(&catalog, &kinds);
        let domains = propose(&catalog, &kinds, &references);
        let mut tables: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (table, domain) in catalog.tables.iter().zip(&domains) {
            tables.entry(domain.as_deref().unwrap_or("none")).or_default().push(&table.table.name);
        }
        let expected = [
            ("contracts", "Contract ContractAttachment ContractItem FileData"),
            ("invoices", "Invoice InvoiceLine"),
            (
                "none",
                "AuditDataItemPersistent AuditedObjectWeakReference ModuleInfo XPObjectType \
                 XPWeakReference ficus_marker",
            ),
            ("parties", "Owner Party Tenant"),
            ("payments", "Payment PaymentAllocation"),
            ("properties", "Property PropertyProperties_OwnerOwners"),
            ("spaces", "Space SpaceRate"),
            (
                "users",
                "PermissionPolicyRole PermissionPolicyUser PermissionPolicyUserLoginInfo \
                 PermissionPolicyUserUsers_PermissionPolicyRoleRoles",
            ),
        ];
        let shown: Vec<(&str, String)> =
            tables.into_iter().map(|(domain, tables)| (domain, tables.join(" "))).collect();
        let expected: Vec<(&str, String)> =
            expected.iter().map(|(domain, tables)| (*domain, (*tables).to_owned())).collect();
        assert_eq!(shown, expected);
        assert_eq!(
            order(&catalog, &domains, &references),
            ["parties", "properties", "spaces", "contracts", "invoices", "payments", "users"]
        );
    }
}
