//! Traps of what is kept beside the tables: archived rows, objects, numbers.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    fixture::*,
    plan::{Context, Plan, SourceChange, SourceOp},
    position::Position,
    row::{Batches, RowKind},
    value::LegacyValue::{self, Bytes, Guid, Int, Null, Unchanged},
};

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

/// `sha256/ab/cdef…`, made another way than the mapping makes it.
fn address(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    let (folder, rest) = hex.split_at(2);
    format!("sha256/{folder}/{rest}")
}

const PHOTO: &str = "photo = { from = \"Photo\", as = \"bytea\", lob = \"inline\" }";
const ADDRESS: &str = "address = { from = \"Address\", as = \"text\", surrogate = \"replace\" }";
const CONTENT: &str = "content = { from = [\"Content\", \"size\"], as = \"xpo-file\" }";

fn stored() -> Bench {
    let photo = PHOTO.replace("inline", "object-store");
    let text =
        ADDRESS.replace(" }", ", lob = \"object-store\", trim = \"both\", empty = \"null\" }");
    let file = CONTENT.replace(" }", ", lob = \"object-store\" }");
    bench(&[(PHOTO, &photo), (ADDRESS, &text), (CONTENT, &file)])
}

#[test]
fn an_object_is_referred_to_by_its_content() {
    let mut bench = stored();
    let photo = vec![0, 159, 146, 150];
    let row = [
        ("Oid", Guid(Uuid::max())),
        ("Photo", Bytes(photo.clone().into())),
        ("Address", text("  Улаанбаатар ")),
    ];
    let property = bench.mapped("Property", &row);
    assert_eq!(property.get("photo"), address(&photo));
    assert_eq!(property.get("address"), address("Улаанбаатар".as_bytes()), "as it is cleaned");
    let batch = bench.batches.iter().next().expect("a batch");
    let objects: Vec<_> = batch.objects.iter().map(|o| (&*o.address, &*o.content)).collect();
    let (first, second) = (address("Улаанбаатар".as_bytes()), address(&photo));
    assert_eq!(objects, [(&*first, "Улаанбаатар".as_bytes()), (&*second, &*photo)]);
    assert_eq!(batch.byte_count(), batch.fields.len() + photo.len() + "Улаанбаатар".len());
    assert_eq!(bench.batches.object_byte_count(), photo.len() + "Улаанбаатар".len());
    assert!(!format!("{batch:?}").contains("159, 146"), "a batch that is shown has no values");

    let nothing = [("Oid", Guid(Uuid::max())), ("Address", text("   "))];
    let nothing = bench.mapped("Property", &nothing);
    assert_eq!((nothing.get("photo"), nothing.get("address")), ("NULL", "NULL"));
    let columns = bench.plan.object_columns();
    assert_eq!(columns, ["properties.address", "properties.photo", "files.content"]);
}

#[test]
fn trap_19_the_object_is_the_file_as_it_was_before_xaf_compressed_it() {
    let mut bench = stored();
    let content = "Гэрээний хавсралт ".repeat(40).into_bytes();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&content).expect("memory");
    let size = Int(i64::try_from(content.len()).expect("small"));
    for kept in [gzip.finish().expect("memory"), content.clone()] {
        let row =
            [("Oid", Guid(Uuid::max())), ("Content", Bytes(kept.into())), ("size", size.clone())];
        assert_eq!(bench.mapped("FileData", &row).get("content"), address(&content));
        let lies = [row[0].clone(), row[1].clone(), ("size", Int(1))];
        assert_eq!(bench.rejected("FileData", &lies).0, "file.length");
    }
    let objects: Vec<_> = bench.batches.iter().flat_map(|batch| &batch.objects).collect();
    assert_eq!(objects.len(), 2, "a refused row leaves none behind");
    assert!(objects.iter().all(|object| object.content == content));
}

#[test]
fn trap_10_an_object_that_the_event_does_not_carry_stays_as_it_was() {
    let mut bench = stored();
    let row = [("Oid", Guid(Uuid::max())), ("Photo", Unchanged), ("Address", Unchanged)];
    let property = bench.mapped("Property", &row);
    let places = ["photo", "address"].map(|name| {
        bench.entity("properties").columns.iter().position(|column| column.name == name)
    });
    let mask = places.into_iter().flatten().fold(0, |mask, place| mask | 1 << place);
    assert_eq!(property.row.unchanged, mask);
    assert_eq!(bench.batches.object_byte_count(), 0);
    let size =
        [("Oid", Guid(Uuid::max())), ("Content", Bytes(vec![1].into())), ("size", Unchanged)];
    assert_eq!(bench.rejected("FileData", &size).0, "column.missing");
}

#[test]
fn trap_10_a_row_is_read_again_for_the_columns_that_ask_for_it() {
    let address = ADDRESS.replace(" }", ", unchanged = \"reselect\" }");
    let photo = PHOTO.replace(" }", ", unchanged = \"keep\" }");
    // What is kept is the newest that came: only a table that asks for all of them needs no order.
    let both = bench(&[(PHOTO, &photo.replace("keep", "reselect")), (ADDRESS, &address)]);
    let (some, kept) = (bench(&[(PHOTO, &photo), (ADDRESS, &address)]), stored());
    for (bench, needs_order) in [(&some, true), (&kept, true), (&both, false)] {
        assert_eq!(bench.plan.needs_order(bench.table("Property")), needs_order);
    }
    let mut bench = some;
    assert!(bench.plan.reselects() && !stored().plan.reselects());
    for (photo, address, again) in
        [(Unchanged, text("x"), false), (Null, Unchanged, true), (Unchanged, Unchanged, true)]
    {
        let row = [("Oid", Guid(Uuid::max())), ("Photo", photo), ("Address", address)];
        let unchanged = bench.mapped("Property", &row).row.unchanged;
        assert_eq!(bench.entity("properties").is_reselected(0, unchanged), again);
        assert!(!bench.entity("properties").is_reselected(7, unchanged));
    }
}

#[test]
fn whoever_only_compares_keeps_no_objects() {
    let bench = stored();
    let table = bench.table("Property");
    let value = |name: &str| match name {
        "Oid" => Guid(Uuid::max()),
        "Photo" => Bytes(vec![7; 1000].into()),
        _ => Null,
    };
    let values: Vec<LegacyValue<'_>> = table.columns.iter().map(|c| value(&c.name)).collect();
    let change = SourceChange {
        op: SourceOp::Upsert,
        values: &values,
        position: Position::ZERO,
        sequence: 0,
    };
    let context = Context { object_types: &bench.types, seen_at_us: SEEN_AT_US };
    let (mut kept, mut compared) = (Batches::default(), Batches::addresses_only());
    table.map(&change, &context, &mut kept);
    table.map(&change, &context, &mut compared);
    let fields = |batches: &Batches| batches.iter().next().expect("a batch").fields.clone();
    assert_eq!(fields(&kept), fields(&compared), "one encoding");
    assert_eq!((kept.object_byte_count(), compared.object_byte_count()), (1000, 0));
}

#[test]
fn a_skipped_column_is_not_read_and_is_told() {
    let photo = PHOTO.replace("inline", "skip: printed forms are not migrated");
    let file = CONTENT.replace(" }", ", lob = \"skip: on the share\" }");
    let mut bench = bench(&[(PHOTO, &photo), (CONTENT, &file)]);
    let read = |bench: &Bench, table: &str, column: &str| {
        bench.table(table).columns.iter().any(|read| read.name == column)
    };
    assert!(!read(&bench, "Property", "Photo") && !read(&bench, "FileData", "Content"));
    assert!(bench.entity("properties").columns.iter().all(|column| column.name != "photo"));
    let left = bench.table("Property").left_out();
    let photo = left.iter().find(|left| left.column == "Photo").expect("told");
    assert_eq!((&*photo.entity, &*photo.reason), ("properties", "printed forms are not migrated"));
    let left: Vec<&str> =
        bench.table("FileData").left_out().iter().map(|left| left.column.as_str()).collect();
    assert!(left.contains(&"Content"), "{left:?}");
    bench.mapped("Property", &[("Oid", Guid(Uuid::max()))]);
}

#[test]
fn mistakes_about_large_values_are_told() {
    let check = |line: &str, by: &str, expect: &str| {
        let text = MAPPING.replace(line, by);
        assert_ne!(text, MAPPING, "{line} is not in the fixture");
        let mistakes = Plan::compile(&[file(&text)], &catalog()).expect_err(by);
        let told: Vec<&str> = mistakes.iter().map(|mistake| &*mistake.message).collect();
        assert_eq!(told, [expect], "{by}");
    };
    let photo = |lob: &str| PHOTO.replace("lob = \"inline\"", lob);
    check(PHOTO, &photo("lob = \"away\""), "`lob` can't be `away`");
    check(PHOTO, &photo("lob = \"skip\""), "the column is skipped without a reason");
    check(PHOTO, &photo("lob = \"skip: \""), "the column is skipped without a reason");
    check(
        PHOTO,
        &photo("lob = \"skip: why\", not_null = true"),
        "column `photo` is skipped, and says what it holds",
    );
    check(
        PHOTO,
        &photo("lob = \"object-store\", default = \"x\""),
        "the default of `photo` can't be written: the column has no default",
    );
    check(
        PHOTO,
        &format!(
            "{}\nagain = {{ from = \"Photo\", as = \"bytea\" }}",
            photo("lob = \"skip: why\"")
        ),
        "column `photo` skips what another line uses",
    );
    check(
        PHOTO,
        &photo("lob = \"skip: why\", unchanged = \"reselect\""),
        "column `photo` is skipped, and says what it holds",
    );
    check(
        PHOTO,
        &photo("unchanged = \"always\""),
        "`unchanged` of column `photo` (as bytea) can't be `always`",
    );
    check(
        "color = { from = \"Color\", as = \"color\" }",
        "color = { from = \"Color\", as = \"color\", unchanged = \"reselect\" }",
        "every change carries column `color`",
    );
    check(
        "color = { from = \"Color\", as = \"color\" }",
        "color = { from = \"Color\", as = \"color\", lob = \"object-store\" }",
        "`color` (as color) is no object",
    );
    check(
        "legacy_oid = { from = \"Oid\", as = \"uuid\" }",
        "legacy_oid = { from = \"Oid\", as = \"uuid\", lob = \"skip: why\" }",
        "column `legacy_oid` skips a part of the key",
    );
    check(
        "origin = { as = \"const\", value = \"legacy\" }",
        "origin = { as = \"const\", value = \"legacy\", lob = \"skip: why\" }",
        "column `origin` (as const) can't be skipped",
    );
    check(
        PHOTO,
        "photo = { from = \"Photo\", as = \"text\", lob = \"skip: why\" }",
        "`Photo` is varbinary(max), which can't be made as text",
    );
}
