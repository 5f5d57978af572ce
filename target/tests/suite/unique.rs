//! What the legacy database keeps unique is unique after the cutover too.

use mapping::value::LegacyValue;
use target::{Error, domain::Gate};

use crate::{
    domains::{ME, make_green, terms, verify},
    lab::{Lab, Values, at, text, with},
};

/// An owner, root and leaf, at one position.
async fn owner(lab: &Lab, oid: i64, bank: Option<&str>, deleted: bool, position: u64) {
    let root: Values = vec![
        ("OID", LegacyValue::Int(oid)),
        ("Name", text("Bat")),
        ("Note", text("n")),
        ("ObjectType", LegacyValue::Int(2)),
        ("OptimisticLockField", LegacyValue::Int(1)),
    ];
    let mark = [("GCRecord", LegacyValue::Int(oid + 1000))];
    let root = if deleted { with(root, &mark) } else { root };
    let bank = bank.map_or(LegacyValue::Null, text);
    lab.batch()
        .upsert("Party", root, at(position))
        .upsert("Owner", vec![("OID", LegacyValue::Int(oid)), ("Bank", bank)], at(position))
        .apply(&lab.target)
        .await;
}

async fn seal_gate(lab: &Lab) -> Gate {
    let gates = lab.target.gates("contracts", &terms()).await.expect("gates");
    gates.into_iter().find(|gate| gate.name == "seal").expect("the gate")
}

/// SQL Server's unique index on (Bank, GCRecord) takes NULLs as equal: it keeps live owners
/// apart, also those without a bank, and lets any number of deleted ones share. A plain unique
/// index of Postgres on the same columns would refuse nothing at all.
#[tokio::test]
async fn trap_04_two_live_rows_with_null_are_taken_as_distinct() {
    let lab = Lab::new().await;
    owner(&lab, 1, None, false, 10).await;
    owner(&lab, 2, None, false, 11).await;
    owner(&lab, 3, Some("дэн1"), false, 12).await;
    owner(&lab, 4, Some("ДЭН1"), false, 13).await;
    owner(&lab, 5, Some("ДЭН1"), true, 14).await;
    owner(&lab, 6, None, true, 15).await;
    verify(&lab).await;
    make_green(&lab).await;

    let found = lab.target.unique_indexes("contracts").await.expect("indexes");
    let bank = found.iter().find(|index| index.subject() == "owners(bank)").expect("the rule");
    assert_eq!((bank.duplicates, bank.sealed), (4, false), "two without, two alike but for case");
    let keys = bank.examples.iter().map(|(_, key)| key.as_ref().expect("known").to_string());
    assert_eq!(keys.collect::<Vec<_>>(), ["3", "4", "1", "2"], "side by side");
    let gate = seal_gate(&lab).await;
    assert!(!gate.green);
    assert_eq!(gate.detail, "owners(bank) has 4 duplicates (3, 4, 1, 2)");
    let error = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await;
    assert!(matches!(error, Err(Error::Gates { red, .. }) if red == ["seal"]));

    // Somebody corrects them in the legacy application.
    owner(&lab, 2, None, true, 20).await;
    owner(&lab, 4, Some("MN2"), false, 21).await;
    make_green(&lab).await;
    let gate = seal_gate(&lab).await;
    let open = "owners(name,note) has 6 duplicates (1, 2, 3, 4, 5, 6)";
    assert_eq!(gate.detail, format!("4 constraints can be made; left open: {open}"));
    lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");

    let insert = |bank: &str, deleted: &str| {
        format!(
            "insert into owners (id, bank, deleted_at, version) \
             values (gen_random_uuid(), {bank}, {deleted}, 0)"
        )
    };
    for (bank, deleted, taken) in [
        ("null", "null", true),
        ("'ДЭН1'", "null", true),
        ("'MN3'", "null", false),
        ("'ДЭН1'", "now()", false),
        ("null", "now()", false),
    ] {
        let done =
            sqlx::query(sqlx::AssertSqlSafe(insert(bank, deleted))).execute(&lab.admin).await;
        let clashed = done.as_ref().is_err_and(|error| {
            error.as_database_error().and_then(|e| e.constraint()) == Some("owners_bank_key")
        });
        assert_eq!((done.is_err(), clashed), (taken, taken), "{bank}, {deleted}");
    }

    lab.target.roll_back(&lab.owner, "contracts", ME).await.expect("rolled back");
    let left = "select count(*)::text from pg_indexes where indexname = 'owners_bank_key'";
    assert_eq!(lab.text(left).await, "0", "values may pass from row to row again");
}

#[tokio::test]
async fn duplicates_can_be_waived_by_name_and_the_index_is_not_made() {
    let lab = Lab::new().await;
    owner(&lab, 1, Some("MN1"), false, 10).await;
    owner(&lab, 2, Some("MN1"), false, 11).await;
    verify(&lab).await;
    make_green(&lab).await;
    assert!(!seal_gate(&lab).await.green);
    lab.target.waive("contracts", "seal", "owners(bank)", ME).await.expect("waived");
    assert!(seal_gate(&lab).await.green);
    let done = lab.target.cut_over(&lab.owner, "contracts", &terms(), ME).await.expect("cut over");
    let bank = done.unique_indexes.iter().find(|index| index.subject() == "owners(bank)");
    assert_eq!(bank.map(|index| (index.duplicates, index.sealed)), Some((2, false)));
    let made = "select count(*)::text from pg_indexes where indexname = 'owners_bank_key'";
    assert_eq!(lab.text(made).await, "0");
}
