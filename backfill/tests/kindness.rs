//! A legacy server that is used by others meanwhile.

use std::time::{Duration, Instant};

use backfill::{Busy, Report, Selection};
use target::{domain::Decision, hold};

use crate::setup::Fixture;

const ANYBODY: Decision<'static> = Decision { actor: "somebody", reason: "month's end" };

fn told(fixture: &Fixture, what: &str) -> usize {
    fixture.told.events.lock().unwrap().iter().filter(|event| event.contains(what)).count()
}

async fn until(fixture: &Fixture, what: &str) {
    let limit = Instant::now() + Duration::from_secs(20);
    while told(fixture, what) == 0 {
        assert!(Instant::now() < limit, "{what} is never told");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn start(fixture: &Fixture) -> tokio::task::JoinHandle<Report> {
    let job = fixture.job.clone();
    tokio::spawn(async move { backfill::run(job).await.unwrap() })
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_a_second_are_limited_for_all_readers_together() {
    let mut fixture = Fixture::start().await;
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, "rates").unwrap();
    fixture.job.settings.rows_per_second = Some(600);
    let began = Instant::now();
    let report = fixture.run().await;
    assert!(report.is_complete());
    let seconds = began.elapsed().as_secs_f64();
    assert!((2.0..8.0).contains(&seconds), "1,200 rows at 600 a second took {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_find_the_rows_that_fit_their_time() {
    let mut fixture = Fixture::start().await;
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, "rates").unwrap();
    fixture.job.settings.readers = 1;
    fixture.job.settings.chunk_rows = 10_000;
    fixture.job.settings.batch_rows_max = 40;
    fixture.job.settings.statement = Duration::from_millis(200);
    fixture.server.faults().delay_per_row(Duration::from_millis(1));
    let before = fixture.server.faults().ranges();
    let report = fixture.run().await;
    assert!(report.is_complete());
    let rates = report.tables.iter().find(|table| table.table.name == "Rate").unwrap();
    assert_eq!((rates.counts.read, rates.retries), (fixture.stored("Rate"), 0), "each row once");
    let steps: i64 = sqlx::query_scalar("select attempts::int8 from ficus.backfill_chunk")
        .fetch_one(&fixture.pool)
        .await
        .unwrap();
    assert_eq!(steps, 1, "the chunk was kept all the time");
    let statements = fixture.server.faults().ranges() - before;
    assert!((4..60).contains(&statements), "{statements} statements of about 200 ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_whose_statement_takes_too_long_is_split() {
    let mut fixture = Fixture::start().await;
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, "payments").unwrap();
    fixture.job.settings.chunk_rows = 1_000;
    fixture.job.settings.limits.answer = Duration::from_millis(200);
    fixture.server.faults().stall_ranges_above("[Payment]", 300, Duration::from_secs(5));
    let report = fixture.run().await;
    assert!(report.is_complete(), "{report:#?}");
    let payments = &report.tables[0];
    assert!(payments.retries > 0 && payments.chunks_total > 3, "{payments:?}");
    assert_eq!(payments.counts.read, fixture.stored("Payment"), "each row once");
    assert!(told(&fixture, "ChunkSplit") > 0);
    // What is left of a chunk ends where the chunk ended: nothing is read twice, nothing skipped.
    let copied = fixture.count("select count(*)::int8 from payments").await;
    assert_eq!(u64::try_from(copied).unwrap() + crate::setup::BAD_PAYMENTS, payments.counts.read);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_waits_within_a_second_when_somebody_asks_for_it() {
    let mut fixture = Fixture::start().await;
    fixture.server.faults().delay_per_row(Duration::from_millis(2));
    fixture.job.settings.batch_rows_max = 20;
    let running = [start(&fixture), start(&fixture)];
    until(&fixture, "Committed").await;
    assert!(hold::pause_backfills(&fixture.pool, ANYBODY).await.unwrap());
    assert!(!hold::pause_backfills(&fixture.pool, ANYBODY).await.unwrap(), "it is already");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let running_chunks = "select count(*)::int8 from ficus.backfill_chunk where state = 'running'";
    assert_eq!(fixture.count(running_chunks).await, 0, "who waits has no chunk");
    let committed = told(&fixture, "Committed");
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(told(&fixture, "Committed"), committed);
    assert!(told(&fixture, "Holding") >= 2);
    let processes = fixture.job.target.backfill_processes().await.unwrap();
    assert_eq!(processes.len(), 2);
    for process in processes {
        assert!(process.holding.contains("paused by somebody (month's end)"), "{process:?}");
    }
    fixture.server.faults().delay_per_row(Duration::ZERO);
    assert!(hold::resume_backfills(&fixture.pool, ANYBODY).await.unwrap());
    assert!(!hold::resume_backfills(&fixture.pool, ANYBODY).await.unwrap());
    for running in running {
        assert!(running.await.unwrap().is_complete());
    }
    fixture.check_all_copied().await;
    assert_eq!(fixture.job.target.backfill_processes().await.unwrap(), []);
    let audited = "select count(*)::int8 from ficus.audit where actor = 'somebody'
                   and action in ('backfill.paused', 'backfill.resumed')";
    assert_eq!(fixture.count(audited).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_does_not_hold_up_a_stop() {
    let mut fixture = Fixture::start().await;
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, "payments").unwrap();
    fixture.server.faults().stall_ranges_above("[Payment]", 0, Duration::from_secs(60));
    let running = start(&fixture);
    until(&fixture, "Planned").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    fixture.job.cancel.cancel();
    let report = tokio::time::timeout(Duration::from_secs(4), running).await.unwrap().unwrap();
    assert!(report.cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_outside_of_the_window() {
    let mut fixture = Fixture::start().await;
    let hour =
        |offset: i64| (chrono::Utc::now() + chrono::TimeDelta::hours(offset)).format("%H:00");
    fixture.job.settings.window = Some(format!("{}-{} UTC", hour(3), hour(5)).parse().unwrap());
    let running = start(&fixture);
    until(&fixture, "Holding").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(told(&fixture, "Planned"), 0, "to cut a table is to read it");
    fixture.job.cancel.cancel();
    let report = running.await.unwrap();
    assert!(report.cancelled && report.rows_read() == 0, "{report:?}");
    fixture.job.cancel = tokio_util::sync::CancellationToken::new();
    fixture.job.settings.window = Some(format!("{}-{} UTC", hour(-2), hour(3)).parse().unwrap());
    assert!(fixture.run().await.is_complete());
    fixture.check_all_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_left_alone() {
    let mut fixture = Fixture::start().await;
    // The sandbox answers a count: busy while there are type names.
    let query = "SELECT COUNT_BIG(*) AS [rows] FROM [dbo].[XPObjectType]".to_owned();
    fixture.job.settings.busy = Some(Busy { query, pause: Duration::from_millis(50) });
    let running = start(&fixture);
    until(&fixture, "Busy").await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!((told(&fixture, "Planned"), told(&fixture, "Committed")), (0, 0));
    let holding = fixture.job.target.backfill_processes().await.unwrap()[0].holding.clone();
    assert!(holding.contains("busy"), "{holding}");
    for key in 1..4 {
        let key = [mapping::value::LegacyValue::Int(key)];
        let delete = |t: &mut sandbox::legacy::Transaction<'_>| t.delete("dbo.XPObjectType", &key);
        fixture.legacy.transaction(|t| delete(t).map(|_| ())).unwrap();
    }
    assert!(running.await.unwrap().is_complete());
    assert!(told(&fixture, "GoingOn") > 0);
    fixture.check_all_copied().await;
}

#[tokio::test]
async fn a_busy_query_that_fails_is_told_and_nothing_is_read() {
    let mut fixture = Fixture::start().await;
    let query = "SELECT busy FROM nowhere".to_owned();
    fixture.job.settings.busy = Some(Busy { query, pause: Duration::from_millis(50) });
    let error = backfill::run(fixture.job.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "backfill.busy_query failed");
    assert_eq!(told(&fixture, "Planned"), 0);
}

/// Others hold locks, or the statement runs into its time limit: large batches don't get through.
#[tokio::test]
async fn f39_a_copy_makes_smaller_batches_where_others_are_in_the_way() {
    let mut fixture = Fixture::start().await;
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, "contracts").unwrap();
    fixture.job.settings.readers = 1;
    fixture.job.settings.batch_rows_max = 400;
    fixture.job.settings.attempts_max = 12;
    let trigger = "
        create function refuse() returns trigger language plpgsql as $$
        begin
          if (select count(*) from new_rows) > 60 then
            raise exception 'another session has the lock' using errcode = '55P03';
          end if;
          return null;
        end $$;
        create trigger refuse after insert on contracts referencing new table as new_rows
          for each statement execute function refuse()";
    sqlx::raw_sql(trigger).execute(&fixture.admin().await).await.unwrap();
    let report = fixture.run().await;
    assert!(report.is_complete(), "{report:#?}");
    assert!(report.tables[0].retries >= 2, "{report:#?}");
    assert_eq!(report.tables[0].counts.read, fixture.stored("Contract"), "nothing twice");
    let largest = fixture.told.largest_commit();
    assert!((1..=60).contains(&largest), "a batch had {largest} rows");
}
