//! What XPO made a table for, told from the schema alone.
//!
//! XPO's base classes leave their marks as columns (LEGACY-FACTS A1, A2, A6): the key's name and
//! type, `GCRecord`, `OptimisticLockField`, `ObjectType`. Inheritance by own tables (TPT) shows
//! as a key that is a foreign key to another table's key and that nobody generates.

use std::fmt;

use mapping::catalog::{Catalog, LegacyTable, SqlType, Table};
use serde::{Deserialize, Serialize};

/// The base class that a table's columns tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseClass {
    /// `OID int identity`, deferred deletion, optimistic locking.
    XpObject,
    /// XAF's `Oid uniqueidentifier`, deferred deletion, optimistic locking.
    BaseObject,
    /// A key of its own, deferred deletion.
    XpCustomObject,
    /// A key of its own, optimistic locking, physical deletion.
    XpBaseObject,
    /// A key of its own and nothing of XPO's: physical deletion.
    XpLiteObject,
    /// Rows of a many-to-many collection.
    LinkTable,
}

/// Where a table stands in a hierarchy of classes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hierarchy {
    /// In none.
    None,
    /// The root of a hierarchy with a table for each class; rows of its own type may be in it.
    TptRoot {
        /// The leaf tables.
        leaves: Vec<LegacyTable>,
    },
    /// A leaf: type, version and liveness are in the root.
    TptLeaf {
        /// The table that its key refers to.
        root: LegacyTable,
    },
    /// All classes in one table, told apart by `ObjectType`.
    TphRoot,
}

/// What a table is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableKind {
    /// The base class.
    pub base: BaseClass,
    /// The hierarchy.
    pub hierarchy: Hierarchy,
    /// Whether XAF or XPO keeps it for itself (LEGACY-FACTS A8).
    pub system: bool,
}

impl fmt::Display for TableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.system {
            return f.write_str("XAF system table");
        }
        let base = match self.base {
            BaseClass::XpObject => "XPObject",
            BaseClass::BaseObject => "BaseObject",
            BaseClass::XpCustomObject => "XPCustomObject",
            BaseClass::XpBaseObject => "XPBaseObject",
            BaseClass::XpLiteObject => "XPLiteObject",
            BaseClass::LinkTable => "link table",
        };
        match &self.hierarchy {
            Hierarchy::None => f.write_str(base),
            Hierarchy::TptRoot { .. } => write!(f, "TPT root ({base})"),
            Hierarchy::TptLeaf { root } => write!(f, "TPT leaf of {root}"),
            Hierarchy::TphRoot => write!(f, "TPH root ({base})"),
        }
    }
}

/// Tables that XPO and XAF make for themselves, in lower case.
const SYSTEM: [&str; 29] = [
    "xpobjecttype",
    "moduleinfo",
    "modeldifference",
    "modeldifferenceaspect",
    "auditdataitempersistent",
    "auditedobjectweakreference",
    "xpweakreference",
    "reportdatav2",
    "dashboarddata",
    "xpinstancekey",
    "xpoinstancekey",
    "idgeneratortable",
    "xpostatemachine",
    "xpostate",
    "xpotransition",
    "xpostateappearance",
    "permissionpolicytypepermissionsobject",
    "permissionpolicyobjectpermissionsobject",
    "permissionpolicymemberpermissionsobject",
    "permissionpolicynavigationpermissionsobject",
    "permissionpolicyactionpermissionobject",
    // The security system before 15.2.
    "securitysystemtypepermissionsobject",
    "securitysystemobjectpermissionsobject",
    "securitysystemmemberpermissionsobject",
    "xpostatemachineobject",
    "kpidefinition",
    "kpiinstance",
    "kpihistoryitem",
    // Not XPO's, but nobody's data either: SQL Server Management Studio's drawings.
    "sysdiagrams",
];

/// Every table's kind, in the catalogue's order.
#[must_use]
pub fn classify(catalog: &Catalog) -> Vec<(LegacyTable, TableKind)> {
    let roots: Vec<(&LegacyTable, &LegacyTable)> =
        catalog.tables.iter().filter_map(|table| Some((&table.table, root(table)?))).collect();
    let kinds = catalog.tables.iter().map(|table| (table.table.clone(), kind(table, &roots)));
    kinds.collect()
}

fn kind(table: &Table, roots: &[(&LegacyTable, &LegacyTable)]) -> TableKind {
    TableKind {
        base: base(table),
        hierarchy: hierarchy(table, roots),
        system: SYSTEM.contains(&table.table.name.to_ascii_lowercase().as_str()),
    }
}

fn base(table: &Table) -> BaseClass {
    let deferred = table.column("GCRecord").is_some();
    let locked = table.column("OptimisticLockField").is_some();
    if is_link(table) {
        return BaseClass::LinkTable;
    }
    match (deferred, locked, own_key(table)) {
        (true, true, Some(SqlType::Int)) => BaseClass::XpObject,
        (true, true, Some(SqlType::UniqueIdentifier)) => BaseClass::BaseObject,
        (true, ..) => BaseClass::XpCustomObject,
        (false, true, _) => BaseClass::XpBaseObject,
        (false, false, _) => BaseClass::XpLiteObject,
    }
}

/// The type of a key named as XPO names it: `OID int identity` or `Oid uniqueidentifier`.
fn own_key(table: &Table) -> Option<&SqlType> {
    let [key] = table.primary_key.as_slice() else { return None };
    let column = table.column(key).filter(|column| column.name.eq_ignore_ascii_case("OID"))?;
    let generated = column.identity || column.sql_type == SqlType::UniqueIdentifier;
    generated.then_some(&column.sql_type)
}

/// XPO's link table has its own key, a lock field and two references that are unique together;
/// where somebody dropped the index, the constraints tell.
fn is_link(table: &Table) -> bool {
    let service = ["OID", "OptimisticLockField"];
    let names = table.columns.iter().map(|column| column.name.as_str());
    let others: Vec<&str> =
        names.filter(|name| !service.iter().any(|s| s.eq_ignore_ascii_case(name))).collect();
    let unique = table.unique_indexes.iter().any(|index| {
        index.columns.len() == 2
            && others.iter().all(|name| index.columns.iter().any(|c| c.eq_ignore_ascii_case(name)))
    });
    let refers = others.iter().all(|name| {
        table.foreign_keys.iter().any(
            |key| matches!(key.columns.as_slice(), [column] if column.eq_ignore_ascii_case(name)),
        )
    });
    let locked = table.column("OptimisticLockField").is_some();
    others.len() == 2 && (unique || refers) && locked && own_key(table).is_some()
}

/// `roots` are all leaves with what they are leaves of.
fn hierarchy(table: &Table, roots: &[(&LegacyTable, &LegacyTable)]) -> Hierarchy {
    if let Some(root) = root(table) {
        return Hierarchy::TptLeaf { root: root.clone() };
    }
    let leaves = roots.iter().filter(|(_, root)| same(root, &table.table));
    let leaves: Vec<LegacyTable> = leaves.map(|(leaf, _)| (*leaf).clone()).collect();
    match (leaves.is_empty(), table.column("ObjectType").is_some()) {
        (false, _) => Hierarchy::TptRoot { leaves },
        (true, true) => Hierarchy::TphRoot,
        (true, false) => Hierarchy::None,
    }
}

/// The table whose key this table's key is, where nobody generates it here.
fn root(table: &Table) -> Option<&LegacyTable> {
    let generated = table.columns.iter().any(|column| column.identity);
    let refers = |key: &&mapping::catalog::ForeignKey| {
        key.columns.len() == table.primary_key.len()
            && key.columns.iter().zip(&table.primary_key).all(|(a, b)| a.eq_ignore_ascii_case(b))
            && !same(&key.references, &table.table)
    };
    let found = table.foreign_keys.iter().find(refers).map(|key| &key.references);
    found.filter(|_| !generated && !table.primary_key.is_empty())
}

/// The place of the topmost table of a leaf's hierarchy. `kinds` are in the catalogue's order.
pub(crate) fn root_of(
    catalog: &Catalog,
    kinds: &[(LegacyTable, TableKind)],
    at: usize,
) -> Option<usize> {
    let above = |at: usize| match &kinds.get(at)?.1.hierarchy {
        Hierarchy::TptLeaf { root } => {
            catalog.tables.iter().position(|table| same(&table.table, root))
        }
        Hierarchy::None | Hierarchy::TptRoot { .. } | Hierarchy::TphRoot => None,
    };
    let mut current = above(at)?;
    // A ring of keys has no top: it ends after one round.
    for _ in &catalog.tables {
        match above(current) {
            Some(next) if next != at => current = next,
            _ => break,
        }
    }
    Some(current)
}

fn same(left: &LegacyTable, right: &LegacyTable) -> bool {
    left.schema.eq_ignore_ascii_case(&right.schema) && left.name.eq_ignore_ascii_case(&right.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_spacehub_is_told() {
        let catalog = spacehub::catalog().expect("the fixture");
        let kinds: std::collections::BTreeMap<String, String> = classify(&catalog)
            .into_iter()
            .map(|(table, kind)| (table.name, kind.to_string()))
            .collect();
        for (table, kind) in [
            ("Party", "TPT root (XPObject)"),
            ("Owner", "TPT leaf of dbo.Party"),
            ("Tenant", "TPT leaf of dbo.Party"),
            ("Property", "BaseObject"),
            ("Space", "TPH root (XPObject)"),
            ("PropertyProperties_OwnerOwners", "link table"),
            ("PermissionPolicyUserUsers_PermissionPolicyRoleRoles", "link table"),
            ("Contract", "XPBaseObject"),
            ("ContractItem", "XPLiteObject"),
            ("SpaceRate", "XPLiteObject"),
            ("PaymentAllocation", "XPLiteObject"),
            ("Invoice", "XPObject"),
            ("PermissionPolicyUser", "TPH root (BaseObject)"),
            ("XPObjectType", "XAF system table"),
            ("AuditedObjectWeakReference", "XAF system table"),
        ] {
            assert_eq!(kinds[table], kind, "{table}");
        }
    }

    #[test]
    fn a_link_table_is_one_without_its_index_too() {
        let mut catalog = spacehub::catalog().expect("the fixture");
        let link = |table: &&mut Table| table.table.name == "PropertyProperties_OwnerOwners";
        let table = catalog.tables.iter_mut().find(link).expect("the link table");
        table.unique_indexes.clear();
        let kind = |catalog: &Catalog| {
            let mut kinds = classify(catalog).into_iter();
            kinds.find(|(t, _)| t.name == "PropertyProperties_OwnerOwners").map(|(_, k)| k.base)
        };
        assert_eq!(kind(&catalog), Some(BaseClass::LinkTable));
        let table = catalog.tables.iter_mut().find(link).expect("the link table");
        table.foreign_keys.clear();
        assert_eq!(kind(&catalog), Some(BaseClass::XpBaseObject));
    }
}
