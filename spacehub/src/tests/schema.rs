//! The migrations on a real Postgres: the plan's columns, and who sees what.

use std::collections::{BTreeMap, BTreeSet};

use mapping::plan::PgType;
use sandbox::postgres::{Database, fresh_database};
use sqlx::{Connection, PgConnection, Row};

async fn migrated() -> (Database, PgConnection) {
    let database = fresh_database("spacehub").await.expect("a database");
    let mut connection =
        PgConnection::connect(&database.url("postgres")).await.expect("a connection");
    // Other tests make the cluster's roles at the same moment.
    for role in ["ficus_owner", "ficus_engine", "ficus_api", "ficus_reader", "ficus_work"] {
        let make = format!(
            "do $$ begin create role {role} nologin; \
             exception when duplicate_object or unique_violation then null; end $$"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut connection).await.expect("a role");
    }
    for migration in crate::migrations() {
        sqlx::raw_sql(migration.sql)
            .execute(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", migration.name));
    }
    (database, connection)
}

async fn rows(connection: &mut PgConnection, sql: &'static str) -> Vec<sqlx::postgres::PgRow> {
    sqlx::raw_sql(sql).fetch_all(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn count(connection: &mut PgConnection, sql: &'static str) -> i64 {
    rows(connection, sql).await[0].get(0)
}

fn type_name(pg_type: PgType) -> String {
    match pg_type {
        PgType::Bool => "boolean".into(),
        PgType::Int2 => "smallint".into(),
        PgType::Int4 => "integer".into(),
        PgType::Int8 => "bigint".into(),
        PgType::Float8 => "double precision".into(),
        PgType::Numeric { scale } => format!("numeric(28,{scale})"),
        PgType::Text => "text".into(),
        PgType::TextArray => "text[]".into(),
        PgType::Bytea => "bytea".into(),
        PgType::Uuid => "uuid".into(),
        PgType::Date => "date".into(),
        PgType::Time => "time without time zone".into(),
        PgType::Timestamp => "timestamp without time zone".into(),
        PgType::Timestamptz => "timestamp with time zone".into(),
    }
}

#[tokio::test]
async fn tables_have_exactly_the_plans_columns() {
    let (_database, mut connection) = migrated().await;
    let mut tables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let found = rows(
        &mut connection,
        "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) \
         from pg_class c join pg_attribute a on a.attrelid = c.oid \
         where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0",
    );
    for row in found.await {
        let (table, column, of_type) = (row.get::<String, _>(0), row.get(1), row.get(2));
        tables.entry(table).or_default().insert(column, of_type);
    }
    for entity in super::plan().entities {
        let mut wanted: BTreeMap<String, String> = entity
            .columns
            .iter()
            .map(|column| (column.name.clone(), type_name(column.pg_type)))
            .collect();
        wanted.insert("source_position".into(), "bytea".into());
        let is = tables.get(&entity.target_table);
        assert_eq!(is, Some(&wanted), "{}", entity.target_table);
    }
}

/// NOT NULL is what the mapping files call so (and the version, which has a default): a column that
/// the mapping may write NULL into would refuse rows, and one that it may not needs no cutover.
#[tokio::test]
async fn required_columns_are_those_of_the_mapping() {
    let (_database, mut connection) = migrated().await;
    let found = rows(
        &mut connection,
        "select c.relname || '.' || a.attname from pg_class c
         join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
           and a.attnotnull and a.attname not in ('id', 'version')",
    );
    let found: BTreeSet<String> = found.await.iter().map(|row| row.get(0)).collect();
    let (plan, catalog) = (super::plan(), crate::catalog().expect("the DDL"));
    let mut required = BTreeSet::new();
    for entity in &plan.entities {
        for (index, column) in entity.columns.iter().enumerate() {
            let name = format!("{}.{}", entity.target_table, column.name);
            if found.contains(&name) {
                let promise = plan.promise(entity, index, &catalog).expect("a column");
                assert_eq!(promise.null, None, "{name} is NOT NULL");
                required.insert(name);
            }
        }
    }
    let wanted = ["spaces.kind", "users.kind"].map(str::to_owned);
    assert_eq!(required, BTreeSet::from(wanted));
}

/// A `d` may be the first half of an update, a parent may come late, and a unique value may pass
/// from one row to another: constraints across rows would refuse all that, or cascade.
#[tokio::test]
async fn trap_05_a_constraint_across_rows_is_there_before_the_cutover() {
    let (_database, mut connection) = migrated().await;
    let found = rows(
        &mut connection,
        "select c.conrelid::regclass::text from pg_constraint c where c.contype in ('f', 'u', 'x')
         union all select i.indrelid::regclass::text from pg_index i
         where i.indisunique and not i.indisprimary",
    );
    let constrained: Vec<String> = found.await.iter().map(|row| row.get(0)).collect();
    for entity in super::plan().entities {
        assert!(!constrained.contains(&entity.target_table), "{}", entity.target_table);
    }
    assert!(constrained.contains(&"sessions".to_owned()), "the API's own tables have some");
}

#[tokio::test]
async fn every_table_is_behind_row_security() {
    let (_database, mut connection) = migrated().await;
    let open = rows(
        &mut connection,
        "select relname from pg_class where relnamespace = 'public'::regnamespace \
         and relkind = 'r' and not (relrowsecurity and relforcerowsecurity \
         and pg_get_userbyid(relowner) = 'ficus_owner')",
    );
    let open: Vec<String> = open.await.iter().map(|row| row.get(0)).collect();
    assert!(open.is_empty(), "{open:?}");
    // With nothing set nobody sees anything; with a wrong role nobody does either.
    for settings in [
        "set role ficus_api",
        "set app.role = 'admin'; set app.owner_id = 'a0000000-0000-0000-0000-000000000001'",
        "set app.role = 'owner'; set app.owner_id = ''",
    ] {
        sqlx::raw_sql("reset role").execute(&mut connection).await.expect("a role");
        sqlx::raw_sql(FIXTURE).execute(&mut connection).await.expect("the rows");
        sqlx::raw_sql("set role ficus_api").execute(&mut connection).await.expect("a role");
        sqlx::raw_sql(settings).execute(&mut connection).await.expect("the settings");
        for entity in super::plan().entities {
            let sql = format!("select count(*) from {}", entity.target_table);
            let seen = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_one(&mut connection).await;
            let seen: i64 = seen.expect("a count").get(0);
            assert_eq!(seen, 0, "{} under {settings}", entity.target_table);
        }
    }
}

/// Two owners (…01, …02), each with a property, a space, a contract with two items (the second
/// item of each on no space), an invoice with a line, a paid payment, and a file.
const FIXTURE: &str = "
    truncate property_owners, tenants, properties, property_owner_links, spaces, space_rates,
        contracts, contract_items, invoices, invoice_lines, payments, payment_allocations,
        files, contract_attachments, users, roles, user_roles, user_logins;
    do $$
    declare
        n int;
        id text;
    begin
        for n in 1..2 loop
            id := '0000000-0000-0000-0000-00000000000' || n;
            insert into property_owners (id) values (('a' || id)::uuid);
            insert into properties (id) values (('b' || id)::uuid);
            insert into property_owner_links (id, property_owner_id, property_id)
                values (('c' || id)::uuid, ('a' || id)::uuid, ('b' || id)::uuid);
            insert into spaces (id, property_id, kind) values (('d' || id)::uuid, ('b' || id)::uuid, 'space');
            insert into space_rates (id, space_id) values (('d' || id)::uuid, ('d' || id)::uuid);
            insert into tenants (id) values (('e' || id)::uuid);
            insert into contracts (id, tenant_id) values (('f' || id)::uuid, ('e' || id)::uuid);
            insert into contract_items (id, contract_id, space_id) values
                (('1' || id)::uuid, ('f' || id)::uuid, ('d' || id)::uuid),
                (('2' || id)::uuid, ('f' || id)::uuid, null);
            insert into invoices (id, contract_id) values (('3' || id)::uuid, ('f' || id)::uuid);
            insert into invoice_lines (id, invoice_id) values (('4' || id)::uuid, ('3' || id)::uuid);
            insert into payments (id, tenant_id) values (('5' || id)::uuid, ('e' || id)::uuid);
            insert into payment_allocations (id, payment_id, invoice_id)
                values (('6' || id)::uuid, ('5' || id)::uuid, ('3' || id)::uuid);
            insert into files (id) values (('7' || id)::uuid);
            insert into contract_attachments (id, file_id, contract_id)
                values (('8' || id)::uuid, ('7' || id)::uuid, ('f' || id)::uuid);
            insert into users (id, user_name, kind) values (('9' || id)::uuid, 'u' || n, 'application');
        end loop;
    end $$;";

#[tokio::test]
async fn an_owner_sees_his_own_and_changes_no_other() {
    let (_database, mut connection) = migrated().await;
    sqlx::raw_sql(FIXTURE).execute(&mut connection).await.expect("the rows");
    let owner = "set role ficus_api; set app.role = 'owner'; \
                 set app.owner_id = 'a0000000-0000-0000-0000-000000000001'; \
                 set app.user_id = '90000000-0000-0000-0000-000000000001'";
    sqlx::raw_sql(owner).execute(&mut connection).await.expect("the settings");
    for entity in super::plan().entities {
        let table = &*entity.target_table;
        let sql = format!("select id::text from {table}");
        let seen = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await;
        let seen: Vec<String> = seen.expect("rows").iter().map(|row| row.get(0)).collect();
        let wanted = match table {
            "contract_items" => 2,
            "roles" | "user_roles" | "user_logins" => 0,
            _ => 1,
        };
        assert_eq!(seen.len(), wanted, "{table}: {seen:?}");
        assert!(seen.iter().all(|id| id.ends_with("01")), "{table}: {seen:?}");
    }
    let changed = sqlx::raw_sql("update contracts set status = 'ended'").execute(&mut connection);
    assert_eq!(changed.await.expect("his own").rows_affected(), 1);
    for refused in [
        "update contracts set id = 'f0000000-0000-0000-0000-000000000009'",
        "insert into contracts (id) values ('f0000000-0000-0000-0000-000000000009')",
        "insert into invoices (id, contract_id) values ('30000000-0000-0000-0000-000000000009', \
         'f0000000-0000-0000-0000-000000000002')",
        "insert into property_owner_links (id, property_owner_id, property_id) values \
         ('c0000000-0000-0000-0000-000000000009', 'a0000000-0000-0000-0000-000000000001', \
          'b0000000-0000-0000-0000-000000000002')",
        "delete from contracts",
        "update audit_log set action = 'create'",
        "select count(*) from outbox",
    ] {
        let done = sqlx::raw_sql(refused).execute(&mut connection).await;
        let error = done.expect_err(refused).to_string();
        assert!(error.contains("row-level") || error.contains("permission"), "{refused}: {error}");
    }
    sqlx::raw_sql("set app.role = 'staff'").execute(&mut connection).await.expect("a setting");
    assert_eq!(count(&mut connection, "select count(*) from contracts").await, 2);
    sqlx::raw_sql("reset role; set role ficus_engine")
        .execute(&mut connection)
        .await
        .expect("role");
    assert_eq!(count(&mut connection, "select count(*) from contracts").await, 2);
    let audit = sqlx::raw_sql("select count(*) from audit_log").execute(&mut connection).await;
    assert!(audit.expect_err("not the engine's").to_string().contains("permission"));
}

/// Forced row security holds for the owner too: a foreign key that he validates without seeing
/// the rows would be called valid although it is not.
#[tokio::test]
async fn the_owner_finds_orphans_when_he_seals() {
    let (_database, mut connection) = migrated().await;
    let orphan = "insert into invoice_lines (id, invoice_id) values \
                  ('40000000-0000-0000-0000-000000000001', '30000000-0000-0000-0000-000000000001')";
    sqlx::raw_sql(orphan).execute(&mut connection).await.expect("a row");
    let seal = "set role ficus_owner; \
                alter table invoice_lines add constraint invoice_lines_invoice_id_fkey \
                foreign key (invoice_id) references invoices (id)";
    let error = sqlx::raw_sql(seal).execute(&mut connection).await.expect_err("an orphan");
    assert!(error.to_string().contains("violates foreign key"), "{error}");
}

#[tokio::test]
async fn a_session_is_found_by_its_token_and_by_nothing_else() {
    let (_database, mut connection) = migrated().await;
    let sessions = "insert into sessions (id, user_id, kind, token_hash, role, expires_at) values \
        ('00000000-0000-0000-0000-000000000001', '90000000-0000-0000-0000-000000000001', 'web', \
         '\\x01', 'staff', now() + interval '1 hour'), \
        ('00000000-0000-0000-0000-000000000002', '90000000-0000-0000-0000-000000000001', 'web', \
         '\\x02', 'staff', now() - interval '1 hour')";
    sqlx::raw_sql(sessions).execute(&mut connection).await.expect("sessions");
    sqlx::raw_sql("set role ficus_api").execute(&mut connection).await.expect("a role");
    assert_eq!(count(&mut connection, "select count(*) from sessions").await, 0);
    let found = "select count(*) from session_by_token_hash('\\x01') where role = 'staff'";
    assert_eq!(count(&mut connection, found).await, 1);
    let expired = "select count(*) from session_by_token_hash('\\x02')";
    assert_eq!(count(&mut connection, expired).await, 0);
}
