//! Tables that become nothing.

use mapping::{
    catalog::{LegacyTable, Table},
    key::can_be_key,
};

use super::{Room, outline::key};

/// A table that becomes nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ignored {
    pub(super) table: LegacyTable,
    pub(super) reason: String,
    pub(super) question: Option<String>,
}

/// A mapping file finds a table by `schema.table` up to the first dot, without regard to case.
pub(super) fn unnamable(room: &Room<'_>, table: &Table) -> Option<String> {
    let name = &table.table;
    let same = |other: &&Table| {
        other.table.schema.eq_ignore_ascii_case(&name.schema)
            && other.table.name.eq_ignore_ascii_case(&name.name)
    };
    if name.schema.contains('.') {
        return Some(format!("{name}: a mapping file can't name a schema with a dot in it"));
    }
    if room.catalog.tables.iter().filter(same).count() > 1 {
        return Some(format!("{name}: another table's name differs from it in case only"));
    }
    let twin = table.columns.iter().find(|column| {
        table.columns.iter().filter(|c| c.name.eq_ignore_ascii_case(&column.name)).count() > 1
    });
    twin.map(|column| format!("{name}: `{}` and another column differ in case only", column.name))
}

/// What XAF keeps for the old application's own sake.
const SYSTEM: [(&str, &str); 6] = [
    ("ModuleInfo", "XAF's record of its own module versions"),
    ("ModelDifference", "how somebody arranged the old application's screens"),
    ("ModelDifferenceAspect", "how somebody arranged the old application's screens"),
    ("XPInstanceKey", "XPO's record of its own instances"),
    ("XpoInstanceKey", "XPO's record of its own instances"),
    ("XPObjectType", "XPO's dictionary of type names"),
];

/// Why a table is ignored; `None` for one that is mapped.
pub(super) fn find(room: &Room<'_>, table: &Table) -> Option<Ignored> {
    let ignored = |reason: &str, question: Option<&str>| {
        Some(Ignored {
            table: table.table.clone(),
            reason: reason.to_owned(),
            question: question.map(str::to_owned),
        })
    };
    if room.families.is_system(table) {
        let known = SYSTEM.iter().find(|(name, _)| name.eq_ignore_ascii_case(&table.table.name));
        return match known {
            Some((_, reason)) => ignored(reason, None),
            None => ignored("kept by XAF or XPO for itself", Some("does anything of it move?")),
        };
    }
    let can_be = |names: &[String]| {
        let columns = names.iter().map(|name| table.column(name));
        columns.into_iter().all(|column| column.is_some_and(|c| can_be_key(&c.sql_type)))
    };
    if key(table).is_empty() {
        let ask = "name the columns that identify a row as `key` of an entity, if there are any";
        return ignored("it has no primary key and no unique columns without NULLs", Some(ask));
    }
    if !can_be(&key(table)) {
        return ignored("its key has a type that ficus can't compare", Some("how does it move?"));
    }
    None
}
