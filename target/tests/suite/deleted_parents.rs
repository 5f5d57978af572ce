//! Live rows that point at a soft-deleted one, when a domain is handed over.

use mapping::value::LegacyValue::Int;
use target::{Error, domain::State};

use crate::{
    domains::{ME, make_green, red, tenant, terms, verify},
    lab::{Lab, MAPPING, at, contract, deleted, plan_of, text, with},
};

/// A tenant who is soft-deleted: A and B point at him, B is deleted itself, C points at nobody.
async fn lab(policy: &str) -> Lab {
    let reference = format!("to = \"tenants\", orphans = \"refuse\", deleted = \"{policy}\"");
    let plan = plan_of(&MAPPING.replacen("to = \"tenants\", orphans = \"refuse\"", &reference, 1));
    let lab = Lab::of(plan).await;
    lab.batch()
        .upsert("Contract", contract("A", 1, "x"), at(10))
        .upsert("Contract", contract("B", 2, "x"), at(10))
        .upsert(
            "Contract",
            with(contract("C", 3, "x"), &[("Tenant", mapping::value::LegacyValue::Null)]),
            at(10),
        )
        .apply(&lab.target)
        .await;
    lab.batch().upsert("Contract", deleted(contract("B", 2, "x")), at(11)).apply(&lab.target).await;
    tenant(&lab).await;
    let gone = vec![
        ("OID", Int(7)),
        ("Name", text("Bat")),
        ("Note", text("n")),
        ("ObjectType", Int(1)),
        ("OptimisticLockField", Int(2)),
        ("GCRecord", Int(5)),
    ];
    lab.batch().upsert("Party", gone, at(12)).apply(&lab.target).await;
    assert_eq!(
        lab.text("select count(*)::text from tenants where deleted_at is not null").await,
        "1"
    );
    verify(&lab).await;
    make_green(&lab).await;
    lab
}

/// `number → points at somebody` of each contract.
async fn pointing(lab: &Lab) -> Vec<String> {
    lab.texts("select number || ' ' || (tenant_id is not null) from contracts order by number")
        .await
}

async fn sealed(lab: &Lab) -> String {
    lab.text("select count(*)::text from pg_constraint where contype = 'f' and conrelid = 'contracts'::regclass")
        .await
}

#[tokio::test]
async fn they_stay_where_nothing_is_said_or_allowed() {
    let lab = lab("allow").await;
    assert!(red(&lab).await.is_empty());
    let keys = lab.target.foreign_keys("contracts").await.expect("keys");
    assert_eq!(keys[0].deleted, 0, "not counted: nobody asked");
    lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    assert_eq!(pointing(&lab).await, ["A true", "B true", "C false"]);
    assert_eq!(sealed(&lab).await, "1");
}

#[tokio::test]
async fn refused_they_make_the_gate_red_by_name_until_somebody_takes_it_upon_himself() {
    let lab = lab("refuse").await;
    let gates = lab.target.gates("contracts", &terms()).await.expect("gates");
    let seal = gates.iter().find(|gate| gate.name == "seal").expect("the gate");
    assert!(!seal.green);
    assert_eq!(seal.detail, "contracts.tenant_id has 1 live rows of deleted parents (A)");
    let refused = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await;
    assert!(matches!(refused, Err(Error::Gates { red, .. }) if red == ["seal"]));

    lab.target.waive("contracts", "seal", "contracts.tenant_id", ME).await.expect("waived");
    assert_eq!(red(&lab).await, ["seal"], "a waiver of orphans is none of deleted parents");
    let subject = "contracts.tenant_id:deleted";
    lab.target.waive("contracts", "seal", subject, ME).await.expect("waived");
    lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    assert_eq!(pointing(&lab).await, ["A true", "B true", "C false"]);
    assert_eq!(sealed(&lab).await, "1", "the parent is there, so the constraint holds");
}

#[tokio::test]
async fn set_to_null_at_the_seal_they_are_written_down() {
    let lab = lab("null").await;
    assert!(red(&lab).await.is_empty());
    let done = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    assert_eq!(done.foreign_keys[0].deleted, 1);
    assert_eq!(lab.target.domain_state("contracts").await.expect("a state"), State::CutOver);
    assert_eq!(pointing(&lab).await, ["A false", "B true", "C false"], "B is a tombstone itself");
    assert_eq!(sealed(&lab).await, "1");
    let audit = lab
        .text(
            "select detail->>'column' || ' ' || (detail->>'because') || ' '
               || (select count(*) from jsonb_object_keys(detail->'rows'))
             from ficus.audit where action = 'seal.set_null'",
        )
        .await;
    assert_eq!(audit, "contracts.tenant_id soft-deleted parents 1");
}
