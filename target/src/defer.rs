//! Secondary indexes that are built after the load instead of row by row.
//!
//! An index is dropped in the transaction that writes its definition down, and only of a table
//! that is empty. It is built without holding up the stream (`CONCURRENTLY`); its definition is
//! deleted once it stands. So a crash at any instant loses none: whoever comes next builds what
//! is still written down, and an index that was left half built is dropped first.
//!
//! Unique indexes stay, and so does whatever stands behind a constraint.

use std::time::Duration;

use mapping::plan::EntityId;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::{Error, Pool, Target, hook, statement::Ident};

/// Between two looks at whether another process still builds.
const LOOK: Duration = Duration::from_millis(200);

/// An index that is to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeferredIndex {
    /// Its schema and table.
    pub table: (String, String),
    /// Its name.
    pub name: String,
    /// `CREATE INDEX …`, as Postgres tells it.
    definition: String,
}

impl DeferredIndex {
    /// `schema.name`, quoted.
    fn ident(&self) -> String {
        format!("{}.{}", Ident::new(&self.table.0), Ident::new(&self.name))
    }

    /// The definition, so that nobody is held up meanwhile.
    fn concurrently(&self) -> String {
        self.definition.replacen("CREATE INDEX ", "CREATE INDEX CONCURRENTLY ", 1)
    }
}

impl Target {
    /// Drops the secondary indexes of these entities' tables, of those that are empty. `owner`
    /// connects as the tables' owner. What was dropped is returned.
    ///
    /// # Errors
    /// [`Error::Postgres`]; then the table at hand keeps all its indexes.
    pub async fn defer_indexes(
        &self,
        owner: &Pool,
        entities: &[EntityId],
    ) -> Result<Vec<DeferredIndex>, Error> {
        let mut deferred = Vec::new();
        for entity in entities {
            let entity = self.entity(*entity)?;
            let table = (entity.target_schema.clone(), entity.target_table.clone());
            let mut transaction = owner.begin().await.map_err(failed("dropping"))?;
            deferred.extend(defer(&mut transaction, &table).await?);
            transaction.commit().await.map_err(failed("dropping"))?;
        }
        hook::point("backfill.deferred");
        Ok(deferred)
    }

    /// Indexes that are still to be built.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn deferred_indexes(&self) -> Result<Vec<DeferredIndex>, Error> {
        let rows = sqlx::query(
            "select table_schema, table_name, index_name, definition from ficus.deferred_index
             order by table_schema, table_name, index_name",
        )
        .fetch_all(self.pool())
        .await
        .map_err(failed("asking for"))?;
        let index = |row: &sqlx::postgres::PgRow| DeferredIndex {
            table: (row.get("table_schema"), row.get("table_name")),
            name: row.get("index_name"),
            definition: row.get("definition"),
        };
        Ok(rows.iter().map(index).collect())
    }

    /// Builds one of them, and gathers its table's statistics.
    ///
    /// # Errors
    /// [`Error::Postgres`]; it stays written down then.
    pub async fn build_index(&self, owner: &Pool, index: &DeferredIndex) -> Result<(), Error> {
        // Its own, because it has no time limit, and ends with it.
        let mut connection = owner.acquire().await.map_err(failed("building"))?.detach();
        sqlx::raw_sql("set statement_timeout = 0; set lock_timeout = 0")
            .execute(&mut connection)
            .await
            .map_err(failed("building"))?;
        // Of two that build at once, the second waits and finds that all is done. It asks again and
        // again: while it waited inside a statement, the first would wait for its snapshot.
        let lock = "select pg_try_advisory_lock(hashtext('ficus.deferred_index'))";
        while !sqlx::query_scalar(lock)
            .fetch_one(&mut connection)
            .await
            .map_err(failed("building"))?
        {
            tokio::time::sleep(LOOK).await;
        }
        build(&mut connection, index).await
    }
}

/// What the gate of a cutover says of indexes that are not built yet; `None` when all stand.
pub(crate) async fn missing(
    target: &Target,
    connection: &mut PgConnection,
    domain: &str,
) -> Result<Option<String>, Error> {
    let entities = target.plan().entities.iter().filter(|entity| entity.domain == domain);
    let (schemas, tables): (Vec<&str>, Vec<&str>) =
        entities.map(|entity| (&*entity.target_schema, &*entity.target_table)).unzip();
    let names: Vec<String> = sqlx::query_scalar(
        "select distinct d.table_name || '.' || d.index_name from ficus.deferred_index d
         join unnest($1::text[], $2::text[]) as w (table_schema, table_name)
           using (table_schema, table_name)
         order by 1",
    )
    .bind(schemas)
    .bind(tables)
    .fetch_all(connection)
    .await
    .map_err(failed("asking for"))?;
    let detail =
        || format!("still to be built: {}; `ficus backfill` builds them", names.join(", "));
    Ok((!names.is_empty()).then(detail))
}

fn failed(doing: &str) -> impl FnOnce(sqlx::Error) -> Error + use<> {
    Error::postgres(format!("{doing} secondary indexes"))
}

async fn defer(
    connection: &mut PgConnection,
    table: &(String, String),
) -> Result<Vec<DeferredIndex>, Error> {
    let name = format!("{}.{}", Ident::new(&table.0), Ident::new(&table.1));
    // Nobody writes between the look and the drop.
    let lock = format!("lock table {name} in access exclusive mode");
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *connection)
        .await
        .map_err(failed("dropping"))?;
    let filled = format!("select exists (select from {name})");
    let filled: bool = sqlx::query_scalar(AssertSqlSafe(filled))
        .fetch_one(&mut *connection)
        .await
        .map_err(failed("dropping"))?;
    if filled {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "insert into ficus.deferred_index (table_schema, table_name, index_name, definition)
         select n.nspname, t.relname, i.relname, pg_get_indexdef(x.indexrelid)
         from pg_index x
         join pg_class i on i.oid = x.indexrelid
         join pg_class t on t.oid = x.indrelid
         join pg_namespace n on n.oid = t.relnamespace
         where n.nspname = $1 and t.relname = $2 and t.relkind = 'r'
           and not x.indisunique and not x.indisprimary and not x.indisexclusion
           and not x.indisreplident and not x.indisclustered
           and not exists (select from pg_constraint c where c.conindid = x.indexrelid)
         on conflict (table_schema, index_name) do update set definition = excluded.definition
         returning index_name, definition",
    )
    .bind(&table.0)
    .bind(&table.1)
    .fetch_all(&mut *connection)
    .await
    .map_err(failed("dropping"))?;
    let mut deferred = Vec::new();
    for row in rows {
        let index = DeferredIndex {
            table: table.clone(),
            name: row.get("index_name"),
            definition: row.get("definition"),
        };
        sqlx::raw_sql(AssertSqlSafe(format!("drop index {}", index.ident())))
            .execute(&mut *connection)
            .await
            .map_err(failed("dropping"))?;
        deferred.push(index);
    }
    Ok(deferred)
}

async fn build(connection: &mut PgConnection, index: &DeferredIndex) -> Result<(), Error> {
    let valid: Option<bool> = sqlx::query_scalar(
        "select x.indisvalid from pg_index x
         join pg_class i on i.oid = x.indexrelid
         join pg_namespace n on n.oid = i.relnamespace
         where n.nspname = $1 and i.relname = $2",
    )
    .bind(&index.table.0)
    .bind(&index.name)
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed("building"))?;
    // Each of these statements is a transaction of its own; `concurrently` allows no other.
    if valid == Some(false) {
        let drop = format!("drop index concurrently {}", index.ident());
        sqlx::raw_sql(AssertSqlSafe(drop))
            .execute(&mut *connection)
            .await
            .map_err(failed("building"))?;
    }
    if valid != Some(true) {
        hook::point("backfill.index");
        sqlx::raw_sql(AssertSqlSafe(index.concurrently()))
            .execute(&mut *connection)
            .await
            .map_err(failed("building"))?;
    }
    hook::point("backfill.indexed");
    let table = format!("{}.{}", Ident::new(&index.table.0), Ident::new(&index.table.1));
    sqlx::raw_sql(AssertSqlSafe(format!("analyze {table}")))
        .execute(&mut *connection)
        .await
        .map_err(failed("building"))?;
    hook::point("backfill.analyzed");
    sqlx::query("delete from ficus.deferred_index where table_schema = $1 and index_name = $2")
        .bind(&index.table.0)
        .bind(&index.name)
        .execute(&mut *connection)
        .await
        .map_err(failed("building"))?;
    Ok(())
}
