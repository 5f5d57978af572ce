//! What the worker's role may do, and what others may not do any more.

use sqlx::{AssertSqlSafe, PgPool};
use target::Role;

use super::lab::{Lab, pool};

async fn refused(pool: &PgPool, sql: &str) -> bool {
    let tried = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(pool).await;
    let code = tried.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
    code.as_deref() == Some("42501")
}

#[tokio::test]
async fn the_worker_sees_what_statements_need_and_nothing_else() {
    let lab = Lab::new().await;
    for sql in [
        "select password_hash from users",
        "select from sessions",
        "select from audit_log",
        "select from idempotency_keys",
        "select fcm_token from devices",
        "select raw_message from payments",
        "select bank_account from property_owners",
        "select phone from tenants",
        "select from files",
        "update invoices set total = 0",
        "delete from tenants",
        "update ficus.domain set state = 'cut_over'",
        "delete from ficus.work_slot",
        "create table mine (id int)",
        "select from ficus.quarantine",
    ] {
        assert!(refused(&lab.pool, sql).await, "{sql}");
    }
    for sql in ["select id, name, register_no from tenants", "select amount from payments"] {
        sqlx::query(sql).execute(&lab.pool).await.expect(sql);
    }
    let exempt = "select (rolbypassrls or rolsuper or rolcanlogin)::text from pg_roles where rolname = 'ficus_work'";
    assert_eq!(lab.text(exempt).await, "false");
}

#[tokio::test]
async fn the_outbox_is_the_workers_alone() {
    let lab = Lab::new().await;
    let engine = pool(&lab.database, Role::Engine).await;
    let api = pool(&lab.database, Role::Api).await;
    for sql in ["select from outbox", "update outbox set state = 'done'", "delete from outbox"] {
        assert!(refused(&engine, sql).await && refused(&api, sql).await, "{sql}");
    }
    assert!(refused(&engine, "select from ficus.work_run").await);
    assert!(refused(&api, "insert into ficus.work_slot values ('x', now(), 'x', 0)").await);
}
