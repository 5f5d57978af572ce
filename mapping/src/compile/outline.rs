//! First pass: every entity's tables and key.

use super::TableBook;
use crate::{
    catalog::{Catalog, Table},
    file::{EntitySaid, FileSaid, Mistakes, Said},
    key::KeyKind,
    plan::EntityId,
};

/// An entity whose tables and key are known.
pub(super) struct Outline<'s> {
    pub(super) id: EntityId,
    pub(super) said: &'s EntitySaid,
    /// The drafts of its parts' tables; empty when one of them is not there.
    pub(super) tables: Vec<usize>,
    /// How its key compares; empty when it is not known.
    pub(super) key: Vec<KeyKind>,
}

pub(super) fn outlines<'s>(
    said: &'s [FileSaid],
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Vec<Outline<'s>> {
    let mut outlines: Vec<Outline<'s>> = Vec::new();
    for entity in said.iter().flat_map(|file| &file.entities) {
        check_names(entity, &outlines, m);
        let id = EntityId(u16::try_from(outlines.len()).unwrap_or(u16::MAX));
        outlines.push(outline(id, entity, book, m));
    }
    outlines
}

fn check_names(entity: &EntitySaid, outlines: &[Outline<'_>], m: &mut Mistakes<'_>) {
    if !is_name(&entity.name.value) {
        m.add(entity.name.at, format!("`{}` is no entity name", entity.name), NAME_HELP);
    }
    if let Some(table) = &entity.table {
        let mut words = table.value.split('.');
        if words.by_ref().count() > 2 || !table.value.split('.').all(is_name) {
            m.add(table.at, format!("`{table}` is no target table"), NAME_HELP);
        }
    }
    let target = |entity: &EntitySaid| target(entity);
    for earlier in outlines {
        if earlier.said.name.value == entity.name.value {
            let message = format!("there are two entities `{}`", entity.name);
            m.add(entity.name.at, message, "an entity has one name and one place");
        } else if target(earlier.said) == target(entity) {
            let message =
                format!("`{}` and `{}` write the same table", earlier.said.name, entity.name);
            m.add(
                entity.name.at,
                message,
                "law 3 needs one source for each row: give it its own table",
            );
        }
    }
}

/// Schema and table of the target.
pub(super) fn target(entity: &EntitySaid) -> (String, String) {
    let table = entity.table.as_ref().unwrap_or(&entity.name);
    let (schema, name) = table.value.split_once('.').unwrap_or(("public", &table.value));
    (schema.to_owned(), name.to_owned())
}

pub(super) const NAME_HELP: &str = "use lower case letters, digits and `_`, at most 63";

pub(super) fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= 63
}

fn outline<'s>(
    id: EntityId,
    said: &'s EntitySaid,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Outline<'s> {
    let found: Vec<Option<usize>> = said.parts.iter().map(|part| book.named(part, m)).collect();
    let missing = found.iter().any(Option::is_none);
    let tables: Vec<usize> =
        if missing { Vec::new() } else { found.into_iter().flatten().collect() };
    let mut outline = Outline { id, said, tables: tables.clone(), key: Vec::new() };
    for (part, (table, name)) in tables.iter().zip(&said.parts).enumerate() {
        let catalog = book.catalog;
        let Some(draft) = book.drafts.get_mut(*table) else { continue };
        let key = key_columns(draft.table, said, name, part, m);
        let kinds = kinds(draft.table, &key, name, catalog, m);
        draft.key = key.iter().map(|column| draft.source(*column)).collect();
        draft.feeds.push((id, u8::try_from(part).unwrap_or(u8::MAX)));
        if part == 0 {
            outline.key = kinds;
        } else if !accepts(&outline.key, &kinds) {
            let message = format!("the key of `{name}` is not that of `{}`", root(said));
            m.add(name.at, message, "parts of one entity share their key (XPO's table per type)");
        }
    }
    outline
}

fn root(said: &EntitySaid) -> &str {
    said.parts.first().map_or("", |root| root.value.as_str())
}

fn accepts(key: &[KeyKind], from: &[KeyKind]) -> bool {
    key.len() == from.len() && key.iter().zip(from).all(|(key, from)| key.accepts(*from))
}

/// The key's columns: the primary key, or for a table without one what the file says.
fn key_columns(
    table: &Table,
    said: &EntitySaid,
    name: &Said<String>,
    part: usize,
    m: &mut Mistakes<'_>,
) -> Vec<usize> {
    let find = |wanted: &str| {
        table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(wanted))
    };
    let primary: Vec<usize> = table.primary_key.iter().filter_map(|column| find(column)).collect();
    let Some(key) = said.key.as_ref().filter(|_| part == 0) else {
        if primary.is_empty() {
            let message = format!("`{name}` has no primary key");
            m.add(name.at, message, "write key = [\"…\"] with the columns that identify a row");
        }
        return primary;
    };
    let mut wanted = Vec::new();
    for column in key {
        match find(&column.value) {
            Some(index) => wanted.push(index),
            None => {
                let help = super::cover::near_column(&column.value, &[table]);
                m.add(column.at, format!("`{name}` has no column `{column}`"), help);
            }
        }
    }
    if wanted.len() == key.len() && !primary.is_empty() && wanted != primary {
        let at = key.first().map_or(name.at, |first| first.at);
        let message = format!("the key of `{name}` is its primary key, in that order");
        m.add(at, message, format!("write key = {:?}, or nothing", table.primary_key));
    }
    wanted
}

fn kinds(
    table: &Table,
    key: &[usize],
    name: &Said<String>,
    catalog: &Catalog,
    m: &mut Mistakes<'_>,
) -> Vec<KeyKind> {
    let mut kinds = Vec::new();
    for column in key.iter().filter_map(|column| table.columns.get(*column)) {
        let collation = column.collation.as_deref().unwrap_or(&catalog.collation);
        match KeyKind::of(&column.sql_type, collation) {
            Some(kind) => kinds.push(kind),
            None => {
                let message = format!(
                    "`{}` of `{name}` is {}, which can't be in a key",
                    column.name, column.sql_type
                );
                m.add(name.at, message, "name other columns in `key`");
            }
        }
    }
    kinds
}
