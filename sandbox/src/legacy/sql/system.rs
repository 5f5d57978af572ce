//! Catalogue and CDC questions, known by their whole text.

use std::sync::LazyLock;

use chrono::Utc;
use mapping::{
    catalog::SqlType,
    value::{LegacyValue, TICKS_PER_SECOND},
};
use sqlparser::ast::{Query, Statement};

use super::{
    Cursor, Outcome, Parameter, ResultColumn, Session, SqlError, parse,
    shape::{Scope, plain},
};
use crate::legacy::{Database, MARKER_TABLE};

mod catalogue;
mod types;

/// A statement that is known by its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Database,
    CdcEnabled,
    Columns,
    Keys,
    UniqueIndexes,
    ForeignKeys,
    CaptureInstances,
    CapturedColumns,
    Sizes,
    RowCount,
    MaxLsn,
    MinLsn,
    PutMarker,
    FindMarker,
    LastCount,
}

const TEXTS: [(Known, &str); 15] = [
    (
        Known::Database,
        "SELECT DB_NAME() AS [name], CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128)) AS [collation]",
    ),
    (Known::CdcEnabled, "SELECT d.is_cdc_enabled FROM sys.databases AS d WHERE d.name = DB_NAME()"),
    (
        Known::Columns,
        "SELECT s.name AS schema_name, t.name AS table_name, c.name AS column_name, ty.name AS type_name, c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity, c.is_computed, c.collation_name FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = t.object_id JOIN sys.types AS ty ON ty.user_type_id = c.user_type_id WHERE t.is_ms_shipped = 0 ORDER BY s.name, t.name, c.column_id",
    ),
    (
        Known::Keys,
        "SELECT s.name AS schema_name, t.name AS table_name, c.name AS column_name FROM sys.indexes AS i JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id JOIN sys.tables AS t ON t.object_id = i.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id WHERE i.is_primary_key = 1 ORDER BY s.name, t.name, ic.key_ordinal",
    ),
    (
        Known::UniqueIndexes,
        "SELECT s.name AS schema_name, t.name AS table_name, i.name AS index_name, i.filter_definition, c.name AS column_name FROM sys.indexes AS i JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id JOIN sys.tables AS t ON t.object_id = i.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id WHERE i.is_unique = 1 AND i.is_primary_key = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0 AND ic.is_included_column = 0 ORDER BY s.name, t.name, i.name, ic.key_ordinal",
    ),
    (
        Known::ForeignKeys,
        "SELECT s.name AS schema_name, t.name AS table_name, f.name AS key_name, c.name AS column_name, rs.name AS referenced_schema, rt.name AS referenced_table, rc.name AS referenced_column FROM sys.foreign_keys AS f JOIN sys.foreign_key_columns AS fc ON fc.constraint_object_id = f.object_id JOIN sys.tables AS t ON t.object_id = f.parent_object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id JOIN sys.columns AS c ON c.object_id = fc.parent_object_id AND c.column_id = fc.parent_column_id JOIN sys.tables AS rt ON rt.object_id = f.referenced_object_id JOIN sys.schemas AS rs ON rs.schema_id = rt.schema_id JOIN sys.columns AS rc ON rc.object_id = fc.referenced_object_id AND rc.column_id = fc.referenced_column_id ORDER BY s.name, t.name, f.name, fc.constraint_column_id",
    ),
    (
        Known::CaptureInstances,
        "SELECT s.name AS schema_name, t.name AS table_name, ct.capture_instance FROM cdc.change_tables AS ct JOIN sys.tables AS t ON t.object_id = ct.source_object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id ORDER BY ct.start_lsn",
    ),
    (
        Known::CapturedColumns,
        "SELECT s.name AS schema_name, t.name AS table_name, ct.capture_instance, cc.column_name FROM cdc.captured_columns AS cc JOIN cdc.change_tables AS ct ON ct.object_id = cc.object_id JOIN sys.tables AS t ON t.object_id = ct.source_object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id ORDER BY ct.start_lsn, cc.column_ordinal",
    ),
    (
        Known::Sizes,
        "SELECT s.name AS schema_name, t.name AS table_name, SUM(CASE WHEN p.index_id IN (0, 1) THEN p.row_count ELSE 0 END) AS [rows], SUM(p.used_page_count) AS [pages] FROM sys.dm_db_partition_stats AS p JOIN sys.tables AS t ON t.object_id = p.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id GROUP BY s.name, t.name ORDER BY s.name, t.name",
    ),
    (
        Known::RowCount,
        "SELECT SUM(p.row_count) AS [rows] FROM sys.dm_db_partition_stats AS p WHERE p.object_id = OBJECT_ID(@P1) AND p.index_id IN (0, 1)",
    ),
    (Known::MaxLsn, "SELECT sys.fn_cdc_get_max_lsn() AS [lsn]"),
    (Known::MinLsn, "SELECT sys.fn_cdc_get_min_lsn(@P1) AS [lsn]"),
    (
        Known::PutMarker,
        "INSERT INTO [dbo].[ficus_marker] ([token], [at]) VALUES (@P1, GETUTCDATE())",
    ),
    (
        Known::FindMarker,
        "SELECT TOP (1) [__$start_lsn] AS [lsn] FROM [cdc].[dbo_ficus_marker_CT] WHERE [token] = @P1",
    ),
    (Known::LastCount, "SELECT ROWCOUNT_BIG() AS [rows]"),
];

static STATEMENTS: LazyLock<Vec<(Known, Statement)>> = LazyLock::new(|| {
    let parsed = TEXTS.iter().map(|(known, text)| (*known, parse(text)));
    parsed.flat_map(|(known, parsed)| parsed.ok()?.pop().map(|s| (known, s))).collect()
});

/// Which known statement this is: spaces and line breaks do not matter, all else does.
pub(super) fn known(statement: &Statement) -> Option<Known> {
    STATEMENTS.iter().find(|(_, other)| other == statement).map(|(known, _)| *known)
}

pub(super) fn run(
    known: Known,
    session: &mut Session,
    parameters: &[Parameter],
) -> Result<Outcome, SqlError> {
    let database = session.database().clone();
    let rows = match known {
        Known::Database => rows(
            &[("name", SYSNAME), ("collation", SYSNAME)],
            vec![vec![text(database.name()), text(&database.inner().collation.name)]],
        ),
        Known::CdcEnabled => {
            let on = database.inner().read().log.max_lsn().is_some();
            rows(&[("is_cdc_enabled", SqlType::Bit)], vec![vec![LegacyValue::Bool(on)]])
        }
        Known::Columns => catalogue::columns(&database.catalog()),
        Known::Keys => catalogue::keys(&database.catalog()),
        Known::UniqueIndexes => catalogue::unique_indexes(&database.catalog()),
        Known::ForeignKeys => catalogue::foreign_keys(&database.catalog()),
        Known::CaptureInstances => catalogue::capture_instances(&database)?,
        Known::CapturedColumns => catalogue::captured_columns(&database)?,
        Known::Sizes => catalogue::sizes(&database, &session.snapshot()),
        Known::RowCount => row_count(session, parameters)?,
        Known::MaxLsn => {
            let lsn = session.snapshot().max_lsn;
            let lsn = lsn.as_ref().map_or(LegacyValue::Null, |lsn| bytes(lsn.as_bytes()));
            rows(&[("lsn", LSN)], vec![vec![lsn]])
        }
        Known::MinLsn => {
            let instance = text_parameter(parameters)?;
            let lsn = database.inner().min_lsn(&instance).unwrap_or_default();
            rows(&[("lsn", LSN)], vec![vec![bytes(lsn.as_bytes())]])
        }
        Known::PutMarker => {
            let now = Utc::now();
            let at =
                now.timestamp() * TICKS_PER_SECOND + i64::from(now.timestamp_subsec_nanos()) / 100;
            let row = vec![LegacyValue::Guid(token(parameters)?), LegacyValue::Timestamp(at)];
            session.insert_marker(row)?;
            return Ok(Outcome::Count(1));
        }
        Known::FindMarker => find_marker(&database, token(parameters)?)?,
        Known::LastCount => {
            let count = i64::try_from(session.last_count).unwrap_or(i64::MAX);
            rows(&[("rows", SqlType::BigInt)], vec![vec![LegacyValue::Int(count)]])
        }
    };
    Ok(Outcome::Rows(Box::new(rows)))
}

/// `SELECT COUNT_BIG(*) AS [rows] FROM [t]`.
pub(super) fn count(query: &Query, scope: Scope<'_>) -> Result<Option<Cursor>, SqlError> {
    let Some(plain) = plain(query) else { return Ok(None) };
    let sqlparser::ast::TableFactor::Table { name, .. } = &plain.from.relation else {
        return Ok(None);
    };
    if query.to_string() != format!("SELECT COUNT_BIG(*) AS [rows] FROM {name}") {
        return Ok(None);
    }
    let count = i64::try_from(scope.source(name)?.store.count()).unwrap_or(i64::MAX);
    Ok(Some(rows(&[("rows", SqlType::BigInt)], vec![vec![LegacyValue::Int(count)]])))
}

/// `SELECT MAX([__$start_lsn]) AS [lsn] FROM [cdc].[x_CT]`.
pub(super) fn last_change(query: &Query, scope: Scope<'_>) -> Result<Option<Cursor>, SqlError> {
    let Some(plain) = plain(query) else { return Ok(None) };
    let sqlparser::ast::TableFactor::Table { name, .. } = &plain.from.relation else {
        return Ok(None);
    };
    if query.to_string() != format!("SELECT MAX([__$start_lsn]) AS [lsn] FROM {name}") {
        return Ok(None);
    }
    let name = name.to_string().replace(['[', ']'], "");
    let instance = name.strip_prefix("cdc.").and_then(|rest| rest.strip_suffix("_CT"));
    let unknown = || SqlError::unknown_table(&name);
    let last = scope.database.inner().last_change(instance.ok_or_else(unknown)?);
    let lsn = last.ok_or_else(unknown)?;
    let lsn = lsn.as_ref().map_or(LegacyValue::Null, |lsn| bytes(lsn.as_bytes()));
    Ok(Some(rows(&[("lsn", LSN)], vec![vec![lsn]])))
}

const SYSNAME: SqlType = SqlType::NVarChar { length: Some(128) };
const LSN: SqlType = SqlType::Binary { length: 10 };

fn text(text: &str) -> LegacyValue<'_> {
    LegacyValue::Text(text.into())
}

fn bytes(bytes: &[u8]) -> LegacyValue<'_> {
    LegacyValue::Bytes(bytes.into())
}

fn rows(columns: &[(&str, SqlType)], values: Vec<Vec<LegacyValue<'_>>>) -> Cursor {
    let columns = columns
        .iter()
        .map(|(name, sql_type)| ResultColumn {
            name: (*name).to_owned(),
            sql_type: sql_type.clone(),
            nullable: true,
            collation: matches!(sql_type, SqlType::NVarChar { .. })
                .then_some([0x09, 0x04, 0xD0, 0x00, 0x34]),
        })
        .collect();
    Cursor::of_values(columns, values).expect("the catalogue's values fit the catalogue's types")
}

/// `OBJECT_ID` of an unknown name is NULL, and the sum of nothing is NULL.
fn row_count(session: &mut Session, parameters: &[Parameter]) -> Result<Cursor, SqlError> {
    let name = text_parameter(parameters)?.replace(['[', ']'], "");
    let snapshot = session.snapshot();
    let found = session.database().inner().table(&name).ok();
    let store = found.and_then(|(index, _)| snapshot.stores.get(index));
    let count = store.map_or(LegacyValue::Null, |store| {
        LegacyValue::Int(i64::try_from(store.count()).unwrap_or(i64::MAX))
    });
    Ok(rows(&[("rows", SqlType::BigInt)], vec![vec![count]]))
}

fn find_marker(database: &Database, token: uuid::Uuid) -> Result<Cursor, SqlError> {
    let inner = database.inner();
    let (index, _) = inner.table(MARKER_TABLE)?;
    let log = &inner.read().log;
    if log.instance(index).is_none() {
        return Err(SqlError::unknown_table("cdc.dbo_ficus_marker_CT"));
    }
    let found = log.marker(token, index);
    let values: Vec<_> = found.iter().map(|lsn| vec![bytes(lsn.as_bytes())]).collect();
    Ok(rows(&[("lsn", LSN)], values))
}

fn parameter(parameters: &[Parameter]) -> Result<&LegacyValue<'static>, SqlError> {
    let found = parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case("@P1"));
    let missing = || SqlError::new(137, 15, "Must declare the scalar variable \"@P1\".");
    found.map(|parameter| &parameter.value).ok_or_else(missing)
}

fn text_parameter(parameters: &[Parameter]) -> Result<String, SqlError> {
    match parameter(parameters)? {
        LegacyValue::Text(text) => Ok(text.clone().into_owned()),
        _ => Err(SqlError::new(206, 16, "Operand type clash: @P1 is not a text.")),
    }
}

fn token(parameters: &[Parameter]) -> Result<uuid::Uuid, SqlError> {
    match parameter(parameters)? {
        LegacyValue::Guid(token) => Ok(*token),
        _ => Err(SqlError::new(206, 16, "Operand type clash: @P1 is not a uniqueidentifier.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_text_is_parsed() {
        assert_eq!(STATEMENTS.len(), TEXTS.len());
        for (known, text) in TEXTS {
            let spaced = text.replace(' ', "\n  ");
            let parsed = parse(&spaced).expect("parsed").pop().expect("one");
            assert_eq!(super::known(&parsed), Some(known));
        }
    }
}
