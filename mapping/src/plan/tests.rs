use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    fixture::{Bench, SEEN_AT_US, text},
    row::{Batches, fields},
    value::Decimal,
};

/// Any value of any kind, odd ones included.
pub(crate) fn any_value() -> impl Strategy<Value = LegacyValue<'static>> {
    prop_oneof![
        Just(LegacyValue::Null),
        Just(LegacyValue::Unchanged),
        any::<bool>().prop_map(LegacyValue::Bool),
        prop_oneof![any::<i64>(), Just(i64::MIN), -10_i64..10].prop_map(LegacyValue::Int),
        prop_oneof![any::<f64>(), (-1000_i32..1000).prop_map(|n| f64::from(n) / 4.0)]
            .prop_map(LegacyValue::Float),
        (prop_oneof![any::<i128>(), Just(i128::MIN), -1000_i128..1000], 0_u8..=60)
            .prop_map(|(unscaled, scale)| LegacyValue::Decimal(Decimal { unscaled, scale })),
        any::<String>().prop_map(|s| LegacyValue::Text(s.into())),
        "[0-9.eE+-]{0,12}".prop_map(|s| LegacyValue::Text(s.into())),
        any::<String>().prop_map(|s| LegacyValue::BrokenText(s.into())),
        any::<Vec<u8>>().prop_map(|b| LegacyValue::Bytes(b.into())),
        any::<u128>().prop_map(|n| LegacyValue::Guid(Uuid::from_u128(n))),
        any::<i32>().prop_map(LegacyValue::Date),
        prop_oneof![any::<i64>(), Just(i64::MIN), 0_i64..864_000_000_000]
            .prop_map(LegacyValue::Time),
        prop_oneof![any::<i64>(), (-70_000_000_i64..8_000_000_000).prop_map(|s| s * 10_000_000)]
            .prop_map(LegacyValue::Timestamp),
        (prop_oneof![any::<i64>(), Just(i64::MAX)], any::<i16>()).prop_map(
            |(utc_ticks, offset_minutes)| {
                LegacyValue::TimestampOffset { utc_ticks, offset_minutes }
            }
        ),
    ]
}

proptest! {
    #[test]
    fn any_row_of_any_table_is_one_of_the_three(
        values in prop::collection::vec(any_value(), 0..20),
        table in 0_usize..20,
        delete: bool,
    ) {
        let bench = Bench::new();
        let table = &bench.plan.tables[table % bench.plan.tables.len()];
        let op = if delete { SourceOp::Delete } else { SourceOp::Upsert };
        let wide: Vec<_> = values.iter().cycle().take(table.columns.len()).cloned().collect();
        let wide = if values.is_empty() { Vec::new() } else { wide };
        let change = SourceChange { op, values: &wide, position: Position::ZERO, sequence: 0 };
        let context = Context { object_types: &bench.types, seen_at_us: SEEN_AT_US };
        let mut batches = Batches::default();
        match table.map(&change, &context, &mut batches) {
            Outcome::Mapped(_) => prop_assert!(batches.row_count() >= 1),
            Outcome::Ignored(_) | Outcome::Rejected(_) => prop_assert_eq!(batches.iter().count(), 0),
        }
        for batch in batches.iter() {
            let part = &bench.plan.entities[usize::from(batch.entity.0)].parts[usize::from(batch.part)];
            for row in batch.rows.iter().filter(|row| !row.fields.is_empty()) {
                let bytes = &batch.fields[row.fields.clone()];
                prop_assert_eq!(fields(bytes).count(), part.columns.len());
            }
        }
    }
}

#[test]
fn a_rejected_row_leaves_its_neighbours_alone() {
    let mut bench = Bench::new();
    let key = [("CompanyNo", text("A")), ("ContractNo", text("1"))];
    bench.mapped("Contract", &key);
    let mut bad = key.to_vec();
    bad.push(("Status", LegacyValue::Int(99)));
    bench.rejected("Contract", &bad);
    let good = bench.mapped("Contract", &key);
    assert_eq!(good.get("company_no"), "A");
    assert_eq!(bench.batches.row_count(), 2);
}

#[test]
fn the_plan_says_what_others_need() {
    let bench = Bench::new();
    let owners = bench.entity("owners");
    let names: Vec<&str> = owners.columns.iter().map(|column| column.name.as_str()).collect();
    let wanted = [
        "id",
        "name",
        "register_no",
        "kind",
        "created_on",
        "note",
        "bank_account",
        "commission",
        "version",
        "deleted_at",
    ];
    assert_eq!(names, wanted);
    assert_eq!(owners.parts[0].columns, [0, 1, 2, 3, 4, 5, 8, 9]);
    assert_eq!(owners.parts[1].columns, [0, 6, 7]);
    assert_eq!((owners.version, owners.deleted_at), (Some(8), Some(9)));
    assert_eq!(owners.columns[9].compare, Compare::Presence);

    let party = bench.table("Party");
    let tenants = bench.entity("tenants").id;
    assert_eq!(party.role, TableRole::Entities(vec![(owners.id, 0), (tenants, 0)]));
    assert_eq!(party.key, [0]);
    assert!(party.columns.iter().all(|column| column.name != "Phone"), "left out is not read");
    assert_eq!(party.left_out()[0].reason, "not in the test");
    assert!(party.columns.iter().any(|column| column.name == "Note" && column.lob));

    let contracts = bench.entity("contracts");
    let reference = &contracts.references[0];
    assert_eq!((reference.column.as_str(), reference.entity), ("tenant_id", tenants));
    assert_eq!(bench.plan.domains(), ["test"]);
    assert_eq!(bench.plan.version.len(), 32);
}

#[test]
fn columns_compare_as_the_file_says() {
    let bench = Bench::new();
    let owners = bench.entity("owners");
    assert!(owners.column_equal(9, Some(b"1"), Some(b"2")), "presence");
    assert!(!owners.column_equal(9, Some(b"1"), None));
    assert!(!owners.column_equal(1, Some(b"1"), Some(b"2")));
    assert!(owners.column_equal(1, None, None));
}

#[test]
fn a_key_is_known_from_its_columns_alone() {
    let bench = Bench::new();
    let contract = bench.table("Contract");
    let mut values = vec![LegacyValue::Unchanged; contract.columns.len()];
    assert_eq!(contract.canonical_key(&values), None);
    values[contract.key[0]] = text("a");
    values[contract.key[1]] = text("b ");
    assert_eq!(contract.canonical_key(&values).map(|key| key.to_string()), Some("A/B".into()));
}

#[test]
fn a_key_is_known_from_a_text() {
    let bench = Bench::new();
    let contract = bench.table("Contract");
    let key = |text| contract.key_from_text(text).map(|key| key.to_string());
    assert_eq!(key("ub01/г-1 "), Some("UB01/Г-1".into()));
    assert_eq!(key("ub01/г~11"), key("UB01/Г~11"));
    assert_eq!(contract.key_from_text("a/b~11~0").map(|k| k.parts().len()), Some(2));
    assert_eq!(key("ub01"), None);
    assert_eq!(key("ub01/a/b"), None);
    assert_eq!(key(""), None);
}
