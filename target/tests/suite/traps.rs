//! Traps of an XPO database that the one way in must handle. A test's name is the failure it
//! guards.

use mapping::{position::Position, value::LegacyValue};
use uuid::Uuid;

use crate::lab::{Lab, Values, at, contract, deleted, lsn, partial, read, short, text, with};

const C: &str = "Contract";

/// The order of a change within the transaction at `number`.
fn in_transaction(number: u64, order: u64) -> Position {
    Position::streamed(lsn(number), order)
}

fn party(oid: i64, name: &str) -> Values {
    vec![
        ("OID", LegacyValue::Int(oid)),
        ("Name", text(name)),
        ("Note", text("n")),
        ("ObjectType", LegacyValue::Int(1)),
        ("OptimisticLockField", LegacyValue::Int(1)),
    ]
}

fn tenant(oid: i64) -> Values {
    vec![("OID", LegacyValue::Int(oid)), ("Credit", LegacyValue::Int(5))]
}

fn link(number: u128, owner: i64, tenant: i64) -> Values {
    let mut values = vec![("OID", LegacyValue::Guid(Uuid::from_u128(number)))];
    values.extend([("Owners", LegacyValue::Int(owner)), ("Tenants", LegacyValue::Int(tenant))]);
    values
}

/// The contract's id, its own columns, and the name of its tenant.
async fn joined(lab: &Lab) -> Vec<String> {
    let sql = "select concat_ws('|', c.number, c.total, coalesce(t.name, 'nobody'))
               from contracts c left join tenants t on t.id = c.tenant_id order by 1";
    lab.texts(sql).await
}

/// XPO clears the references of a row as it marks it, and may take the mark away again.
#[tokio::test]
async fn trap_03_a_soft_delete_overwrites_history_with_its_nulls() {
    let lab = Lab::new().await;
    let refers = "select (tenant_id is not null)::text from contracts";
    lab.batch().upsert(C, contract("A", 1, "x"), at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, deleted(partial("A", 1)), at(20)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|100|x|deleted|2"]);
    assert_eq!(lab.text(refers).await, "true", "the row has kept what it referred to");

    lab.batch().upsert(C, contract("A", 2, "y"), at(30)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|200|y|live|1"], "undeleted");
    let homeless = with(contract("A", 2, "y"), &[("Tenant", LegacyValue::Null)]);
    lab.batch().upsert(C, homeless, at(40)).apply(&lab.target).await;
    assert_eq!(lab.text(refers).await, "false", "a live row without one has none");
}

/// A NULL large value of an update is "unknown": what the target has stays.
#[tokio::test]
async fn trap_10_an_update_without_its_lobs_blanks_them() {
    let lab = Lab::new().await;
    let photo = ("Photo", LegacyValue::Bytes(vec![1, 2].into()));
    let whole = with(contract("A", 1, "terms"), std::slice::from_ref(&photo));
    lab.batch().upsert(C, whole, at(10)).apply(&lab.target).await;
    lab.batch().upsert(C, partial("A", 2), at(20)).apply(&lab.target).await;
    let kept = "select total || '|' || terms || '|' || encode(photo, 'hex') from contracts";
    assert_eq!(lab.text(kept).await, "200|terms|0102");
    let none = with(contract("A", 2, ""), &[("Terms", LegacyValue::Null), photo]);
    lab.batch().upsert(C, none, read(30)).apply(&lab.target).await;
    assert_eq!(lab.text("select coalesce(terms, 'none') from contracts").await, "none");
}

/// SQL Server writes an update of a column in a unique index as a delete and an insert of one
/// key (XPO's soft delete among them). Debezium sends `d`, a tombstone, and `c`.
#[tokio::test]
async fn trap_05_an_update_that_comes_as_delete_and_insert_loses_its_row() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert("Party", party(7, "Bat"), at(5))
        .upsert("Tenant", tenant(7), at(5))
        .upsert(C, contract("A", 1, "x"), at(10))
        .upsert(C, contract("B", 1, "x"), at(10))
        .apply(&lab.target)
        .await;
    let ids = lab.text("select string_agg(id::text, ',' order by number) from contracts").await;

    // In one batch: the row is never away, and is written once.
    lab.batch()
        .delete(C, contract("A", 1, "x"), in_transaction(20, 1))
        .upsert(C, contract("A", 2, "y"), in_transaction(20, 2))
        .apply(&lab.target)
        .await;
    // A batch may end between the two.
    lab.batch().delete(C, contract("B", 1, "x"), in_transaction(21, 1)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|200|y|live|1"]);
    lab.batch().upsert(C, contract("B", 3, "z"), in_transaction(21, 2)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|200|y|live|1", "B|300|z|live|1"]);
    let again = lab.text("select string_agg(id::text, ',' order by number) from contracts").await;
    assert_eq!(again, ids, "the key has kept its id");
    assert_eq!(short(&lab.counts("dbo.Contract", "repair").await), "read 6, applied 5, folded 1");

    // The first half once more, as after a restart: it is older than what is there.
    lab.batch().delete(C, contract("B", 1, "x"), in_transaction(21, 1)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await.len(), 2);
}

/// A changed key is `d` of the old and `c` of the new one. Rows that refer to it say so by events
/// of their own, which come later and from other topics.
#[tokio::test]
async fn trap_05_a_changed_key_takes_its_children_away() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert("Party", party(7, "Bat"), at(5))
        .upsert("Tenant", tenant(7), at(5))
        .upsert(C, contract("A", 1, "x"), at(10))
        .apply(&lab.target)
        .await;
    assert_eq!(joined(&lab).await, ["A|100|Bat"]);

    lab.batch()
        .delete("Party", party(7, "Bat"), in_transaction(20, 1))
        .delete("Tenant", tenant(7), in_transaction(20, 2))
        .upsert("Party", party(8, "Bat"), in_transaction(20, 3))
        .upsert("Tenant", tenant(8), in_transaction(20, 4))
        .apply(&lab.target)
        .await;
    assert_eq!(joined(&lab).await, ["A|100|nobody"], "the child waits for its own event");
    let kept = "select (tenant_id is not null)::text from contracts";
    assert_eq!(lab.text(kept).await, "true", "and its reference is not cleared");

    let moved = with(contract("A", 1, "x"), &[("Tenant", LegacyValue::Int(8))]);
    lab.batch().upsert(C, moved, in_transaction(20, 5)).apply(&lab.target).await;
    assert_eq!(joined(&lab).await, ["A|100|Bat"]);
}

/// A replay, a copy that began before the delete, an incremental snapshot: all bring images of a
/// row that is gone.
#[tokio::test]
async fn trap_14_an_old_image_brings_a_deleted_row_back() {
    let lab = Lab::new().await;
    lab.batch()
        .upsert("Party", party(7, "Bat"), at(5))
        .upsert("Tenant", tenant(7), at(5))
        .upsert(C, contract("A", 1, "x"), at(10))
        .apply(&lab.target)
        .await;
    lab.batch()
        .delete(C, contract("A", 1, "x"), at(20))
        .delete("Tenant", tenant(7), at(20))
        .delete("Party", party(7, "Bat"), at(20))
        .apply(&lab.target)
        .await;
    for old in [at(10), at(19), read(9), read(19), Position::ZERO] {
        lab.batch().upsert(C, contract("A", 2, "old"), old).apply(&lab.target).await;
        lab.batch().upsert(C, partial("A", 3), old).apply(&lab.target).await;
        lab.batch().upsert("Party", party(7, "Old"), old).apply(&lab.target).await;
        lab.batch().upsert("Tenant", tenant(7), old).apply(&lab.target).await;
    }
    assert!(lab.contracts().await.is_empty());
    assert!(lab.texts("select name from tenants").await.is_empty());
    assert!(lab.target.parked_counts().await.expect("parked").is_empty(), "nothing waits for it");

    // The same, by a process that has seen nothing of it.
    let other = lab.another().await;
    lab.batch().upsert(C, contract("A", 2, "old"), at(19)).apply(&other).await;
    assert!(lab.contracts().await.is_empty());

    // What is newer than the delete is a new row of the same key.
    lab.batch().upsert(C, contract("A", 4, "new"), at(21)).apply(&lab.target).await;
    lab.batch().upsert(C, contract("A", 2, "old"), read(20)).apply(&lab.target).await;
    assert_eq!(lab.contracts().await, ["A|400|new|live|1"]);
}

/// Topics have no common order: a child's event may be there long before its parent's.
#[tokio::test]
async fn trap_15_a_child_that_comes_before_its_parent_is_lost() {
    let lab = Lab::new().await;
    lab.batch().upsert(C, contract("A", 1, "x"), at(30)).apply(&lab.target).await;
    assert_eq!(joined(&lab).await, ["A|100|nobody"], "the row is there, its parent's id reserved");
    let reserved = lab.text("select tenant_id::text from contracts").await;

    lab.batch().upsert("Tenant", tenant(7), at(20)).apply(&lab.target).await;
    assert_eq!(joined(&lab).await, ["A|100|nobody"], "a leaf without its root is no row");
    lab.batch().upsert("Party", party(7, "Bat"), at(10)).apply(&lab.target).await;
    assert_eq!(joined(&lab).await, ["A|100|Bat"]);
    assert_eq!(lab.text("select id::text from tenants").await, reserved);

    // In one batch the order does not matter either.
    let other = with(contract("B", 1, "x"), &[("Tenant", LegacyValue::Int(8))]);
    lab.batch()
        .upsert(C, other, at(40))
        .upsert("Tenant", tenant(8), at(40))
        .upsert("Party", party(8, "Dorj"), at(40))
        .apply(&lab.target)
        .await;
    assert_eq!(joined(&lab).await, ["A|100|Bat", "B|100|Dorj"]);
}

/// XPO's many-to-many rows are inserted and deleted, nothing else: no version, no mark, and both
/// ends may be late.
#[tokio::test]
async fn trap_15_a_link_without_its_ends_is_lost_or_comes_back() {
    let lab = Lab::new().await;
    let links = "select count(*)::text from links l where owner_id is not null
                 and tenant_id is not null and owner_id <> tenant_id";
    lab.batch()
        .upsert("Link", link(1, 3, 7), at(10))
        .upsert("Link", link(2, 3, 8), at(11))
        .apply(&lab.target)
        .await;
    assert_eq!(lab.text(links).await, "2", "neither end is there yet");

    // A delete tells the key and nothing else.
    let bare = with(
        link(1, 0, 0),
        &[("Owners", LegacyValue::Unchanged), ("Tenants", LegacyValue::Unchanged)],
    );
    lab.batch().delete("Link", bare, at(20)).apply(&lab.target).await;
    lab.batch().upsert("Link", link(1, 3, 7), at(10)).apply(&lab.target).await;
    lab.batch().upsert("Link", link(1, 3, 7), read(15)).apply(&lab.target).await;
    assert_eq!(lab.text(links).await, "1", "the insert came again, the link does not");
    assert_eq!(short(&lab.counts("dbo.Link", "repair").await), "read 5, applied 3, stale 2");

    lab.batch()
        .upsert("Tenant", tenant(8), at(30))
        .upsert("Party", party(8, "Dorj"), at(30))
        .apply(&lab.target)
        .await;
    let end = "select t.name from links l join tenants t on t.id = l.tenant_id";
    assert_eq!(lab.text(end).await, "Dorj");
}
