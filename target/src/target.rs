//! The target: a pool, the plan, and what Postgres calls the plan's entities.

use std::sync::Arc;

use mapping::plan::{EntityId, Part, PgType, Plan, SoftDelete, TableId};
use sqlx::{PgConnection, PgPool, Postgres, Row as _, pool::PoolConnection};

use crate::{
    Error, ObjectStore,
    archive::ArchiveStatements,
    keys::Keys,
    sequence::{self, Known},
    statement::{Ident, Statements},
    writer::Writers,
};

/// The Postgres side under the engine's role. Cheap to share behind an [`Arc`].
pub struct Target {
    pool: PgPool,
    plan: Arc<Plan>,
    pub(crate) entities: Vec<Registered>,
    /// Postgres's numbers of the plan's sequences.
    sequences: Vec<i32>,
    pub(crate) keys: Keys,
    pub(crate) writers: Writers,
    pub(crate) numbers: Known,
    pub(crate) objects: Option<ObjectStore>,
}

/// What Postgres and the engine know of an entity beside the plan.
pub(crate) struct Registered {
    /// Its number in `ficus.entity`.
    pub(crate) number: i16,
    /// The shape of each part's stored fields (`ficus.shape`).
    pub(crate) shapes: Vec<i32>,
    /// Its statements.
    pub(crate) statements: Statements,
    /// Those of its archive, where soft-deleted rows go there.
    pub(crate) archive: Option<ArchiveStatements>,
    /// Whether new rows may be copied into the table. Postgres allows it to a role only that
    /// row-level security does not bind there, whatever its policies say.
    pub(crate) takes_copies: bool,
}

impl Target {
    /// Registers the plan's domains and entities and checks that the target tables have the
    /// planned columns.
    ///
    /// # Errors
    /// [`Error::Schema`] with every disagreement, [`Error::Postgres`].
    pub async fn open(pool: PgPool, plan: Arc<Plan>) -> Result<Self, Error> {
        check_tables(&pool, &plan).await?;
        let mut connection = pool.acquire().await.map_err(Error::postgres("opening the target"))?;
        register_domains(&mut connection, &plan).await?;
        let mut entities = Vec::with_capacity(plan.entities.len());
        for entity in &plan.entities {
            let number = register_entity(&mut connection, entity).await?;
            let mut shapes = Vec::with_capacity(entity.parts.len());
            for (index, part) in (0_i16..).zip(&entity.parts) {
                let columns = shape(entity, part);
                shapes.push(register_shape(&mut connection, number, index, &columns).await?);
            }
            let special = crate::parts::special(entity, 0);
            let statements = Statements::new(entity, number, special);
            let archive = (entity.soft_delete == SoftDelete::Archive).then(|| {
                let place = (statements.stage.as_str(), &statements.table, number);
                ArchiveStatements::new(place, &statements.columns, special)
            });
            let takes_copies = takes_copies(&mut connection, &statements.table).await?;
            entities.push(Registered { number, shapes, statements, archive, takes_copies });
        }
        let sequences = sequence::register(&mut connection, &plan).await?;
        drop(connection);
        let (keys, writers, numbers) = <(Keys, Writers, Known)>::default();
        Ok(Self { pool, plan, entities, sequences, keys, writers, numbers, objects: None })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The pool of the engine's role.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection of the pool, for single statements.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, Error> {
        self.pool.acquire().await.map_err(Error::postgres("taking a connection of the pool"))
    }

    /// A connection that is closed when it is dropped, for transactions: a call that is
    /// cancelled in the middle must not leave an open transaction in the pool.
    pub(crate) async fn own_connection(&self) -> Result<PgConnection, Error> {
        Ok(self.connection().await?.detach())
    }

    /// The entity's plan.
    pub(crate) fn entity(&self, id: EntityId) -> Result<&mapping::plan::EntityPlan, Error> {
        let index = usize::from(id.0);
        self.plan
            .entities
            .get(index)
            .ok_or_else(|| Error::NotFound { what: format!("entity number {index} in the plan") })
    }

    /// What Postgres knows of it.
    pub(crate) fn registered(&self, id: EntityId) -> Result<&Registered, Error> {
        let index = usize::from(id.0);
        self.entities
            .get(index)
            .ok_or_else(|| Error::NotFound { what: format!("entity number {index} in the plan") })
    }

    /// Postgres's number of a sequence of the plan.
    pub(crate) fn sequence_id(&self, index: usize) -> Result<i32, Error> {
        let id = self.sequences.get(index).copied();
        id.ok_or_else(|| Error::NotFound { what: format!("sequence number {index} in the plan") })
    }

    /// A legacy table's name as it is stored, such as `dbo.Contract`.
    pub(crate) fn table_name(&self, id: TableId) -> Result<String, Error> {
        let index = usize::from(id.0);
        let table = self.plan.tables.get(index);
        table
            .map(|table| table.table.to_string())
            .ok_or_else(|| Error::NotFound { what: format!("table number {index} in the plan") })
    }

    /// The plan's table of a stored name.
    pub(crate) fn table_id(&self, name: &str) -> Result<TableId, Error> {
        self.plan
            .tables
            .iter()
            .find(|table| table.table.to_string() == name)
            .map(|table| table.id)
            .ok_or_else(|| Error::NotFound { what: format!("table {name} in the mapping files") })
    }
}

/// The Postgres type's name as `format_type` writes it, without its modifiers.
pub(crate) fn type_name(pg_type: PgType) -> &'static str {
    match pg_type {
        PgType::Bool => "boolean",
        PgType::Int2 => "smallint",
        PgType::Int4 => "integer",
        PgType::Int8 => "bigint",
        PgType::Float8 => "double precision",
        PgType::Numeric { .. } => "numeric",
        PgType::Text => "text",
        PgType::TextArray => "text[]",
        PgType::Bytea => "bytea",
        PgType::Uuid => "uuid",
        PgType::Date => "date",
        PgType::Time => "time without time zone",
        PgType::Timestamp => "timestamp without time zone",
        PgType::Timestamptz => "timestamp with time zone",
    }
}

fn shape(entity: &mapping::plan::EntityPlan, part: &Part) -> String {
    let columns = part.columns.iter().filter_map(|index| entity.columns.get(*index));
    let described: Vec<String> = columns
        .map(|column| match column.pg_type {
            PgType::Numeric { scale } => format!("{} numeric({scale})", column.name),
            other => format!("{} {}", column.name, type_name(other)),
        })
        .collect();
    described.join(", ")
}

async fn takes_copies(connection: &mut PgConnection, table: &Ident) -> Result<bool, Error> {
    sqlx::query_scalar("select not row_security_active($1)")
        .bind(table.to_string())
        .fetch_one(connection)
        .await
        .map_err(Error::postgres(format!("asking for the row-level security of {table}")))
}

async fn register_domains(connection: &mut PgConnection, plan: &Plan) -> Result<(), Error> {
    let mut domains: Vec<String> = plan.domains().into_iter().map(str::to_owned).collect();
    domains.sort();
    sqlx::query(
        "insert into ficus.domain (name) select * from unnest($1::text[]) on conflict do nothing",
    )
    .bind(domains)
    .execute(connection)
    .await
    .map_err(Error::postgres("registering the domains"))?;
    Ok(())
}

async fn register_entity(
    connection: &mut PgConnection,
    entity: &mapping::plan::EntityPlan,
) -> Result<i16, Error> {
    // Nothing is written when nothing changed, so opening costs no row version.
    let sql = "with wanted as (select $1::text as name, $2::text as domain, $3::text as s, $4::text as t),
         changed as (
           update ficus.entity e set domain = w.domain, target_schema = w.s, target_table = w.t
           from wanted w where e.name = w.name
             and (e.domain, e.target_schema, e.target_table) is distinct from (w.domain, w.s, w.t)),
         made as (
           insert into ficus.entity (name, domain, target_schema, target_table)
           select * from wanted w where not exists (select from ficus.entity e where e.name = w.name)
           on conflict (name) do nothing returning id)
         select id from made union all select id from ficus.entity where name = $1";
    // Nothing comes back when another process made it between our look and our insert.
    for _ in 0..3 {
        let row = sqlx::query(sql)
            .bind(&entity.name)
            .bind(&entity.domain)
            .bind(&entity.target_schema)
            .bind(&entity.target_table)
            .fetch_optional(&mut *connection)
            .await
            .map_err(Error::postgres(format!("registering the entity {}", entity.name)))?;
        if let Some(row) = row {
            return Ok(row.get("id"));
        }
    }
    Err(Error::Corrupt { what: format!("the registration of {}", entity.name) })
}

async fn register_shape(
    connection: &mut PgConnection,
    entity: i16,
    part: i16,
    columns: &str,
) -> Result<i32, Error> {
    for _ in 0..3 {
        let row = sqlx::query(
            "with made as (
               insert into ficus.shape (entity, part, columns)
               select $1, $2, $3 where not exists (
                 select from ficus.shape where entity = $1 and part = $2 and columns = $3)
               on conflict (entity, part, columns) do nothing returning id)
             select id from made
             union all select id from ficus.shape where entity = $1 and part = $2 and columns = $3",
        )
        .bind(entity)
        .bind(part)
        .bind(columns)
        .fetch_optional(&mut *connection)
        .await
        .map_err(Error::postgres("registering the shape of a part"))?;
        if let Some(row) = row {
            return Ok(row.get("id"));
        }
    }
    Err(Error::Corrupt { what: "the registration of a part's shape".to_owned() })
}

/// All disagreements at once, so that one run of the check is enough.
async fn check_tables(pool: &PgPool, plan: &Plan) -> Result<(), Error> {
    let schemas: Vec<&str> = plan.entities.iter().map(|e| e.target_schema.as_str()).collect();
    let tables: Vec<&str> = plan.entities.iter().map(|e| e.target_table.as_str()).collect();
    let rows = sqlx::query(
        "select n.nspname::text as s, c.relname::text as t, a.attname::text as name,
                format_type(a.atttypid, null) as type_name, a.atttypmod as modifier
         from unnest($1::text[], $2::text[]) as w (s, t)
         join pg_namespace n on n.nspname = w.s
         join pg_class c on c.relnamespace = n.oid and c.relname = w.t and c.relkind in ('r', 'p')
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped",
    )
    .bind(schemas)
    .bind(tables)
    .fetch_all(pool)
    .await
    .map_err(Error::postgres("reading the target's tables"))?;
    let mut found = std::collections::HashMap::new();
    for row in rows {
        let table: (String, String) = (row.get("s"), row.get("t"));
        let column: (String, i32) = (row.get("type_name"), row.get("modifier"));
        found
            .entry(table)
            .or_insert_with(std::collections::HashMap::new)
            .insert(row.get::<String, _>("name"), column);
    }
    let mut disagreements = Vec::new();
    for entity in &plan.entities {
        let table = (entity.target_schema.clone(), entity.target_table.clone());
        match found.get(&table) {
            None => disagreements.push(format!("table {}.{} is missing", table.0, table.1)),
            Some(columns) => check_table(entity, columns, &mut disagreements),
        }
    }
    if disagreements.is_empty() { Ok(()) } else { Err(Error::Schema { disagreements }) }
}

fn check_table(
    entity: &mapping::plan::EntityPlan,
    found: &std::collections::HashMap<String, (String, i32)>,
    disagreements: &mut Vec<String>,
) {
    let table = &entity.target_table;
    if entity
        .columns
        .first()
        .is_none_or(|first| first.name != "id" || first.pg_type != PgType::Uuid)
    {
        disagreements.push(format!("the first column of {} is not `id uuid`", entity.name));
    }
    let position = ("source_position", "bytea", None);
    let wanted = entity.columns.iter().map(|column| {
        let scale = match column.pg_type {
            PgType::Numeric { scale } => Some(i32::from(scale)),
            _ => None,
        };
        (column.name.as_str(), type_name(column.pg_type), scale)
    });
    for (name, type_name, scale) in wanted.chain([position]) {
        match found.get(name) {
            None => disagreements.push(format!("{table}.{name} is missing")),
            Some((actual, _)) if actual != type_name => {
                disagreements.push(format!("{table}.{name} is {actual} instead of {type_name}"));
            }
            // The modifier of numeric(p, s) is ((p << 16) | s) + 4; without one any scale fits.
            Some((_, modifier)) if *modifier >= 4 => {
                let actual = (modifier - 4) & 0x7ff;
                if scale.is_some_and(|scale| scale != actual) {
                    disagreements.push(format!(
                        "{table}.{name} has {actual} digits after the point instead of {}",
                        scale.unwrap_or_default()
                    ));
                }
            }
            Some(_) => {}
        }
    }
}
