//! A parked change goes when the image that it waits for is there, also when both come in one
//! batch: the row may never change again, and nobody else would take it out.

use mapping::value::LegacyValue::{self, Int, Null, Unchanged};

use crate::lab::{Builder, Lab, Values, at, contract, deleted, partial, read, short, text, with};

fn party(name: &str, note: &str) -> Values {
    vec![
        ("OID", Int(1)),
        ("Name", text(name)),
        ("Note", text(note)),
        ("OptimisticLockField", Int(1)),
        ("ObjectType", Int(1)),
    ]
}

fn tenant() -> Values {
    vec![("OID", Int(1)), ("Credit", Int(5))]
}

async fn parked(lab: &Lab) -> String {
    lab.text("select count(*)::text from ficus.parked").await
}

#[tokio::test]
async fn a_part_that_comes_whole_in_the_same_batch_is_not_waited_for() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert("Party", with(party("New", ""), &[("Note", Unchanged)]), at(20))
        .upsert("Tenant", tenant(), at(20))
        .upsert("Party", party("Newest", "note"), read(25))
        .apply(&lab.target)
        .await;
    let names = lab.texts("select concat_ws('|', name, note, credit) from tenants").await;
    assert_eq!(names, ["Newest|note|5"]);
    assert_eq!(parked(&lab).await, "0");
    assert_eq!(short(&lab.counts("dbo.Party", "repair").await), "read 2, applied 1, stale 1");
}

#[tokio::test]
async fn a_soft_deleted_part_settles_what_waits_before_it() {
    let lab = Lab::new().await;
    let gone = with(party("Gone", "note"), &[("GCRecord", Int(9))]);
    lab.batch()
        .upsert("Party", with(party("New", ""), &[("Note", Unchanged)]), at(20))
        .upsert("Party", gone, read(25))
        .upsert("Tenant", tenant(), at(20))
        .apply(&lab.target)
        .await;
    let names = lab.texts("select concat_ws('|', name, note, deleted_at is not null) from tenants");
    assert_eq!(names.await, ["Gone|note|t"]);
    assert_eq!(parked(&lab).await, "0");
}

/// With a refused row in the batch nothing is folded, so the partial image is parked first.
#[tokio::test]
async fn a_batch_with_a_refused_row_parks_nothing_for_good() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert("Contract", partial("A", 1), at(20))
        .upsert("Contract", contract("A", 2, "whole"), read(25))
        .upsert("Contract", contract("B", 20_000, "refused"), at(21))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["A|200|whole|live|1"]);
    assert_eq!(parked(&lab).await, "0");
    let counts = short(&lab.counts("dbo.Contract", "repair").await);
    assert_eq!(counts, "read 3, applied 1, stale 1, quarantined 1");
}

/// The references that a soft delete lacks are those of the image before it, also when that image
/// had no row to go to.
#[tokio::test]
async fn a_soft_delete_takes_the_references_of_what_waits_before_it() {
    let seven = Int(7);
    let waiting = |b: Builder| {
        let values: Values = with(partial("A", 1), &[("Tenant", seven.clone())]);
        b.upsert("Contract", values, at(20))
    };
    let gone = |b: Builder| {
        let values = with(deleted(contract("A", 1, "terms")), &[("Tenant", LegacyValue::Null)]);
        b.upsert("Contract", with(values, &[("Photo", Null)]), read(25))
    };
    for together in [true, false] {
        let lab = Lab::new().await;
        if together {
            gone(waiting(lab.batch())).apply(&lab.target).await;
        } else {
            waiting(lab.batch()).apply(&lab.target).await;
            gone(lab.batch()).apply(&lab.target).await;
        }
        let rows = "select concat_ws('|', number, terms, deleted_at is not null, \
                    tenant_id is not null) from contracts";
        assert_eq!(lab.texts(rows).await, ["A|terms|t|t"], "together: {together}");
        assert_eq!(parked(&lab).await, "0");
        lab.counts("dbo.Contract", "repair").await;
    }
}
