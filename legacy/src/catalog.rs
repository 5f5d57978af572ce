//! What the server says of its tables and of its log.
//!
//! `Raw…` is what the server said; [`Catalog`] is what we make of it. Tables of schema `cdc`
//! are not part of it: they are CDC's own.

use std::collections::BTreeMap;

use mapping::{
    catalog::{Catalog, Column, LegacyTable, SqlType, Table},
    plan::ObjectTypes,
    position::Lsn,
    value::LegacyValue,
};

use crate::{CaptureState, Error, Session, statement::Statement, value::from_driver};

/// The dictionary of type names, by XPO's convention.
fn object_types_table() -> LegacyTable {
    LegacyTable::new("dbo", "XPObjectType")
}

impl Session {
    /// The whole catalogue.
    ///
    /// # Errors
    /// Any failure of the connection or a missing permission.
    pub async fn catalog(&mut self) -> Result<Catalog, Error> {
        let doing = "reading the catalogue";
        let database = self.answer(&Statement::database(), doing).await?;
        let mut database = database.into_iter().next().ok_or_else(|| unexpected(doing))?;
        let columns = self.answer(&Statement::columns(), doing).await?;
        let keys = self.answer(&Statement::keys(), doing).await?;
        let instances = if self.is_cdc_enabled().await? {
            self.answer(&Statement::capture_instances(), doing).await?
        } else {
            Vec::new()
        };
        let tables = assemble(columns, keys, instances).ok_or_else(|| unexpected(doing))?;
        let name = database.text().ok_or_else(|| unexpected(doing))?;
        // A login without rights on the database property gets NULL.
        let collation = database.text().unwrap_or_default();
        Ok(Catalog { database: name, collation, tables })
    }

    /// The capture state: the low watermark is its `max_lsn`.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn capture_state(&mut self) -> Result<CaptureState, Error> {
        if !self.is_cdc_enabled().await? {
            return Ok(CaptureState { max_lsn: None, enabled: false });
        }
        let max_lsn = self.lsn(&Statement::max_lsn(), "asking for the max LSN").await?;
        Ok(CaptureState { max_lsn, enabled: true })
    }

    /// `sys.fn_cdc_get_min_lsn(instance)`; `None` when the instance is not there or not readable.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn min_lsn(&mut self, capture_instance: &str) -> Result<Option<Lsn>, Error> {
        let doing = format!("asking for the min LSN of {capture_instance}");
        // Zero is how the function says "no such instance" (documented).
        let lsn = self.lsn(&Statement::min_lsn(capture_instance), &doing).await?;
        Ok(lsn.filter(|lsn| *lsn != Lsn::ZERO))
    }

    /// `XPObjectType` as a dictionary; empty when the table is not there.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn object_types(&mut self) -> Result<ObjectTypes, Error> {
        let doing = "reading dbo.XPObjectType";
        let rows = match self.answer(&Statement::object_types(&object_types_table()), doing).await {
            Err(Error::Missing { .. }) => return Ok(ObjectTypes::new()),
            rows => rows?,
        };
        let pair = |mut row: Answer| Some((row.integer()?, row.text()?));
        Ok(rows.into_iter().filter_map(pair).collect())
    }

    /// Number of rows, from the catalogue's partition statistics (an estimate). Where the login
    /// may not read those, the rows are counted.
    ///
    /// # Errors
    /// Any failure of the connection, or a missing table.
    pub async fn row_count(&mut self, table: &LegacyTable) -> Result<u64, Error> {
        let doing = format!("counting the rows of {table}");
        let estimate = match self.answer(&Statement::row_count(table), &doing).await {
            Err(Error::Permission { .. }) => None,
            rows => first_integer(rows?),
        };
        // NULL: no such table, or no permission to see it; the count tells which.
        let count = match estimate {
            Some(count) => count,
            None => {
                let rows = self.answer(&Statement::count(table), &doing).await?;
                first_integer(rows).ok_or_else(|| unexpected(&doing))?
            }
        };
        u64::try_from(count).map_err(|_| unexpected(&doing))
    }

    /// Tables and their capture instances, the oldest first.
    pub(crate) async fn capture_instances(&mut self) -> Result<Vec<(LegacyTable, String)>, Error> {
        let doing = "asking for the capture instances";
        let rows = self.answer(&Statement::capture_instances(), doing).await?;
        let read =
            |mut row: Answer| Some((LegacyTable::new(row.text()?, row.text()?), row.text()?));
        rows.into_iter().map(|row| read(row).ok_or_else(|| unexpected(doing))).collect()
    }

    async fn is_cdc_enabled(&mut self) -> Result<bool, Error> {
        let doing = "asking whether CDC is on";
        let rows = self.answer(&Statement::cdc_enabled(), doing).await?;
        rows.into_iter().next().and_then(|mut row| row.boolean()).ok_or_else(|| unexpected(doing))
    }

    /// One LSN, NULL as `None`.
    pub(crate) async fn lsn(
        &mut self,
        statement: &Statement,
        doing: &str,
    ) -> Result<Option<Lsn>, Error> {
        let rows = self.answer(statement, doing).await?;
        match rows.into_iter().next().and_then(|mut row| row.next()) {
            None | Some(LegacyValue::Null) => Ok(None),
            Some(LegacyValue::Bytes(bytes)) => {
                let bytes = bytes.as_ref().try_into().map_err(|_| unexpected(doing))?;
                Ok(Some(Lsn::from_bytes(bytes)))
            }
            Some(_) => Err(unexpected(doing)),
        }
    }

    async fn answer(&mut self, statement: &Statement, doing: &str) -> Result<Vec<Answer>, Error> {
        let rows = self.rows(statement, doing).await?;
        Ok(rows.into_iter().map(Answer::new).collect())
    }
}

fn unexpected(doing: &str) -> Error {
    Error::Answer { doing: doing.to_owned(), detail: "another shape than asked for" }
}

fn first_integer(rows: Vec<Answer>) -> Option<i64> {
    rows.into_iter().next()?.integer()
}

/// A row of an answer, taken column by column.
struct Answer(std::vec::IntoIter<tiberius::ColumnData<'static>>);

impl Answer {
    fn new(row: tiberius::Row) -> Self {
        Self(row.into_iter())
    }

    fn next(&mut self) -> Option<LegacyValue<'static>> {
        Some(from_driver(self.0.next()?, true))
    }

    fn text(&mut self) -> Option<String> {
        match self.next()? {
            LegacyValue::Text(text) => Some(text.into_owned()),
            _ => None,
        }
    }

    /// NULL, too, is `None`.
    fn integer(&mut self) -> Option<i64> {
        match self.next()? {
            LegacyValue::Int(value) => Some(value),
            _ => None,
        }
    }

    fn boolean(&mut self) -> Option<bool> {
        match self.next()? {
            LegacyValue::Bool(value) => Some(value),
            LegacyValue::Int(value) => Some(value != 0),
            _ => None,
        }
    }
}

/// Tables from the three lists, sorted by name; `None` when a list has another shape.
fn assemble(columns: Vec<Answer>, keys: Vec<Answer>, instances: Vec<Answer>) -> Option<Vec<Table>> {
    let mut tables: BTreeMap<LegacyTable, Table> = BTreeMap::new();
    for mut row in columns {
        let table = LegacyTable::new(row.text()?, row.text()?);
        if table.schema.eq_ignore_ascii_case("cdc") {
            continue;
        }
        let column = RawColumn::read(&mut row)?.refine();
        let empty = Table::new(table.clone(), Vec::new(), Vec::new());
        tables.entry(table).or_insert(empty).columns.push(column);
    }
    for mut row in keys {
        let table = LegacyTable::new(row.text()?, row.text()?);
        let column = row.text()?;
        if let Some(table) = tables.get_mut(&table) {
            table.primary_key.push(column);
        }
    }
    for mut row in instances {
        let table = LegacyTable::new(row.text()?, row.text()?);
        let instance = row.text()?;
        if let Some(table) = tables.get_mut(&table) {
            // In order of their start: the newest stays.
            table.capture_instance = Some(instance);
        }
    }
    Some(tables.into_values().collect())
}

/// A column as `sys.columns` tells it.
#[derive(Debug, Clone)]
struct RawColumn {
    name: String,
    type_name: String,
    /// In bytes; -1 for `max`.
    max_length: i64,
    precision: i64,
    scale: i64,
    nullable: bool,
    identity: bool,
    computed: bool,
    collation: Option<String>,
}

impl RawColumn {
    fn read(row: &mut Answer) -> Option<Self> {
        Some(Self {
            name: row.text()?,
            type_name: row.text()?,
            max_length: row.integer()?,
            precision: row.integer()?,
            scale: row.integer()?,
            nullable: row.boolean()?,
            identity: row.boolean()?,
            computed: row.boolean()?,
            collation: row.text(),
        })
    }

    fn refine(self) -> Column {
        Column {
            sql_type: self.sql_type(),
            name: self.name,
            nullable: self.nullable,
            collation: self.collation,
            computed: self.computed,
            identity: self.identity,
        }
    }

    fn sql_type(&self) -> SqlType {
        let length = u16::try_from(self.max_length).ok();
        let units = length.map(|bytes| bytes / 2);
        let scale = u8::try_from(self.scale).unwrap_or_default();
        let precision = u8::try_from(self.precision).unwrap_or_default();
        match self.type_name.to_ascii_lowercase().as_str() {
            "decimal" | "numeric" => SqlType::Decimal { precision, scale },
            "time" => SqlType::Time { scale },
            "datetime2" => SqlType::DateTime2 { scale },
            "datetimeoffset" => SqlType::DateTimeOffset { scale },
            "char" => SqlType::Char { length: length.unwrap_or_default() },
            "varchar" => SqlType::VarChar { length },
            "nchar" => SqlType::NChar { length: units.unwrap_or_default() },
            "nvarchar" | "sysname" => SqlType::NVarChar { length: units },
            "binary" => SqlType::Binary { length: length.unwrap_or_default() },
            "varbinary" => SqlType::VarBinary { length },
            // `float(24)` is `real` in the catalogue; the others need no size.
            name => name.parse().unwrap_or_else(|_: std::convert::Infallible| {
                SqlType::Other(self.type_name.clone())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(type_name: &str, (max_length, precision, scale): (i64, i64, i64), expect: &str) {
        let raw = RawColumn {
            name: "c".to_owned(),
            type_name: type_name.to_owned(),
            max_length,
            precision,
            scale,
            nullable: true,
            identity: false,
            computed: false,
            collation: None,
        };
        assert_eq!(raw.refine().sql_type.to_string(), expect);
    }

    #[test]
    fn catalogue_numbers_become_types() {
        check("nvarchar", (40, 0, 0), "nvarchar(20)");
        check("nvarchar", (-1, 0, 0), "nvarchar(max)");
        check("varbinary", (-1, 0, 0), "varbinary(max)");
        check("varchar", (30, 0, 0), "varchar(30)");
        check("nchar", (6, 0, 0), "nchar(3)");
        check("decimal", (13, 28, 10), "decimal(28,10)");
        check("numeric", (5, 3, 0), "decimal(3,0)");
        check("money", (8, 19, 4), "money");
        check("datetime", (8, 23, 3), "datetime");
        check("datetime2", (8, 27, 7), "datetime2(7)");
        check("time", (3, 8, 0), "time(0)");
        check("timestamp", (8, 0, 0), "rowversion");
        check("uniqueidentifier", (16, 0, 0), "uniqueidentifier");
        check("ntext", (16, 0, 0), "ntext");
        check("geography", (-1, 0, 0), "geography");
    }
}
