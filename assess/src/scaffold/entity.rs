//! Second pass: an entity's columns. Every legacy column is mapped, used or left out with a
//! reason.

use mapping::catalog::{Column, SqlType};

use super::{
    Room,
    column::{self, Cell},
    draft::{ColumnDraft, EntityDraft, LeftOut, Made},
    family::Place,
    id_time,
    names::Names,
    notes::Note,
    number,
    outline::{Outlines, key},
    refer, reference,
    words::{snake, words},
};
use crate::kind::BaseClass;

/// Columns that the engine takes of one table, the id aside.
const PART_COLUMNS_MAX: usize = 63;

pub(super) fn fill<'c>(
    room: &Room<'c>,
    outlines: &Outlines<'c>,
    outline: &EntityDraft<'c>,
) -> EntityDraft<'c> {
    let mut entity = outline.clone();
    let mut names = Names::of_columns();
    for (part, table) in outline.parts.iter().enumerate() {
        // A dead column refers to nothing.
        let is_alive =
            |column: &&Column| column::refusal(room, Cell { table, part, column }).is_none();
        let mut references = reference::find(room, table);
        references.retain(|reference| reference.columns.iter().all(is_alive));
        for column in &table.columns {
            let cell = Cell { table, part, column };
            if service(room, cell, &mut entity, &mut names) {
                continue;
            }
            let reference = references.iter().find(|r| r.columns.contains(&column));
            if reference.is_none() && is_surrogate(cell) {
                continue;
            }
            if let Some(reference) = reference {
                refer::add(room, outlines, (cell, reference), &mut entity, &mut names);
            } else if !is_root_key(room, cell) {
                add(room, cell, &mut entity, &mut names);
            }
        }
    }
    ask_for_currency(&mut entity);
    cut(&mut entity);
    id_time::choose(&mut entity);
    describe(room, &mut entity);
    entity
}

/// Maps a column that refers to nothing, or leaves it out.
pub(super) fn add<'c>(
    room: &Room<'c>,
    cell: Cell<'c>,
    entity: &mut EntityDraft<'c>,
    names: &mut Names,
) {
    if let Some((reason, question)) = column::refusal(room, cell) {
        let column = entity.column_name(cell.part, &cell.column.name);
        entity.left_out.push(LeftOut { column, reason, question });
        return;
    }
    let mut draft = column::draft(room, cell);
    draft.name = names.take(&wanted(cell));
    draft
        .notes
        .extend(room.facts.open_hazards(cell.table, cell.column).into_iter().map(Note::Question));
    if !cell.column.name.is_ascii() {
        draft
            .notes
            .insert(0, Note::question(format!("what is `{}` in English?", cell.column.name)));
    }
    entity.columns.push(draft);
}

/// Names for a column, the best first.
fn wanted(cell: Cell<'_>) -> Vec<String> {
    let name = snake(reference::member(cell.table, &cell.column.name));
    if name.is_empty() {
        let index = cell.table.columns.iter().position(|column| column == cell.column);
        return vec![format!("column_{}", index.unwrap_or_default() + 1)];
    }
    let of_table = format!("{}_{name}", snake(&cell.table.table.name));
    let legacy = format!("legacy_{name}");
    if cell.part > 0 { vec![name, of_table, legacy] } else { vec![name, legacy] }
}

/// XPO's own columns. `true` when the column needs nothing more.
fn service<'c>(
    room: &Room<'c>,
    cell: Cell<'c>,
    entity: &mut EntityDraft<'c>,
    names: &mut Names,
) -> bool {
    let is = |name: &str| cell.column.name.eq_ignore_ascii_case(name);
    let is_int = matches!(
        cell.column.sql_type,
        SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt
    );
    if !is_int || cell.column.computed {
        return false;
    }
    if is("GCRecord") && cell.part == 0 {
        entity.soft_delete = true;
        return true;
    }
    if is("OptimisticLockField") && entity.version.is_none() {
        let others = entity.parts.iter().filter(|part| part.column(&cell.column.name).is_some());
        let name = &cell.column.name;
        let is_only = others.count() == 1;
        entity.version =
            Some(if is_only { name.clone() } else { entity.column_name(cell.part, name) });
        return true;
    }
    if is("ObjectType") && cell.part == 0 && room.families.dictionary().is_some() {
        if entity.types.is_empty() {
            object_type(room, cell, entity, names);
        }
        return true;
    }
    let is_second =
        cell.part > 0 && (is("GCRecord") || is("OptimisticLockField") || is("ObjectType"));
    if is_second {
        let column = entity.column_name(cell.part, &cell.column.name);
        let reason = "the root's counts".to_owned();
        entity.left_out.push(LeftOut { column, reason, question: None });
    }
    is_second
}

/// All classes in one table (TPH), told apart by the type's name.
fn object_type<'c>(
    room: &Room<'c>,
    cell: Cell<'c>,
    entity: &mut EntityDraft<'c>,
    names: &mut Names,
) {
    let types = room.facts.types(cell.table);
    let column = cell.column.name.clone();
    if let [only] = types.as_slice() {
        let reason = format!("every row is a {only}; the type says nothing more");
        entity.left_out.push(LeftOut { column, reason, question: None });
        return;
    }
    let mut short = Names::default();
    let values = types.into_iter().map(|name| {
        let class = snake(name.rsplit(['.', '+']).next().unwrap_or_default());
        let class = short.take(&[if class.is_empty() { "type".to_owned() } else { class }]);
        (name, class)
    });
    let values: Vec<(String, String)> = values.collect();
    let is_known = !values.is_empty();
    let made = Made::Type { values };
    let name = names.take(&["kind".to_owned(), "object_kind".to_owned()]);
    let mut draft = ColumnDraft::new(name, cell.part, cell.column, made);
    if is_known {
        draft.remark("All classes in one table, told apart by XPO's type name.");
    } else {
        draft.ask(
            "the class's full name as it is: are there several, and what are they called here? \
             (values = { \"App.Module.Space\" = \"space\" })",
        );
    }
    entity.columns.push(draft);
}

/// A key that only XPO needs: the id stands for it.
fn is_surrogate(cell: Cell<'_>) -> bool {
    let column = cell.column;
    let named = ["OID", "ID"].iter().any(|name| column.name.eq_ignore_ascii_case(name));
    let is_generated = column.identity || column.sql_type == SqlType::UniqueIdentifier || named;
    let key = key(cell.table);
    is_generated && matches!(key.as_slice(), [only] if only.eq_ignore_ascii_case(&column.name))
}

/// The key of a leaf is its root's.
fn is_root_key(room: &Room<'_>, cell: Cell<'_>) -> bool {
    let is_key =
        cell.table.primary_key.iter().any(|key| key.eq_ignore_ascii_case(&cell.column.name));
    is_key && cell.part > 0 && matches!(room.families.place(cell.table), Place::Leaf { .. })
}

/// A row that names its currency may not be in the one of the file.
fn ask_for_currency(entity: &mut EntityDraft<'_>) {
    let is_currency = |c: &&Column| words(&c.name).iter().any(|word| word == "currency");
    let columns = entity.parts.iter().flat_map(|part| &part.columns);
    let Some(named) = columns.into_iter().find(is_currency).map(|column| column.name.clone())
    else {
        return;
    };
    let mut drafts = entity.columns.iter_mut();
    let money = drafts.find_map(|draft| match draft.made.clone() {
        Made::Money { currency, .. } => Some((draft, currency)),
        _ => None,
    });
    if let Some((draft, currency)) = money {
        let all = if currency == number::NO_CURRENCY { "one" } else { &currency };
        draft.ask(format!(
            "the row names its own currency in `{named}`: are all amounts of this table in {all}?"
        ));
    }
}

/// Leaves out what the engine can't take of one table.
fn cut(entity: &mut EntityDraft<'_>) {
    for part in 0..entity.parts.len() {
        let own = usize::from(entity.soft_delete) + usize::from(entity.version.is_some());
        let mut room = PART_COLUMNS_MAX - own;
        let (kept, cut): (Vec<_>, Vec<_>) =
            std::mem::take(&mut entity.columns).into_iter().partition(|draft| {
                let fits = draft.part != part || room > 0;
                if draft.part == part && fits {
                    room -= 1;
                }
                fits
            });
        entity.columns = kept;
        for draft in cut {
            for source in &draft.sources {
                let column = entity.column_name(part, &source.name);
                let is_mapped =
                    entity.columns.iter().any(|d| d.part == part && d.sources.contains(source));
                if !is_mapped && !entity.left_out.iter().any(|left| left.column == column) {
                    entity.left_out.push(LeftOut {
                        column,
                        reason: format!("the engine takes {PART_COLUMNS_MAX} columns of a table"),
                        question: Some(
                            "which columns of this wide table can stay behind?".to_owned(),
                        ),
                    });
                }
            }
        }
    }
}

/// Says above the entity what XPO made its tables for.
fn describe(room: &Room<'_>, entity: &mut EntityDraft<'_>) {
    let Some(last) = entity.parts.last() else { return };
    let base = room.families.kind(last).map(|kind| kind.base);
    let text = match (room.families.place(last), base) {
        (Place::Leaf { root }, _) => format!(
            "One table for each class (TPT): a row of {} and one of {} with the same key, in any \
             order. Type, version and liveness are in the root alone.",
            root.table, last.table
        ),
        (Place::Deeper { parent }, _) => format!(
            "A class below {}: its rows refer to that entity's, one to one, because only a root can \
             be shared. Type, version and liveness are there.",
            parent.table
        ),
        (Place::Root, _) => {
            "Rows of the root's own class; its leaves have entities of their own.".to_owned()
        }
        (_, Some(BaseClass::LinkTable)) => {
            "XPO's many-to-many table: rows are inserted and deleted, never soft-deleted."
                .to_owned()
        }
        (_, Some(BaseClass::XpLiteObject | BaseClass::XpBaseObject)) => {
            "No GCRecord: rows are deleted physically.".to_owned()
        }
        _ => return,
    };
    entity.notes.insert(0, Note::remark(text));
}
