//! Entities made of several legacy tables, in any order.

use mapping::{
    position::Position,
    value::LegacyValue::{self, Int, Unchanged},
};

use crate::lab::{Builder, Lab, Values, at, read, short, text, with};

fn party(oid: i64, name: &str, note: &str) -> Values {
    vec![
        ("OID", Int(oid)),
        ("Name", text(name)),
        ("Note", text(note)),
        ("OptimisticLockField", Int(1)),
        ("ObjectType", Int(1)),
    ]
}

fn tenant(oid: i64, credit: i64) -> Values {
    vec![("OID", Int(oid)), ("Credit", Int(credit))]
}

async fn tenants(lab: &Lab) -> Vec<String> {
    lab.texts(
        "select concat_ws('|', name, note, credit, case when deleted_at is null then 'live'
           else 'deleted' end, version) from tenants order by name",
    )
    .await
}

type Step = fn(Builder) -> Builder;

#[tokio::test]
async fn parts_come_in_any_order() {
    let lab = Lab::new().await;
    let steps: [Step; 4] = [
        |b| b.upsert("Party", party(1, "Bat", "n"), at(10)),
        |b| b.upsert("Tenant", tenant(1, 5), at(10)),
        |b| b.upsert("Tenant", tenant(1, 6), at(12)),
        |b| b.upsert("Party", party(1, "Dorj", "m"), at(11)),
    ];
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]];
    for order in orders {
        let lab = Lab::new().await;
        for step in order {
            steps[step](lab.batch()).apply(&lab.target).await;
        }
        assert_eq!(tenants(&lab).await, ["Dorj|m|6|live|1"], "{order:?}");
        let all = order.iter().fold(lab.batch(), |builder, step| steps[*step](builder));
        all.apply(&lab.target).await;
        assert_eq!(tenants(&lab).await, ["Dorj|m|6|live|1"], "{order:?} again");
    }
    steps.iter().fold(lab.batch(), |builder, step| step(builder)).apply(&lab.target).await;
    assert_eq!(tenants(&lab).await, ["Dorj|m|6|live|1"], "in one batch");
    assert_eq!(short(&lab.counts("dbo.Party", "repair").await), "read 2, applied 2");
}

#[tokio::test]
async fn the_row_goes_with_any_of_its_parts_and_comes_back() {
    let lab = Lab::new().await;
    let both = |b: Builder, p: Position| {
        b.upsert("Party", party(1, "Bat", "n"), p).upsert("Tenant", tenant(1, 5), p)
    };
    both(lab.batch(), at(10)).apply(&lab.target).await;
    lab.batch().delete("Tenant", tenant(1, 5), at(20)).apply(&lab.target).await;
    assert!(tenants(&lab).await.is_empty());
    // A late copy of the part that is gone.
    both(lab.batch(), read(15)).apply(&lab.target).await;
    assert!(tenants(&lab).await.is_empty());
    lab.batch().upsert("Tenant", tenant(1, 9), at(30)).apply(&lab.target).await;
    assert_eq!(tenants(&lab).await, ["Bat|n|9|live|1"]);
}

#[tokio::test]
async fn a_soft_delete_of_the_root_marks_the_row_and_a_leaf_does_not_undo_it() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert("Party", party(1, "Bat", "n"), at(10))
        .upsert("Tenant", tenant(1, 5), at(10))
        .apply(&lab.target)
        .await;
    let gone = with(
        party(1, "", ""),
        &[
            ("GCRecord", Int(5)),
            ("Note", Unchanged),
            ("OptimisticLockField", Int(2)),
            ("Name", text("Bat")),
        ],
    );
    lab.batch().upsert("Party", gone, at(20)).apply(&lab.target).await;
    assert_eq!(tenants(&lab).await, ["Bat|n|5|deleted|2"]);
    lab.batch().upsert("Tenant", tenant(1, 8), at(21)).apply(&lab.target).await;
    assert_eq!(tenants(&lab).await, ["Bat|n|8|deleted|2"]);
    let back = with(party(1, "Bat", ""), &[("Note", Unchanged), ("OptimisticLockField", Int(3))]);
    lab.batch().upsert("Party", back, at(30)).apply(&lab.target).await;
    assert_eq!(tenants(&lab).await, ["Bat|n|8|live|3"]);
}

#[tokio::test]
async fn a_partial_root_waits_for_its_copy() {
    let lab = Lab::new().await;
    let update = with(party(1, "New", ""), &[("Note", Unchanged)]);
    lab.batch()
        .upsert("Party", update, at(20))
        .upsert("Tenant", tenant(1, 5), at(20))
        .apply(&lab.target)
        .await;
    assert!(tenants(&lab).await.is_empty());
    assert_eq!(short(&lab.counts("dbo.Party", "repair").await), "read 1, quarantined 1");
    lab.batch().upsert("Party", party(1, "Old", "note"), read(15)).apply(&lab.target).await;
    assert_eq!(tenants(&lab).await, ["New|note|5|live|1"]);
    assert_eq!(short(&lab.counts("dbo.Party", "repair").await), "read 2, applied 2");
}

#[tokio::test]
async fn a_delete_without_a_type_goes_to_every_candidate_and_is_counted_once() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert("Party", party(1, "Bat", "n"), at(10))
        .upsert("Tenant", tenant(1, 5), at(10))
        .apply(&lab.target)
        .await;
    let key: Values = ["Name", "Note", "OptimisticLockField", "GCRecord", "ObjectType"]
        .into_iter()
        .map(|name| (name, LegacyValue::Unchanged))
        .chain([("OID", Int(1))])
        .collect();
    lab.batch().delete("Party", key, at(20)).apply(&lab.target).await;
    assert!(tenants(&lab).await.is_empty());
    assert_eq!(short(&lab.counts("dbo.Party", "repair").await), "read 2, applied 2");
}
