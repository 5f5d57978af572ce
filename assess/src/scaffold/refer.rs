//! Columns that become references.

use super::{
    Room,
    column::{self, Cell},
    draft::{ColumnDraft, EntityDraft, Made},
    entity, facts,
    family::Place,
    names::Names,
    notes::Note,
    outline::Outlines,
    reference::Reference,
    words::singular,
};
use crate::kind::BaseClass;

/// Maps a column that is the first of a reference, or a later one: then nothing is left to do.
pub(super) fn add<'c>(
    room: &Room<'c>,
    outlines: &Outlines<'c>,
    (cell, reference): (Cell<'c>, &Reference<'c>),
    entity: &mut EntityDraft<'c>,
    names: &mut Names,
) {
    let targets = outlines.entities_of(reference.target);
    if targets.is_empty() {
        as_values(room, (cell, reference), entity, names);
        return;
    }
    let in_order = cell.table.columns.iter().find(|column| reference.columns.contains(column));
    if in_order != Some(cell.column) {
        return;
    }
    let base = base(room, cell, reference);
    let is_root = room.families.place(reference.target) == Place::Root;
    for (index, to) in targets.iter().enumerate() {
        let to_one = singular(to);
        let wanted = match (base.is_empty(), is_root) {
            (true, _) => format!("{to_one}_id"),
            (false, false) => format!("{base}_id"),
            (false, true) => format!("{base}_{to_one}_id"),
        };
        let name = names.take(&[wanted.clone(), format!("legacy_{wanted}")]);
        let made = Made::Ref { to: to.clone(), orphans: orphans(room, cell, reference) };
        let mut draft = ColumnDraft::new(name, cell.part, cell.column, made);
        draft.sources.clone_from(&reference.columns);
        if index == 0 {
            explain(room, cell, reference, &mut draft);
        }
        entity.columns.push(draft);
    }
}

/// The name of a link's reference is the singular of the collection's.
fn base(room: &Room<'_>, cell: Cell<'_>, reference: &Reference<'_>) -> String {
    let is_link =
        room.families.kind(cell.table).is_some_and(|kind| kind.base == BaseClass::LinkTable);
    if is_link { singular(&reference.base) } else { reference.base.clone() }
}

/// What the seal does about a parent that never came.
fn orphans(room: &Room<'_>, cell: Cell<'_>, reference: &Reference<'_>) -> &'static str {
    let in_key = |name: &String| {
        reference.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
    };
    let in_key = cell.table.primary_key.iter().any(in_key);
    let has_orphans = room.facts.hazard(cell.table, cell.column, "orphan").is_some();
    // A row of the root belongs to one of several entities, and to none of the others.
    if room.families.place(reference.target) == Place::Root {
        return "null";
    }
    match (in_key, reference.declared) {
        // A row's own key can't lose a part of itself.
        (true, false) => "allow",
        (true, true) => "refuse",
        (false, true) if !has_orphans => "refuse",
        (false, _) => "null",
    }
}

fn explain(
    room: &Room<'_>,
    cell: Cell<'_>,
    reference: &Reference<'_>,
    draft: &mut ColumnDraft<'_>,
) {
    let target = &reference.target.table;
    for column in reference.columns.iter().filter(|column| !column.name.is_ascii()) {
        draft.ask(format!("what is `{}` in English?", column.name));
    }
    if room.families.place(reference.target) == Place::Root {
        draft.ask(format!(
            "rows of {target} are in an entity for each class: one column for each, and the one that \
             finds no row is NULL after the seal. Which can never be meant?"
        ));
    }
    if !reference.declared {
        let agree = room.facts.hazard(cell.table, cell.column, "reference.loose");
        let agree = agree
            .and_then(|hazard| hazard.count)
            .map_or_else(String::new, |count| format!(", and {} agree", facts::count(count)));
        draft.ask(format!("no constraint says so{agree}: is this a reference to {target}?"));
    }
    if let Some(hazard) = room.facts.hazard(cell.table, cell.column, "orphan") {
        let count = hazard.count.map_or_else(|| "rows".to_owned(), facts::count);
        draft.ask(format!(
            "{count} refer to nothing: does their column become NULL, stay (allow), or stop the cutover \
             (refuse)?"
        ));
    }
    if let Some(hazard) = room.facts.hazard(cell.table, cell.column, "reference.deleted") {
        let count = hazard.count.map_or_else(|| "rows".to_owned(), facts::count);
        draft.ask(format!(
            "{count} that are live refer to a soft-deleted one: as they are (deleted = \"allow\"), without \
             the reference (\"null\"), or does the cutover stop (\"refuse\")?"
        ));
    }
    for column in &reference.columns {
        for open in room.facts.open_hazards(cell.table, column) {
            let note = Note::Question(open);
            if !draft.notes.contains(&note) {
                draft.notes.push(note);
            }
        }
    }
}

/// The other table is mapped nowhere, so the key stays what it is.
fn as_values<'c>(
    room: &Room<'c>,
    (cell, reference): (Cell<'c>, &Reference<'c>),
    entity: &mut EntityDraft<'c>,
    names: &mut Names,
) {
    let before = entity.columns.len();
    entity::add(room, cell, entity, names);
    let is_first =
        cell.table.columns.iter().find(|c| reference.columns.contains(c)) == Some(cell.column);
    if let Some(draft) = entity.columns.get_mut(before).filter(|_| is_first) {
        draft.notes.retain(|note| *note != column::unexplained());
        let says = if reference.declared { "refers" } else { "seems to refer" };
        draft.ask(format!(
            "{says} to {}, which no mapping file maps yet; make it a \"ref\" once it has an entity",
            reference.target.table
        ));
    }
}
