//! Rows by id, as Postgres itself writes their values: for a comparison that does not want to rely
//! on the one encoding.

use std::collections::HashMap;

use mapping::{plan::EntityId, position::Position};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::{begin, close};
use crate::{Error, Target, statement::Ident};

/// A row as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRow {
    /// Its position; `None` for a row that the engine did not write.
    pub position: Option<Position>,
    /// The columns that were asked for; `None` is NULL.
    pub texts: Vec<Option<String>>,
}

/// Times in UTC and ISO 8601, floats with all their digits, binaries in hexadecimal digits.
const FORMS: &str = "set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; \
    set local extra_float_digits = 3; set local bytea_output = 'hex'";

impl Target {
    /// Reads columns of an entity's rows as text; rows that are not there are left out.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn read_texts(
        &self,
        entity: EntityId,
        columns: &[&str],
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, TextRow>, Error> {
        let plan = self.entity(entity)?;
        let table = Ident::qualified(&plan.target_schema, &plan.target_table);
        let selected: Vec<String> =
            columns.iter().map(|column| format!(", {}::text", Ident::new(column))).collect();
        let sql = format!(
            "select id, source_position{} from {table} where id = any($1)",
            selected.concat()
        );
        let doing = || Error::postgres(format!("reading {} as text", plan.target_table));
        let mut connection = self.own_connection().await?;
        begin(&mut connection).await?;
        sqlx::raw_sql(FORMS).execute(&mut connection).await.map_err(doing())?;
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).fetch_all(&mut connection).await;
        let rows = rows.map_err(doing())?;
        close(connection).await;
        let row = |row: &sqlx::postgres::PgRow| {
            let position: Option<Vec<u8>> = row.get(1);
            let texts = (0..columns.len()).map(|index| row.get(index + 2)).collect();
            let position = position.and_then(|bytes| Position::from_slice(&bytes));
            (row.get(0), TextRow { position, texts })
        };
        Ok(rows.iter().map(row).collect())
    }
}
