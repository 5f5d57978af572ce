//! Rows that changes brought without a large value, read again from the legacy server.

use std::{sync::Arc, time::Duration};

use backfill::reselect::Job;
use legacy::{Isolation, Limits};
use mapping::{
    plan::{Context, ObjectTypes, Outcome, SourceChange, SourceOp, TablePlan},
    position::{Lsn, Position},
    value::LegacyValue,
};
use sqlx::Row as _;
use target::{Batch, batch::ReadCounts, reselect::Reselect};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::setup::{Fixture, decimal, text};

const OID: Uuid = Uuid::from_u128(7);

/// What the consumer would do with an update of [`OID`] at an LSN whose event has no `Note`.
async fn partial(fixture: &Fixture, amount: i128, lsn: Lsn) {
    let plan = &fixture.job.plan;
    let table = plan.tables.iter().find(|t| t.table.name == "Payment").unwrap();
    let mut batch = Batch::default();
    let position = Position::streamed(lsn, 1);
    let types = ObjectTypes::new();
    let context = Context { object_types: &types, seen_at_us: 0 };
    let values = values(table, amount);
    let change = SourceChange { op: SourceOp::Upsert, values: &values, position, sequence: 0 };
    let Outcome::Mapped(entity) = table.map(&change, &context, &mut batch.rows) else {
        panic!("it is mapped")
    };
    batch.tables.push(table.id);
    batch.read.insert(table.id, ReadCounts { read: 1, ..ReadCounts::default() });
    let row = batch.rows.part(entity, 0).rows[0].clone();
    assert!(plan.entities[usize::from(entity.0)].is_reselected(0, row.unchanged));
    batch.reselect.push(Reselect { table: table.id, key: row.key, position });
    fixture.job.target.apply(batch).await.unwrap();
}

fn values(table: &TablePlan, amount: i128) -> Vec<LegacyValue<'static>> {
    let value = |name: &str| match name {
        "Oid" => LegacyValue::Guid(OID),
        "Amount" => decimal(amount, 4),
        "Note" => LegacyValue::Unchanged,
        _ => LegacyValue::Null,
    };
    table.columns.iter().map(|column| value(&column.name)).collect()
}

fn start(fixture: &Fixture) -> (JoinHandle<()>, CancellationToken) {
    let cancel = CancellationToken::new();
    let job = Job {
        legacy: fixture.job.legacy.clone(),
        limits: Limits::default(),
        isolation: Isolation::ReadCommitted,
        target: Arc::clone(&fixture.job.target),
        plan: Arc::clone(&fixture.job.plan),
        cancel: cancel.clone(),
    };
    (tokio::spawn(backfill::reselect::run(job)), cancel)
}

/// Until nobody asks any more.
async fn done(fixture: &Fixture) {
    for _ in 0..600 {
        if fixture.job.target.reselect_count().await.unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("rows still wait");
}

/// Amount, note and position of the row, where there is one.
async fn row(fixture: &Fixture) -> Option<(String, Option<String>, Position)> {
    let sql = "select amount::text, note, p.source_position from payments p
               join ficus.key_map k on k.id = p.id join ficus.entity e on e.id = k.entity
               where e.name = 'payments' and note is distinct from 'other' and amount in (1, 2, 3, 5)";
    let row = sqlx::query(sql).fetch_optional(&fixture.pool).await.unwrap()?;
    let position = Position::from_slice(row.get("source_position")).unwrap();
    Some((row.get("amount"), row.get("note"), position))
}

fn put(fixture: &Fixture, amount: i128, note: LegacyValue<'static>) -> Lsn {
    let key = [LegacyValue::Guid(OID)];
    let there = fixture.legacy.row("dbo.Payment", &key).unwrap().is_some();
    let row = vec![
        LegacyValue::Guid(OID),
        decimal(amount, 4),
        note,
        LegacyValue::Null,
        LegacyValue::Null,
    ];
    let put = |t: &mut sandbox::legacy::Transaction<'_>| match there {
        true => t.update("dbo.Payment", &key, |old| *old = row).map(|_| ()),
        false => t.insert("dbo.Payment", row),
    };
    fixture.legacy.transaction(put).unwrap()
}

async fn parked(fixture: &Fixture) -> i64 {
    fixture.count("select count(*) from ficus.parked").await
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_10_a_parked_row_is_read_whole() {
    let fixture = Fixture::start().await;
    let lsn = put(&fixture, 10_000, text("Бүтэн"));
    partial(&fixture, 10_000, lsn).await;
    assert_eq!((parked(&fixture).await, row(&fixture).await), (1, None));
    let (running, cancel) = start(&fixture);
    done(&fixture).await;
    let (amount, note, position) = row(&fixture).await.unwrap();
    assert_eq!((&*amount, note.as_deref()), ("1.0000", Some("Бүтэн")));
    assert!(position.is_read() && position.lsn() >= lsn, "{position}");
    assert_eq!(parked(&fixture).await, 0);
    let told = "select last_value + is_called::int - 1 from ficus.repair_serial";
    assert!(fixture.count(told).await > 0, "comparisons of totals must know");
    // A change that is older than the read is stale; one that is newer is not.
    partial(&fixture, 20_000, lsn).await;
    done(&fixture).await;
    assert_eq!(row(&fixture).await.unwrap().0, "1.0000");
    cancel.cancel();
    running.await.unwrap();
    let newer = put(&fixture, 30_000, text("Бүтэн"));
    partial(&fixture, 30_000, newer).await;
    let (amount, note, position) = row(&fixture).await.unwrap();
    assert_eq!((&*amount, note.as_deref()), ("3.0000", Some("Бүтэн")));
    assert_eq!(position, Position::streamed(newer, 1));
    let counts = fixture.job.target.counts().await.unwrap();
    for line in counts.iter().filter(|line| line.table == "dbo.Payment") {
        let c = &line.counts;
        assert_eq!(c.read, c.applied + c.stale + c.folded + c.ignored + c.quarantined, "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_10_a_large_value_that_was_set_to_null_is_null() {
    let fixture = Fixture::start().await;
    put(&fixture, 10_000, text("before"));
    assert!(fixture.run().await.is_complete());
    assert_eq!(row(&fixture).await.unwrap().1.as_deref(), Some("before"));
    let lsn = put(&fixture, 20_000, LegacyValue::Null);
    partial(&fixture, 20_000, lsn).await;
    // The event can't tell it from a value that was left alone.
    assert_eq!(row(&fixture).await.unwrap().1.as_deref(), Some("before"));
    let (running, cancel) = start(&fixture);
    done(&fixture).await;
    let (amount, note, _) = row(&fixture).await.unwrap();
    assert_eq!((&*amount, note), ("2.0000", None));
    cancel.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_gone_waits_for_its_delete_and_is_not_asked_for_again() {
    let fixture = Fixture::start().await;
    let lsn = put(&fixture, 10_000, text("soon gone"));
    partial(&fixture, 10_000, lsn).await;
    let key = [LegacyValue::Guid(OID)];
    fixture.legacy.transaction(|t| t.delete("dbo.Payment", &key).map(|_| ())).unwrap();
    let (running, cancel) = start(&fixture);
    done(&fixture).await;
    assert_eq!((parked(&fixture).await, row(&fixture).await), (1, None));
    cancel.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_is_asked_again_and_one_that_is_behind_is_waited_for() {
    let fixture = Fixture::start().await;
    let lsn = put(&fixture, 10_000, text("here"));
    // A change that capture has not reached: a read now would not prove that it shows it.
    let ahead = Lsn::parse("0000ffff:00000001:0001").unwrap();
    partial(&fixture, 50_000, ahead).await;
    fixture.server.faults().fail_next_query(1205);
    let (running, cancel) = start(&fixture);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(fixture.job.target.reselect_count().await.unwrap(), 1);
    assert_eq!((parked(&fixture).await, row(&fixture).await), (1, None));
    assert!(lsn < ahead);
    cancel.cancel();
    running.await.unwrap();
}
