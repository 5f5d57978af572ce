//! Second pass: an entity's columns, in the target's order.

use super::{
    Outline, TableBook,
    column::{self, Made},
    cover::{self, Cell},
    filter, lob,
    outline::{is_name, target},
    unique, xpo,
};
use crate::{
    convert::Make,
    file::{EntitySaid, Mistakes, Said},
    plan::{
        Candidate, Compare, EntityId, EntityPlan, Field, Filter, Part, PgType, SoftDelete, TableId,
        TargetColumn,
    },
    row::ColumnMask,
};

/// Columns of a part, the id aside: more would not fit a row's mask.
const PART_COLUMNS_MAX: usize = 63;

/// A column made, and the part that makes it.
pub(super) struct Placed {
    pub(super) part: usize,
    pub(super) column: TargetColumn,
    pub(super) field: Field,
    /// The catalogue's place of its first legacy column.
    pub(super) cell: Option<Cell>,
    /// Whether its row is read again where a change does not carry it.
    pub(super) reselect: bool,
}

pub(super) fn build(
    outline: &Outline<'_>,
    outlines: &[Outline<'_>],
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> EntityPlan {
    let said = outline.said;
    let (target_schema, target_table) = target(said);
    let mut plan = EntityPlan {
        id: outline.id,
        name: said.name.value.clone(),
        domain: said.domain.clone(),
        target_schema,
        target_table,
        columns: vec![id_column()],
        parts: Vec::new(),
        references: Vec::new(),
        unique: Vec::new(),
        soft_delete: said.soft_delete.unwrap_or(SoftDelete::None),
        deleted_at: None,
        version: None,
    };
    if outline.tables.is_empty() {
        return plan;
    }
    let mut used = Vec::new();
    let mut placed = mapped_columns(outline, outlines, &mut plan, &mut used, book, m);
    check_target_names(said, m);
    let id_time = id_time(outline, &placed, book, m);
    if let Some(column) = xpo::version(outline, &mut used, book, m) {
        plan.version = Some(placed.len() + 1);
        placed.push(column);
    }
    let soft_deleted = xpo::soft_deleted(outline, &mut used, book, m);
    if plan.soft_delete == SoftDelete::DeletedAt {
        plan.deleted_at = Some(placed.len() + 1);
        placed.push(xpo::deleted_at());
    }
    xpo::object_type(outline, &mut used, book, m);
    let filter = filter::make(outline, &mut used, book, m);
    cover::check(outline, &used, book, m);
    for (part, table) in outline.tables.iter().enumerate() {
        let columns = || placed.iter().enumerate().filter(|(_, column)| column.part == part);
        let mut indexes = vec![0];
        indexes.extend(columns().map(|(index, _)| index + 1));
        let wanted = columns().zip(1..ColumnMask::BITS).filter(|((_, column), _)| column.reselect);
        let reselected = wanted.fold(0, |mask, (_, bit)| mask | 1 << bit);
        if indexes.len() > PART_COLUMNS_MAX + 1 {
            let message = format!("`{}` has more than {PART_COLUMNS_MAX} columns", said.name);
            m.add(said.name.at, message, "leave some out, or map the rest as a second entity");
        }
        plan.parts.push(Part {
            table: TableId(u16::try_from(*table).unwrap_or(u16::MAX)),
            columns: indexes,
            reselected,
        });
    }
    plan.columns.extend(placed.iter().map(|placed| placed.column.clone()));
    plan.unique = unique::rules(said, &plan, m);
    let root = Root { soft_deleted, filter };
    add_candidates(outline, placed, root, id_time, book);
    plan
}

fn mapped_columns(
    outline: &Outline<'_>,
    outlines: &[Outline<'_>],
    plan: &mut EntityPlan,
    used: &mut Vec<Cell>,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Vec<Placed> {
    let mut placed = Vec::new();
    let untold = |from: &[Said<String>], book: &TableBook<'_>| -> Vec<Cell> {
        // What is wrong with it has been told, or is about to be.
        let resolve = |from| cover::resolve(from, outline, book, &mut Mistakes::new(&[]));
        from.iter().filter_map(resolve).collect()
    };
    used.extend(untold(&outline.said.unclear, book));
    let mut skipped = Vec::new();
    for said in &outline.said.columns {
        if let Some(columns) = lob::skip(said, outline, book, m) {
            skipped.push((said, columns));
            continue;
        }
        let Some(made) = column::make(said, outline, outlines, book, m) else {
            used.extend(untold(&said.from, book));
            continue;
        };
        let Made { part, cells, target, field, reference } = made;
        plan.references.extend(reference);
        used.extend(&cells);
        let (cell, reselect) = (cells.first().copied(), said.reselect);
        placed.push(Placed { part, column: target, field, cell, reselect });
    }
    lob::leave_out(skipped, outline, used, book, m);
    placed
}

fn id_column() -> TargetColumn {
    TargetColumn {
        name: "id".into(),
        pg_type: PgType::Uuid,
        from: None,
        compare: Compare::Exact,
        sensitive: false,
    }
}

fn check_target_names(said: &EntitySaid, m: &mut Mistakes<'_>) {
    for column in &said.columns {
        let name = column.name.value.as_str();
        let taken = matches!(name, "id" | "source_position")
            || (name == "version" && said.version.is_some())
            || (name == "deleted_at" && said.soft_delete == Some(SoftDelete::DeletedAt));
        if taken {
            let message = format!("the column `{name}` is made by the engine");
            m.add(column.name.at, message, "give yours another name");
        } else if !is_name(name) {
            let message = format!("`{name}` is no target column");
            m.add(column.name.at, message, super::outline::NAME_HELP);
        }
    }
}

/// The column that makes the id's time.
fn id_time(
    outline: &Outline<'_>,
    placed: &[Placed],
    book: &TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<Cell> {
    let said = outline.said.id_time.as_ref()?;
    let cell = cover::resolve(said, outline, book, m)?;
    let is_time = |placed: &&Placed| {
        placed.cell == Some(cell)
            && matches!(
                placed.field.make,
                Make::Date { .. } | Make::Timestamp { .. } | Make::Timestamptz { .. }
            )
    };
    if !placed.iter().any(|column| is_time(&column)) {
        let message = format!("`id_time` is `{said}`, which no column makes as a time");
        m.add(
            said.at,
            message,
            "map it as \"timestamptz\" or \"date\" too: the id takes that column's time",
        );
    }
    Some(cell)
}

/// What only an entity's root says of a row.
struct Root {
    /// The place of `GCRecord`.
    soft_deleted: Option<usize>,
    filter: Option<Box<Filter>>,
}

fn add_candidates(
    outline: &Outline<'_>,
    placed: Vec<Placed>,
    mut root: Root,
    id_time: Option<Cell>,
    book: &mut TableBook<'_>,
) {
    let entity: EntityId = outline.id;
    let soft_delete = outline.said.soft_delete.unwrap_or(SoftDelete::None);
    let types = || outline.said.types.iter().map(|name| name.value.as_str().into()).collect();
    let mut candidates: Vec<Candidate> = (0..outline.tables.len())
        .map(|part| Candidate {
            entity,
            part: u8::try_from(part).unwrap_or(u8::MAX),
            types: if part == 0 { types() } else { Vec::new() },
            filter: if part == 0 { root.filter.take() } else { None },
            soft_deleted: root.soft_deleted.filter(|_| part == 0),
            soft_delete: if part == 0 { soft_delete } else { SoftDelete::None },
            fields: Vec::new(),
            id_time: None,
            numbers: Vec::new(),
        })
        .collect();
    for column in placed {
        let Some(candidate) = candidates.get_mut(column.part) else { continue };
        let time = matches!(
            column.field.make,
            Make::Date { .. } | Make::Timestamp { .. } | Make::Timestamptz { .. }
        );
        if time && column.cell.is_some() && column.cell == id_time && candidate.id_time.is_none() {
            candidate.id_time = Some(candidate.fields.len());
        }
        candidate.fields.push(column.field);
    }
    for (table, candidate) in outline.tables.iter().zip(candidates) {
        if let Some(draft) = book.drafts.get_mut(*table) {
            draft.candidates.push(candidate);
        }
    }
}
