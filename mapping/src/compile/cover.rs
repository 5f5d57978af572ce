//! Nothing of a mapped table is forgotten: each column is used, mapped or left out.

use super::{Outline, TableBook, table::PASSWORD};
use crate::{
    catalog::{Column, Table},
    file::{Mistakes, Said, closest},
    plan::LeftOut,
};

/// A legacy column by part and place in the catalogue.
pub(super) type Cell = (usize, usize);

/// Finds `BankAccount` or `Owner.BankAccount` among an entity's parts.
pub(super) fn resolve(
    said: &Said<String>,
    outline: &Outline<'_>,
    book: &TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<Cell> {
    let drafts = outline.tables.iter().filter_map(|table| book.drafts.get(*table));
    let tables: Vec<&Table> = drafts.map(|draft| draft.table).collect();
    // Both names may have dots in them, so they are compared whole and not taken apart.
    let wanted = said.value.as_str();
    let name = wanted.rsplit_once('.').map_or(wanted, |(_, name)| name);
    let mut found: Vec<Cell> = Vec::new();
    for (part, table) in tables.iter().enumerate() {
        let named = |column: &Column| {
            let name = &column.name;
            name.eq_ignore_ascii_case(wanted)
                || format!("{}.{name}", table.table.name).eq_ignore_ascii_case(wanted)
                || format!("{}.{name}", table.table).eq_ignore_ascii_case(wanted)
        };
        found.extend(table.columns.iter().position(named).map(|column| (part, column)));
    }
    match found.as_slice() {
        [only] => Some(*only),
        [] => {
            let message = format!("there is no legacy column `{said}` in `{}`", outline.said.name);
            m.add(said.at, message, near_column(name, &tables));
            None
        }
        [first, ..] => {
            let table = tables.get(first.0).map_or("", |table| table.table.name.as_str());
            let message = format!("`{said}` is a column of several parts");
            m.add(said.at, message, format!("write \"{table}.{name}\", or the other part's name"));
            None
        }
    }
}

pub(super) fn near_column(name: &str, tables: &[&Table]) -> String {
    let columns = tables.iter().flat_map(|table| &table.columns);
    match closest(name, columns.map(|column| column.name.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name a column as the catalogue spells it".into(),
    }
}

/// Checks an entity's columns against `used`, and notes those that are left out.
pub(super) fn check(
    outline: &Outline<'_>,
    used: &[Cell],
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) {
    let mut left_out: Vec<Cell> = Vec::new();
    for (said, reason) in &outline.said.leave_out {
        let Some(cell) = resolve(said, outline, book, m) else { continue };
        if used.contains(&cell) {
            let message = format!("`{said}` is left out and used");
            m.add(said.at, message, "drop one of the two");
        }
        left_out.push(cell);
        let draft = outline.tables.get(cell.0).and_then(|table| book.drafts.get_mut(*table));
        let Some(draft) = draft else { continue };
        let column = draft.table.columns.get(cell.1).map(|column| column.name.clone());
        draft.left_out.push(LeftOut {
            entity: outline.said.name.value.clone(),
            column: column.unwrap_or_default(),
            reason: reason.clone(),
        });
    }
    for (part, table) in outline.tables.iter().enumerate() {
        let Some(draft) = book.drafts.get(*table) else { continue };
        for (index, column) in draft.table.columns.iter().enumerate() {
            let key = draft.columns.iter().position(|known| *known == index);
            let key = key.is_some_and(|source| draft.key.contains(&source));
            if key || used.contains(&(part, index)) || left_out.contains(&(part, index)) {
                continue;
            }
            let name = &column.name;
            let message =
                format!("legacy column `{}.{name}` is mapped nowhere", draft.table.table.name);
            m.add(outline.said.name.at, message, advice(column));
        }
    }
}

/// What is usually right for a column.
fn advice(column: &Column) -> String {
    match column.name.as_str() {
        "GCRecord" => {
            "write soft_delete = \"deleted_at\" (or \"delete\", \"archive\"), or leave it out with the \
             reason"
                .into()
        }
        "OptimisticLockField" => {
            "write version = \"OptimisticLockField\", or leave it out with the reason".into()
        }
        "ObjectType" => {
            "write type = \"…\", map it as \"type\", or leave it out with the reason".into()
        }
        name if name == PASSWORD => {
            "map it with sensitive = true, or leave it out with the reason".into()
        }
        name => format!(
            "map it under [entity.columns], or write {name} = \"why not\" under [entity.leave_out]"
        ),
    }
}
