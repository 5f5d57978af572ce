//! A table read by several connections, each a part of its pages, all in one snapshot.

use mapping::plan::EntityId;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{ScannedRow, begin, close};
use crate::{Error, Target, statement::Ident};

/// A smaller table is not worth another connection.
const PAGES_MIN: i64 = 256;

/// Some pages of a share, and the snapshot that they are read in.
#[derive(Debug)]
pub struct SharePart {
    entity: EntityId,
    share: Option<u8>,
    connection: PgConnection,
    only: String,
}

impl Target {
    /// Cuts a share into at most so many parts. Together they are all of its rows, as of now.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn cut_share(
        &self,
        entity: EntityId,
        share: Option<u8>,
        parts_max: usize,
    ) -> Result<Vec<SharePart>, Error> {
        let doing = || Error::postgres("cutting a table into parts");
        let mut first = self.own_connection().await?;
        begin(&mut first).await?;
        let pages = match share {
            // Rows of several entities lie on the same pages there.
            Some(_) => 0,
            None => {
                let plan = self.entity(entity)?;
                let table = Ident::qualified(&plan.target_schema, &plan.target_table);
                let pages = sqlx::query_scalar(
                    "select pg_relation_size($1::regclass) / current_setting('block_size')::int8",
                );
                pages.bind(table.to_string()).fetch_one(&mut first).await.map_err(doing())?
            }
        };
        let only = conditions(pages, parts_max);
        let mut connections = Vec::with_capacity(only.len());
        if only.len() > 1 {
            let snapshot: String = sqlx::query_scalar("select pg_export_snapshot()")
                .fetch_one(&mut first)
                .await
                .map_err(doing())?;
            for _ in 1..only.len() {
                let mut connection = self.own_connection().await?;
                begin(&mut connection).await?;
                // A snapshot's name is made of hexadecimal digits and hyphens.
                let sql = format!("set transaction snapshot '{snapshot}'");
                let set = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
                set.map_err(doing())?;
                connections.push(connection);
            }
        }
        connections.push(first);
        let parts = connections.into_iter().zip(only);
        Ok(parts.map(|(connection, only)| SharePart { entity, share, connection, only }).collect())
    }

    /// Reads the rows of a part, in no particular order; returns how many.
    ///
    /// # Errors
    /// [`Error::Postgres`], [`Error::Corrupt`].
    pub async fn scan_part(
        &self,
        part: SharePart,
        each: &mut (dyn FnMut(ScannedRow<'_>) + Send),
    ) -> Result<u64, Error> {
        let SharePart { entity, share, mut connection, only } = part;
        let rows = self.copy_share(&mut connection, (entity, share), &only, each).await?;
        close(connection).await;
        Ok(rows)
    }
}

/// What rows of each part meet: every row, wherever it lies, meets one and no other.
fn conditions(pages: i64, parts_max: usize) -> Vec<String> {
    let most = i64::try_from(parts_max.max(1)).unwrap_or(i64::MAX);
    let parts = (pages / PAGES_MIN).clamp(1, most);
    let place = |part: i64| format!("'({},0)'::tid", pages / parts * part);
    let part = |part: i64| {
        let from = (part > 0).then(|| format!(" and ctid >= {}", place(part)));
        let to = (part + 1 < parts).then(|| format!(" and ctid < {}", place(part + 1)));
        [from, to].into_iter().flatten().collect()
    };
    (0..parts).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_part() {
        assert_eq!(conditions(0, 4), [""]);
        assert_eq!(conditions(5_000, 0), [""]);
        assert_eq!(
            conditions(600, 4),
            [" and ctid < '(300,0)'::tid", " and ctid >= '(300,0)'::tid"]
        );
        assert_eq!(
            conditions(3_001, 3),
            [
                " and ctid < '(1000,0)'::tid",
                " and ctid >= '(1000,0)'::tid and ctid < '(2000,0)'::tid",
                " and ctid >= '(2000,0)'::tid",
            ]
        );
    }
}
