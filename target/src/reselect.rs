//! Rows that changes brought without a large value, where the mapping asks for them to be read
//! again (trap 10).
//!
//! A change and its asking commit together, so none is lost; whoever reads the row applies it like
//! any copied row, at what capture had reached before the read, and only then takes the asking
//! out. Dying in between costs another read.

use std::collections::BTreeMap;

use mapping::{key::CanonicalKey, plan::TableId, position::Position};
use sqlx::{PgConnection, Row as _};

use crate::{Error, Target};

/// A row to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reselect {
    /// The table that it is read from.
    pub table: TableId,
    /// Its key.
    pub key: CanonicalKey,
    /// The newest change that asks for it.
    pub position: Position,
}

impl Target {
    /// Asks for rows, in the batch's own transaction.
    pub(crate) async fn ask_for(
        &self,
        connection: &mut PgConnection,
        rows: &[Reselect],
    ) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        // Each row once, and in one order for everybody, so that no two batches wait for each other.
        let mut asked: BTreeMap<(String, &[u8]), &Position> = BTreeMap::new();
        for row in rows {
            let place = (self.table_name(row.table)?, row.key.as_bytes());
            let newest = asked.entry(place).or_insert(&row.position);
            *newest = (*newest).max(&row.position);
        }
        let tables: Vec<&str> = asked.keys().map(|(table, _)| table.as_str()).collect();
        let keys: Vec<&[u8]> = asked.keys().map(|(_, key)| *key).collect();
        let positions: Vec<&[u8]> = asked.values().map(|at| at.as_bytes().as_slice()).collect();
        sqlx::query(
            "insert into ficus.reselect as r (source_table, key, position)
             select * from unnest($1::text[], $2::bytea[], $3::bytea[])
             on conflict (source_table, key) do update
             set position = greatest(r.position, excluded.position)",
        )
        .bind(tables)
        .bind(keys)
        .bind(positions)
        .execute(connection)
        .await
        .map_err(Error::postgres("asking for rows to be read again"))?;
        Ok(())
    }

    /// Some rows to be read again, those that wait longest first, of tables that are followed.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn asked_for(&self, rows_max: u32) -> Result<Vec<Reselect>, Error> {
        // A table that the mapping knows no more has nobody to wait for it, and holds nobody up.
        let known: BTreeMap<String, TableId> =
            self.plan().tables.iter().map(|table| (table.table.to_string(), table.id)).collect();
        let rows = sqlx::query(
            "select r.source_table, r.key, r.position from ficus.reselect r
             left join ficus.stream_table t using (source_table)
             where r.source_table = any($2) and coalesce(t.state, 'following') = 'following'
             order by r.asked_at limit $1",
        )
        .bind(i64::from(rows_max))
        .bind(known.keys().collect::<Vec<_>>())
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("looking for rows to be read again"))?;
        let asked = rows.iter().filter_map(|row| {
            Some(Reselect {
                table: *known.get(row.get::<&str, _>("source_table"))?,
                key: CanonicalKey::from_bytes(row.get("key")),
                position: Position::from_slice(row.get("position"))?,
            })
        });
        Ok(asked.collect())
    }

    /// These rows of a table were read, and applied where they are still there, at `position`: what
    /// asks for nothing newer is done.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn reselected(
        &self,
        table: TableId,
        keys: &[CanonicalKey],
        position: Position,
    ) -> Result<(), Error> {
        let bytes: Vec<&[u8]> = keys.iter().map(CanonicalKey::as_bytes).collect();
        sqlx::query(
            "delete from ficus.reselect where (source_table, key) in (
               select source_table, key from ficus.reselect
               where source_table = $1 and key = any($2) and position <= $3
               order by key for update)",
        )
        .bind(self.table_name(table)?)
        .bind(bytes)
        .bind(position.as_bytes().as_slice())
        .execute(self.pool())
        .await
        .map_err(Error::postgres("taking note of rows that were read again"))?;
        Ok(())
    }

    /// How many rows wait to be read again.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn reselect_count(&self) -> Result<u64, Error> {
        let count: i64 = sqlx::query_scalar("select count(*) from ficus.reselect")
            .fetch_one(self.pool())
            .await
            .map_err(Error::postgres("counting rows to be read again"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}
