//! XPO's own columns: `OptimisticLockField`, `GCRecord`, `ObjectType`.

use super::{
    Outline, TableBook,
    cover::{self, Cell},
    entity::Placed,
};
use crate::{
    catalog::SqlType,
    convert::Make,
    encode,
    file::{Mistakes, Place, Said},
    plan::{Compare, Field, OnNull, PgType, SoftDelete, TargetColumn},
};

/// The column that `version` asks for.
pub(super) fn version(
    outline: &Outline<'_>,
    used: &mut Vec<Cell>,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<Placed> {
    let said = outline.said.version.as_ref()?;
    let cell = cover::resolve(said, outline, book, m)?;
    used.push(cell);
    let draft = book.drafts.get_mut(*outline.tables.get(cell.0)?)?;
    let column = draft.table.columns.get(cell.1)?;
    let integer = [SqlType::TinyInt, SqlType::SmallInt, SqlType::Int, SqlType::BigInt];
    if !integer.contains(&column.sql_type) {
        let message = format!("the version `{said}` is {}", column.sql_type);
        m.add(said.at, message, "name an int column, such as OptimisticLockField");
    }
    let mut zero = Vec::new();
    encode::put_i32(&mut zero, 0);
    Some(Placed {
        part: cell.0,
        column: TargetColumn {
            name: "version".into(),
            pg_type: PgType::Int4,
            from: Some(column.name.clone()),
            compare: Compare::Exact,
            sensitive: false,
        },
        field: Field {
            make: Make::Int4,
            source: Some(draft.source(cell.1)),
            null: OnNull::Field(zero.into()),
        },
        cell: Some(cell),
        reselect: false,
    })
}

/// The column that a soft delete fills.
pub(super) fn deleted_at() -> Placed {
    Placed {
        part: 0,
        column: TargetColumn {
            name: "deleted_at".into(),
            pg_type: PgType::Timestamptz,
            from: Some(GC_RECORD.into()),
            compare: Compare::Presence,
            sensitive: false,
        },
        field: Field { make: Make::DeletedAt, source: None, null: OnNull::Null },
        cell: None,
        reselect: false,
    }
}

const GC_RECORD: &str = "GCRecord";
const OBJECT_TYPE: &str = "ObjectType";

/// The place of `GCRecord` in the root's rows, when a soft delete does something.
pub(super) fn soft_deleted(
    outline: &Outline<'_>,
    used: &mut Vec<Cell>,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<usize> {
    let policy = outline.said.soft_delete.filter(|policy| *policy != SoftDelete::None);
    policy.and_then(|_| root_column(GC_RECORD, outline.said.name.at, outline, used, book, m))
}

/// A column that XPO puts in a hierarchy's root.
fn root_column(
    name: &str,
    at: Place,
    outline: &Outline<'_>,
    used: &mut Vec<Cell>,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) -> Option<usize> {
    let draft = outline.tables.first().and_then(|table| book.drafts.get_mut(*table))?;
    let Some((column, _)) = draft.column(name) else {
        let message = format!(
            "`{}` needs the column `{name}`, which `{}` does not have",
            outline.said.name, draft.table.table
        );
        m.add(
            at,
            message,
            "only a hierarchy's root has it: name the root first in `parts`, or drop the key",
        );
        return None;
    };
    used.push((0, column));
    Some(draft.source(column))
}

/// Reads `ObjectType` where rows are told apart by it.
pub(super) fn object_type(
    outline: &Outline<'_>,
    used: &mut Vec<Cell>,
    book: &mut TableBook<'_>,
    m: &mut Mistakes<'_>,
) {
    let as_type = outline.said.columns.iter().find(|column| column.made_as.value == "type");
    let first: Option<&Said<String>> =
        outline.said.types.first().or_else(|| as_type.map(|column| &column.made_as));
    let Some(first) = first else { return };
    if !book.object_types {
        let message = "no file says which table is the dictionary of types";
        m.add(
            first.at,
            message,
            "write object_types = \"dbo.XPObjectType\" at the top of one file",
        );
    }
    if outline.said.types.is_empty() {
        return;
    }
    let source = root_column(OBJECT_TYPE, first.at, outline, used, book, m);
    let draft = outline.tables.first().and_then(|table| book.drafts.get_mut(*table));
    if let Some(draft) = draft {
        draft.object_type = source.or(draft.object_type);
    }
}
