//! Faults of the fault matrix (docs/faults.md) that belong to a copy, by their numbers.

use std::{collections::BTreeMap, time::Duration};

use backfill::Selection;
use mapping::{
    plan::SourceOp,
    position::{Lsn, Position},
    value::LegacyValue,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sandbox::legacy::{Database, Operation, Values};
use sqlx::Row as _;
use tokio_util::sync::CancellationToken;

use crate::{
    proxy::Proxy,
    setup::{Extra, Fixture, decimal, text},
};

const EDGES_DDL: &str = "CREATE TABLE [dbo].[Edge]([Oid] int NOT NULL, [At] datetime2(7) NULL, [Price] decimal(38,10) NULL, [Cash] money NULL,
  [Ratio] float NULL, [Body] nvarchar(max) NULL, CONSTRAINT [PK_Edge] PRIMARY KEY CLUSTERED ([Oid]));
GO
";

const EDGES_MAPPING: &str = r#"
[[entity]]
name = "edges"
from = "dbo.Edge"
[entity.columns]
oid = { from = "Oid", as = "int4" }
at = { from = "At", as = "timestamp" }
price = { from = "Price", as = "numeric", scale = 10 }
cash = { from = "Cash", as = "numeric", scale = 4 }
ratio = { from = "Ratio", as = "float8" }
body = { from = "Body", as = "text" }
"#;

const EDGES_TABLE: &str =
    "create table public.edges (id uuid primary key, oid int4, at timestamp, price numeric(38, 10),
  cash numeric(19, 4), ratio float8, body text, source_position bytea);
";

/// Ticks of 100 ns since 1970 of a year's first day and the last tick of one.
const YEAR_1: i64 = -621_355_968_000_000_000;
const YEAR_9999: i64 = 2_534_023_007_999_999_999;

fn edge(oid: i64, change: impl FnOnce(&mut [LegacyValue<'static>])) -> Vec<LegacyValue<'static>> {
    let mut row = vec![LegacyValue::Null; 6];
    row[0] = LegacyValue::Int(oid);
    change(&mut row);
    row
}

async fn copy_edges(rows: Vec<Vec<LegacyValue<'static>>>) -> Fixture {
    let rows = rows.into_iter().map(|row| ("dbo.Edge", row)).collect();
    let (ddl, mapping, table) = (EDGES_DDL, EDGES_MAPPING, EDGES_TABLE);
    let mut fixture = Fixture::start_beside(&Extra { ddl, mapping, table, rows }).await;
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, "edges").unwrap();
    assert!(fixture.run().await.is_complete());
    fixture
}

/// A column of the rows that came, by `oid`, as text.
async fn came(fixture: &Fixture, column: &str) -> BTreeMap<i32, Option<String>> {
    let sql = format!("select oid, {column}::text from edges");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&fixture.pool).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn quarantined(fixture: &Fixture) -> Vec<(String, String)> {
    let rows = sqlx::query("select rule, source_column from ficus.quarantine order by 1, 2");
    let rows = rows.fetch_all(&fixture.pool).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn f45_f46_what_postgres_cant_store_costs_its_row_and_no_other() {
    let fixture = copy_edges(vec![
        edge(1, |row| row[5] = text("a\0b")),
        edge(2, |row| row[5] = LegacyValue::BrokenText("a\u{FFFD}".into())),
        edge(3, |row| row[5] = text("\u{1F41F}\u{FEFF} ok ")),
        edge(4, |row| row[5] = text("")),
        edge(5, |_| {}),
    ])
    .await;
    let came = came(&fixture, "body").await;
    let expected = [(3, Some("\u{1F41F}\u{FEFF} ok ")), (4, Some("")), (5, None)];
    assert_eq!(came, expected.map(|(oid, text)| (oid, text.map(str::to_owned))).into());
    assert_eq!(quarantined(&fixture).await.len(), 2);
    // What was read stays to be looked at, byte for byte where it is no text.
    let payloads = "select string_agg(convert_from(payload, 'UTF8'), ' ') from ficus.quarantine";
    let payloads: String = sqlx::query_scalar(payloads).fetch_one(&fixture.pool).await.unwrap();
    assert!(payloads.contains("a\\u0000b"), "{payloads}");
}

/// A key that can't be sent back as a bound is passed over by the next statement, however few rows
/// that asks for.
#[tokio::test(flavor = "multi_thread")]
async fn f46_a_broken_key_holds_up_no_chunk() {
    let mut fixture = Fixture::start().await;
    let broken = |n: usize| {
        let number = LegacyValue::BrokenText(format!("a{n:03}\u{FFFD}").into());
        vec![text("a"), number, decimal(0, 4), LegacyValue::Null]
    };
    fixture.legacy.load("dbo.Contract", (0..9).map(broken)).unwrap();
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, "contracts").unwrap();
    fixture.job.settings.limits.answer = Duration::from_millis(150);
    fixture.job.settings.attempts_max = 200;
    // Nothing makes it more rows again but the broken key.
    fixture.job.settings.statement = Duration::ZERO;
    // Down to one row at a time.
    fixture.server.faults().stall_ranges_above("[Contract]", 1, Duration::from_secs(3));
    let faults = fixture.server.faults();
    let mending = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        faults.mend();
    });
    let report = tokio::time::timeout(Duration::from_secs(60), fixture.run()).await;
    let report = report.expect("it goes on behind the broken key");
    mending.await.unwrap();
    assert!(report.is_complete(), "{report:#?}");
    let contracts = report.tables.iter().find(|table| table.table.name == "Contract").unwrap();
    assert_eq!(contracts.counts.read, fixture.stored("Contract"));
    assert_eq!(contracts.counts.quarantined, 9 + crate::setup::BAD_CONTRACTS);
}

#[tokio::test]
async fn f47_times_at_the_ends_of_what_there_is_arrive_or_are_put_aside() {
    let at = |ticks| move |row: &mut [LegacyValue<'static>]| row[1] = LegacyValue::Timestamp(ticks);
    let fixture = copy_edges(vec![
        edge(1, at(YEAR_1)),
        edge(2, at(YEAR_9999)),
        edge(3, at(YEAR_9999 - 9)),
        edge(4, at(-1)),
        edge(5, at(10)),
    ])
    .await;
    let came = came(&fixture, "at").await;
    assert_eq!(came.get(&1), Some(&Some("0001-01-01 00:00:00".to_owned())));
    assert_eq!(came.get(&3), Some(&Some("9999-12-31 23:59:59.999999".to_owned())));
    assert_eq!(came.get(&5), Some(&Some("1970-01-01 00:00:00.000001".to_owned())));
    // A tick is a tenth of what Postgres has: never rounded into another year without a word.
    assert_eq!(came.len(), 3);
    let rule = ("time.precision".to_owned(), "At".to_owned());
    assert_eq!(quarantined(&fixture).await, [rule.clone(), rule]);
}

#[tokio::test]
async fn f48_numbers_are_exact_or_put_aside() {
    let most = 10_i128.pow(38) - 1;
    let fixture = copy_edges(vec![
        edge(1, |row| row[2] = decimal(most, 10)),
        edge(2, |row| row[2] = decimal(-most, 10)),
        edge(3, |row| row[3] = decimal(i128::from(i64::MIN), 4)),
        edge(4, |row| row[3] = decimal(i128::from(i64::MAX), 4)),
        edge(5, |row| row[4] = LegacyValue::Float(-0.0)),
        edge(6, |row| row[4] = LegacyValue::Float(1e308)),
        edge(7, |row| row[4] = LegacyValue::Float(0.1 + 0.2)),
    ])
    .await;
    assert_eq!(quarantined(&fixture).await, []);
    let price = came(&fixture, "price").await;
    assert_eq!(price[&1].as_deref(), Some("9999999999999999999999999999.9999999999"));
    assert_eq!(price[&2].as_deref(), Some("-9999999999999999999999999999.9999999999"));
    let cash = came(&fixture, "cash").await;
    assert_eq!(cash[&3].as_deref(), Some("-922337203685477.5808"));
    assert_eq!(cash[&4].as_deref(), Some("922337203685477.5807"));
    let ratio = came(&fixture, "ratio").await;
    assert_eq!(ratio[&5].as_deref(), Some("-0"));
    assert_eq!(ratio[&6].as_deref(), Some("1e+308"));
    assert_eq!(ratio[&7].as_deref(), Some("0.30000000000000004"));
}

/// Two keys are one where the column's collation says so, and two where it does not.
#[tokio::test]
async fn f49_keys_are_told_apart_as_their_collation_does() {
    let ddl = "CREATE TABLE [dbo].[Code]([Code] nvarchar(9) COLLATE Cyrillic_General_CS_AS NOT NULL, [Name] nvarchar(9) NULL,
      CONSTRAINT [PK_Code] PRIMARY KEY CLUSTERED ([Code]));\nGO\n";
    let mapping = "
[[entity]]
name = \"gone\"
from = \"dbo.Code\"
[entity.columns]
code = { from = \"Code\", as = \"text\" }
[entity.leave_out]
Name = \"not of interest here\"
";
    let rows = ["a", "A", "ж", "Ж ", "e\u{301}", "é"]
        .map(|code| ("dbo.Code", vec![text(code), LegacyValue::Null]));
    let mut fixture =
        Fixture::start_beside(&Extra { ddl, mapping, table: "", rows: rows.into() }).await;
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, "gone").unwrap();
    let report = fixture.run().await;
    assert!(report.is_complete());
    let read = &report.tables.iter().find(|table| table.table.name == "Code").unwrap().counts;
    let came = u64::try_from(fixture.count("select count(*)::int8 from gone").await).unwrap();
    assert_eq!(read.read, fixture.stored("Code"));
    // Whatever is called the same is told: nothing disappears.
    assert_eq!(came + read.folded + read.quarantined + read.stale, read.read, "{read:?}");
    assert!(came >= 4, "a, A, ж and Ж are four");
}

#[tokio::test]
async fn f50_large_values_arrive_whole_and_are_never_blanked_by_a_copy() {
    let long: String = "Талбай 🐟 ".chars().cycle().take(1_500_000).collect();
    let body = long.clone();
    let fixture = copy_edges(vec![
        edge(1, move |row| row[5] = text(body)),
        edge(2, |row| row[5] = LegacyValue::Null),
    ])
    .await;
    let same = "select (body = $1)::int4::int8 from edges where oid = 1";
    let same: i64 = sqlx::query_scalar(same).bind(&long).fetch_one(&fixture.pool).await.unwrap();
    assert_eq!(same, 1);
    // A change that leaves the value alone, and then the copy once more.
    let newest = Lsn::parse("00000fff:00000001:0001").unwrap();
    let mut values = edge(1, |row| row[3] = decimal(5, 4));
    values[5] = LegacyValue::Unchanged;
    fixture.stream("Edge", (SourceOp::Upsert, &values), Position::streamed(newest, 9)).await;
    let kept = "select (body = $1 and cash = 0.0005)::int4::int8 from edges where oid = 1";
    let kept: i64 = sqlx::query_scalar(kept).bind(&long).fetch_one(&fixture.pool).await.unwrap();
    assert_eq!(kept, 1);
}

/// In the login, in the catalogue's questions, in the middle of a row and of a long value.
#[tokio::test(flavor = "multi_thread")]
async fn f59_a_wire_that_breaks_after_any_byte_costs_nothing_but_time() {
    let mut fixture = Fixture::start().await;
    let cuts: Vec<usize> =
        (0..30).map(|n| n * 211 + 1).chain((0..5).map(|n| 20_000 + n * 4_099)).collect();
    let proxy = Proxy::start(fixture.server.address(), cuts).await;
    fixture.job.legacy.port = proxy.address.port();
    fixture.job.settings.attempts_max = 1000;
    fixture.job.settings.batch_rows_max = 60;
    let mut runs = 0;
    while !backfill::run(fixture.job.clone()).await.is_ok_and(|report| report.is_complete()) {
        runs += 1;
        assert!(runs < 200, "it never ends");
    }
    assert_eq!(proxy.left(), 0, "every cut was made");
    for line in fixture.job.target.counts().await.unwrap() {
        let name = line.table.strip_prefix("dbo.").unwrap();
        if name != "XPObjectType" {
            assert_eq!(line.counts.read, fixture.stored(name), "each row of {name} once");
        }
    }
    fixture.check_all_copied().await;
}

#[tokio::test]
async fn f60_an_error_behind_the_rows_is_not_lost() {
    for after_done in [false, true] {
        let mut fixture = Fixture::start().await;
        fixture.job.settings.readers = 1;
        fixture.job.selection = Selection::of_entity(&fixture.job.plan, "rates").unwrap();
        if after_done {
            fixture.server.faults().fail_after_done(1205);
        } else {
            fixture.server.faults().fail_after_rows(123, 1205);
        }
        let report = fixture.run().await;
        assert!(report.is_complete());
        let rates = report.tables.iter().find(|table| table.table.name == "Rate").unwrap();
        assert_eq!((rates.retries, rates.counts.read), (1, counted(&fixture, "Rate").await));
    }
}

/// What the server counts, asked as any client would.
async fn counted(fixture: &Fixture, name: &str) -> u64 {
    let mut session = legacy::Session::connect(&fixture.job.legacy).await.unwrap();
    session.row_count(&mapping::catalog::LegacyTable::new("dbo", name)).await.unwrap()
}

/// As many rows as the server says that it gave, or they are read again: a row may be missing
/// without any error, in the middle and at the end.
#[tokio::test]
async fn f60_rows_that_did_not_come_are_missed_and_read_again() {
    for lost_after in [5, 123, 399] {
        let mut fixture = Fixture::start().await;
        fixture.job.settings.readers = 1;
        fixture.job.selection = Selection::of_entity(&fixture.job.plan, "rates").unwrap();
        fixture.server.faults().lose_row_after(lost_after);
        let report = fixture.run().await;
        assert!(report.is_complete(), "{report:#?}");
        let rates = report.tables.iter().find(|table| table.table.name == "Rate").unwrap();
        assert_eq!(rates.retries, 1);
        let told = fixture.told.events.lock().unwrap().join("\n");
        assert!(told.contains("did not come whole (399 rows)"), "{told}");
        let came = fixture.count("select count(*)::int8 from rates").await;
        assert_eq!(u64::try_from(came).unwrap(), counted(&fixture, "Rate").await);
    }
}

/// A server whose answers never add up is not asked for ever.
#[tokio::test]
async fn f60_a_count_that_never_agrees_ends_the_run() {
    let mut fixture = Fixture::start().await;
    fixture.job.settings.attempts_max = 3;
    fixture.job.selection = Selection::of_entity(&fixture.job.plan, "rates").unwrap();
    let faults = fixture.server.faults();
    let losing = tokio::spawn(async move {
        loop {
            faults.lose_row_after(10);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let ended = tokio::time::timeout(Duration::from_secs(60), backfill::run(fixture.job.clone()));
    let error = ended.await.unwrap().unwrap_err();
    losing.abort();
    assert!(matches!(error, backfill::Error::Exhausted { attempts: 3, .. }), "{error:?}");
}

/// One row, as the target should have it.
type Contracts = BTreeMap<(String, String), i64>;

async fn target_contracts(fixture: &Fixture) -> Contracts {
    let rows = sqlx::query("select company, number, total from contracts where total is not null");
    let rows = rows.fetch_all(&fixture.pool).await.unwrap();
    rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect()
}

fn is_broken(account: &LegacyValue<'_>) -> bool {
    matches!(account, LegacyValue::Text(text) if text.contains('\0'))
}

fn legacy_contracts(fixture: &Fixture) -> Contracts {
    let rows = fixture.legacy.rows("dbo.Contract").unwrap();
    let row = |row: Vec<LegacyValue<'static>>| {
        let LegacyValue::Decimal(total) = &row[2] else { panic!("{row:?}") };
        let exact = total.unscaled % 100 == 0 && !is_broken(&row[3]);
        let key = (row[0].to_string(), row[1].to_string());
        exact.then(|| (key, i64::try_from(total.unscaled / 100).unwrap()))
    };
    rows.into_iter().filter_map(row).collect()
}

/// Inserts, updates, deletes and changed keys, until it is told to stop.
fn write(legacy: &Database, seed: u64, stop: &CancellationToken) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut total = 0;
    while !stop.is_cancelled() {
        total += 100;
        let rows = legacy.rows("dbo.Contract").unwrap();
        let row = rows[random.random_range(0..rows.len())].clone();
        let key = [row[0].clone(), row[1].clone()];
        let new = vec![text("new"), text(format!("n{total}")), decimal(total, 4), text("x")];
        let rename = |row: &mut Values| row[1] = new[1].clone();
        let change = |row: &mut Values| {
            row[2] = decimal(total, 4);
            row[3] = text("x");
        };
        let what = random.random_range(0..5);
        legacy
            .transaction(|t| match what {
                0 => t.insert("dbo.Contract", new.clone()),
                1 => t.delete("dbo.Contract", &key).map(drop),
                2 => t.update("dbo.Contract", &key, rename).map(drop),
                _ => t.update("dbo.Contract", &key, change).map(drop),
            })
            .unwrap();
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Brings the log's changes, until all of them are brought after the stop.
async fn stream(fixture: &Fixture, stopped: &CancellationToken) {
    let log = fixture.legacy.log();
    let (mut passed, mut last) = (Lsn::ZERO, false);
    loop {
        let transactions = log.read(passed, 50).unwrap();
        if transactions.is_empty() && last {
            return;
        }
        // Once more after the end, when all is captured.
        last = stopped.is_cancelled() && log.captured_lsn() == log.committed_lsn();
        for transaction in transactions {
            passed = transaction.lsn;
            let changes = (1..).zip(&transaction.changes);
            for (order, change) in changes.filter(|(_, c)| c.table.table.name == "Contract") {
                let (op, row) = match change.operation {
                    Operation::Delete => (SourceOp::Delete, change.before.as_ref()),
                    Operation::Insert | Operation::Update => {
                        (SourceOp::Upsert, change.after.as_ref())
                    }
                };
                let values = row.unwrap().values();
                let inexact =
                    matches!(&values[2], LegacyValue::Decimal(d) if d.unscaled % 100 != 0);
                if !inexact && !is_broken(&values[3]) {
                    let position = Position::streamed(passed, order);
                    fixture.stream("Contract", (op, &values), position).await;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A table is written to all the time while it is copied; the stream brings it early, or late.
#[tokio::test(flavor = "multi_thread")]
async fn f62_a_writer_and_the_stream_race_with_the_copy_and_the_newest_wins() {
    let seed = std::env::var("FICUS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("FICUS_TEST_SEED={seed}");
    for late in [false, true] {
        let mut fixture = Fixture::start().await;
        fixture.legacy.set_capture_lag(Duration::from_millis(5));
        fixture.job.settings.batch_rows_max = 40;
        fixture.job.settings.chunk_rows = 150;
        fixture.job.selection = Selection::of_entity(&fixture.job.plan, "contracts").unwrap();
        fixture.server.faults().delay_per_row(Duration::from_micros(200));
        let copied = CancellationToken::new();
        let (legacy, stop) = (fixture.legacy.clone(), copied.clone());
        let writer = std::thread::spawn(move || write(&legacy, seed, &stop));
        let streaming = async {
            if late {
                copied.cancelled().await;
            }
            stream(&fixture, &copied).await;
        };
        let copying = async {
            let report = fixture.run().await;
            copied.cancel();
            report
        };
        let (report, ()) = tokio::join!(copying, streaming);
        writer.join().unwrap();
        // The writer's last transaction may have come after the stream's last look.
        stream(&fixture, &copied).await;
        assert!(report.is_complete(), "{report:#?}");
        let (came, stored) = (target_contracts(&fixture).await, legacy_contracts(&fixture));
        let wrong: Vec<_> =
            came.iter().filter(|(key, total)| stored.get(*key) != Some(total)).collect();
        let missing: Vec<_> = stored.iter().filter(|(key, _)| !came.contains_key(*key)).collect();
        assert!(wrong.is_empty() && missing.is_empty(), "late: {late}: {wrong:?}, {missing:?}");
    }
}

/// Whatever the key, and wherever it is stopped: each row is read once.
#[tokio::test]
async fn f63_guid_text_and_datetime_keys_are_walked_completely() {
    for (entity, name) in [("payments", "Payment"), ("contracts", "Contract"), ("rates", "Rate")] {
        let mut fixture = Fixture::any().await;
        fixture.job.settings.chunk_rows = 130;
        fixture.job.settings.batch_rows_max = 7;
        fixture.job.selection = Selection::of_entity(&fixture.job.plan, entity).unwrap();
        let mut read = 0;
        for stops in 1.. {
            fixture.job.cancel = CancellationToken::new();
            *fixture.told.stop_after.lock().unwrap() = Some((40, fixture.job.cancel.clone()));
            let report = fixture.run().await;
            let table = report.tables.iter().find(|table| table.table.name == name).unwrap();
            read += table.counts.read;
            if report.is_complete() {
                assert!(stops > 2, "{name} was stopped {stops} times");
                break;
            }
        }
        assert_eq!(read, fixture.stored(name), "{name}");
        let sql = format!("select count(*)::int8 from {entity}");
        let rows: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&fixture.pool).await.unwrap();
        assert_eq!(u64::try_from(rows).unwrap() + fixture.bad(name), read, "{name}");
        fixture.check_model(&[name]).await;
    }
}
