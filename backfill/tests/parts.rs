//! Parts of a table, copied again while the stream runs.

use backfill::{Error, KeyList, Scope, Selection};
use mapping::{
    plan::SourceOp,
    position::{Lsn, Position},
    value::LegacyValue,
};
use tokio_util::sync::CancellationToken;

use crate::setup::{Fixture, decimal, text};

const WHOLE_RUNS: &str = "select count(*)::int8 from ficus.backfill_run where part is null";

/// The total of a contract, as the target has it.
async fn total(fixture: &Fixture, company: &str, number: &str) -> Option<i64> {
    sqlx::query_scalar("select total from contracts where company = $1 and number = $2")
        .bind(company)
        .bind(number)
        .fetch_optional(&fixture.pool)
        .await
        .unwrap()
        .flatten()
}

/// Changes contracts behind the engine's back.
fn change(fixture: &Fixture, keys: &[(&str, &str)], total: i128) {
    let set = |row: &mut sandbox::legacy::Values| row[2] = decimal(total, 4);
    let keys = keys.iter().map(|(company, number)| [text(*company), text(*number)]);
    for key in keys {
        let done = |t: &mut sandbox::legacy::Transaction<'_>| {
            assert!(t.update("dbo.Contract", &key, set)?, "{key:?} is there");
            Ok(())
        };
        fixture.legacy.transaction(done).unwrap();
    }
}

fn only(fixture: &mut Fixture, name: &str, condition: &str) {
    fixture.job.selection = Selection::of_table(&fixture.job.plan, name).unwrap();
    fixture.job.scope = Scope::Where(legacy::Condition::new(condition).unwrap());
}

fn keys(fixture: &mut Fixture, name: &str, list: &str) {
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, name).unwrap();
    let keys = KeyList::parse(&fixture.job.plan, &fixture.job.selection, list).unwrap();
    fixture.job.scope = Scope::Keys(keys);
}

#[tokio::test]
async fn rows_that_a_condition_holds_for_are_copied_again() {
    let mut fixture = Fixture::start().await;
    fixture.run().await;
    change(&fixture, &[("a", "a000"), ("_", "a000")], 7_770_000);
    // A trailing comment and an OR must not reach what comes after them.
    only(&mut fixture, "contracts", "[CompanyNo] = N'_' OR [CompanyNo] = N'nobody' -- those");
    let report = fixture.run().await;
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!(report.rows_read(), 120);
    assert_eq!(total(&fixture, "_", "a000").await, Some(77_700));
    assert_eq!(total(&fixture, "a", "a000").await, Some(0), "it was not asked for");
    // Done is done, but a part that is asked for again is copied again, and in chunks.
    change(&fixture, &[("_", "a000")], 8_880_000);
    only(&mut fixture, "dbo.Contract", "[Total] >= 0");
    let report = fixture.run().await;
    assert_eq!(report.rows_read(), fixture.stored("Contract"));
    assert!(report.tables[0].chunks_total > 2, "{report:#?}");
    assert_eq!(total(&fixture, "_", "a000").await, Some(88_800));
    // A part says nothing of the whole.
    assert_eq!(fixture.count(WHOLE_RUNS).await, 1);
    fixture.job.scope = Scope::Whole;
    fixture.job.selection = Selection::all(&fixture.job.plan);
    assert_eq!(fixture.run().await.rows_read(), 0);
    fixture.check_all_copied().await;
}

/// The same on any server: its own collation says which rows a condition and a key mean.
#[tokio::test]
async fn parts_are_found_by_condition_and_by_key() {
    let mut fixture = Fixture::any().await;
    fixture.run().await;
    only(&mut fixture, "contracts", "[CompanyNo] = N'Ж' OR [CompanyNo] = N'nobody' -- those");
    assert_eq!(fixture.run().await.rows_read(), 120);
    keys(&mut fixture, "contracts", "A/A000\nno/where\n_/a000\nB/a000\nж/A000\n");
    let report = fixture.run().await;
    assert_eq!((report.rows_read(), &report.tables[0].keys_missing), (4, &vec![2]), "{report:#?}");
    keys(&mut fixture, "rates", "2/ж/2024-03-01\n");
    assert_eq!(fixture.run().await.tables[0].keys_missing, [1]);
    fixture.check_all_copied().await;
    fixture.check_model(&["Contract", "Payment", "Rate"]).await;
}

#[tokio::test]
async fn a_part_that_was_stopped_goes_on_and_another_part_gives_it_up() {
    let mut fixture = Fixture::start().await;
    fixture.run().await;
    only(&mut fixture, "payments", "[Amount] > 0");
    let mut read = 0;
    for attempt in 1.. {
        fixture.job.cancel = CancellationToken::new();
        *fixture.told.stop_after.lock().unwrap() = Some((4, fixture.job.cancel.clone()));
        let report = fixture.run().await;
        read += report.rows_read();
        if report.is_complete() {
            assert!(attempt > 2, "it was stopped {attempt} times");
            break;
        }
        assert!(attempt < 40);
    }
    assert_eq!(read, fixture.stored("Payment"), "each row once");

    fixture.job.cancel = CancellationToken::new();
    *fixture.told.stop_after.lock().unwrap() = Some((1, fixture.job.cancel.clone()));
    assert!(!fixture.run().await.is_complete());
    *fixture.told.stop_after.lock().unwrap() = None;
    fixture.job.cancel = CancellationToken::new();
    sqlx::query("update ficus.backfill_run set started_at = started_at - interval '1 minute'")
        .execute(&fixture.pool)
        .await
        .unwrap();
    only(&mut fixture, "payments", "[Amount] < 0");
    assert_eq!(fixture.run().await.rows_read(), 0);
    let open = "select count(*)::int8 from ficus.backfill_run where state = 'running'";
    assert_eq!(fixture.count(open).await, 0, "nobody would ever finish the other part");
}

#[tokio::test]
async fn a_part_never_wins_against_a_newer_change() {
    let mut fixture = Fixture::start().await;
    fixture.run().await;
    // The stream has brought a change that capture has reached only now.
    fixture.legacy.set_capture_lag(std::time::Duration::MAX);
    change(&fixture, &[("a", "a000")], 5_550_000);
    let newest = Lsn::parse("00000fff:00000001:0001").unwrap();
    let values = [text("a"), text("a000"), decimal(1_230_000, 4), LegacyValue::Null];
    fixture.stream("Contract", (SourceOp::Upsert, &values), Position::streamed(newest, 1)).await;
    assert_eq!(total(&fixture, "a", "a000").await, Some(12_300));
    only(&mut fixture, "contracts", "[ContractNo] = N'a000'");
    let report = fixture.run().await;
    assert_eq!(report.tables[0].counts.stale, 1, "{report:#?}");
    assert_eq!(total(&fixture, "a", "a000").await, Some(12_300));
    keys(&mut fixture, "contracts", "a/a000");
    assert_eq!(fixture.run().await.tables[0].counts.stale, 1);
    assert_eq!(total(&fixture, "a", "a000").await, Some(12_300));
}

#[tokio::test]
async fn rows_are_copied_again_by_key_and_lines_without_a_row_are_told() {
    let mut fixture = Fixture::start().await;
    fixture.run().await;
    change(&fixture, &[("a", "a000"), ("b", "b 001"), ("Ж", "a000")], 7_770_000);
    // In any spelling that the collation calls equal, twice, with a byte order mark, CR and LF.
    keys(&mut fixture, "contracts", "\u{FEFF}A/A000\r\n\r\na/a000\nno/where\n_/a000\nx/y\n");
    let report = fixture.run().await;
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!(report.rows_read(), 2);
    assert_eq!(report.tables[0].keys_missing, [4, 6]);
    assert_eq!(total(&fixture, "a", "a000").await, Some(77_700));
    assert_eq!(total(&fixture, "Ж", "a000").await, Some(0), "it was not asked for");
    assert_eq!(fixture.count(WHOLE_RUNS).await, 1);
    fixture.check_all_copied().await;
}

#[tokio::test]
async fn many_keys_are_read_in_many_statements_and_through_trouble() {
    let mut fixture = Fixture::start().await;
    let stored = fixture.legacy.rows("dbo.Payment").unwrap();
    let list: Vec<String> = stored.iter().map(|row| row[0].to_string()).collect();
    keys(&mut fixture, "payments", &list.join("\n"));
    fixture.job.settings.attempts_max = 50;
    let faults = fixture.server.faults();
    let cutting = tokio::spawn(async move {
        for rows in [30, 61, 2].iter().cycle() {
            faults.close_after_rows(*rows);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let report = fixture.run().await;
    cutting.abort();
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!(report.rows_read(), fixture.stored("Payment"));
    assert!(report.tables[0].retries > 0 && report.tables[0].keys_missing.is_empty());
    let copied = fixture.count("select count(*)::int8 from payments").await;
    assert_eq!(u64::try_from(copied).unwrap() + crate::setup::BAD_PAYMENTS, report.rows_read());
}

#[tokio::test]
async fn what_is_no_part_is_one_sentence() {
    let mut fixture = Fixture::start().await;
    let plan = &fixture.job.plan;
    let selection = Selection::of_entity(plan, "rates").unwrap();
    for (list, line) in
        [("1/A/2024-01-01\n1/A", 2), ("x/A/2024-01-01", 1), ("\n\n1/A/2024-13-01", 3)]
    {
        let error = KeyList::parse(plan, &selection, list).unwrap_err();
        assert!(matches!(error, Error::KeyLine { line: told, .. } if told == line), "{error:?}");
        assert!(!error.hint().is_empty());
    }
    assert!(matches!(Selection::of_table(plan, "nothing"), Err(Error::Unknown { .. })));
    assert!(legacy::Condition::new(" \n").is_none());
    // The server itself says what is wrong with a condition.
    only(&mut fixture, "rates", "[Nowhere] = 1");
    let report = fixture.run().await;
    let failure = report.tables[0].failure.as_deref().unwrap();
    assert!(failure.contains("an object is missing"), "{failure}");
    only(&mut fixture, "rates", "1 = 1) DROP TABLE x; --");
    let report = fixture.run().await;
    assert!(report.tables[0].failure.as_deref().unwrap().contains("error 102"), "{report:?}");
}

#[tokio::test]
async fn a_restart_plans_anew() {
    let mut fixture = Fixture::start().await;
    fixture.run().await;
    fixture.job.settings.restart = true;
    fixture.job.settings.chunk_rows = 100;
    fixture.job.selection = Selection::named(&fixture.job.plan, &["rates".to_owned()]).unwrap();
    let report = fixture.run().await;
    assert!(report.is_complete());
    let rates = report.tables.iter().find(|table| table.table.name == "Rate").unwrap();
    assert_eq!((rates.chunks_total, rates.counts.read), (13, fixture.stored("Rate")));
    fixture.check_all_copied().await;
}
