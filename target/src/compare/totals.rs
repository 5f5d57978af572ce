//! Totals of a target table, computed by Postgres in one scan, with everything that excuses them.

use mapping::{
    plan::{EntityId, TableId},
    position::Lsn,
};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{begin, close};
use crate::{Error, Target, statement::Ident};

/// One total of a column of the target. NULLs are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TotalOf {
    /// How many values there are.
    Count(String),
    /// The sum of a number.
    Sum(String),
    /// How many are true.
    Trues(String),
    /// The least finite day or time.
    Min(String),
    /// The greatest finite day or time.
    Max(String),
}

/// What a table holds, at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows of the share.
    pub rows: u64,
    /// Rows, and tombstones of rows, whose position is later than the LSN that was given.
    pub later: u64,
    /// Rows that nobody can tell to be current: they have no position.
    pub unplaced: u64,
    /// What was asked for, as Postgres writes it; `None` is NULL.
    pub texts: Vec<Option<String>>,
}

/// Rows of a legacy table that the target does not show as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeldBack {
    /// In quarantine, or discarded from there.
    pub quarantined: u64,
    /// Parked behind something that has not come.
    pub parked: u64,
}

impl Target {
    /// Totals of a share of an entity.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn totals(
        &self,
        (entity, share): (EntityId, Option<u8>),
        low: Lsn,
        asked: &[TotalOf],
    ) -> Result<Totals, Error> {
        let plan = self.entity(entity)?;
        let number = self.registered(entity)?.number;
        let doing = || Error::postgres(format!("adding up {}", plan.target_table));
        let texts: Vec<String> = asked.iter().map(|one| format!(", {}", expression(one))).collect();
        let (position, from) = match share {
            None => {
                let table = Ident::qualified(&plan.target_schema, &plan.target_table);
                ("source_position", table.to_string())
            }
            Some(part) => {
                let only = format!("entity = {number} and part = {part} and state <> 'gone'");
                ("position", format!("ficus.part where {only}"))
            }
        };
        let gone = match share {
            None => format!("ficus.tombstone where entity = {number}"),
            Some(part) => {
                format!("ficus.part where entity = {number} and part = {part} and state = 'gone'")
            }
        };
        let sql = format!(
            "select count(*), count(*) filter (where substr({position}, 1, 10) > $1),
               count(*) filter (where {position} is null),
               (select count(*) from {gone} and substr(position, 1, 10) > $1){}
             from {from}",
            texts.concat()
        );
        let mut connection = self.own_connection().await?;
        begin(&mut connection).await?;
        sqlx::raw_sql("set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'")
            .execute(&mut connection)
            .await
            .map_err(doing())?;
        let row = sqlx::query(AssertSqlSafe(sql)).bind(low.as_bytes().as_slice());
        let row = row.fetch_one(&mut connection).await.map_err(doing())?;
        close(connection).await;
        let count = |index: usize| u64::try_from(row.get::<i64, _>(index)).unwrap_or(0);
        Ok(Totals {
            rows: count(0),
            later: count(1) + count(3),
            unplaced: count(2),
            texts: (0..asked.len()).map(|index| row.get(index + 4)).collect(),
        })
    }

    /// Rows of a legacy table that are held back.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn held_back(
        &self,
        table: TableId,
        entities: &[EntityId],
    ) -> Result<HeldBack, Error> {
        let numbers: Result<Vec<i16>, Error> =
            entities.iter().map(|entity| Ok(self.registered(*entity)?.number)).collect();
        let mut connection = self.own_connection().await?;
        let row = held(&mut connection, &self.table_name(table)?, &numbers?).await;
        close(connection).await;
        row
    }
}

async fn held(
    connection: &mut PgConnection,
    table: &str,
    entities: &[i16],
) -> Result<HeldBack, Error> {
    let row = sqlx::query(
        "select (select count(*) from ficus.quarantine
                 where source_table = $1 and state in ('open', 'discarded')),
                (select count(*) from ficus.parked where entity = any($2))",
    )
    .bind(table)
    .bind(entities)
    .fetch_one(connection)
    .await
    .map_err(Error::postgres("counting the quarantine"))?;
    let count = |index: usize| u64::try_from(row.get::<i64, _>(index)).unwrap_or(0);
    Ok(HeldBack { quarantined: count(0), parked: count(1) })
}

fn expression(one: &TotalOf) -> String {
    match one {
        TotalOf::Count(column) => format!("count({})::text", Ident::new(column)),
        TotalOf::Sum(column) => format!("sum({})::text", Ident::new(column)),
        TotalOf::Trues(column) => {
            let column = Ident::new(column);
            // As a sum: of no value at all it is NULL.
            format!("sum({column}::int)::text")
        }
        TotalOf::Min(column) => {
            let column = Ident::new(column);
            format!("(min({column}) filter (where isfinite({column})))::text")
        }
        TotalOf::Max(column) => {
            let column = Ident::new(column);
            format!("(max({column}) filter (where isfinite({column})))::text")
        }
    }
}
