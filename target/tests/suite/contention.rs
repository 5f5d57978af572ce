//! Others are in the way: they hold a lock, make a circle, took the last connection. The batch is
//! tried again, nothing is skipped, and whoever could make smaller batches hears of it.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgPoolOptions};
use target::{Disposition, Role, Settings};

use crate::lab::{Lab, at, contract, partial, short};

const C: &str = "Contract";

/// Waits until a session of the engine waits for somebody's lock.
async fn somebody_waits(lab: &Lab) {
    let waiting = "select count(*)::text from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    for _ in 0..500 {
        if lab.text(waiting).await != "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits for a lock");
}

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect(sql);
}

/// A function for a trigger that refuses the first so many statements with this SQLSTATE. The
/// sequence counts, for it remembers also what was rolled back.
fn refusing(first: u32, sqlstate: &str) -> String {
    format!(
        "create sequence attempts; grant all on attempts to ficus_engine;
         create function refuse() returns trigger language plpgsql as $$
         begin
           if nextval('attempts') <= {first} then
             raise exception 'not now, %', new.number using errcode = '{sqlstate}';
           end if;
           return new;
         end $$;
         create trigger refuse before insert on contracts for each row execute function refuse()"
    )
}

/// A writer of the API has the one row and wants the other, as the batch does the other way round.
#[tokio::test]
async fn f37_a_deadlock_with_a_writer_of_the_api_loses_nothing() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert(C, contract("A", 1, "x"), at(10))
        .upsert(C, contract("B", 1, "x"), at(10))
        .apply(&lab.target)
        .await;
    let numbers = lab.texts("select number from contracts order by id").await;
    let mut writer = lab.admin.acquire().await.expect("a connection");
    // The writer does not look for circles, so it is always the batch that finds this one.
    run(&mut writer, "begin; set local deadlock_timeout = '1min'").await;
    let change =
        |number: &str| format!("update contracts set terms = 'api' where number = '{number}'");
    run(&mut writer, &change(&numbers[1])).await;
    let batch = lab.batch().upsert(C, partial("A", 2), at(20)).upsert(C, partial("B", 2), at(20));
    let target = std::sync::Arc::clone(&lab.target);
    let applying = tokio::spawn(async move { target.apply(batch.batch).await });
    somebody_waits(&lab).await;
    run(&mut writer, &change(&numbers[0])).await;
    run(&mut writer, "commit").await;
    applying.await.expect("a task").expect("applied");
    assert_eq!(lab.contracts().await, ["A|200|api|live|1", "B|200|api|live|1"]);
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 4, applied 4");
    // A session's statistics may come a moment later.
    let deadlocks =
        "select deadlocks::text from pg_stat_database where datname = current_database()";
    for _ in 0..100 {
        if lab.text(deadlocks).await != "0" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there was no deadlock");
}

/// Under `read committed`, which the engine asks for, Postgres itself says 40001 on a standby
/// only; so a trigger says it.
#[tokio::test]
async fn f38_a_serialization_failure_repeats_the_whole_transaction() {
    let lab = Lab::new().await;
    sqlx::raw_sql(AssertSqlSafe(refusing(3, "40001")))
        .execute(&lab.admin)
        .await
        .expect("a trigger");
    lab.batch()
        .upsert(C, contract("A", 1, "x"), at(10))
        .upsert(C, contract("B", 1, "x"), at(10))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["A|100|x|live|1", "B|100|x|live|1"]);
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 2, applied 2");
    let attempts = lab.text("select last_value::text from attempts").await;
    assert_eq!(attempts, "5", "three times in vain, then both rows");
}

/// The lock of an ALTER TABLE that is slow, or of a VACUUM FULL.
#[tokio::test]
async fn f39_a_lock_time_out_is_tried_again_and_then_told() {
    let lab = Lab::new().await;
    let target = lab.another_with("set lock_timeout = '300ms'; set role ficus_engine").await;
    let mut altering = lab.admin.acquire().await.expect("a connection");
    let lock = "begin; lock table contracts in access exclusive mode";
    run(&mut altering, lock).await;
    let batch = || lab.batch().upsert(C, contract("A", 1, "x"), at(10)).batch;

    // For as long as it is held, nothing is written, and a smaller batch is asked for.
    let error = target.apply(batch()).await.expect_err("the table is locked");
    assert_eq!(error.sqlstate(), Some("55P03"), "{error}");
    assert_eq!(error.disposition(), Disposition::RetrySmaller);
    assert!(error.hint().contains("pg_locks"), "{}", error.hint());
    run(&mut altering, "rollback").await;
    assert!(lab.contracts().await.is_empty());
    assert!(lab.counts("dbo.Contract", "repair").await.is_empty());

    // Released in time, it has cost an attempt and nothing else.
    run(&mut altering, lock).await;
    let again = batch();
    let applying = tokio::spawn(async move { target.apply(again).await });
    somebody_waits(&lab).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    run(&mut altering, "rollback").await;
    applying.await.expect("a task").expect("applied");
    assert_eq!(lab.contracts().await, ["A|100|x|live|1"]);
}

/// The engine by a login that is not its role.
fn engine(url: String) -> Settings {
    let (url, role) = (SecretString::from(url), Role::Engine);
    Settings { url, role, set_role: true, max_connections: 1 }
}

/// A login that may not be the engine is told so at once, not after the pool's half a minute.
#[tokio::test]
async fn who_may_not_take_the_role_is_told_at_once() {
    let lab = Lab::new().await;
    let login = format!("stranger_of_{}", lab.text("select current_database()::text").await);
    let make = format!("create role {login} login");
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&lab.admin).await.expect("a role");
    let url =
        lab.url.expose_secret().replace("postgres://postgres@", &format!("postgres://{login}@"));
    let began = std::time::Instant::now();
    let error = target::connect(&engine(url)).await.expect_err("it may not");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(error.sqlstate(), Some("42501"), "{error}");
    assert!(error.hint().contains("grant"), "{}", error.hint());
}

/// The login has as many connections as it may, and others have them all.
#[tokio::test]
async fn f41_the_last_connection_is_waited_for() {
    let lab = Lab::new().await;
    let login = format!("few_of_{}", lab.text("select current_database()::text").await);
    let make = format!("create role {login} login connection limit 6 in role ficus_engine");
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&lab.admin).await.expect("a role");
    let url =
        lab.url.expose_secret().replace("postgres://postgres@", &format!("postgres://{login}@"));
    let pool = PgPoolOptions::new()
        .max_connections(6)
        .acquire_timeout(Duration::from_millis(150))
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::query("set role ficus_engine").execute(connection).await.map(|_| ())
            })
        })
        .connect(&url)
        .await
        .expect("a pool");
    let target = target::Target::open(pool.clone(), std::sync::Arc::clone(lab.target.plan()))
        .await
        .expect("a target");
    // What the pool has already is taken, too; a connection comes back to it a moment late.
    let mut ours = Vec::new();
    while ours.len() < usize::try_from(pool.size()).expect("few") {
        match pool.try_acquire() {
            Some(connection) => ours.push(connection),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    let mut others = Vec::new();
    // A session that is just ending still counts, so one refusal is not enough.
    let mut refusals = 0;
    while refusals < 5 {
        match PgConnection::connect(&url).await {
            Ok(other) => others.push(other),
            Err(_) => {
                refusals += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    // Whoever starts now is told at once.
    let error = target::connect(&engine(url)).await.expect_err("there is none left");
    assert_eq!(error.sqlstate(), Some("53300"), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
    assert!(error.hint().contains("connections"), "{}", error.hint());

    // Whoever is at work waits.
    let batch = lab.batch().upsert(C, contract("A", 1, "x"), at(10)).batch;
    let applying = target.apply(batch);
    tokio::pin!(applying);
    let early = tokio::time::timeout(Duration::from_millis(500), &mut applying).await;
    assert!(early.is_err(), "{early:?}");
    others.pop().expect("at least one").close().await.expect("closed");
    applying.await.expect("applied");
    assert_eq!(lab.contracts().await, ["A|100|x|live|1"]);
    drop(ours);
}

/// Its text is a stranger's: it may quote the row.
#[tokio::test]
async fn what_a_trigger_says_is_not_repeated() {
    let lab = Lab::new().await;
    for (sqlstate, disposition) in [
        ("55006", Disposition::Retry),
        ("XX000", Disposition::Stop),
        ("53100", Disposition::RetrySlowly),
    ] {
        let sql = format!(
            "drop sequence if exists attempts; drop function if exists refuse() cascade; {}",
            refusing(1_000, sqlstate)
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&lab.admin).await.expect("a trigger");
        let batch = lab.batch().upsert(C, contract("secret", 1, "x"), at(10)).batch;
        let applying = tokio::time::timeout(Duration::from_millis(700), lab.target.apply(batch));
        let Ok(result) = applying.await else {
            assert_eq!(disposition, Disposition::Retry, "{sqlstate}");
            continue;
        };
        let error = result.expect_err("refused");
        assert_eq!(error.disposition(), disposition, "{sqlstate}");
        let words = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert!(
            !words.contains("secret") && words.contains("a function of the target's"),
            "{words}"
        );
    }
}
