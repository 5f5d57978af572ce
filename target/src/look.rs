//! One row, looked at from all sides. Reads only: nothing is registered, no id is minted, so the
//! reader's role is enough.

use std::sync::Arc;

use mapping::{
    key::CanonicalKey,
    plan::{EntityId, EntityPlan, ObjectTypes, Plan},
    position::Position,
};
use sqlx::{AssertSqlSafe, PgPool, Row as _, ValueRef as _, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Error,
    quarantine::{COLUMNS, Entry, entry},
    statement::Ident,
};

/// Quarantine entries that are shown of one row, the newest first.
const ENTRIES: i64 = 5;

/// A view of the target for people who ask about single rows.
pub struct Look {
    pool: PgPool,
    plan: Arc<Plan>,
    /// Postgres's number of each entity; `None` for one that was never registered.
    numbers: Vec<Option<i16>>,
}

/// A row of a target table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRow {
    /// One value for each of the entity's columns: binary fields, `None` for NULL.
    pub fields: Vec<Option<Vec<u8>>>,
    /// Its position; `None` for a row that the engine did not write.
    pub position: Option<Position>,
}

/// What the engine keeps of a row beside its target row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aside {
    /// The state of its domain; `None` before the domain was registered.
    pub domain_state: Option<String>,
    /// When it was deleted.
    pub tombstone: Option<Position>,
    /// Its parts (TPT) that were seen: number, position, state.
    pub parts: Vec<(i16, Position, String)>,
    /// Changes that wait for its row.
    pub parked: Vec<Position>,
    /// What of it is in quarantine, open entries first.
    pub quarantine: Vec<Entry>,
}

impl Look {
    /// Reads the entities' numbers.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn open(pool: PgPool, plan: Arc<Plan>) -> Result<Self, Error> {
        let rows = sqlx::query("select id, name from ficus.entity")
            .fetch_all(&pool)
            .await
            .map_err(Error::postgres("reading the entities' numbers"))?;
        let number = |entity: &EntityPlan| {
            let row = rows.iter().find(|row| row.get::<&str, _>("name") == entity.name)?;
            Some(row.get("id"))
        };
        let numbers = plan.entities.iter().map(number).collect();
        Ok(Self { pool, plan, numbers })
    }

    fn number(&self, entity: EntityId) -> Option<i16> {
        self.numbers.get(usize::from(entity.0)).copied().flatten()
    }

    /// The ids of some keys, in their order; `None` for one that has none yet.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn ids(&self, keys: &[(EntityId, CanonicalKey)]) -> Result<Vec<Option<Uuid>>, Error> {
        let entities: Vec<Option<i16>> = keys.iter().map(|(id, _)| self.number(*id)).collect();
        let bytes: Vec<&[u8]> = keys.iter().map(|(_, key)| key.as_bytes()).collect();
        let rows = sqlx::query(
            "select k.id from unnest($1::int2[], $2::bytea[]) with ordinality as w (entity, key, place)
             left join ficus.key_map k on k.entity = w.entity and k.key = w.key order by w.place",
        )
        .bind(entities)
        .bind(bytes)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::postgres("looking up the ids of legacy keys"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The entity and the legacy key that an id was minted for.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn key_of(&self, id: Uuid) -> Result<Option<(String, CanonicalKey)>, Error> {
        let row = sqlx::query(
            "select e.name, k.key from ficus.key_map k join ficus.entity e on e.id = k.entity
             where k.id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(Error::postgres("looking up the legacy key of an id"))?;
        Ok(row.map(|row| {
            let key: Vec<u8> = row.get(1);
            (row.get(0), CanonicalKey::from_bytes(&key))
        }))
    }

    /// The target row of an id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an entity of another plan, [`Error::Postgres`].
    pub async fn row(&self, entity: EntityId, id: Uuid) -> Result<Option<FoundRow>, Error> {
        let plan = self.plan.entities.get(usize::from(entity.0)).ok_or_else(|| {
            Error::NotFound { what: format!("entity number {} in the plan", entity.0) }
        })?;
        let columns: Vec<String> =
            plan.columns.iter().map(|column| Ident::new(&column.name).to_string()).collect();
        let table = Ident::qualified(&plan.target_schema, &plan.target_table);
        let sql =
            format!("select {}, source_position from {table} where id = $1", columns.join(", "));
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(Error::postgres(format!("reading a row of {}", plan.target_table)))?;
        let Some(row) = row else { return Ok(None) };
        let corrupt = || Error::Corrupt { what: format!("the row of {}", plan.target_table) };
        let mut fields = Vec::with_capacity(columns.len());
        for index in 0..columns.len() {
            // Prepared statements answer in binary: the bytes that COPY would give (law 5).
            let value = row.try_get_raw(index).map_err(|_| corrupt())?;
            let bytes = if value.is_null() { None } else { Some(value.as_bytes()) };
            fields.push(bytes.transpose().map_err(|_| corrupt())?.map(<[u8]>::to_vec));
        }
        let position: Option<Vec<u8>> = row.get(columns.len());
        let position = position.and_then(|bytes| Position::from_slice(&bytes));
        Ok(Some(FoundRow { fields, position }))
    }

    /// What the engine keeps of a row beside it. `tables` are the legacy tables that it may be
    /// read from: a row of an unknown type is in quarantine under its table alone.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn aside(
        &self,
        entity: EntityId,
        key: &CanonicalKey,
        id: Option<Uuid>,
        tables: &[String],
    ) -> Result<Aside, Error> {
        let number = self.number(entity);
        let mut aside =
            Aside { domain_state: self.domain_state(entity).await?, ..Aside::default() };
        for row in self.by_id(TOMBSTONES, number, id).await? {
            aside.tombstone = position(&row, "position");
        }
        for row in self.by_id(PARTS, number, id).await? {
            let place = position(&row, "position").unwrap_or_default();
            aside.parts.push((row.get("part"), place, row.get("state")));
        }
        let parked = self.by_id(PARKED, number, id).await?;
        aside.parked = parked.iter().filter_map(|row| position(row, "position")).collect();
        let sql = format!(
            "select {COLUMNS} from ficus.quarantine q left join ficus.entity e on e.id = q.entity
             where (q.entity = $1 and (q.key = $2 or q.row_id = $3))
                or (q.entity is null and q.key = $2 and q.source_table = any($4))
             order by q.state = 'open' desc, q.id desc limit {ENTRIES}"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(number)
            .bind(key.as_bytes())
            .bind(id)
            .bind(tables)
            .fetch_all(&self.pool)
            .await
            .map_err(Error::postgres("reading the quarantine"))?;
        aside.quarantine = rows.iter().map(entry).collect();
        Ok(aside)
    }

    async fn domain_state(&self, entity: EntityId) -> Result<Option<String>, Error> {
        let plan = self.plan.entities.get(usize::from(entity.0));
        sqlx::query_scalar("select state from ficus.domain where name = $1")
            .bind(plan.map(|plan| plan.domain.as_str()))
            .fetch_optional(&self.pool)
            .await
            .map_err(Error::postgres("asking for the domain's state"))
    }

    async fn by_id(
        &self,
        sql: &'static str,
        entity: Option<i16>,
        id: Option<Uuid>,
    ) -> Result<Vec<PgRow>, Error> {
        let rows = sqlx::query(sql).bind(entity).bind(id).fetch_all(&self.pool).await;
        rows.map_err(Error::postgres("reading what is kept of a row"))
    }

    /// All type names that were ever read or received, by their numbers.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn object_types(&self) -> Result<ObjectTypes, Error> {
        crate::object_type::read(&self.pool).await
    }
}

const TOMBSTONES: &str = "select position from ficus.tombstone where entity = $1 and id = $2";
const PARTS: &str =
    "select part, position, state from ficus.part where entity = $1 and id = $2 order by part";
const PARKED: &str =
    "select position from ficus.parked where entity = $1 and id = $2 order by position";

fn position(row: &PgRow, column: &str) -> Option<Position> {
    let bytes: Vec<u8> = row.get(column);
    Position::from_slice(&bytes)
}
