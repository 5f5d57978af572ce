use std::{sync::Arc, time::Duration};

use backfill::Error;
use mapping::value::LegacyValue;
use secrecy::SecretString;

use crate::setup::{Extra, Fixture, decimal, text};

#[tokio::test(flavor = "multi_thread")]
async fn dropped_connections_cost_nothing() {
    let mut fixture = Fixture::start().await;
    fixture.job.settings.attempts_max = 50;
    let faults = fixture.server.faults();
    let cutting = tokio::spawn(async move {
        // More rows than the questions before a chunk have, so that it is the chunk that is cut;
        // and seldom enough that a chunk that fits one packet gets through now and then.
        for rows in [99, 250, 17, 399, 160, 5].iter().cycle() {
            faults.close_after_rows(*rows);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    let report = fixture.run().await;
    cutting.abort();
    assert!(report.is_complete(), "{report:#?}");
    let retries: u64 = report.tables.iter().map(|table| table.retries).sum();
    assert!(retries > 0);
    for table in report.tables.iter().filter(|table| table.table.name != "XPObjectType") {
        assert_eq!(table.counts.read, fixture.stored(&table.table.name), "{table:?}");
    }
    fixture.check_all_copied().await;
}

#[tokio::test]
async fn errors_of_the_server_are_tried_again() {
    let fixture = Fixture::start().await;
    let faults = fixture.server.faults();
    let failing = tokio::spawn(async move {
        for number in [1205, 1222, 701].iter().cycle() {
            faults.fail_next_query(*number);
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    // The first questions are not repeated: a run that can't begin says so at once.
    let mut report = backfill::run(fixture.job.clone()).await;
    for _ in 0..20 {
        if report.is_ok() {
            break;
        }
        report = backfill::run(fixture.job.clone()).await;
    }
    failing.abort();
    assert!(report.unwrap().is_complete());
    fixture.check_all_copied().await;
}

#[tokio::test]
async fn what_cant_begin_says_so_in_one_sentence() {
    let mut fixture = Fixture::start().await;
    fixture.job.legacy.password = SecretString::from("wrong");
    let error = backfill::run(fixture.job.clone()).await.unwrap_err();
    assert!(matches!(&error, Error::Legacy(_)), "{error:?}");
    assert!(error.hint().contains("password"));
    fixture.server.stop().await;
    let error = backfill::run(fixture.job.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "the legacy server can't be read");
}

#[tokio::test]
async fn a_server_that_stays_away_ends_the_run_and_keeps_what_is_copied() {
    let mut fixture = Fixture::start().await;
    fixture.job.settings.attempts_max = 3;
    fixture.server.faults().delay_per_row(Duration::from_micros(200));
    let running = tokio::spawn(backfill::run(fixture.job.clone()));
    while !fixture.told.events.lock().unwrap().iter().any(|event| event.contains("Committed")) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    fixture.server.stop().await;
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Exhausted { attempts: 3, .. }), "{error:?}");
}

#[tokio::test]
async fn a_missing_table_is_given_up_and_the_others_go_on() {
    let ddl = "CREATE TABLE [dbo].[Gone]([Oid] int NOT NULL, [Name] nvarchar(9) NULL,
      CONSTRAINT [PK_Gone] PRIMARY KEY CLUSTERED ([Oid]));\nGO\n";
    let mapping = "
[[entity]]
name = \"gone\"
from = \"dbo.Gone\"
[entity.columns]
code = { from = \"Name\", as = \"text\" }
";
    let fixture = Fixture::start_with(ddl, mapping).await;
    let report = fixture.run().await;
    assert!(!report.is_complete());
    for table in &report.tables {
        let gone = table.table.name == "Gone";
        assert_eq!(table.is_complete(), !gone, "{table:?}");
        assert_eq!(table.failure.as_deref().is_some_and(|why| why.contains("mapping check")), gone);
    }
}

const CODES: &str = "
[[entity]]
name = \"gone\"
from = \"dbo.Code\"
[entity.columns]
code = { from = \"Name\", as = \"text\" }
";

/// A server whose table is not what the plan was made for.
async fn altered(server: &'static str, known: &str) -> Fixture {
    let rows = (0..3000_i64).map(|n| {
        let binary = server.contains("varbinary");
        let second = if binary { LegacyValue::Bytes(vec![1, 2].into()) } else { text("x") };
        ("dbo.Code", vec![LegacyValue::Int(n), second])
    });
    let extra = Extra { ddl: server, rows: rows.collect(), ..Extra::default() };
    let mut fixture = Fixture::start_from(&extra, known, CODES).await;
    fixture.job.settings.chunk_rows = 10_000;
    fixture
}

const AS_MAPPED: &str = "CREATE TABLE [dbo].[Code]([Oid] int NOT NULL, [Name] nvarchar(9) NULL,
  CONSTRAINT [PK_Code] PRIMARY KEY CLUSTERED ([Oid]));\nGO\n";

#[tokio::test]
async fn f44_f53_a_table_that_fits_the_mapping_no_more_does_not_fill_the_quarantine() {
    let retyped = "CREATE TABLE [dbo].[Code]([Oid] int NOT NULL, [Name] varbinary(9) NULL,
      CONSTRAINT [PK_Code] PRIMARY KEY CLUSTERED ([Oid]));\nGO\n";
    let fixture = altered(retyped, AS_MAPPED).await;
    let report = fixture.run().await;
    let codes = report.tables.iter().find(|table| table.table.name == "Code").unwrap();
    let why = codes.failure.as_deref().unwrap();
    assert!(why.contains("1000 rows of dbo.Code in a row") && why.contains("Name"), "{why}");
    assert!(why.contains("mapping check"), "{why}");
    let put_aside = "select count(*)::int8 from ficus.quarantine where source_table = 'dbo.Code'";
    assert!(fixture.count(put_aside).await < 1000);
    assert!(report.tables.iter().all(|table| table.is_complete() || table.table.name == "Code"));
}

#[tokio::test]
async fn a_column_that_was_dropped_gives_its_table_up() {
    let renamed = "CREATE TABLE [dbo].[Code]([Oid] int NOT NULL, [Title] nvarchar(9) NULL,
      CONSTRAINT [PK_Code] PRIMARY KEY CLUSTERED ([Oid]));\nGO\n";
    let fixture = altered(renamed, AS_MAPPED).await;
    let report = fixture.run().await;
    let codes = report.tables.iter().find(|table| table.table.name == "Code").unwrap();
    assert!(codes.failure.as_deref().unwrap().contains("an object is missing"), "{codes:?}");
    assert_eq!(codes.counts.read, 0);
}

/// Without an order there is no place to go on at: told before anything is read.
#[tokio::test]
async fn tables_that_cant_be_walked_are_refused_with_what_to_do() {
    for (columns, words) in [
        ("[Oid] int NULL, [Name] nvarchar(9) NULL", "key"),
        (
            "[Oid] xml NOT NULL, [Name] nvarchar(9) NULL, CONSTRAINT [P] PRIMARY KEY CLUSTERED ([Oid])",
            "can't be in a key",
        ),
    ] {
        let fixture = Fixture::start().await;
        let catalog = {
            let mut session = legacy::Session::connect(&fixture.job.legacy).await.unwrap();
            let mut catalog = session.catalog().await.unwrap();
            let ddl = format!("CREATE TABLE [dbo].[Code]({columns});\nGO\n");
            let extra = sandbox::legacy::Database::from_ddl("L", "Cyrillic_General_CI_AS", &ddl);
            catalog.tables.extend(
                extra.unwrap().catalog().tables.into_iter().filter(|t| t.table.name == "Code"),
            );
            catalog
        };
        let refused = crate::setup::compile(&catalog, CODES).unwrap_err();
        let told = format!("{refused:?}");
        assert!(told.contains("dbo.Code") && told.contains(words), "{told}");
    }
}

#[tokio::test]
async fn a_dead_process_is_not_waited_for() {
    let mut fixture = Fixture::start().await;
    fixture.job.settings.lease = Duration::from_secs(600);
    fixture.run().await;
    // As a killed process of this machine leaves it.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let owner = format!("{}/4194304999/1", host.trim());
    sqlx::query(
        "update ficus.backfill_chunk set state = 'running', owner = $1, last_key = null, rows = 0,
           lease_until = clock_timestamp() + interval '1 hour' where number = 1",
    )
    .bind(owner)
    .execute(&fixture.pool)
    .await
    .unwrap();
    sqlx::query("update ficus.backfill_run set state = 'running', finished_at = null")
        .execute(&fixture.pool)
        .await
        .unwrap();
    let run = tokio::time::timeout(Duration::from_secs(30), fixture.run());
    let report = run.await.unwrap();
    assert!(report.is_complete());
    assert!(report.rows_read() > 0);
    fixture.check_all_copied().await;
}

#[tokio::test]
async fn without_cdc_rows_have_the_lowest_position_and_the_report_says_so() {
    let fixture = Fixture::start().await;
    fixture.legacy.set_cdc_enabled(false);
    let report = fixture.run().await;
    assert!(report.warnings.iter().any(|warning| warning.contains("CDC is off")), "{report:?}");
    let lowest = "select count(*)::int8 from contracts where source_position = decode(repeat('00', 18), 'hex')";
    let rows = u64::try_from(fixture.count(lowest).await).unwrap();
    assert_eq!(rows + crate::setup::BAD_CONTRACTS, fixture.stored("Contract"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_change_while_they_are_copied_are_stamped_before_the_change() {
    let fixture = Arc::new(Fixture::start().await);
    fixture.server.faults().delay_per_row(Duration::from_micros(100));
    let writing = {
        let legacy = fixture.legacy.clone();
        tokio::task::spawn_blocking(move || {
            for n in 0..200_i128 {
                let row = vec![
                    text("new"),
                    text(format!("n{n}")),
                    decimal(n * 100, 4),
                    LegacyValue::Null,
                ];
                legacy.transaction(|t| t.insert("dbo.Contract", row)).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let report = fixture.run().await;
    writing.await.unwrap();
    assert!(report.is_complete());
    // No row claims to be newer than what had been captured after the last one was read.
    let beyond = "select count(*)::int8 from contracts c where not exists (
        select from ficus.backfill_chunk k where k.source_table = 'dbo.Contract'
          and substr(c.source_position, 1, 10) <= k.high_watermark)";
    assert_eq!(fixture.count(beyond).await, 0);
    let rows = u64::try_from(fixture.count("select count(*)::int8 from contracts").await).unwrap();
    assert!(rows + crate::setup::BAD_CONTRACTS <= fixture.stored("Contract"));
}
