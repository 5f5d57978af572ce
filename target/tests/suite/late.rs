//! What refers to a row that is not there: it came before, or its insert never comes. It is
//! written, it is told, and no cutover passes by it.

use mapping::value::LegacyValue;
use target::Error;

use crate::{
    domains::{ME, make_green, red, tenant, terms, verify},
    lab::{Lab, Values, at, contract, lsn, text, with},
};

const C: &str = "Contract";

fn party(oid: i64) -> Values {
    vec![
        ("OID", LegacyValue::Int(oid)),
        ("Name", text("Bat")),
        ("Note", text("n")),
        ("ObjectType", LegacyValue::Int(1)),
        ("OptimisticLockField", LegacyValue::Int(1)),
    ]
}

fn leaf(oid: i64) -> Values {
    vec![("OID", LegacyValue::Int(oid)), ("Credit", LegacyValue::Int(1))]
}

fn of_tenant(number: &str, tenant: i64) -> Values {
    with(contract(number, 1, "x"), &[("Tenant", LegacyValue::Int(tenant))])
}

/// Contracts whose tenant is not there, as the gate counts them.
async fn orphans(lab: &Lab) -> u64 {
    let keys = lab.target.foreign_keys("contracts").await.expect("keys");
    keys.iter().find(|key| key.subject() == "contracts.tenant_id").expect("the key").orphans
}

/// Nothing of it depends on time: minutes are only more batches in between.
#[tokio::test]
async fn f31_a_child_whose_parent_comes_late_or_never_is_there_and_told() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert(C, of_tenant("A", 7), at(10))
        .upsert(C, of_tenant("B", 8), at(10))
        .apply(&lab.target)
        .await;
    verify(&lab).await;
    make_green(&lab).await;
    // Both are there, refer to an id that is reserved, and wait in nobody's queue.
    assert_eq!(lab.contracts().await.len(), 2);
    assert_eq!(orphans(&lab).await, 2);
    assert!(lab.target.parked_counts().await.expect("parked").is_empty());
    assert_eq!(lab.text("select count(*)::text from ficus.quarantine").await, "0");
    assert_eq!(red(&lab).await, ["seal"]);

    for number in 0..30 {
        let other = with(contract(&format!("N{number}"), 1, "x"), &[("Tenant", LegacyValue::Null)]);
        lab.batch().upsert(C, other, at(100 + number)).apply(&lab.target).await;
    }
    tenant(&lab).await;
    let joined = "select c.number from contracts c join tenants t on t.id = c.tenant_id";
    assert_eq!(lab.texts(joined).await, ["A"], "the late one is met by the reserved id");
    // The other's never comes: no cutover until somebody answers for it, by name.
    assert_eq!(orphans(&lab).await, 1);
    let refused = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await;
    assert!(matches!(refused, Err(Error::Gates { red, .. }) if red == ["seal"]));
    let gates = lab.target.gates("contracts", &terms()).await.expect("gates");
    let seal = gates.iter().find(|gate| gate.name == "seal").expect("the gate");
    assert_eq!(seal.detail, "contracts.tenant_id has 1 orphans (B)");
}

/// A changed key is a delete of the old row and an insert of the new one. The insert can be lost
/// for good where a connector's batch ends between the two (Debezium dbz#2549).
#[tokio::test]
async fn f27_a_key_change_whose_insert_never_comes_takes_no_child_along() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert("Party", party(7), at(5))
        .upsert("Tenant", leaf(7), at(5))
        .upsert(C, of_tenant("A", 7), at(10))
        .apply(&lab.target)
        .await;
    verify(&lab).await;
    make_green(&lab).await;
    assert!(red(&lab).await.is_empty());
    let before = lab.text("select tenant_id::text from contracts").await;

    let order = |order| mapping::position::Position::streamed(lsn(20), order);
    lab.batch()
        .delete("Tenant", leaf(7), order(1))
        .delete("Party", party(7), order(2))
        .apply(&lab.target)
        .await;
    // The child is there with what it referred to, and the gate says so.
    assert_eq!(lab.contracts().await, ["A|100|x|live|1"]);
    assert_eq!(lab.text("select tenant_id::text from contracts").await, before);
    assert_eq!(orphans(&lab).await, 1);
    // Its own event names the new key; a row of that key there is still none.
    lab.batch().upsert(C, of_tenant("A", 8), order(5)).apply(&lab.target).await;
    assert_ne!(lab.text("select tenant_id::text from contracts").await, before);
    assert_eq!(orphans(&lab).await, 1);
    assert_eq!(red(&lab).await, ["seal"]);

    // A new copy of the table, which reconcile asks for (it reports the key as missing), mends it.
    let read = crate::lab::read(30);
    lab.batch()
        .upsert("Party", party(8), read)
        .upsert("Tenant", leaf(8), read)
        .apply(&lab.target)
        .await;
    assert!(red(&lab).await.is_empty());
}
