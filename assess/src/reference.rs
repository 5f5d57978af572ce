//! Which columns refer to which table: by a constraint, or by their names alone.
//!
//! Old parts of an XPO database refer without a constraint (trap 7): always where the key is
//! composite, often elsewhere. Three rules find such columns, and the data has the last word:
//! when most rows refer to nothing (under the first rule: all), the names meant something else
//! and nothing is said.
//!
//! 1. All key columns of a composite key are there, with one prefix before each name
//!    (`ContractCompanyNo`, `ContractContractNo`; in another table the prefix may be empty).
//! 2. A column is named as the table, with or without `ID` or `OID` behind (`Party`,
//!    `SPACE_ID`).
//! 3. A GUID column is named as the last words of one table with a GUID key (`User` →
//!    `PermissionPolicyUser`); numbers are too easily equal by chance for this rule.

use std::collections::HashMap;

use mapping::{
    catalog::{Catalog, Column, ForeignKey, LegacyTable, SqlType, Table},
    probe::KeyColumns,
};

use crate::{
    kind::{Hierarchy, TableKind},
    names::words,
};

/// Columns that refer to another table's primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The table that they are in.
    pub table: LegacyTable,
    /// The columns, in the order of the key that they refer to.
    pub columns: Vec<String>,
    /// The table referred to.
    pub parent: LegacyTable,
    /// The constraint's name; `None` when only names say so.
    pub constraint: Option<String>,
    /// Whether it is the key of a leaf table, which refers to its root (TPT).
    pub inherits: bool,
}

/// All references of a catalogue, in its order; `ObjectType` aside, whose numbers mean a class.
/// `kinds` are those of [`crate::kind::classify`], in the catalogue's order.
#[must_use]
pub fn find(catalog: &Catalog, kinds: &[(LegacyTable, TableKind)]) -> Vec<Reference> {
    let parents = Parents::of(catalog, kinds);
    let mut found = Vec::new();
    for (table, (_, kind)) in catalog.tables.iter().zip(kinds) {
        let begin = found.len();
        let keys = table.foreign_keys.iter();
        found.extend(keys.filter_map(|key| constrained(catalog, table, key, &kind.hierarchy)));
        if kind.system {
            continue;
        }
        for (columns, parent) in parents.named(catalog, table) {
            let known = found.get(begin..).unwrap_or_default();
            if known.iter().any(|known: &Reference| overlap(&known.columns, &columns)) {
                continue;
            }
            found.push(Reference {
                table: table.table.clone(),
                columns,
                parent: parent.table.clone(),
                constraint: None,
                inherits: false,
            });
        }
    }
    found
}

/// The tables that names may mean, by their words: a large database has thousands, and each
/// column of each is asked about.
struct Parents<'a> {
    /// With a composite key.
    composite: Vec<&'a Table>,
    /// With a simple key, by the words of their names without anything between.
    by_name: HashMap<String, Vec<&'a Table>>,
    /// With a simple key, by the last word.
    by_end: HashMap<String, Vec<(Vec<String>, &'a Table)>>,
}

impl<'a> Parents<'a> {
    fn of(catalog: &'a Catalog, kinds: &[(LegacyTable, TableKind)]) -> Self {
        let mut parents =
            Self { composite: Vec::new(), by_name: HashMap::new(), by_end: HashMap::new() };
        for (table, (_, kind)) in catalog.tables.iter().zip(kinds) {
            if kind.system || is_ours(table) {
                continue;
            }
            match table.primary_key.as_slice() {
                [] => {}
                [_] => {
                    let words = words(&table.table.name);
                    parents.by_name.entry(words.concat()).or_default().push(table);
                    if let Some(last) = words.last() {
                        let end = parents.by_end.entry(last.clone()).or_default();
                        end.push((words, table));
                    }
                }
                _ => parents.composite.push(table),
            }
        }
        parents
    }

    /// What the names of a table's columns refer to: composite keys first, then column by column.
    fn named(&self, catalog: &Catalog, table: &Table) -> Vec<(Vec<String>, &'a Table)> {
        let mut found = Vec::new();
        for parent in &self.composite {
            let all = composite(catalog, table, parent).into_iter();
            found.extend(all.map(|columns| (columns, *parent)));
        }
        for column in &table.columns {
            let one = vec![column.name.clone()];
            if same_names(&table.primary_key, &one) {
                continue;
            }
            let parent = self.meant(column).filter(|parent| fits(catalog, table, &one, parent));
            found.extend(parent.map(|parent| (one, parent)));
        }
        found
    }

    /// The table that a column's name means; `None` for none, and for several.
    fn meant(&self, column: &Column) -> Option<&'a Table> {
        let column_words = words(&column.name);
        let bare = match column_words.split_last() {
            Some((last, rest)) if matches!(last.as_str(), "id" | "oid") && !rest.is_empty() => rest,
            _ => column_words.as_slice(),
        };
        let named = |words: &[String]| self.by_name.get(&words.concat());
        if let Some(tables) = named(&column_words).or_else(|| named(bare)) {
            return only(tables.iter().copied());
        }
        if column.sql_type != SqlType::UniqueIdentifier {
            return None;
        }
        let ending = self.by_end.get(column_words.last()?)?.iter();
        only(ending.filter(|(words, _)| words.ends_with(&column_words)).map(|(_, table)| *table))
    }
}

fn only<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// Whether the table is this engine's own.
pub(crate) fn is_ours(table: &Table) -> bool {
    table.table.name.eq_ignore_ascii_case("ficus_marker")
}

/// Whether two names are one to SQL Server.
pub(crate) fn is_same(left: &LegacyTable, right: &LegacyTable) -> bool {
    left.schema.eq_ignore_ascii_case(&right.schema) && left.name.eq_ignore_ascii_case(&right.name)
}

fn overlap(left: &[String], right: &[String]) -> bool {
    left.iter().any(|name| right.iter().any(|other| other.eq_ignore_ascii_case(name)))
}

/// A foreign key to a primary key. One to another unique index is none for the engine, whose
/// references are to keys.
fn constrained(
    catalog: &Catalog,
    table: &Table,
    key: &ForeignKey,
    hierarchy: &Hierarchy,
) -> Option<Reference> {
    let parent = catalog.table(&key.references)?;
    if key.columns.iter().any(|column| column.eq_ignore_ascii_case("ObjectType")) {
        return None;
    }
    let column_for = |wanted: &String| {
        let mut pairs = key.columns.iter().zip(&key.referenced_columns);
        pairs.find(|(_, referenced)| referenced.eq_ignore_ascii_case(wanted)).map(|(c, _)| c)
    };
    let columns: Option<Vec<String>> =
        parent.primary_key.iter().map(|wanted| column_for(wanted).cloned()).collect();
    let columns = columns.filter(|columns| columns.len() == key.columns.len())?;
    let inherits = matches!(hierarchy, Hierarchy::TptLeaf { root } if is_same(root, &parent.table))
        && same_names(&columns, &table.primary_key);
    fits(catalog, table, &columns, parent).then(|| Reference {
        table: table.table.clone(),
        columns,
        parent: parent.table.clone(),
        constraint: Some(key.name.clone()),
        inherits,
    })
}

fn same_names(left: &[String], right: &[String]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// Whether the columns' types can refer to the parent's key.
fn fits(catalog: &Catalog, table: &Table, columns: &[String], parent: &Table) -> bool {
    let key = KeyColumns::of(parent, &catalog.collation, &parent.primary_key);
    let from = KeyColumns::of(table, &catalog.collation, columns);
    key.zip(from).is_some_and(|(key, from)| key.accepts(&from))
}

/// Rule 1: every set of columns that has a composite key's names behind one prefix.
fn composite(catalog: &Catalog, table: &Table, parent: &Table) -> Vec<Vec<String>> {
    let [first, _, ..] = parent.primary_key.as_slice() else { return Vec::new() };
    let mut found = Vec::new();
    for column in &table.columns {
        let prefix = prefix_of(&column.name, first);
        let Some(prefix) = prefix.or_else(|| prefix_of(&column.name, member_name(first))) else {
            continue;
        };
        if prefix.is_empty() && is_same(&table.table, &parent.table) {
            continue;
        }
        let named = |key: &String| {
            let whole = table.column(&format!("{prefix}{key}"));
            let member = || table.column(&format!("{prefix}{}", member_name(key)));
            whole.or_else(member).map(|column| column.name.clone())
        };
        let columns: Option<Vec<String>> = parent.primary_key.iter().map(named).collect();
        let is_itself = |columns: &[String]| {
            is_same(&table.table, &parent.table) && same_names(columns, &table.primary_key)
        };
        found.extend(
            columns.filter(|columns| !is_itself(columns) && fits(catalog, table, columns, parent)),
        );
    }
    found
}

/// A member of a key struct without the struct's name: `KeyCompanyNo` is `CompanyNo`.
pub(crate) fn member_name(name: &str) -> &str {
    name.strip_prefix("Key").filter(|rest| rest.starts_with(char::is_uppercase)).unwrap_or(name)
}

/// What is before `ending`, without regard to case.
pub(crate) fn prefix_of<'n>(name: &'n str, ending: &str) -> Option<&'n str> {
    let (prefix, end) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
    end.eq_ignore_ascii_case(ending).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(table: &str) -> Vec<String> {
        let catalog = spacehub::catalog().expect("the fixture");
        let kinds = crate::kind::classify(&catalog);
        let of_table = |reference: &Reference| reference.table.name == table;
        let shown = |reference: Reference| {
            let by = match (&reference.constraint, reference.inherits) {
                (_, true) => " (its root)",
                (Some(_), false) => "",
                (None, false) => " by name",
            };
            format!("{} → {}{by}", reference.columns.join("+"), reference.parent.name)
        };
        find(&catalog, &kinds).into_iter().filter(of_table).map(shown).collect()
    }

    #[test]
    fn references_are_found_with_and_without_a_constraint() {
        for (table, expected) in [
            ("Owner", &["OID → Party (its root)"][..]),
            ("ContractItem", &["Space → Space", "KeyCompanyNo+KeyContractNo → Contract by name"]),
            ("Invoice", &["ContractCompanyNo+ContractContractNo → Contract by name"]),
            (
                "PaymentAllocation",
                &["PAYMENT_ID → Payment by name", "INVOICE_ID → Invoice by name"],
            ),
            ("SpaceRate", &["SPACE_ID → Space by name"]),
            ("PermissionPolicyUser", &["Party → Party by name"]),
            ("PermissionPolicyUserLoginInfo", &["User → PermissionPolicyUser by name"]),
            ("Space", &["ParentSpace → Space", "Property → Property"]),
            ("Contract", &["Tenant → Tenant"]),
            ("AuditDataItemPersistent", &[]),
        ] {
            assert_eq!(found(table), expected, "{table}");
        }
    }
}
