//! The stream and a copy write the same rows at the same moment.

use std::sync::Arc;

use target::{Checkpoint, batch::OffsetAdvance};

use crate::lab::{Builder, Lab, Values, at, contract, partial, plan, read, short};

const C: &str = "Contract";

#[derive(Clone, Copy)]
enum What {
    Delete,
    Partial,
}

fn offsets(next: i64, epoch: i64) -> Checkpoint {
    Checkpoint::Offsets {
        group: "g".to_owned(),
        advances: vec![OffsetAdvance {
            topic: "t".to_owned(),
            partition: 0,
            expected: next - 1,
            next,
            epoch,
            commit_lsn: None,
            source_ts_ms: None,
            fingerprint: None,
            kafka_ts_ms: None,
        }],
    }
}

/// Streams a change of rows that a copy is inserting just then, many times over.
async fn race(lab: &Lab, what: What) {
    let epoch = lab.target.claim_partition("g", "t", 0, "me").await.expect("a claim").epoch;
    for round in 1..=25_i64 {
        let numbers: Vec<String> = (0..40).map(|row| format!("{round:02}-{row:02}")).collect();
        let mut stream = lab.batch().checkpoint(offsets(round, epoch));
        let mut copy = lab.batch();
        for number in &numbers {
            stream = match what {
                What::Delete => stream.delete(C, contract(number, 1, "x"), at(20)),
                What::Partial => stream.upsert(C, partial(number, 9), at(20)),
            };
            let values: Values = contract(number, 1, "copied");
            copy = copy.upsert(C, values, read(15));
        }
        let (stream, copy) = (stream.batch, copy.batch);
        let streaming = Arc::clone(&lab.target);
        let copying = Arc::clone(&lab.target);
        let streaming = tokio::spawn(async move { streaming.apply(stream).await });
        let copying = tokio::spawn(async move { copying.apply(copy).await });
        streaming.await.expect("a task").expect("the stream");
        copying.await.expect("a task").expect("the copy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_deleted_while_it_is_copied_stays_deleted() {
    let lab = Lab::new().await;
    race(&lab, What::Delete).await;
    assert!(lab.contracts().await.is_empty());
    lab.counts("dbo.Contract", "stream").await;
}

/// Somebody has given the database another default. The locks of a batch would be worth nothing:
/// its snapshot would be older than they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_of_repeatable_read_brings_no_deleted_row_back() {
    let mut lab = Lab::new().await;
    let name = lab.text("select current_database()::text").await;
    let set =
        format!("alter database {name} set default_transaction_isolation = 'repeatable read'");
    lab.rows(&set).await;
    lab.target = Arc::new(lab.another().await);
    race(&lab, What::Delete).await;
    assert!(lab.contracts().await.is_empty());
    lab.counts("dbo.Contract", "stream").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partial_image_that_meets_the_copy_is_not_forgotten() {
    let lab = Lab::new().await;
    race(&lab, What::Partial).await;
    let contracts = lab.contracts().await;
    assert_eq!(contracts.len(), 25 * 40);
    assert!(contracts.iter().all(|line| line.ends_with("|900|copied|live|1")));
    assert!(lab.target.parked_counts().await.expect("parked").is_empty());
}

/// Between the minting of new rows' ids and their batch's locks the stream comes by.
async fn between_minting_and_writing(lab: &Lab) {
    let prepare = async |numbers: &[&str]| {
        let add = |batch: Builder, number: &&str| {
            batch.upsert(C, contract(number, 1, "copied"), read(15))
        };
        let batch = numbers.iter().fold(lab.batch(), add).batch;
        let prepared = lab.target.prepare_keys(batch).await.expect("ids");
        assert!(prepared.has_ids());
        prepared
    };
    let copy = prepare(&["A", "B"]).await;
    lab.batch().delete(C, contract("A", 2, ""), at(20)).apply(&lab.target).await;
    lab.target.apply_prepared(copy).await.expect("the copy");
    assert_eq!(lab.contracts().await, ["B|100|copied|live|1"]);

    let copy = prepare(&["C", "D", "E"]).await;
    let stream = lab.batch().upsert(C, contract("C", 2, "streamed"), at(20));
    stream.delete(C, contract("D", 2, ""), at(20)).apply(&lab.target).await;
    lab.target.apply_prepared(copy).await.expect("the copy");
    let rows = ["B|100|copied|live|1", "C|200|streamed|live|1", "E|100|copied|live|1"];
    assert_eq!(lab.contracts().await, rows);
    // Of the copies' five rows two were written, and of the stream's three all.
    let counts = short(&lab.counts("dbo.Contract", "repair").await);
    assert_eq!(counts, "read 8, applied 5, stale 3");
}

#[tokio::test]
async fn a_row_that_comes_between_minting_and_copying_is_merged() {
    between_minting_and_writing(&Lab::new().await).await;
}

const ROW_SECURITY: &str = "
alter table contracts enable row level security;
create policy engine on contracts to ficus_engine using (true) with check (true)";

#[tokio::test]
async fn a_row_that_comes_between_minting_and_inserting_is_merged() {
    let lab = Lab::of_and(plan(), ROW_SECURITY).await;
    between_minting_and_writing(&lab).await;
}

/// Postgres copies into no table whose policies bind the role.
#[tokio::test]
async fn row_level_security_that_comes_into_force_under_a_running_copy_stops_nothing() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "before"), read(15)).apply(&lab.target).await;
    sqlx::raw_sql(ROW_SECURITY).execute(&lab.admin).await.expect("policies");
    lab.batch().upsert(C, contract("B", 1, "after"), read(15)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|100|before|live|1", "B|100|after|live|1"]);
}
