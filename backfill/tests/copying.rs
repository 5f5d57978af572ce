use std::time::Duration;

use backfill::Selection;
use sqlx::Row as _;
use tokio_util::sync::CancellationToken;

use crate::setup::{Fixture, decimal, text};

const ALL: [&str; 3] = ["Contract", "Payment", "Rate"];

#[tokio::test]
async fn every_row_is_copied_once_and_a_second_run_does_nothing() {
    let fixture = Fixture::any().await;
    let report = fixture.run().await;
    assert!(report.is_complete(), "{report:#?}");
    for table in &report.tables {
        let counts = &table.counts;
        if table.table.name == "XPObjectType" {
            continue;
        }
        assert_eq!(counts.read, fixture.stored(&table.table.name), "{table:?}");
        let bad = fixture.bad(&table.table.name);
        assert_eq!(counts.quarantined, bad);
        assert_eq!(counts.applied, counts.read - bad);
        assert_eq!(table.retries, 0);
        assert!(table.chunks_total > 2);
    }
    fixture.check_all_copied().await;
    fixture.check_model(&ALL).await;
    let names: Vec<&str> = report.tables.iter().map(|t| t.table.name.as_str()).collect();
    let place = |name| names.iter().position(|n| *n == name).unwrap();
    assert!(place("XPObjectType") < place("Contract") && place("Contract") < place("Payment"));
    assert_eq!(fixture.count("select count(*)::int8 from ficus.object_type").await, 3);

    let again = fixture.run().await;
    assert!(again.is_complete());
    assert_eq!(again.rows_read(), 0);
    fixture.check_all_copied().await;
}

#[tokio::test]
async fn values_and_references_arrive_as_they_are() {
    let fixture = Fixture::start().await;
    fixture.run().await;
    let row = sqlx::query(
        "select c.company, c.number, c.total, count(p.id)::int8 as payments, max(p.amount)::text as most
         from contracts c join payments p on p.contract_id = c.id group by c.id",
    )
    .fetch_all(&fixture.pool)
    .await
    .unwrap();
    assert_eq!(row.len(), 1, "all payments refer to one contract, in another spelling");
    let row = &row[0];
    assert_eq!(row.get::<String, _>("company"), "a");
    assert_eq!(row.get::<String, _>("number"), "a000");
    assert_eq!(row.get::<i64, _>("payments"), 2997);
    assert_eq!(row.get::<String, _>("most"), "922337203685477.5806");
    let payload = sqlx::query(
        "select convert_from(payload, 'UTF8') as payload from ficus.quarantine where rule like 'text%' order by 1",
    )
    .fetch_all(&fixture.pool)
    .await
    .unwrap();
    let payloads: Vec<String> = payload.iter().map(|row| row.get(0)).collect();
    assert!(payloads.iter().any(|p| p.contains("U+0000 \\u0000")), "{payloads:?}");
    assert!(payloads.iter().any(|p| p.contains("\"Account\":\"***\"")), "{payloads:?}");
    assert!(!payloads.iter().any(|p| p.contains("MN")), "{payloads:?}");
}

/// SQL Server compares a GUID's groups from the last to the first, Postgres its bytes from the
/// first to the last. So the server decides what comes after a key, never this side.
#[tokio::test]
async fn trap_09_a_copy_that_goes_on_behind_a_guid_skips_rows_or_reads_them_twice() {
    let mut fixture = Fixture::any().await;
    let stored = fixture.legacy.rows("dbo.Payment").unwrap();
    let guids: Vec<_> = stored.iter().map(|row| row[0].to_string()).collect();
    let backwards = guids.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!(backwards > guids.len() / 3, "the two orders have nothing in common");
    fixture.job.settings.readers = 2;
    fixture.job.settings.chunk_rows = 100;
    fixture.job.settings.batch_rows_max = 30;
    fixture.job.selection = Selection::named(&fixture.job.plan, &["payments".to_owned()]).unwrap();
    let mut read = 0;
    for stops in 1.. {
        fixture.job.cancel = CancellationToken::new();
        *fixture.told.stop_after.lock().unwrap() = Some((12, fixture.job.cancel.clone()));
        let report = fixture.run().await;
        read += report.rows_read();
        if report.is_complete() {
            assert!(stops > 2, "it went on {stops} times");
            break;
        }
        assert!(stops < 60);
    }
    assert_eq!(read, fixture.stored("Payment"), "each row once");
    let rows = fixture.count("select count(*)::int8 from payments").await;
    assert_eq!(u64::try_from(rows).unwrap() + fixture.bad("Payment"), fixture.stored("Payment"));
    fixture.check_model(&["Payment"]).await;
}

#[tokio::test]
async fn one_reader_and_one_chunk_do_it_too() {
    let mut fixture = Fixture::any().await;
    fixture.job.settings.readers = 1;
    fixture.job.settings.chunk_rows = 1_000_000;
    fixture.job.settings.batch_rows_max = 1_000_000;
    let report = fixture.run().await;
    assert!(report.is_complete());
    assert!(report.tables.iter().all(|table| table.chunks_total == 1));
    fixture.check_all_copied().await;
    fixture.check_model(&ALL).await;
}

#[tokio::test]
async fn two_processes_share_one_run() {
    let fixture = Fixture::any().await;
    let (one, two) = tokio::join!(fixture.run(), fixture.run());
    assert!(one.is_complete() && two.is_complete());
    fixture.check_all_copied().await;
    let all = fixture.stored("Contract") + fixture.stored("Payment") + fixture.stored("Rate");
    // Both may have planned a table at the same time; then a few ranges are read twice.
    assert!(one.rows_read() + two.rows_read() >= all);
}

#[tokio::test]
async fn a_restart_copies_what_has_changed_since() {
    let mut fixture = Fixture::start().await;
    fixture.run().await;
    let key = [text("A"), text("a000")];
    let change = |row: &mut sandbox::legacy::Values| row[2] = decimal(7_770_000, 4);
    fixture.legacy.transaction(|t| t.update("dbo.Contract", &key, change).map(|_| ())).unwrap();
    assert_eq!(fixture.run().await.rows_read(), 0);
    let total = "select total from contracts where number = 'a000' and company = 'a'";
    assert_eq!(fixture.count(total).await, 0);
    fixture.job.settings.restart = true;
    fixture.job.selection = Selection::named(&fixture.job.plan, &["contracts".to_owned()]).unwrap();
    let report = fixture.run().await;
    assert!(report.is_complete());
    assert_eq!(report.rows_read(), fixture.stored("Contract"));
    assert_eq!(fixture.count(total).await, 77_700);
    fixture.check_all_copied().await;
}

#[tokio::test]
async fn a_selection_is_by_domain_or_entity() {
    let mut fixture = Fixture::any().await;
    let unknown = Selection::named(&fixture.job.plan, &["contratcs".to_owned()]).unwrap_err();
    assert!(unknown.hint().contains("contracts"), "{}", unknown.hint());
    fixture.job.selection = Selection::named(&fixture.job.plan, &["rates".to_owned()]).unwrap();
    let report = fixture.run().await;
    assert_eq!(report.rows_read(), fixture.stored("Rate"));
    assert_eq!(fixture.count("select count(*)::int8 from contracts").await, 0);
    // Later the rest, in the same run.
    fixture.job.selection = Selection::named(&fixture.job.plan, &["rents".to_owned()]).unwrap();
    assert!(fixture.run().await.is_complete());
    fixture.check_all_copied().await;
}

#[tokio::test]
async fn a_run_that_is_stopped_goes_on_where_it_was() {
    let mut fixture = Fixture::any().await;
    let mut read = 0;
    for stops in 1.. {
        fixture.job.cancel = CancellationToken::new();
        *fixture.told.stop_after.lock().unwrap() = Some((5, fixture.job.cancel.clone()));
        let report = fixture.run().await;
        read += report.rows_read();
        if report.is_complete() {
            assert!(stops > 3);
            break;
        }
        assert!(report.cancelled);
        assert!(stops < 60);
    }
    let all = fixture.stored("Contract") + fixture.stored("Payment") + fixture.stored("Rate");
    assert_eq!(read, all, "what was committed is not read again");
    fixture.check_all_copied().await;
    fixture.check_model(&ALL).await;
}

/// Dropped wherever it is, as by a kill: nobody gives a chunk back.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_again_and_again_goes_on_where_it_was() {
    let mut fixture = Fixture::any().await;
    fixture.job.settings.lease = Duration::from_millis(100);
    fixture.job.settings.batch_rows_max = 40;
    for lives in 1.. {
        let life = Duration::from_millis(rand::random_range(1..40) * lives);
        let run = tokio::time::timeout(life, backfill::run(fixture.job.clone())).await;
        if run.is_ok_and(|report| report.unwrap().is_complete()) {
            break;
        }
        assert!(lives < 1000, "it never ends");
    }
    for line in fixture.job.target.counts().await.unwrap() {
        let name = line.table.strip_prefix("dbo.").unwrap();
        if name != "XPObjectType" {
            assert_eq!(line.counts.read, fixture.stored(name), "each row of {name} once");
        }
    }
    fixture.check_all_copied().await;
    fixture.check_model(&ALL).await;
}
