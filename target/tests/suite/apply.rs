//! One batch after the other: guards, tombstones, partial images, soft deletes, folding.

use crate::lab::{
    Builder, Lab, at, contract, deleted, lsn, money, partial, read, short, text, with,
};
use mapping::value::LegacyValue;
use target::batch::Fence;

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

/// Everything of which one key may come several times: rows in the spellings that the legacy
/// collation holds for one, rows of several tables, repeated messages, names, fences.
fn one_key_many_times(builder: Builder) -> Builder {
    let party = |name: &str, version| {
        vec![
            ("OID", LegacyValue::Int(7)),
            ("Name", text(name)),
            ("Note", LegacyValue::Unchanged),
            ("ObjectType", LegacyValue::Int(1)),
            ("OptimisticLockField", LegacyValue::Int(version)),
        ]
    };
    let whole = |name, version| with(party(name, version), &[("Note", text("n"))]);
    let leaf = |credit| vec![("OID", LegacyValue::Int(7)), ("Credit", LegacyValue::Int(credit))];
    let inexact = mapping::value::Decimal { unscaled: 50, scale: 4 };
    let bad = with(contract("Q", 1, "x"), &[("Total", LegacyValue::Decimal(inexact))]);
    let mut builder = builder
        .upsert(C, contract("A", 1, "x"), at(10))
        .upsert(C, contract("a", 1, "x"), at(10))
        .upsert(C, partial("A ", 2), at(11))
        .delete(C, contract("a", 2, "x"), at(12))
        .upsert(C, contract("A", 3, "y"), at(13))
        .upsert(C, partial("a", 4), at(14))
        .upsert(C, deleted(partial("A", 4)), at(15))
        .upsert(C, contract("A", 5, "z"), at(16))
        // A row that nobody has, three times: each waits for itself.
        .upsert(C, partial("P", 1), at(10))
        .upsert(C, partial("p", 2), at(11))
        .upsert(C, partial("P", 2), at(11))
        .delete(C, contract("D", 1, "x"), at(10))
        .delete(C, contract("d", 1, "x"), at(11))
        .upsert(C, bad.clone(), at(10))
        .upsert(C, bad, at(10))
        .upsert("Party", whole("Bat", 1), at(10))
        .upsert("Party", party("Dorj", 2), at(11))
        .upsert("Tenant", leaf(1), at(10))
        .delete("Tenant", leaf(1), at(11))
        .upsert("Tenant", leaf(2), at(12))
        .upsert("Tenant", leaf(2), at(12));
    builder.batch.object_types =
        vec![(1, "Old".to_owned()), (1, "App.Tenant".to_owned()), (1, "App.Tenant".to_owned())];
    let fence = Fence { lsn: lsn(50), ends: vec![("t".to_owned(), 0, 8), ("t".to_owned(), 0, 8)] };
    builder.batch.fences = vec![fence.clone(), fence];
    builder
}

/// Postgres refuses to write a row twice in one statement (21000), and no retry would help.
#[tokio::test]
async fn f29_one_key_many_times_in_a_batch_is_never_twice_in_a_statement() {
    // With a row that Postgres refuses, all is done once more, change by change.
    for poison in [false, true] {
        let lab = Lab::new().await;
        let mut builder = one_key_many_times(lab.batch());
        if poison {
            builder = builder.upsert(C, contract("X", 20_000, "x"), at(10));
        }
        builder.apply(&lab.target).await;
        assert_eq!(lab.contracts().await, ["A|500|z|live|1"], "poison: {poison}");
        assert_eq!(lab.texts("select name || ' ' || credit from tenants").await, ["Dorj 2"]);
        // What waited comes with the whole row, and that several times, too.
        let mut whole = lab.batch();
        for _ in 0..3 {
            whole = whole.upsert(C, contract("P", 1, "w"), at(9));
        }
        whole.upsert(C, partial("P", 7), at(12)).apply(&lab.target).await;
        assert_eq!(lab.contracts().await[1], "P|700|w|live|1");
        assert!(lab.target.parked_counts().await.expect("parked").is_empty());
        lab.counts("dbo.Contract", "repair").await;
    }
}

/// One message that comes again by itself, beside a newer one that leaves the large value out.
#[tokio::test]
async fn an_old_image_that_comes_again_does_not_bring_its_lob_back() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "old"), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, contract("A", 2, "new"), at(20)).apply(&lab.target).await;
    lab.batch()
        .upsert(C, contract("A", 1, "old"), at(10))
        .upsert(C, partial("A", 3), at(30))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["A|300|new|live|1"]);
}
