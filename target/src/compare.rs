//! What reconcile asks of the target: whole tables by `COPY … BINARY` (the bytes that apply
//! wrote, law 5), rows by id together with everything that excuses them, and the ids in buckets.
//!
//! A table's *share*: `None` is the entity's own table; `Some(part)` is what `ficus.part` keeps of
//! one legacy table of an entity with several.

mod observe;
mod pages;
mod reader;
mod texts;
mod totals;

use mapping::{
    key::CanonicalKey,
    plan::{EntityId, TableId},
    position::Position,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::sync::mpsc;
use uuid::Uuid;

pub use observe::{Observed, ObservedRow};
pub use pages::SharePart;
use reader::{Tuple, read_copy};
pub use texts::TextRow;
pub use totals::{HeldBack, TotalOf, Totals};

use crate::{
    Error, Target,
    statement::Ident,
    writer::{LOCK_REREAD, LOCK_SPACE_REPORT},
};

/// A row of a scan, while it is there.
#[derive(Debug, Clone, Copy)]
pub struct ScannedRow<'a> {
    /// Its id.
    pub id: [u8; 16],
    /// The fields, as mapping writes them, of the part's columns in the part's order.
    pub fields: &'a [u8],
    /// Its position; `None` for a row that the engine did not write.
    pub position: Option<Position>,
    /// For parts, whether the part is soft-deleted; for whole rows `deleted_at` says it.
    pub soft_deleted: bool,
    /// Whether the fields are those of today's mapping.
    pub same_shape: bool,
}

/// An entity's row and the parts that it is composed of, from one snapshot.
#[derive(Debug, Clone)]
pub struct ComposedRow<'a> {
    /// The id.
    pub id: [u8; 16],
    /// By part; `None` for one that never came.
    pub parts: Vec<Option<ScannedPart<'a>>>,
    /// The fields of the target row, of all columns in their order; `None` without a row.
    pub fields: Option<&'a [u8]>,
    /// The target row's position.
    pub position: Option<Position>,
}

/// A part of a [`ComposedRow`].
#[derive(Debug, Clone, Copy)]
pub struct ScannedPart<'a> {
    /// Its fields; empty when it is gone.
    pub fields: &'a [u8],
    /// Whether it is there.
    pub live: bool,
    /// Whether it is soft-deleted.
    pub soft_deleted: bool,
    /// Whether the fields are those of today's mapping.
    pub same_shape: bool,
}

/// Who reads legacy rows beside a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Chunks of some tables that are planned or being read.
    pub unfinished: u64,
    /// Changes whenever a chunk is planned, claimed or done.
    pub signature: u64,
    /// Who is reading single rows again, of any table.
    pub rereading: u64,
    /// Changes whenever one more begins to.
    pub rereads: u64,
}

/// Reads one COPY; no time limit, because a scan takes as long as the table is large.
async fn begin(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::raw_sql(
        "begin transaction isolation level repeatable read, read only; \
         set local statement_timeout = 0",
    )
    .execute(connection)
    .await
    .map_err(Error::postgres("beginning a snapshot"))?;
    Ok(())
}

impl Target {
    /// `COPY` of a share, or of those of its rows that meet a condition.
    async fn copy_share(
        &self,
        connection: &mut PgConnection,
        (entity, share): (EntityId, Option<u8>),
        only: &str,
        each: &mut (dyn FnMut(ScannedRow<'_>) + Send),
    ) -> Result<u64, Error> {
        let plan = self.entity(entity)?;
        let registered = self.registered(entity)?;
        let doing = format!("reading {}", plan.target_table);
        let Some(part) = share else {
            let columns = self.share_columns(entity, 0)?;
            let table = Ident::qualified(&plan.target_schema, &plan.target_table);
            let sql = format!("select {columns}, source_position from {table} where true{only}");
            return read_copy(connection, &sql, &doing, &mut |mut tuple: Tuple<'_>| {
                let (fields, position) = tuple.all_but_last()?;
                let id = tuple.first_id()?;
                let position = position.and_then(Position::from_slice);
                each(ScannedRow { id, fields, position, soft_deleted: false, same_shape: true });
                Some(())
            })
            .await;
        };
        let shape = registered.shapes.get(usize::from(part)).copied().unwrap_or_default();
        let sql = format!(
            "select id, position, state = 'soft_deleted', shape = {shape}, fields from ficus.part \
             where entity = {} and part = {part} and state <> 'gone'{only}",
            registered.number
        );
        read_copy(connection, &sql, &doing, &mut |mut tuple: Tuple<'_>| {
            let id = tuple.first_id()?;
            tuple.next_field()?;
            let position = tuple.next_field()?.and_then(Position::from_slice);
            let soft_deleted = tuple.next_field()? == Some(&[1]);
            let same_shape = tuple.next_field()? == Some(&[1]);
            let fields = tuple.next_field()?.unwrap_or_default();
            each(ScannedRow { id, fields, position, soft_deleted, same_shape });
            Some(())
        })
        .await
    }

    /// The columns of a part, quoted, in its order.
    fn share_columns(&self, entity: EntityId, part: usize) -> Result<String, Error> {
        let plan = self.entity(entity)?;
        let part = plan.parts.get(part);
        let indexes = part.map(|part| part.columns.as_slice()).unwrap_or_default();
        let columns = indexes.iter().filter_map(|index| plan.columns.get(*index));
        Ok(columns
            .map(|column| Ident::new(&column.name).to_string())
            .collect::<Vec<_>>()
            .join(", "))
    }

    /// Reads all rows of an entity with several parts together with the parts, in one snapshot.
    ///
    /// # Errors
    /// [`Error::Postgres`], [`Error::Corrupt`].
    pub async fn scan_composed(
        &self,
        entity: EntityId,
        each: &mut (dyn FnMut(ComposedRow<'_>) + Send),
    ) -> Result<u64, Error> {
        let plan = self.entity(entity)?;
        let registered = self.registered(entity)?;
        let (number, shapes) = (registered.number, &registered.shapes);
        let table = Ident::qualified(&plan.target_schema, &plan.target_table);
        let mut selected = String::from("x.id");
        let mut joins = String::new();
        for (part, shape) in shapes.iter().enumerate() {
            selected.push_str(&format!(
                ", p{part}.state <> 'gone', p{part}.state = 'soft_deleted', \
                 p{part}.shape = {shape}, p{part}.fields"
            ));
            joins.push_str(&format!(
                " left join ficus.part p{part} on p{part}.entity = {number} \
                 and p{part}.part = {part} and p{part}.id = x.id"
            ));
        }
        for column in &plan.columns {
            selected.push_str(&format!(", t.{}", Ident::new(&column.name)));
        }
        let sql = format!(
            "select {selected}, t.source_position from (select id from ficus.part \
             where entity = {number} union select id from {table}) x{joins} \
             left join {table} t on t.id = x.id"
        );
        let count = shapes.len();
        let doing = format!("reading {} and its parts", plan.target_table);
        let mut connection = self.own_connection().await?;
        begin(&mut connection).await?;
        let rows = read_copy(&mut connection, &sql, &doing, &mut |mut tuple: Tuple<'_>| {
            let id = tuple.first_id()?;
            tuple.next_field()?;
            let mut parts = Vec::with_capacity(count);
            for _ in 0..count {
                parts.push(tuple.next_part()?);
            }
            let (fields, position) = tuple.all_but_last()?;
            let is_there = tuple.next_field()?.is_some();
            let fields = is_there.then_some(fields);
            let position = position.and_then(Position::from_slice);
            each(ComposedRow { id, parts, fields, position });
            Some(())
        })
        .await?;
        close(connection).await;
        Ok(rows)
    }

    /// Sends every id of a share whose bucket (the last three bytes, masked) is among `buckets`:
    /// those of the key registry with their keys, and those of rows that it does not know.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn ids_in_buckets(
        &self,
        entity: EntityId,
        share: Option<u8>,
        (mask, buckets): (u32, &[u32]),
        sink: mpsc::Sender<(Uuid, Option<CanonicalKey>)>,
    ) -> Result<(), Error> {
        let plan = self.entity(entity)?;
        let number = self.registered(entity)?.number;
        // To Postgres all of these operators bind alike, from left to right.
        let bucket = |id: &str| {
            format!(
                "((get_byte(uuid_send({id}), 13) << 16) | (get_byte(uuid_send({id}), 14) << 8) \
                 | get_byte(uuid_send({id}), 15)) & $1 = any($2)"
            )
        };
        let rows = match share {
            None => Ident::qualified(&plan.target_schema, &plan.target_table).to_string(),
            Some(part) => format!(
                "(select id from ficus.part where entity = {number} and part = {part} \
                 and state <> 'gone')"
            ),
        };
        let sql = format!(
            "select k.id, k.key from ficus.key_map k where k.entity = {number} and {} \
             union all select t.id, null from {rows} t where {} and not exists \
             (select from ficus.key_map k where k.id = t.id and k.entity = {number})",
            bucket("k.id"),
            bucket("t.id")
        );
        let signed = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let buckets: Vec<i32> = buckets.iter().copied().map(signed).collect();
        let doing = || Error::postgres(format!("looking for suspect rows of {}", plan.name));
        let mut connection = self.own_connection().await?;
        begin(&mut connection).await?;
        {
            use futures_util::TryStreamExt as _;
            let mut rows = sqlx::query(AssertSqlSafe(sql))
                .bind(signed(mask))
                .bind(buckets)
                .fetch(&mut connection);
            while let Some(row) = rows.try_next().await.map_err(doing())? {
                let key: Option<Vec<u8>> = row.get(1);
                let key = key.map(|key| CanonicalKey::from_bytes(&key));
                if sink.send((row.get(0), key)).await.is_err() {
                    return Ok(());
                }
            }
        }
        close(connection).await;
        Ok(())
    }

    /// Reads the key registry of an entity, in no particular order: `(key, id)`.
    ///
    /// # Errors
    /// [`Error::Postgres`], [`Error::Corrupt`].
    pub async fn scan_keys(
        &self,
        entity: EntityId,
        each: &mut (dyn FnMut(&[u8], [u8; 16]) + Send),
    ) -> Result<u64, Error> {
        let number = self.registered(entity)?.number;
        let sql = format!("select id, key from ficus.key_map where entity = {number}");
        let mut connection = self.own_connection().await?;
        begin(&mut connection).await?;
        let keys = read_copy(&mut connection, &sql, "reading keys", &mut |mut tuple| {
            let id = tuple.first_id()?;
            tuple.next_field()?;
            each(tuple.next_field()??, id);
            Some(())
        })
        .await?;
        close(connection).await;
        Ok(keys)
    }

    /// How busy the backfill of these tables is, and who reads single rows again.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn activity(&self, tables: &[TableId]) -> Result<Activity, Error> {
        let names: Result<Vec<String>, Error> =
            tables.iter().map(|table| self.table_name(*table)).collect();
        let row = sqlx::query(
            "select count(*) filter (where c.state <> 'done' and r.state = 'running') as unfinished,
                    coalesce(sum(c.owner_epoch), 0)::int8 + count(*)
                      + count(*) filter (where c.state = 'done') as signature,
                    (select count(*) from pg_locks where locktype = 'advisory' and objsubid = 2
                       and classid = $2::int4::oid and objid = $3::int4::oid and granted
                       and database = (select oid from pg_database where datname = current_database()))
                      as rereading,
                    (select last_value + is_called::int from ficus.repair_serial) as rereads
             from ficus.backfill_chunk c join ficus.backfill_run r on r.id = c.run
             where c.source_table = any($1)",
        )
        .bind(names?)
        .bind(LOCK_SPACE_REPORT)
        .bind(LOCK_REREAD)
        .fetch_one(self.pool())
        .await
        .map_err(Error::postgres("asking how far the backfill is"))?;
        let number = |name: &str| u64::try_from(row.get::<i64, _>(name)).unwrap_or(0);
        Ok(Activity {
            unfinished: number("unfinished"),
            signature: number("signature"),
            rereading: number("rereading"),
            rereads: number("rereads"),
        })
    }

    /// How many quarantine entries of a table have no key: those that are open, and those that a
    /// person has discarded.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn keyless_quarantined(&self, table: TableId) -> Result<(u64, u64), Error> {
        let row = sqlx::query(
            "select count(*) filter (where state = 'open') as open,
                    count(*) filter (where state = 'discarded') as discarded
             from ficus.quarantine where key is null and source_table = $1",
        )
        .bind(self.table_name(table)?)
        .fetch_one(self.pool())
        .await
        .map_err(Error::postgres("counting the quarantine"))?;
        let number = |name: &str| u64::try_from(row.get::<i64, _>(name)).unwrap_or(0);
        Ok((number("open"), number("discarded")))
    }
}

/// Ids are hexadecimal digits and hyphens, so they can stand in a statement (COPY takes no
/// parameters).
fn id_list(ids: &[Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    format!(" and id = any('{{{}}}'::uuid[])", ids.join(","))
}

/// Says goodbye; a connection that is just dropped is closed as well, only less politely.
async fn close(connection: PgConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(error = %crate::error::Cause::from(error), "closing a connection");
    }
}
