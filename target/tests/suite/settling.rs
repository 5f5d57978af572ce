//! What settles a quarantined row by itself, and reads at one and the same position.

use mapping::{
    position::Position,
    value::{
        Decimal,
        LegacyValue::{self, Int, Null},
    },
};
use target::batch::LeftOut;

use crate::lab::{Lab, Values, at, contract, deleted, partial, read, short, text, with};

const C: &str = "Contract";

fn inexact(values: Values) -> Values {
    let total = LegacyValue::Decimal(Decimal { unscaled: 50, scale: 4 });
    with(values, &[("Total", total)])
}

fn party(oid: i64, name: &str, object_type: LegacyValue<'static>) -> Values {
    vec![
        ("OID", Int(oid)),
        ("Name", text(name)),
        ("Note", text("n")),
        ("OptimisticLockField", Int(1)),
        ("ObjectType", object_type),
    ]
}

async fn states(lab: &Lab) -> Vec<String> {
    lab.texts("select rule || ' ' || state from ficus.quarantine order by position, id").await
}

#[tokio::test]
async fn a_row_that_stays_bad_is_one_open_entry() {
    let lab = Lab::new().await;
    for change in 1..=3 {
        lab.batch().upsert(C, inexact(contract("A", 1, "x")), at(change)).apply(&lab.target).await;
    }
    let rule = "money.inexact";
    let expected = ["superseded", "superseded", "open"].map(|state| format!("{rule} {state}"));
    assert_eq!(states(&lab).await, expected);
    // An older one that comes late doesn't settle the newest; a partial one settles nothing.
    lab.batch().upsert(C, inexact(partial("A", 1)), at(4)).apply(&lab.target).await;
    assert_eq!(states(&lab).await[2..], ["money.inexact open", "money.inexact open"]);
    lab.batch().delete(C, contract("A", 1, "x"), at(5)).apply(&lab.target).await;
    assert!(states(&lab).await.iter().all(|state| state.ends_with("superseded")));
}

#[tokio::test]
async fn a_row_of_unknown_type_is_settled_by_whatever_comes_after_it() {
    let lab = Lab::new().await;
    let unknown = |p| lab.batch().upsert("Party", party(1, "Bat", Null), p);
    let is = |state: &'static str| format!("type.unknown {state}");
    // By another of its kind.
    unknown(at(10)).apply(&lab.target).await;
    unknown(at(11)).apply(&lab.target).await;
    assert_eq!(states(&lab).await, [is("superseded"), is("open")]);
    // By a good one in the same batch, which is written before the entry is stored.
    unknown(at(12)).upsert("Party", party(1, "Bat", Int(1)), at(13)).apply(&lab.target).await;
    assert_eq!(states(&lab).await, vec![is("superseded"); 3]);
    // By a delete without a type.
    unknown(at(14)).apply(&lab.target).await;
    assert_eq!(states(&lab).await[3], is("open"));
    lab.batch().delete("Party", party(1, "Bat", Null), at(15)).apply(&lab.target).await;
    assert_eq!(states(&lab).await, vec![is("superseded"); 4]);
}

#[tokio::test]
async fn a_row_of_unknown_type_is_settled_by_the_rule_that_leaves_it_out() {
    let lab = Lab::new().await;
    lab.batch().upsert("Party", party(1, "Bat", Null), at(10)).apply(&lab.target).await;
    lab.batch().upsert("Party", party(2, "Bat", Null), at(10)).apply(&lab.target).await;
    let table = lab.target.plan().table("dbo", "Party").expect("a table");
    let values: Vec<LegacyValue<'_>> = table
        .columns
        .iter()
        .map(|column| if column.name == "OID" { Int(1) } else { Null })
        .collect();
    let key = table.canonical_key(&values).expect("a key");
    let mut builder = lab.batch();
    builder.batch.left_out.push(LeftOut { table: table.id, key, position: read(10) });
    builder.apply(&lab.target).await;
    assert_eq!(states(&lab).await, ["type.unknown superseded", "type.unknown open"]);
}

#[tokio::test]
async fn a_partial_image_waits_behind_a_row_of_unknown_type_in_its_own_batch() {
    let lab = Lab::new().await;
    let both = |b: crate::lab::Builder| {
        b.upsert("Party", party(1, "Bat", Int(1)), at(1)).upsert(
            "Tenant",
            vec![("OID", Int(1)), ("Credit", Int(1))],
            at(1),
        )
    };
    both(lab.batch()).apply(&lab.target).await;
    let unchanged = with(party(1, "Dorj", Int(1)), &[("Note", LegacyValue::Unchanged)]);
    lab.batch()
        .upsert("Party", with(party(1, "Bold", Null), &[("Note", text("new"))]), at(2))
        .upsert("Party", unchanged, at(3))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.texts("select name || note from tenants").await, ["Batn"]);
    assert_eq!(short(&lab.counts("dbo.Party", "repair").await), "read 3, applied 1, quarantined 2");
}

#[tokio::test]
async fn a_refused_image_does_not_fold_a_good_one_away() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert(C, contract("A", 1, "good"), at(10))
        .upsert(C, contract("A", 20_000, "refused"), at(20))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["A|100|good|live|1"]);
    assert_eq!(states(&lab).await, ["postgres.23514 open"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 2, applied 1, quarantined 1");
}

/// Without CDC every copy is at the position zero; with it, a quiet database gives the same
/// watermark twice. A copy that is made again is not a no-op.
#[tokio::test]
async fn a_copy_that_is_made_again_writes_again() {
    for position in [Position::ZERO, read(10)] {
        let lab = Lab::new().await;
        let copy = |values| lab.batch().upsert(C, values, position);
        copy(contract("A", 1, "first")).apply(&lab.target).await;
        copy(contract("A", 2, "second")).apply(&lab.target).await;
        assert_eq!(lab.contracts().await, ["A|200|second|live|1"]);
        // Refused now: open, although the target has a row at the same position.
        copy(inexact(contract("A", 1, "x"))).apply(&lab.target).await;
        assert_eq!(states(&lab).await, ["money.inexact open"]);
        copy(contract("A", 3, "third")).apply(&lab.target).await;
        assert_eq!(states(&lab).await, ["money.inexact superseded"]);
        copy(inexact(contract("A", 1, "x"))).apply(&lab.target).await;
        assert_eq!(states(&lab).await, ["money.inexact open"], "once more");
        copy(deleted(contract("A", 4, "gone"))).apply(&lab.target).await;
        assert_eq!(lab.contracts().await, ["A|400|gone|deleted|2"]);
        assert_eq!(states(&lab).await, ["money.inexact superseded"]);
        copy(contract("A", 5, "back")).apply(&lab.target).await;
        assert_eq!(lab.contracts().await, ["A|500|back|live|1"]);
        // The stream's changes are another matter: a replay is a no-op.
        let streamed = lab.batch().upsert(C, contract("A", 6, "stream"), at(11));
        streamed.apply(&lab.target).await;
        lab.batch().upsert(C, contract("A", 7, "other"), at(11)).apply(&lab.target).await;
        copy(contract("A", 8, "late copy")).apply(&lab.target).await;
        assert_eq!(lab.contracts().await, ["A|600|stream|live|1"]);
    }
}

#[tokio::test]
async fn a_copy_of_parts_that_is_made_again_writes_again() {
    let lab = Lab::new().await;
    let p = Position::ZERO;
    for name in ["Bat", "Dorj"] {
        lab.batch()
            .upsert("Party", party(1, name, Int(1)), p)
            .upsert("Tenant", vec![("OID", Int(1)), ("Credit", Int(1))], p)
            .apply(&lab.target)
            .await;
        assert_eq!(lab.texts("select name from tenants").await, [name]);
    }
    lab.batch().upsert("Party", inexact_party(), p).apply(&lab.target).await;
    assert_eq!(states(&lab).await, ["type.unknown open"]);
}

fn inexact_party() -> Values {
    party(1, "Bold", Int(99))
}
