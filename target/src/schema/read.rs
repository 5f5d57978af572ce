//! What `pg_catalog` says.

use std::collections::BTreeSet;

use mapping::plan::Plan;
use sqlx::{PgPool, Row as _, postgres::PgRow};

use super::{Check, Column, ForeignKey, Table, TableName, TargetSchema, Unique};
use crate::Error;

const TABLES: &str = "
  select n.nspname::text as s, c.relname::text as t,
         c.relrowsecurity and c.relforcerowsecurity as row_security,
         (select has_table_privilege(r.oid, c.oid, 'select') from pg_roles r
          where r.rolname = 'ficus_api') as api_reads,
         (select has_table_privilege(r.oid, c.oid, 'select')
                 and has_table_privilege(r.oid, c.oid, 'insert')
                 and has_table_privilege(r.oid, c.oid, 'update')
                 and has_table_privilege(r.oid, c.oid, 'delete')
          from pg_roles r where r.rolname = 'ficus_engine') as engine_writes
  from unnest($1::text[], $2::text[]) as w (s, t)
  join pg_namespace n on n.nspname = w.s
  join pg_class c on c.relnamespace = n.oid and c.relname = w.t and c.relkind in ('r', 'p')";

const COLUMNS: &str = "
  select n.nspname::text as s, c.relname::text as t, a.attname::text as name,
         format_type(a.atttypid, null) as type_name, a.atttypmod as modifier, a.attnotnull,
         a.atthasdef or a.attidentity <> '' as has_default,
         a.attgenerated <> '' or a.attidentity = 'a' as generated
  from unnest($1::text[], $2::text[]) as w (s, t)
  join pg_namespace n on n.nspname = w.s
  join pg_class c on c.relnamespace = n.oid and c.relname = w.t and c.relkind in ('r', 'p')
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped";

/// Primary keys, foreign keys of either direction, exclusions, and the CHECKs of one column.
const CONSTRAINTS: &str = "
  select n.nspname::text as s, c.relname::text as t, k.conname::text as name,
         k.contype::text as kind, k.conrelid <> c.oid as incoming,
         m.nspname::text as child_schema, p.relname::text as child_table,
         array(select a.attname::text from unnest(k.conkey) with ordinality as x (number, place)
               join pg_attribute a on a.attrelid = k.conrelid and a.attnum = x.number
               order by x.place) as columns,
         case when k.contype = 'c' then pg_get_expr(k.conbin, k.conrelid) end as expression
  from unnest($1::text[], $2::text[]) as w (s, t)
  join pg_namespace n on n.nspname = w.s
  join pg_class c on c.relnamespace = n.oid and c.relname = w.t and c.relkind in ('r', 'p')
  join pg_constraint k on k.conrelid = c.oid or (k.contype = 'f' and k.confrelid = c.oid)
  join pg_class p on p.oid = k.conrelid
  join pg_namespace m on m.oid = p.relnamespace
  where k.contype in ('p', 'f', 'x', 'c')
  order by k.conname";

const UNIQUES: &str = "
  select n.nspname::text as s, c.relname::text as t, x.relname::text as name,
         case when 0 = any(i.indkey) then array[]::text[] else
           array(select a.attname::text from unnest(i.indkey) with ordinality as y (number, place)
                 join pg_attribute a on a.attrelid = c.oid and a.attnum = y.number
                 where y.place <= i.indnkeyatts order by y.place) end as columns,
         pg_get_expr(i.indpred, i.indrelid) as predicate, i.indnullsnotdistinct,
         exists (select from pg_constraint k where k.conindid = i.indexrelid
                 and k.contype = 'u') as is_constraint
  from unnest($1::text[], $2::text[]) as w (s, t)
  join pg_namespace n on n.nspname = w.s
  join pg_class c on c.relnamespace = n.oid and c.relname = w.t and c.relkind in ('r', 'p')
  join pg_index i on i.indrelid = c.oid and i.indisunique and not i.indisprimary
  join pg_class x on x.oid = i.indexrelid
  where not exists (select from pg_constraint k where k.conindid = i.indexrelid
                    and k.contype = 'x')
  order by x.relname";

impl TargetSchema {
    /// Reads what Postgres knows of the plan's tables. Needs no rights but to connect.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn read(pool: &PgPool, plan: &Plan) -> Result<Self, Error> {
        let mut schema = Self::default();
        for row in rows(pool, plan, TABLES).await? {
            let table = Table {
                row_security: row.get("row_security"),
                api_reads: row.get("api_reads"),
                engine_writes: row.get("engine_writes"),
                ..Table::default()
            };
            schema.tables.insert(table_name(&row), table);
        }
        for row in rows(pool, plan, COLUMNS).await? {
            schema.add(&row, |table| {
                table.columns.insert(row.get("name"), column(&row));
            });
        }
        for row in rows(pool, plan, CONSTRAINTS).await? {
            schema.add(&row, |table| constraint(table, &row));
        }
        for row in rows(pool, plan, UNIQUES).await? {
            let columns: Vec<String> = row.get("columns");
            let unique = Unique {
                name: row.get("name"),
                columns: columns.into_iter().collect::<BTreeSet<_>>(),
                predicate: row.get("predicate"),
                nulls_not_distinct: row.get("indnullsnotdistinct"),
                is_constraint: row.get("is_constraint"),
            };
            schema.add(&row, |table| table.uniques.push(unique));
        }
        schema.domains = domains(pool).await?;
        Ok(schema)
    }

    fn add(&mut self, row: &PgRow, add: impl FnOnce(&mut Table)) {
        if let Some(table) = self.tables.get_mut(&table_name(row)) {
            add(table);
        }
    }
}

async fn rows(pool: &PgPool, plan: &Plan, sql: &'static str) -> Result<Vec<PgRow>, Error> {
    let schemas: Vec<&str> = plan.entities.iter().map(|e| e.target_schema.as_str()).collect();
    let tables: Vec<&str> = plan.entities.iter().map(|e| e.target_table.as_str()).collect();
    let query = sqlx::query(sql).bind(schemas).bind(tables);
    query.fetch_all(pool).await.map_err(Error::postgres("reading the target's tables"))
}

fn table_name(row: &PgRow) -> TableName {
    (row.get("s"), row.get("t"))
}

fn column(row: &PgRow) -> Column {
    let type_name: String = row.get("type_name");
    let modifier: i32 = row.get("modifier");
    // The modifier of numeric(p, s) is ((p << 16) | s) + 4; without one any scale fits.
    let declared = type_name == "numeric" && modifier >= 4;
    Column {
        type_name,
        scale: declared.then_some((modifier - 4) & 0x7ff),
        not_null: row.get("attnotnull"),
        has_default: row.get("has_default"),
        generated: row.get("generated"),
    }
}

fn constraint(table: &mut Table, row: &PgRow) {
    let name: String = row.get("name");
    let columns: Vec<String> = row.get("columns");
    match row.get("kind") {
        "p" => table.primary_key = columns,
        "f" => {
            let child = (row.get("child_schema"), row.get("child_table"));
            let incoming = row.get("incoming");
            table.foreign_keys.push(ForeignKey { name, child, incoming });
        }
        "x" => table.exclusions.push(name),
        _ => {
            if let [column] = columns.as_slice() {
                let expression = row.get::<Option<String>, _>("expression").unwrap_or_default();
                table.checks.push(Check { name, column: column.clone(), expression });
            }
        }
    }
}

/// The domains' states; none before the engine's own migrations.
async fn domains(pool: &PgPool) -> Result<std::collections::BTreeMap<String, String>, Error> {
    let doing = || Error::postgres("reading the domains' states");
    let migrated: bool = sqlx::query_scalar("select to_regclass('ficus.domain') is not null")
        .fetch_one(pool)
        .await
        .map_err(doing())?;
    if !migrated {
        return Ok(std::collections::BTreeMap::new());
    }
    let rows = sqlx::query("select name, state from ficus.domain").fetch_all(pool).await;
    Ok(rows.map_err(doing())?.iter().map(|row| (row.get(0), row.get(1))).collect())
}
