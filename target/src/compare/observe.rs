//! Rows by id, with everything that excuses them, in one snapshot.

use std::collections::{HashMap, HashSet};

use mapping::{
    key::CanonicalKey,
    plan::{EntityId, TableId},
    position::Position,
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{begin, close};
use crate::{Error, Target};

/// Ids in one statement.
const CHUNK: usize = 10_000;

/// A row of a share, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRow {
    /// As [`super::ScannedRow::fields`].
    pub fields: Vec<u8>,
    /// Its position; `None` for a row that the engine did not write.
    pub position: Option<Position>,
    /// As [`super::ScannedRow::soft_deleted`].
    pub soft_deleted: bool,
    /// As [`super::ScannedRow::same_shape`].
    pub same_shape: bool,
}

/// What the target knows of some rows at one instant.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Rows that are there.
    pub rows: HashMap<Uuid, ObservedRow>,
    /// When rows were deleted.
    pub tombstones: HashMap<Uuid, Position>,
    /// The newest partial change that waits for its row.
    pub parked: HashMap<Uuid, Position>,
    /// The newest open quarantine entry.
    pub quarantined: HashMap<CanonicalKey, Position>,
    /// Rows whose newest quarantine entry a person has discarded.
    pub discarded: HashSet<CanonicalKey>,
}

impl Target {
    /// What the target knows of these rows. `table` is where they are read from on the legacy
    /// side (a row of an unknown type is in quarantine under its table alone).
    ///
    /// # Errors
    /// [`Error::Postgres`], [`Error::Corrupt`].
    pub async fn observe(
        &self,
        entity: EntityId,
        (share, table): (Option<u8>, TableId),
        ids: &[Uuid],
        keys: &[CanonicalKey],
    ) -> Result<Observed, Error> {
        let mut observed = Observed::default();
        let mut connection = self.own_connection().await?;
        begin(&mut connection).await?;
        for ids in ids.chunks(CHUNK) {
            let rows = &mut observed.rows;
            let only = super::id_list(ids);
            self.copy_share(&mut connection, (entity, share), &only, &mut |row| {
                let kept = ObservedRow {
                    fields: row.fields.to_vec(),
                    position: row.position,
                    soft_deleted: row.soft_deleted,
                    same_shape: row.same_shape,
                };
                rows.insert(Uuid::from_bytes(row.id), kept);
            })
            .await?;
        }
        let number = self.registered(entity)?.number;
        observed.tombstones = tombstones(&mut connection, number, share, ids).await?;
        observed.parked = parked(&mut connection, number, share, ids).await?;
        let table = self.table_name(table)?;
        for (key, position, state) in quarantined(&mut connection, number, &table, keys).await? {
            if state == "open" {
                observed.discarded.remove(&key);
                observed.quarantined.insert(key, position);
            } else if state == "discarded" && !observed.quarantined.contains_key(&key) {
                observed.discarded.insert(key);
            } else {
                observed.discarded.remove(&key);
            }
        }
        close(connection).await;
        Ok(observed)
    }
}

async fn tombstones(
    connection: &mut PgConnection,
    entity: i16,
    share: Option<u8>,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Position>, Error> {
    let sql = match share {
        None => "select id, position from ficus.tombstone where entity = $1 and id = any($2)",
        Some(_) => {
            "select id, position from ficus.part
             where entity = $1 and id = any($2) and part = $3 and state = 'gone'"
        }
    };
    let query = sqlx::query(sql).bind(entity).bind(ids);
    let query = match share {
        None => query,
        Some(part) => query.bind(i16::from(part)),
    };
    let rows = query.fetch_all(connection).await.map_err(Error::postgres("reading tombstones"))?;
    Ok(rows.iter().filter_map(|row| Some((row.get(0), position(row, 1)?))).collect())
}

async fn parked(
    connection: &mut PgConnection,
    entity: i16,
    share: Option<u8>,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Position>, Error> {
    let rows = sqlx::query(
        "select id, position from ficus.parked where entity = $1 and id = any($2) and part = $3
         order by position",
    )
    .bind(entity)
    .bind(ids)
    .bind(i16::from(share.unwrap_or(0)))
    .fetch_all(connection)
    .await
    .map_err(Error::postgres("reading parked changes"))?;
    Ok(rows.iter().filter_map(|row| Some((row.get(0), position(row, 1)?))).collect())
}

/// The entries of some rows, oldest first: key, position, state.
async fn quarantined(
    connection: &mut PgConnection,
    entity: i16,
    table: &str,
    keys: &[CanonicalKey],
) -> Result<Vec<(CanonicalKey, Position, String)>, Error> {
    let keys: Vec<&[u8]> = keys.iter().map(CanonicalKey::as_bytes).collect();
    let rows = sqlx::query(
        "select key, position, state from ficus.quarantine
         where key = any($2) and (entity = $1 or (entity is null and source_table = $3))
         order by position, id",
    )
    .bind(entity)
    .bind(keys)
    .bind(table)
    .fetch_all(connection)
    .await
    .map_err(Error::postgres("reading the quarantine"))?;
    let entry = |row: &PgRow| {
        let key: Vec<u8> = row.get(0);
        Some((CanonicalKey::from_bytes(&key), position(row, 1)?, row.get(2)))
    };
    Ok(rows.iter().filter_map(entry).collect())
}

fn position(row: &PgRow, column: usize) -> Option<Position> {
    let bytes: Vec<u8> = row.get(column);
    Position::from_slice(&bytes)
}
