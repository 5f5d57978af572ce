//! The legacy tables that the files name.

use std::sync::Arc;

use super::{Outline, other_type};
use crate::{
    catalog::{Catalog, Column, LegacyTable, Table},
    file::{FileSaid, LookupSaid, Mistakes, Said, closest},
    key::KeyPart,
    plan::{Candidate, EntityId, LeftOut, RowFilter, TableRole},
};

/// A table on its way into the plan.
pub(super) struct TableDraft<'c> {
    pub(super) table: &'c Table,
    /// The columns that are read, as indexes into the catalogue's, key first.
    pub(super) columns: Vec<usize>,
    /// The key, as indexes into `columns`.
    pub(super) key: Vec<usize>,
    /// The entities and parts that it feeds.
    pub(super) feeds: Vec<(EntityId, u8)>,
    pub(super) service: Option<TableRole>,
    pub(super) object_type: Option<usize>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) filters: Vec<RowFilter>,
    pub(super) sensitive: Vec<String>,
}

impl TableDraft<'_> {
    /// The place of a column among those that are read; it is read from now on.
    pub(super) fn source(&mut self, column: usize) -> usize {
        let known = self.columns.iter().position(|known| *known == column);
        known.unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        })
    }

    /// A column of the catalogue by name.
    pub(super) fn column(&self, name: &str) -> Option<(usize, &Column)> {
        let mut columns = self.table.columns.iter().enumerate();
        columns.find(|(_, column)| column.name.eq_ignore_ascii_case(name))
    }

    /// The key's columns, compared as the entity's key is.
    pub(super) fn key_parts(&self, outlines: &[Outline<'_>]) -> Vec<KeyPart> {
        let entity = self.feeds.first().and_then(|(id, _)| outlines.get(usize::from(id.0)));
        let kinds = entity.map(|outline| outline.key.as_slice()).unwrap_or_default();
        let parts = self.key.iter().zip(kinds);
        parts.map(|(source, kind)| KeyPart { source: *source, kind: *kind }).collect()
    }

    pub(super) fn role(&self) -> TableRole {
        self.service.clone().unwrap_or_else(|| TableRole::Entities(self.feeds.clone()))
    }

    pub(super) fn ignored_rule(&self) -> Arc<str> {
        match &self.service {
            Some(TableRole::Ignored { .. }) => "ignored-table".into(),
            Some(TableRole::ObjectTypes) => "object-types".into(),
            Some(TableRole::Entities(_)) | None => other_type(),
        }
    }
}

/// All tables named so far.
pub(super) struct TableBook<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) drafts: Vec<TableDraft<'c>>,
    pub(super) object_types: bool,
    pub(super) lookups: Vec<LookupSaid>,
}

/// XPO's column of password hashes: never shown, whatever a file says (trap 20).
pub(super) const PASSWORD: &str = "StoredPassword";

impl<'c> TableBook<'c> {
    pub(super) fn new(catalog: &'c Catalog) -> Self {
        Self { catalog, drafts: Vec::new(), object_types: false, lookups: Vec::new() }
    }

    /// The draft of a table that a file names.
    pub(super) fn named(&mut self, said: &Said<String>, m: &mut Mistakes<'_>) -> Option<usize> {
        let (schema, name) = said.value.split_once('.').unwrap_or(("dbo", &said.value));
        let Some(table) = self.catalog.table(&LegacyTable::new(schema, name)) else {
            let names: Vec<String> =
                self.catalog.tables.iter().map(|table| table.table.to_string()).collect();
            let wanted = format!("{schema}.{name}");
            let help = closest(&wanted, names.iter().map(String::as_str)).map_or_else(
                || "name a table as the catalogue spells it, such as dbo.Contract".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            m.add(said.at, format!("there is no legacy table `{said}`"), help);
            return None;
        };
        let known = self.drafts.iter().position(|draft| draft.table.table == table.table);
        Some(known.unwrap_or_else(|| {
            let password = |column: &&Column| column.name.eq_ignore_ascii_case(PASSWORD);
            let passwords = table.columns.iter().filter(password);
            self.drafts.push(TableDraft {
                table,
                columns: Vec::new(),
                key: Vec::new(),
                feeds: Vec::new(),
                service: None,
                object_type: None,
                candidates: Vec::new(),
                left_out: Vec::new(),
                filters: Vec::new(),
                sensitive: passwords.map(|column| column.name.clone()).collect(),
            });
            self.drafts.len() - 1
        }))
    }
}

/// Tables that become nothing: the ignored ones, and `XPObjectType`.
pub(super) fn service_tables(said: &[FileSaid], book: &mut TableBook<'_>, m: &mut Mistakes<'_>) {
    for file in said {
        for (name, reason) in &file.ignores {
            let role = TableRole::Ignored { reason: reason.clone() };
            service(name, role, "ignored", book, m);
        }
        if let Some(name) = &file.object_types {
            book.object_types = true;
            let Some(index) =
                service(name, TableRole::ObjectTypes, "the dictionary of types", book, m)
            else {
                continue;
            };
            let Some(draft) = book.drafts.get_mut(index) else { continue };
            for wanted in ["OID", "TypeName"] {
                match draft.column(wanted).map(|(column, _)| column) {
                    Some(column) => {
                        draft.source(column);
                    }
                    None => m.add(
                        name.at,
                        format!("`{name}` has no column `{wanted}`"),
                        "name XPO's table, usually dbo.XPObjectType",
                    ),
                }
            }
            draft.key = vec![0];
        }
    }
}

fn service(
    name: &Said<String>,
    role: TableRole,
    what: &str,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<usize> {
    let index = book.named(name, m)?;
    let draft = book.drafts.get_mut(index)?;
    if draft.service.is_some() || !draft.feeds.is_empty() {
        let message = format!("`{name}` is {what}, and is something else already");
        m.add(
            name.at,
            message,
            "a table is mapped, ignored or the dictionary of types: choose one",
        );
    }
    draft.service = Some(role);
    Some(index)
}

/// A table's rows must say whose they are where it feeds several entities: each names its types,
/// or each has a filter.
pub(super) fn check_candidates(
    outlines: &[Outline<'_>],
    book: &TableBook<'_>,
    m: &mut Mistakes<'_>,
) {
    for draft in book.drafts.iter().filter(|draft| draft.feeds.len() > 1) {
        let feeds = draft.feeds.iter();
        let fed: Vec<(&Outline<'_>, u8)> = feeds
            .filter_map(|(entity, part)| Some((outlines.get(usize::from(entity.0))?, *part)))
            .collect();
        let by_type = fed.iter().any(|(outline, _)| !outline.said.types.is_empty());
        let mut types: Vec<&str> = Vec::new();
        for (outline, part) in fed {
            let (table, name) = (&draft.table.table, &outline.said.name);
            if part > 0 {
                let message = format!(
                    "`{table}` is a part of several entities, and its rows do not say whose they are"
                );
                m.add(name.at, message, "only the root, which has ObjectType, can be shared");
            } else if by_type && outline.said.types.is_empty() {
                let message =
                    format!("`{table}` feeds several entities, and `{name}` names no type");
                m.add(name.at, message, "write type = \"Full.Name.Of.The.Class\"");
            } else if !by_type && outline.said.filter.is_empty() {
                let message = format!(
                    "`{table}` feeds several entities, and `{name}` does not say which rows it takes"
                );
                let help = "write type = \"Full.Name.Of.The.Class\", or [entity.where] with a column that tells";
                m.add(name.at, message, help);
            }
            for name in &outline.said.types {
                if types.contains(&name.value.as_str()) {
                    let message = format!("rows of type `{name}` belong to two entities");
                    let help = "a row becomes at most one target row: drop it in one entity";
                    m.add(name.at, message, help);
                }
                types.push(&name.value);
            }
        }
    }
}
