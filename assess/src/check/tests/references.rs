use uuid::Uuid;

use super::harness::{Base, NULL, Value, int, text};
use mapping::value::LegacyValue;

const KEY: (&str, &str) = ("OID", "int not null identity key");

fn rows(rows: &[(i64, Option<i64>)]) -> Vec<Vec<Value>> {
    rows.iter().map(|(key, value)| vec![int(*key), value.map_or(NULL, int)]).collect()
}

#[test]
fn orphans_and_deleted_parents_are_counted() {
    let base = Base::new()
        .table("Parent", &[KEY, ("GCRecord", "int")], rows(&[(1, None), (2, Some(9))]))
        .table(
            "Child",
            &[KEY, ("Owner", "int"), ("GCRecord", "int")],
            [(1, 1, false), (2, 2, false), (3, 2, true), (4, 3, false), (5, 3, true)].map(
                |(key, owner, deleted)| {
                    vec![int(key), int(owner), if deleted { int(5) } else { NULL }]
                },
            ),
        )
        .refers("Owner", "Parent", "OID");
    assert_eq!(
        base.hazards("Child", &[]),
        ["reference.orphan Owner 2: 4 5", "reference.deleted Owner 1: 2"]
    );
}

#[test]
fn a_tree_and_a_ring_wait_for_their_rows() {
    let tree = Base::new()
        .table("Node", &[KEY, ("Above", "int")], rows(&[(1, Some(3)), (2, Some(9)), (3, None)]))
        .refers("Above", "Node", "OID");
    assert_eq!(tree.hazards("Node", &[]), ["reference.orphan Above 1: 2"]);
    let ring = Base::new()
        .table("A", &[KEY, ("ToB", "int")], rows(&[(1, Some(1)), (2, Some(7))]))
        .refers("ToB", "B", "OID")
        .table("B", &[KEY, ("ToA", "int")], rows(&[(1, Some(2)), (2, Some(8))]))
        .refers("ToA", "A", "OID");
    assert_eq!(ring.hazards("A", &[]), ["reference.orphan ToB 1: 2"]);
    assert_eq!(ring.hazards("B", &[]), ["reference.orphan ToA 1: 2"]);
}

fn contracts() -> Base {
    let key = [("CompanyNo", "nvarchar(4) not null key"), ("No", "nvarchar(20) not null key")];
    Base::new().table(
        "Contract",
        &key,
        [vec![text("UB"), text("a1")], vec![text("UB"), text("B2 ")]],
    )
}

#[test]
fn a_composite_reference_is_compared_as_its_parent_is() {
    let columns = [KEY, ("ContractCompanyNo", "nvarchar(9)"), ("ContractNo", "nvarchar(9)")];
    let row = |n, company: Value, number: Value| vec![int(n), company, number];
    let base = contracts().table(
        "Invoice",
        &columns,
        [
            row(1, text("UB"), text("a1")),
            row(2, text("ub"), text("A1")),
            row(3, text("UB"), text("b2")),
            row(4, text("UB"), NULL),
            row(5, NULL, NULL),
            row(6, text("UB"), text("a1")),
            row(7, text("UB"), text("C3")),
        ],
    );
    assert_eq!(
        base.hazards("Invoice", &[]),
        [
            "reference.orphan ContractCompanyNo+ContractNo 1: 7",
            "reference.partial ContractCompanyNo+ContractNo 1: 4",
            "reference.spelling ContractCompanyNo+ContractNo 2: 2 3",
            "reference.loose ContractCompanyNo+ContractNo 5",
        ]
    );
}

#[test]
fn a_name_is_no_reference_when_the_data_says_otherwise() {
    let parent = || Base::new().table("Space", &[KEY], (1..9).map(|n| vec![int(n)]));
    let child = |values: &[i64]| {
        let rows = values.iter().zip(1..).map(|(value, n)| vec![int(n), int(*value)]);
        parent().table("Rate", &[KEY, ("SPACE_ID", "int")], rows)
    };
    assert_eq!(
        child(&[1, 2, 3, 77]).hazards("Rate", &[]),
        ["reference.orphan SPACE_ID 1: 4", "reference.loose SPACE_ID 4"]
    );
    assert_eq!(child(&[1, 55, 66, 77]).hazards("Rate", &[]), Vec::<String>::new());
    // The names of a composite key are stronger: one row that finds its parent is enough.
    let columns = [KEY, ("ContractCompanyNo", "nvarchar(9)"), ("ContractNo", "nvarchar(9)")];
    let invoices = |found: bool| {
        let first = if found { "a1" } else { "z9" };
        let rows = [first, "x", "y", "z"].into_iter().zip(1..);
        let rows = rows.map(|(number, n)| vec![int(n), text("UB"), text(number)]);
        contracts().table("Invoice", &columns, rows).hazards("Invoice", &[])
    };
    assert_eq!(
        invoices(true),
        [
            "reference.orphan ContractCompanyNo+ContractNo 3: 2 3 4",
            "reference.loose ContractCompanyNo+ContractNo 4",
        ]
    );
    assert_eq!(invoices(false), Vec::<String>::new());
}

#[test]
fn the_empty_guid_refers_to_nothing_and_is_no_orphan() {
    let guid = |n: u128| LegacyValue::Guid(Uuid::from_u128(n));
    let key = ("Oid", "uniqueidentifier not null key");
    let base = Base::new()
        .table("User", &[key], [vec![guid(1)]])
        .table(
            "Log",
            &[key, ("By", "uniqueidentifier")],
            [vec![guid(5), guid(0)], vec![guid(6), guid(1)]],
        )
        .refers("By", "User", "Oid");
    assert_eq!(base.hazards("Log", &[]), Vec::<String>::new());
}

/// A root with classes `Owner` (1) and `Party` (2), and the leaf table of the first.
fn parties(roots: &[(i64, i64, bool)], leaves: &[i64]) -> Base {
    let roots = roots.iter().map(|(key, class, deleted)| {
        vec![int(*key), int(*class), if *deleted { int(3) } else { NULL }]
    });
    let mut base = Base::new()
        .table("Party", &[KEY, ("ObjectType", "int"), ("GCRecord", "int")], roots)
        .table("Owner", &[("OID", "int not null key")], leaves.iter().map(|key| vec![int(*key)]))
        .refers("OID", "Party", "OID");
    base.types = [(1, "App.Owner".to_owned()), (2, "App.Party".to_owned())].into();
    base
}

#[test]
fn root_and_leaf_belong_together() {
    let base = parties(&[(1, 1, false), (2, 2, false), (3, 1, false), (4, 1, true)], &[1, 4, 9]);
    assert_eq!(base.hazards("Party", &["type.values"]), ["tpt.root-without-leaf ObjectType 1: 3"]);
    assert_eq!(base.hazards("Owner", &[]), ["tpt.leaf-without-root OID 1: 9"]);
}

#[test]
fn a_leaf_is_deleted_where_its_root_is() {
    let base = parties(&[(1, 1, false), (2, 1, true)], &[1, 2])
        .table("House", &[KEY, ("Owned", "int")], rows(&[(1, Some(1)), (2, Some(2))]))
        .refers("Owned", "Owner", "OID");
    assert_eq!(base.hazards("House", &[]), ["reference.deleted Owned 1: 2"]);
}

#[test]
fn more_keys_than_memory_is_told_and_not_guessed() {
    let mut base = Base::new()
        .table("Parent", &[KEY], (1..50).map(|n| vec![int(n)]))
        .table("Child", &[KEY, ("Owner", "int")], rows(&[(1, Some(1)), (2, Some(99))]))
        .refers("Owner", "Parent", "OID");
    base.keys_max = 10;
    assert_eq!(base.hazards("Child", &[]), ["reference.unchecked Owner"]);
    base.keys_max = 60;
    assert_eq!(base.hazards("Child", &[]), ["reference.orphan Owner 1: 2"]);
}
