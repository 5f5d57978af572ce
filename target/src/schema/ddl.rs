//! What to write into a migration.

use mapping::plan::{EntityPlan, PgType, TargetColumn};

use crate::{statement::Ident, target::type_name};

/// The table of an entity, quoted.
pub(super) fn table(entity: &EntityPlan) -> String {
    Ident::qualified(&entity.target_schema, &entity.target_table).to_string()
}

/// The type of a column in DDL.
pub(super) fn type_of(pg_type: PgType) -> String {
    match pg_type {
        // As many digits as a legacy decimal can have.
        PgType::Numeric { scale } => format!("numeric(38, {scale})"),
        PgType::Time => "time".to_owned(),
        PgType::Timestamp => "timestamp".to_owned(),
        PgType::Timestamptz => "timestamptz".to_owned(),
        other => type_name(other).to_owned(),
    }
}

/// `name type`.
pub(super) fn column(column: &TargetColumn) -> String {
    format!("{} {}", Ident::new(&column.name), type_of(column.pg_type))
}

/// The whole table: its columns, the primary key, and the engine's own column.
pub(super) fn create(entity: &EntityPlan) -> String {
    let mut columns = vec!["\"id\" uuid primary key".to_owned()];
    columns.extend(entity.columns.iter().skip(1).map(column));
    columns.push("\"source_position\" bytea".to_owned());
    format!("create table {} ({});", table(entity), columns.join(", "))
}

/// `alter table …`.
pub(super) fn alter(entity: &EntityPlan, what: &str) -> String {
    format!("alter table {} {what};", table(entity))
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
