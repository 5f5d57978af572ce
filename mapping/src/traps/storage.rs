//! Traps of what is kept beside the tables: archived rows, objects, numbers.

use crate::{
    fixture::*,
    plan::Plan,
    row::RowKind,
    value::LegacyValue::{Guid, Int, Null},
};
use uuid::Uuid;

/// The fixture's mapping with some texts replaced.
fn bench(changes: &[(&str, &str)]) -> Bench {
    let mut text = MAPPING.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in the fixture");
        text = text.replace(from, to);
    }
    let plan = Plan::compile(&[file(&text)], &catalog()).unwrap_or_else(|m| panic!("{m:#?}"));
    Bench { plan, ..Bench::new() }
}

#[test]
fn trap_03_an_archived_row_is_refused_for_the_references_that_xpo_has_cleared() {
    let mut bench = bench(&[("soft_delete = \"deleted_at\"", "soft_delete = \"archive\"")]);
    let space = bench.entity("spaces");
    assert!(space.columns.iter().all(|column| column.name != "deleted_at"));
    assert_eq!(space.deleted_at, None);
    let row = bench.mapped("Space", &[("OID", Int(1)), ("GCRecord", Int(5))]);
    assert_eq!(row.row.kind, RowKind::SoftDelete);
    assert_eq!(row.get("property_id"), "NULL", "not_null, and cleared by the soft delete");
    assert_eq!(bench.rejected("Space", &[("OID", Int(1))]).0, "null", "a live one needs it");
    let live = [("OID", Int(1)), ("Property", Guid(Uuid::max())), ("GCRecord", Null)];
    assert_eq!(bench.mapped("Space", &live).row.kind, RowKind::Upsert);
}
