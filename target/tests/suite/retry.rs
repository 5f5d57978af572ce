//! Entries of the quarantine, tried again through the one way in.

use mapping::{
    plan::TableId,
    value::{Decimal, LegacyValue},
};
use target::{Batch, quarantine::Filter, retry::Retried};

use crate::lab::{Builder, Lab, Values, at, contract, deleted, partial, short, text, with};

const C: &str = "Contract";

fn inexact(values: Values) -> Values {
    let total = LegacyValue::Decimal(Decimal { unscaled: 50, scale: 4 });
    with(values, &[("Total", total)])
}

async fn open(lab: &Lab) -> i64 {
    let filter = Filter { state: Some("open".to_owned()), limit: 10, ..Filter::default() };
    let open = lab.target.quarantine_list(&filter).await.expect("entries");
    open.first().expect("an open entry").id
}

async fn retry(lab: &Lab, id: i64, again: Builder) -> Retried {
    lab.target.retry(id, again.batch, "me").await.expect("tried")
}

fn closed(words: &str) -> Retried {
    Retried::Closed(words.to_owned())
}

async fn entries(lab: &Lab) -> Vec<String> {
    lab.texts("select concat_ws(' ', state, rule, retries) from ficus.quarantine order by id").await
}

async fn counts(lab: &Lab) -> String {
    short(&lab.counts("dbo.Contract", "repair").await)
}

#[tokio::test]
async fn a_mended_change_is_applied_and_moves_in_the_counts() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, inexact(contract("A", 1, "x")), at(10)).apply(&lab.target).await;
    assert_eq!(counts(&lab).await, "read 1, quarantined 1");
    let id = open(&lab).await;
    let again = || lab.batch().upsert(C, contract("A", 1, "x"), at(10));
    assert_eq!(retry(&lab, id, again()).await, closed("applied"));
    assert_eq!(lab.contracts().await, ["A|100|x|live|1"]);
    assert_eq!(counts(&lab).await, "read 1, applied 1");
    assert_eq!(entries(&lab).await, ["retried money.inexact 1"]);
    // Once is enough, whoever asks.
    assert_eq!(retry(&lab, id, again()).await, Retried::Settled);
    assert_eq!(counts(&lab).await, "read 1, applied 1");
    assert_eq!(
        lab.text("select actor || ' ' || action || ' ' || (detail->>'result') from ficus.audit")
            .await,
        "me quarantine.retried applied"
    );
}

#[tokio::test]
async fn nothing_newer_is_ever_overwritten() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, inexact(contract("A", 1, "x")), at(10)).apply(&lab.target).await;
    let id = open(&lab).await;
    lab.batch().upsert(C, contract("A", 2, "y"), at(20)).apply(&lab.target).await;
    // It was superseded; even if it were not, its position says so.
    lab.rows("update ficus.quarantine set state = 'open', resolved_at = null").await;
    let again = lab.batch().upsert(C, contract("A", 1, "x"), at(10));
    assert_eq!(retry(&lab, id, again).await, closed("the row is newer already"));
    assert_eq!(lab.contracts().await, ["A|200|y|live|1"]);
    assert_eq!(counts(&lab).await, "read 2, applied 1, stale 1");
    lab.rows("update ficus.quarantine set state = 'open', resolved_at = null").await;
    let still = lab.batch().upsert(C, inexact(contract("A", 1, "x")), at(10));
    assert_eq!(retry(&lab, id, still).await, closed("the row was newer already"));
}

#[tokio::test]
async fn what_is_still_bad_stays_with_the_new_reason() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, inexact(contract("A", 1, "x")), at(10)).apply(&lab.target).await;
    let id = open(&lab).await;
    let still = lab.batch().upsert(C, inexact(contract("A", 1, "x")), at(10));
    let bad = retry(&lab, id, still).await;
    assert!(matches!(&bad, Retried::StillBad { rule, .. } if rule == "money.inexact"), "{bad:?}");
    // The mapping takes it now, and Postgres does not.
    let refused = lab.batch().upsert(C, contract("A", 20_000, "x"), at(10));
    let bad = retry(&lab, id, refused).await;
    assert!(matches!(&bad, Retried::StillBad { rule, .. } if rule == "postgres.23514"), "{bad:?}");
    assert_eq!(entries(&lab).await, ["open postgres.23514 2"]);
    assert_eq!(counts(&lab).await, "read 1, quarantined 1");
    assert!(lab.contracts().await.is_empty());
    // A later partial image still waits behind it.
    lab.batch().upsert(C, partial("A", 3), at(20)).apply(&lab.target).await;
    assert_eq!(counts(&lab).await, "read 2, quarantined 2");
    let again = lab.batch().upsert(C, contract("A", 1, "x"), at(10));
    assert_eq!(retry(&lab, id, again).await, closed("applied"));
    assert_eq!(lab.contracts().await, ["A|300|x|live|1"]);
    assert_eq!(counts(&lab).await, "read 2, applied 1, folded 1");
}

#[tokio::test]
async fn partial_images_wait_behind_a_partial_one_that_is_tried_again() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(5)).apply(&lab.target).await;
    lab.batch().upsert(C, inexact(partial("A", 2)), at(10)).apply(&lab.target).await;
    let soft = with(deleted(partial("A", 4)), &[("Tenant", LegacyValue::Null)]);
    lab.batch().upsert(C, partial("A", 3), at(20)).apply(&lab.target).await;
    lab.batch().upsert(C, soft, at(30)).apply(&lab.target).await;
    let id = open(&lab).await;
    let again = lab.batch().upsert(C, partial("A", 2), at(10));
    let retried = retry(&lab, id, again).await;
    assert!(matches!(retried, Retried::Closed(_)), "{retried:?}");
    assert!(lab.target.parked_counts().await.expect("parked").is_empty());
    assert_eq!(lab.contracts().await, ["A|400|x|deleted|2"]);
    lab.counts("dbo.Contract", "repair").await;
}

#[tokio::test]
async fn a_change_without_its_row_is_parked() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, inexact(partial("A", 2)), at(10)).apply(&lab.target).await;
    let again = lab.batch().upsert(C, partial("A", 2), at(10));
    let words = "parked until the row's complete image comes";
    assert_eq!(retry(&lab, open(&lab).await, again).await, closed(words));
    assert_eq!(counts(&lab).await, "read 1, quarantined 1");
    lab.batch().upsert(C, contract("A", 1, "x"), at(5)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|200|x|live|1"]);
    assert_eq!(counts(&lab).await, "read 2, applied 1, folded 1");
}

#[tokio::test]
async fn a_type_that_is_known_by_now_and_a_rule_that_leaves_it_out() {
    let lab = Lab::new().await;
    let party = |object_type| {
        vec![
            ("OID", LegacyValue::Int(1)),
            ("Name", text("Bat")),
            ("Note", text("n")),
            ("OptimisticLockField", LegacyValue::Int(1)),
            ("ObjectType", object_type),
        ]
    };
    let unknown = lab.batch().upsert("Party", party(LegacyValue::Int(99)), at(10));
    unknown.apply(&lab.target).await;
    let again = lab.batch().upsert("Party", party(LegacyValue::Int(1)), at(10));
    assert_eq!(retry(&lab, open(&lab).await, again).await, closed("applied"));
    assert_eq!(short(&lab.counts("dbo.Party", "repair").await), "read 1, applied 1");

    lab.batch().upsert(C, inexact(contract("A", 1, "x")), at(10)).apply(&lab.target).await;
    let table: TableId = lab.target.plan().table("dbo", C).expect("a table").id;
    let mut ignored = Batch::default();
    let counts = ignored.read.entry(table).or_default();
    counts.read = 1;
    counts.ignored.insert("a-rule".to_owned(), 1);
    let retried = lab.target.retry(open(&lab).await, ignored, "me").await.expect("tried");
    assert_eq!(retried, closed("left out by the rule a-rule"));
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 1, ignored 1");
}

#[tokio::test]
async fn a_retry_and_the_stream_do_not_meet() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, inexact(contract("A", 1, "x")), at(10)).apply(&lab.target).await;
    let id = open(&lab).await;
    let mut tasks = Vec::new();
    for round in 0..8_u32 {
        let share = lab.share();
        tasks.push(tokio::spawn(async move {
            if round % 2 == 0 {
                let again = share.batch().upsert(C, contract("A", 1, "x"), at(10));
                share.target.retry(id, again.batch, "me").await.expect("tried");
            } else {
                let newer = share.batch().upsert(C, contract("A", 2, "y"), at(20));
                newer.apply(&share.target).await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("no deadlock");
    }
    assert_eq!(lab.contracts().await, ["A|200|y|live|1"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(counts["read"], 5);
}
