//! One batch after the other: guards, tombstones, partial images, soft deletes, folding.

use crate::lab::{Lab, at, contract, deleted, money, partial, read, short, with};
use mapping::value::LegacyValue;

const C: &str = "Contract";

#[tokio::test]
async fn a_replayed_batch_is_a_counted_no_op() {
    let lab = Lab::new().await;
    for _ in 0..3 {
        lab.batch()
            .upsert(C, contract("A", 1, "x"), at(10))
            .upsert(C, contract("B", 2, "y"), at(11))
            .apply(&lab.target)
            .await;
    }
    assert_eq!(lab.contracts().await, ["A|100|x|live|1", "B|200|y|live|1"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 6, applied 2, stale 4");
}

#[tokio::test]
async fn an_older_image_never_wins() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 2, "new"), at(20)).apply(&lab.target).await;
    lab.batch().upsert(C, contract("A", 1, "old"), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, contract("A", 3, "read"), read(19)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|200|new|live|1"]);
    lab.batch().upsert(C, contract("A", 3, "read"), read(20)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|300|read|live|1"]);
}

#[tokio::test]
async fn a_backfilled_row_does_not_resurrect_a_deleted_one() {
    let lab = Lab::new().await;
    lab.batch().delete(C, contract("A", 1, "x"), at(20)).apply(&lab.target).await;
    lab.batch().upsert(C, contract("A", 1, "x"), read(15)).apply(&lab.target).await;
    assert!(lab.contracts().await.is_empty());
    // A delete that finds nothing is applied the first time, and stale ever after.
    lab.batch().delete(C, contract("A", 1, "x"), at(20)).apply(&lab.target).await;
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 3, applied 1, stale 2");
    lab.batch().upsert(C, contract("A", 5, "again"), at(30)).apply(&lab.target).await;
    lab.batch().delete(C, contract("A", 1, "x"), at(25)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|500|again|live|1"]);
}

#[tokio::test]
async fn insert_delete_insert_in_one_batch_is_the_last_insert() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert(C, contract("A", 1, "x"), at(10))
        .delete(C, contract("A", 1, "x"), at(11))
        .upsert(C, contract("A", 2, "y"), at(12))
        .upsert(C, contract("B", 1, "x"), at(13))
        .delete(C, contract("B", 1, "x"), at(14))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["A|200|y|live|1"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 5, applied 2, folded 3");
}

#[tokio::test]
async fn an_unchanged_lob_keeps_the_targets_value() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "terms"), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, partial("A", 2), at(20)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|200|terms|live|1"]);
    // In one batch: laid over each other, whatever comes first.
    lab.batch()
        .upsert(C, partial("B", 5), at(31))
        .upsert(C, contract("B", 4, "b"), at(30))
        .upsert(C, partial("A", 3), at(32))
        .upsert(C, partial("A", 4), at(33))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["A|400|terms|live|1", "B|500|b|live|1"]);
}

#[tokio::test]
async fn a_partial_image_waits_for_its_row() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, partial("A", 2), at(20)).apply(&lab.target).await;
    lab.batch().upsert(C, partial("A", 3), at(30)).apply(&lab.target).await;
    // The same again, as after a restart.
    lab.batch().upsert(C, partial("A", 2), at(20)).apply(&lab.target).await;
    assert!(lab.contracts().await.is_empty());
    assert_eq!(lab.target.parked_counts().await.expect("parked")[0].parked, 2);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 3, stale 1, quarantined 2");

    lab.batch().upsert(C, contract("A", 1, "from the copy"), read(25)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|300|from the copy|live|1"]);
    assert!(lab.target.parked_counts().await.expect("parked").is_empty());
    // 20 and the copy itself are folded into 30.
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 4, applied 1, stale 1, folded 2");
}

#[tokio::test]
async fn a_partial_image_of_a_deleted_row_does_not_wait() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, partial("A", 2), at(20)).apply(&lab.target).await;
    lab.batch().delete(C, contract("A", 1, ""), at(30)).apply(&lab.target).await;
    lab.batch().upsert(C, partial("A", 2), at(25)).apply(&lab.target).await;
    assert!(lab.contracts().await.is_empty());
    assert!(lab.target.parked_counts().await.expect("parked").is_empty());
}

#[tokio::test]
async fn a_soft_delete_keeps_the_references_that_the_row_had() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, deleted(partial("A", 0)), at(20)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|0|x|deleted|2"]);
    assert_eq!(lab.text("select (tenant_id is not null)::text from contracts").await, "true");
    let first = lab.text("select deleted_at::text from contracts").await;
    lab.batch().upsert(C, deleted(contract("A", 0, "y")), at(30)).apply(&lab.target).await;
    assert_eq!(lab.text("select deleted_at::text from contracts").await, first);
    // Undelete, with an event that calls the LOB unchanged: it is the newest one all the same.
    lab.batch().upsert(C, partial("A", 7), at(40)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|700|y|live|1"]);
}

#[tokio::test]
async fn a_soft_deleted_row_that_was_never_seen_is_inserted() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, deleted(contract("A", 1, "x")), read(10)).apply(&lab.target).await;
    lab.batch().upsert(C, deleted(partial("B", 1)), at(11)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|100|x|deleted|2"]);
    lab.batch().upsert(C, contract("B", 3, "b"), read(10)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|100|x|deleted|2", "B|100|b|deleted|2"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 3, applied 2, folded 1");
}

#[tokio::test]
async fn soft_deletes_fold_like_they_apply() {
    let lab = Lab::new().await;
    let delete = || deleted(partial("A", 9));
    // One batch …
    lab.batch()
        .upsert(C, contract("A", 1, "x"), at(10))
        .upsert(C, delete(), at(20))
        .upsert(C, with(delete(), &[("OptimisticLockField", LegacyValue::Int(3))]), at(21))
        .apply(&lab.target)
        .await;
    // … and one after the other.
    lab.batch().upsert(C, contract("B", 1, "x"), at(10)).apply(&lab.target).await;
    let delete = || with(delete(), &[("No", crate::lab::text("B"))]);
    lab.batch().upsert(C, delete(), at(20)).apply(&lab.target).await;
    lab.batch()
        .upsert(C, with(delete(), &[("OptimisticLockField", LegacyValue::Int(3))]), at(21))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["A|900|x|deleted|3", "B|900|x|deleted|3"]);
}

#[tokio::test]
async fn two_partial_images_with_different_lobs_are_both_kept() {
    let lab = Lab::new().await;
    let photo = |values| with(values, &[("Photo", LegacyValue::Bytes(vec![7].into()))]);
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    lab.batch()
        .upsert(C, photo(partial("A", 2)), at(20))
        .upsert(C, with(partial("A", 3), &[("Terms", crate::lab::text("y"))]), at(21))
        .upsert(C, photo(partial("B", 2)), at(20))
        .apply(&lab.target)
        .await;
    lab.batch().upsert(C, contract("B", 1, "b"), read(1)).apply(&lab.target).await;
    assert_eq!(
        lab.texts(
            "select number || total || terms || encode(photo, 'hex') from contracts order by 1"
        )
        .await,
        ["A300y07", "B200b07"]
    );
}

#[tokio::test]
async fn a_row_of_the_api_is_never_touched() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    lab.rows("update contracts set source_position = null, total = 77").await;
    lab.batch().upsert(C, contract("A", 2, "y"), at(20)).apply(&lab.target).await;
    lab.batch().upsert(C, partial("A", 2), at(21)).apply(&lab.target).await;
    lab.batch().delete(C, contract("A", 2, "y"), at(22)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|77|x|live|1"]);
}

#[tokio::test]
async fn what_is_read_must_be_accounted_for() {
    let lab = Lab::new().await;
    let mut builder = lab.batch().upsert(C, contract("A", 1, "x"), at(10));
    let table = lab.target.plan().table("dbo", C).expect("the table").id;
    builder.batch.read.get_mut(&table).expect("counts").read = 2;
    let error = lab.target.apply(builder.batch).await.expect_err("one row is missing");
    assert_eq!(error.to_string(), "2 rows of dbo.Contract were read, but 1 are accounted for");
    assert!(lab.contracts().await.is_empty());
}

#[tokio::test]
async fn a_large_batch_goes_in_at_once_and_again() {
    let lab = Lab::new().await;
    for round in 0..2_u64 {
        let mut builder = lab.batch();
        for row in 0..5_000_i64 {
            let values = with(contract(&format!("N{row}"), row, "x"), &[("Total", money(row))]);
            builder = builder.upsert(C, values, at(10 + round));
        }
        builder.apply(&lab.target).await;
    }
    assert_eq!(lab.text("select count(*)::text from contracts").await, "5000");
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 10000, applied 10000");
    assert_eq!(lab.text("select (array_agg(source_position order by source_position desc))[1]::text from contracts").await.len(), 38);
}
