//! Migrations: again, at once in one cluster, and by a login that is no superuser.

use sandbox::postgres::{SUPERUSER, fresh_database};
use secrecy::SecretString;
use sqlx::{Connection, PgConnection};
use target::{ProductMigration, Role, Settings};

fn product(sql: &str) -> Vec<ProductMigration> {
    vec![ProductMigration { version: 1001, name: "p".to_owned(), sql: sql.to_owned() }]
}

#[tokio::test]
async fn four_databases_of_one_cluster_at_once_and_again() {
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let database = fresh_database("migrations").await.expect("a database");
        let url = SecretString::from(database.url(SUPERUSER));
        for _ in 0..2 {
            let url = url.clone();
            tasks.push(tokio::spawn(async move {
                target::migrate(&url, &product("create table things (id uuid primary key)")).await
            }));
        }
    }
    for task in tasks {
        task.await.expect("a task").expect("migrated");
    }
}

#[tokio::test]
async fn an_ordinary_login_that_may_create_roles_is_enough() {
    let database = fresh_database("ordinary").await.expect("a database");
    let mut admin = PgConnection::connect(&database.url(SUPERUSER)).await.expect("a connection");
    let login = "do $$ begin
        create role ordinary login createrole;
        execute format('alter database %I owner to ordinary', current_database());
      end $$";
    sqlx::raw_sql(login).execute(&mut admin).await.expect("a login");
    // The roles may be there already, made by another test: then they are granted by hand.
    let grants = "do $$ declare wanted text; begin
        foreach wanted in array array['ficus_owner', 'ficus_engine', 'ficus_api', 'ficus_reader', 'ficus_work'] loop
          if exists (select from pg_roles where rolname = wanted) then
            execute format('grant %I to ordinary with admin option', wanted);
          end if;
        end loop;
      end $$";
    sqlx::raw_sql(grants).execute(&mut admin).await.expect("granted");
    let url = SecretString::from(database.url("ordinary"));
    let create = "create table things (id uuid primary key)";
    if target::migrate(&url, &product(create)).await.is_err() {
        // Made meanwhile.
        sqlx::raw_sql(grants).execute(&mut admin).await.expect("granted");
        target::migrate(&url, &product(create)).await.expect("migrated");
    }
    target::migrate(&url, &product(create)).await.expect("nothing to do");
    let changed = target::migrate(&url, &product("select 1")).await;
    assert!(matches!(changed, Err(target::Error::Migrate { .. })), "an applied one was changed");
    let owner: String = sqlx::query_scalar(
        "select string_agg(distinct tableowner, ',') from pg_tables where schemaname in ('ficus', 'public')",
    )
    .fetch_one(&mut admin)
    .await
    .expect("the owner");
    assert_eq!(owner, "ficus_owner");
    for role in [Role::Owner, Role::Engine, Role::Api, Role::Reader, Role::Work] {
        let settings = Settings { url: url.clone(), role, set_role: true, max_connections: 1 };
        let pool = target::connect(&settings).await.expect("a pool");
        let name: String =
            sqlx::query_scalar("select current_user::text").fetch_one(&pool).await.expect("a name");
        assert_eq!(name, role.name());
        let read = sqlx::query("select from things").execute(&pool).await;
        assert_eq!(read.is_ok(), !matches!(role, Role::Api | Role::Work), "{role:?}");
        let payload = sqlx::query("select payload from ficus.quarantine").execute(&pool).await;
        assert_eq!(payload.is_ok(), matches!(role, Role::Owner | Role::Engine), "{role:?}");
        let ddl = sqlx::query("alter table things add x int").execute(&pool).await;
        assert_eq!(ddl.is_ok(), role == Role::Owner, "{role:?}");
    }
}

#[tokio::test]
async fn a_password_is_never_printed() {
    let url = SecretString::from("postgres://me:hunter2@localhost:1/nowhere");
    let settings =
        Settings { url: url.clone(), role: Role::Engine, set_role: false, max_connections: 1 };
    let error = target::connect(&settings).await.expect_err("nobody listens there");
    let all = format!("{error} {error:?} {settings:?} {}", error.hint());
    assert!(!all.contains("hunter2"), "{all}");
    assert_eq!(error.disposition(), target::Disposition::Retry);
    let nonsense = SecretString::from("hunter2 is not a url");
    let error = target::migrate(&nonsense, &[]).await.expect_err("no url");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
