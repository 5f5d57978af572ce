//! What the server says of its tables and of its log.
//!
//! `Raw…` is what the server said; [`Catalog`] is what we make of it. Tables of schema `cdc`
//! are not part of it: they are CDC's own.

use std::collections::BTreeMap;

use mapping::{
    catalog::{Catalog, LegacyTable},
    plan::ObjectTypes,
    position::Lsn,
    value::LegacyValue,
};

use self::tables::Lists;
use crate::{CaptureState, Error, Session, TableSize, statement::Statement, value::from_driver};

mod column;
mod tables;

/// Bytes of a page of SQL Server's.
const PAGE_BYTES: u64 = 8192;

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
        let mut lists = Lists {
            columns: self.answer(&Statement::columns(), doing).await?,
            keys: self.answer(&Statement::keys(), doing).await?,
            unique_indexes: self.answer(&Statement::unique_indexes(), doing).await?,
            foreign_keys: self.answer(&Statement::foreign_keys(), doing).await?,
            ..Lists::default()
        };
        if self.is_cdc_enabled().await? {
            lists.instances = self.answer(&Statement::capture_instances(), doing).await?;
            lists.captured_columns = self.answer(&Statement::captured_columns(), doing).await?;
        }
        let tables = lists.assemble().ok_or_else(|| unexpected(doing))?;
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

    /// Rows and bytes of every table, from the catalogue's partition statistics; `None` where
    /// the login may not read those, or the server has none.
    ///
    /// # Errors
    /// Any failure of the connection.
    pub async fn sizes(&mut self) -> Result<Option<BTreeMap<LegacyTable, TableSize>>, Error> {
        let doing = "asking for the sizes of the tables";
        let rows = match self.answer(&Statement::sizes(), doing).await {
            Err(error) if is_refusal(&error) => return Ok(None),
            rows => rows?,
        };
        let size = |mut row: Answer| {
            let table = LegacyTable::new(row.text()?, row.text()?);
            let rows = u64::try_from(row.integer()?).ok()?;
            let pages = u64::try_from(row.integer()?).ok()?;
            Some((table, TableSize { rows, bytes: pages.saturating_mul(PAGE_BYTES) }))
        };
        let sizes: Option<_> = rows.into_iter().map(size).collect();
        sizes.map(Some).ok_or_else(|| unexpected(doing))
    }

    /// Number of rows, from the catalogue's partition statistics (an estimate). Where the login
    /// may not read those, or the server has none, the rows are counted.
    ///
    /// # Errors
    /// Any failure of the connection, or a missing table.
    pub async fn row_count(&mut self, table: &LegacyTable) -> Result<u64, Error> {
        let doing = format!("counting the rows of {table}");
        let estimate = match self.answer(&Statement::row_count(table), &doing).await {
            Err(error) if is_refusal(&error) => None,
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

/// The server has no partition statistics, or none for this login: one does without.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Permission { .. } | Error::Missing { .. } | Error::Server { .. })
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
