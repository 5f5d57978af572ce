//! Columns whose large values go elsewhere, or nowhere.

use super::{
    Outline, TableBook,
    column::Source,
    cover::{self, Cell},
    types,
};
use crate::{
    convert::{Content, Make},
    file::{ColumnSaid, Kind, Lob, Mistakes},
    plan::LeftOut,
};

/// A legacy column that a line skips.
pub(super) struct Skipped {
    cell: Cell,
    reason: String,
}

/// What the column holds: its value, or the address of an object.
pub(super) fn place(make: Make, said: &ColumnSaid, m: &mut Mistakes<'_>) -> Make {
    let Lob::ObjectStore(at) = &said.lob else { return make };
    match make {
        Make::Bytea => Make::Object(Content::Bytes),
        Make::Text(rule) => Make::Object(Content::Text(rule)),
        Make::XpoFile { size } => Make::Object(Content::XpoFile { size }),
        other => {
            let message = format!("`{}` (as {}) is no object", said.name, said.made_as);
            m.add(*at, message, "only \"bytea\", \"text\" and \"xpo-file\" go to an object store");
            other
        }
    }
}

/// Only a column that changes may not carry can be missed.
pub(super) fn check_reselect(said: &ColumnSaid, sources: &[Source<'_>], m: &mut Mistakes<'_>) {
    if said.reselect && !sources.iter().any(|source| source.column.sql_type.is_lob()) {
        let message = format!("every change carries column `{}`", said.name);
        m.add(said.name.at, message, "drop `unchanged`: it is for large values only");
    }
}

/// Checks a line that skips its columns; `None` for a line that does not.
pub(super) fn skip(
    said: &ColumnSaid,
    outline: &Outline<'_>,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<Vec<Skipped>> {
    let Lob::Skip { at, reason } = &said.lob else { return None };
    let has_none = matches!(said.kind, Kind::Const(_) | Kind::Ref { .. });
    if has_none || said.from.is_empty() {
        let message = format!("column `{}` (as {}) can't be skipped", said.name, said.made_as);
        m.add(*at, message, "drop the line, or leave its legacy columns out");
    }
    if said.default.is_some() || said.not_null || said.skip.is_some() || said.reselect {
        let message = format!("column `{}` is skipped, and says what it holds", said.name);
        m.add(*at, message, "drop `default`, `not_null`, `compare` and `unchanged`");
    }
    let mut skipped: Vec<Skipped> = Vec::new();
    for from in &said.from {
        let Some(cell) = cover::resolve(from, outline, book, m) else { continue };
        let draft = outline.tables.get(cell.0).and_then(|table| book.drafts.get_mut(*table));
        let Some(draft) = draft else { continue };
        let Some(column) = draft.table.columns.get(cell.1) else { continue };
        if said.sensitive && !draft.sensitive.contains(&column.name) {
            draft.sensitive.push(column.name.clone());
        }
        let place = draft.columns.iter().position(|known| *known == cell.1);
        if place.is_some_and(|place| draft.key.contains(&place)) {
            let message = format!("column `{}` skips a part of the key", said.name);
            m.add(*at, message, "the key is always read");
        }
        let made = match &said.kind {
            Kind::Make(make) => Some(make),
            Kind::XpoFile if skipped.is_empty() => Some(&Make::XpoFile { size: 0 }),
            Kind::XpoFile
            | Kind::Concat(_)
            | Kind::Lookup(_)
            | Kind::Const(_)
            | Kind::Ref { .. } => None,
        };
        if let Some(help) = made.and_then(|made| types::refusal(made, &column.sql_type)) {
            let message =
                format!("`{from}` is {}, which can't be made as {}", column.sql_type, said.made_as);
            m.add(said.made_as.at, message, help);
        }
        skipped.push(Skipped { cell, reason: reason.clone() });
    }
    Some(skipped)
}

/// Notes what is skipped and not used by another line, once all lines are known.
pub(super) fn leave_out(
    skipped: Vec<(&ColumnSaid, Vec<Skipped>)>,
    outline: &Outline<'_>,
    used: &mut Vec<Cell>,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) {
    let taken = used.clone();
    for (said, columns) in skipped {
        for (index, Skipped { cell, reason }) in columns.into_iter().enumerate() {
            if taken.contains(&cell) {
                // What comes with a skipped column (a file's length) may be used by another line.
                if index == 0 {
                    let message = format!("column `{}` skips what another line uses", said.name);
                    m.add(said.name.at, message, "drop one of the two");
                }
                continue;
            }
            used.push(cell);
            let draft = outline.tables.get(cell.0).and_then(|table| book.drafts.get_mut(*table));
            let Some(draft) = draft else { continue };
            let Some(column) = draft.table.columns.get(cell.1) else { continue };
            draft.left_out.push(LeftOut {
                entity: outline.said.name.value.clone(),
                column: column.name.clone(),
                reason,
            });
        }
    }
}
