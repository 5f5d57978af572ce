//! Rows outside an entity's filter: removed when they were in, counted when they never were.

use mapping::{plan::Plan, value::LegacyValue::Int};

use crate::lab::{
    Lab, MAPPING, Values, at, contract, money, partial, plan_of, read, short, text, with,
};

/// Contracts of 13 are not taken, and parties called "x".
fn plan() -> Plan {
    let contracts = "[entity.where]\nTotal = { not = 13 }\n\n[entity.columns]\nnumber";
    let tenants = "[entity.where]\nName = { not = \"X\" }\n\n[entity.columns]\nname   =";
    plan_of(&MAPPING.replacen("[entity.columns]\nnumber", contracts, 1).replacen(
        "[entity.columns]\nname   =",
        tenants,
        1,
    ))
}

#[tokio::test]
async fn a_row_that_moves_out_goes_and_comes_back_when_it_moves_in() {
    let lab = Lab::of(plan()).await;
    lab.batch().upsert("Contract", contract("A", 100, "t"), at(10)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|10000|t|live|1"]);
    lab.batch().upsert("Contract", partial("A", 13), at(11)).apply(&lab.target).await;
    assert!(lab.contracts().await.is_empty(), "an update that lacks its LOBs says enough to go");
    lab.batch().upsert("Contract", contract("A", 100, "old"), at(9)).apply(&lab.target).await;
    assert!(lab.contracts().await.is_empty(), "what is older stays stale");
    lab.batch().upsert("Contract", contract("A", 50, "u"), at(12)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|5000|u|live|1"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 4, applied 3, stale 1", "a removal is applied");
}

#[tokio::test]
async fn a_row_that_was_never_in_is_ignored_by_name() {
    let lab = Lab::of(plan()).await;
    lab.batch()
        .upsert("Contract", contract("A", 13, "t"), read(10))
        .upsert("Contract", contract("B", 14, "t"), read(10))
        .upsert("Contract", contract("C", 13, "t"), read(10))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["B|1400|t|live|1"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 3, applied 1, ignored 2");
    let minted = lab.text("select count(*)::text from ficus.key_map where entity = 1").await;
    assert_eq!(minted, "1", "a copy mints no keys for rows that nobody takes");
    assert_eq!(lab.text("select count(*)::text from ficus.tombstone").await, "0");
    let all = lab.target.counts().await.expect("counts");
    let line = all.iter().find(|line| line.table == "dbo.Contract").expect("a line");
    assert_eq!(line.ignored["where"], 2);

    // The stream had it at an earlier position, comes late, and brings what the copy has seen.
    lab.batch().upsert("Contract", contract("A", 12, "t"), at(8)).apply(&lab.target).await;
    lab.batch().upsert("Contract", contract("A", 13, "t"), at(9)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["B|1400|t|live|1"]);
    // A row that was copied before the filter left it out is removed by the next copy.
    lab.batch().upsert("Contract", contract("B", 13, "t"), read(10)).apply(&lab.target).await;
    assert!(lab.contracts().await.is_empty());
    lab.batch().upsert("Contract", contract("B", 14, "t"), read(10)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["B|1400|t|live|1"]);
    // Both ways in one batch: the last word counts.
    lab.batch()
        .upsert("Contract", contract("B", 13, "t"), at(11))
        .upsert("Contract", contract("A", 12, "t"), at(12))
        .upsert("Contract", contract("A", 13, "t"), at(13))
        .upsert("Contract", contract("C", 13, "t"), at(14))
        .upsert("Contract", contract("C", 12, "t"), at(15))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.contracts().await, ["C|1200|t|live|1"]);
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(short(&counts), "read 12, applied 7, folded 2, ignored 3");
}

/// Contracts of 13 are offers; those of 14 are nothing.
fn shared() -> Plan {
    let contracts = "[entity.where]\nTotal = { not = [13, 14] }\n\n[entity.columns]\nnumber";
    let offers = "
[[entity]]
name = \"offers\"
from = \"dbo.Contract\"
[entity.where]
Total = 13
[entity.columns]
number = { from = \"No\", as = \"text\", trim = \"end\" }
[entity.leave_out]
Tenant = \"not here\"
Terms = \"not here\"
Photo = \"not here\"
OptimisticLockField = \"not here\"
GCRecord = \"not here\"
";
    plan_of(&(MAPPING.replacen("[entity.columns]\nnumber", contracts, 1) + offers))
}

#[tokio::test]
async fn a_row_of_a_shared_table_is_in_one_entity_and_counted_once() {
    let lab = Lab::of(shared()).await;
    let all = || {
        lab.texts(
            "select 'contract ' || number from contracts union all
             select 'offer ' || number from offers order by 1",
        )
    };
    lab.batch()
        .upsert("Contract", contract("A", 12, "t"), read(10))
        .upsert("Contract", contract("B", 13, "t"), read(10))
        .upsert("Contract", contract("C", 14, "t"), read(10))
        .apply(&lab.target)
        .await;
    assert_eq!(all().await, ["contract A", "offer B"]);
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 3, applied 2, ignored 1");
    lab.batch()
        .upsert("Contract", contract("A", 13, "t"), at(11))
        .upsert("Contract", contract("B", 12, "t"), at(12))
        .upsert("Contract", contract("C", 13, "t"), at(13))
        .apply(&lab.target)
        .await;
    assert_eq!(all().await, ["contract B", "offer A", "offer C"]);
    lab.batch().upsert("Contract", contract("A", 14, "t"), at(14)).apply(&lab.target).await;
    lab.batch().delete("Contract", contract("B", 12, "t"), at(15)).apply(&lab.target).await;
    assert_eq!(all().await, ["offer C"]);
    lab.batch()
        .upsert("Contract", contract("C", 14, "t"), read(20))
        .upsert("Contract", contract("D", 14, "t"), read(20))
        .apply(&lab.target)
        .await;
    assert!(all().await.is_empty());
    let counts = lab.counts("dbo.Contract", "repair").await;
    assert_eq!(counts["read"], 10);
    assert_eq!(counts["read"], counts["applied"] + counts["ignored"], "{counts:?}");
}

fn party(name: &str) -> Values {
    vec![
        ("OID", Int(1)),
        ("Name", text(name)),
        ("Note", text("n")),
        ("OptimisticLockField", Int(1)),
        ("ObjectType", Int(1)),
    ]
}

#[tokio::test]
async fn a_root_that_moves_out_takes_the_row_and_gives_it_back() {
    let lab = Lab::of(plan()).await;
    let names = || lab.texts("select name || '|' || credit from tenants");
    lab.batch()
        .upsert("Tenant", vec![("OID", Int(1)), ("Credit", Int(5))], at(10))
        .upsert("Party", party("x"), at(10))
        .apply(&lab.target)
        .await;
    assert!(names().await.is_empty());
    assert_eq!(short(&lab.counts("dbo.Party", "repair").await), "read 1, ignored 1");
    lab.batch().upsert("Party", party("Bat"), at(11)).apply(&lab.target).await;
    assert_eq!(names().await, ["Bat|5"], "the leaf has waited");
    lab.batch().upsert("Party", party("X "), at(12)).apply(&lab.target).await;
    assert!(names().await.is_empty());
    lab.batch()
        .upsert("Tenant", vec![("OID", Int(1)), ("Credit", Int(6))], at(13))
        .upsert("Party", party("Bat"), at(14))
        .apply(&lab.target)
        .await;
    assert_eq!(names().await, ["Bat|6"]);
    let counts = lab.counts("dbo.Party", "repair").await;
    assert_eq!(short(&counts), "read 4, applied 3, ignored 1");
}

#[tokio::test]
async fn what_moves_in_without_its_lobs_waits_for_a_whole_image() {
    let lab = Lab::of(plan()).await;
    lab.batch().upsert("Contract", contract("A", 13, "t"), at(10)).apply(&lab.target).await;
    lab.batch().upsert("Contract", partial("A", 14), at(11)).apply(&lab.target).await;
    assert!(lab.contracts().await.is_empty());
    let parked = || lab.text("select count(*)::text from ficus.parked");
    assert_eq!(parked().await, "1", "nobody knows its terms");
    lab.batch().upsert("Contract", contract("A", 14, "t"), read(12)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|1400|t|live|1"]);
    assert_eq!(parked().await, "0");
}

#[tokio::test]
async fn a_row_in_quarantine_is_settled_when_it_moves_out() {
    let lab = Lab::of(plan()).await;
    let nul = with(contract("A", 1, "t"), &[("Terms", text("\0"))]);
    lab.batch().upsert("Contract", nul, at(10)).apply(&lab.target).await;
    let open = || lab.text("select count(*)::text from ficus.quarantine where state = 'open'");
    assert_eq!(open().await, "1");
    let out = with(contract("A", 1, "\0"), &[("Total", money(13))]);
    lab.batch().upsert("Contract", out, at(11)).apply(&lab.target).await;
    assert_eq!(open().await, "0", "nobody has to correct a row that nobody takes");
}
