//! One test for each of the traps of an XPO database that belong to mapping. A test's name is
//! the failure it guards.

use std::io::Write;

use flate2::{Compression, write::DeflateEncoder, write::GzEncoder, write::ZlibEncoder};
use uuid::Uuid;

use crate::{
    fixture::*,
    key::CanonicalKey,
    plan::{Outcome, SourceOp},
    row::RowKind,
    value::{Decimal, LegacyValue},
};

mod storage;

use LegacyValue::{Bool, BrokenText, Bytes, Float, Guid, Int, Null, Unchanged};

const OWNER: LegacyValue<'static> = Int(7);
const TENANT: LegacyValue<'static> = Int(8);
const PARTY: LegacyValue<'static> = Int(9);

fn contract<'a>(company: &'a str, number: &'a str) -> [(&'static str, LegacyValue<'a>); 2] {
    [("CompanyNo", text(company)), ("ContractNo", text(number))]
}

fn key(bench: &mut Bench, table: &str, given: &[(&str, LegacyValue<'_>)]) -> CanonicalKey {
    bench.mapped(table, given).row.key
}

#[test]
fn trap_01_a_soft_delete_that_only_the_root_shows_is_lost() {
    let mut bench = Bench::new();
    let name = ("Name", text("Бат"));
    let deleted = [("OID", Int(1)), ("ObjectType", OWNER), ("GCRecord", Int(1234)), name.clone()];
    let root = bench.mapped("Party", &deleted);
    assert_eq!(root.row.kind, RowKind::SoftDelete);
    assert_eq!(root.get("deleted_at"), "2023-11-14 22:13:20+00");

    let leaf = bench.mapped("Owner", &[("OID", Int(1)), ("BankAccount", text("MN1"))]);
    assert_eq!(leaf.row.kind, RowKind::Upsert, "a leaf has neither type nor GCRecord");
    assert_eq!(leaf.row.key, root.row.key, "both parts are one row");
    assert_eq!(bench.batches.iter().map(|batch| batch.part).collect::<Vec<_>>(), [0, 1]);

    let deleted = [("OID", Int(2)), ("ObjectType", TENANT), ("GCRecord", Int(-1)), name];
    let tenant = bench.mapped("Party", &deleted);
    assert_eq!(tenant.row.kind, RowKind::Delete, "soft_delete = \"delete\"");
    assert!(tenant.row.fields.is_empty());
}

#[test]
fn trap_01_a_root_row_lands_in_the_wrong_entity() {
    let mut bench = Bench::new();
    let row =
        |kind: LegacyValue<'static>| [("OID", Int(1)), ("ObjectType", kind), ("Name", text("Бат"))];
    let owners = bench.entity("owners").id;
    let tenants = bench.entity("tenants").id;
    assert_eq!(bench.map("Party", &row(OWNER)), Outcome::Mapped(owners));
    assert_eq!(bench.map("Party", &row(TENANT)), Outcome::Mapped(tenants));
    assert_eq!(bench.map("Party", &row(PARTY)), Outcome::Ignored("other-type".into()));
}

#[test]
fn trap_01_a_delete_without_a_type_is_lost() {
    let mut bench = Bench::new();
    let first = bench.entity("owners").id;
    let outcome = bench.map_op(SourceOp::Delete, "Party", &[("OID", Int(1))], &Unchanged);
    assert_eq!(outcome, Outcome::Mapped(first));
    let rows: Vec<_> = bench.batches.iter().flat_map(|batch| &batch.rows).collect();
    assert_eq!(rows.len(), 2, "one for each entity that it may have been");
    assert!(rows.iter().all(|row| row.kind == RowKind::Delete && row.key.to_string() == "1"));

    let known = [("OID", Int(2)), ("ObjectType", TENANT)];
    bench.map_op(SourceOp::Delete, "Party", &known, &Unchanged);
    assert_eq!(bench.batches.row_count(), 3, "a known type is one entity's");
}

#[test]
fn trap_02_a_type_is_taken_by_its_number() {
    let mut bench = Bench::new();
    for number in [Int(99), Null] {
        let row = [("OID", Int(1)), ("ObjectType", number), ("Name", text("Бат"))];
        assert_eq!(bench.rejected("Party", &row).0, "type.unknown");
    }
    // The same number is another type in another database.
    bench.types.insert(7, "Demo.Tenant".into());
    let row = [("OID", Int(1)), ("ObjectType", Int(7)), ("Name", text("Бат"))];
    let tenants = bench.entity("tenants").id;
    assert_eq!(bench.map("Party", &row), Outcome::Mapped(tenants));
    let space = [("OID", Int(1)), ("Property", Guid(Uuid::max())), ("ObjectType", Int(11))];
    assert_eq!(bench.mapped("Space", &space).get("kind"), "parking");
    let space = [("OID", Int(1)), ("Property", Guid(Uuid::max())), ("ObjectType", Int(12))];
    assert_eq!(bench.rejected("Space", &space).0, "type.unknown");
}

#[test]
fn trap_03_an_undeleted_row_stays_deleted_or_a_deleted_one_is_refused() {
    let mut bench = Bench::new();
    // XPO has cleared the references of a soft-deleted row, `not_null` or not.
    let deleted = bench.mapped("Space", &[("OID", Int(1)), ("GCRecord", Int(5))]);
    assert_eq!(deleted.row.kind, RowKind::SoftDelete);
    assert_eq!(deleted.get("property_id"), "NULL");
    assert_eq!(bench.rejected("Space", &[("OID", Int(1))]).0, "null", "a live one needs it");

    let undeleted = bench.mapped("Space", &[("OID", Int(1)), ("Property", Guid(Uuid::max()))]);
    assert_eq!(undeleted.row.kind, RowKind::Upsert);
    assert_eq!(undeleted.get("deleted_at"), "NULL");
}

#[test]
fn trap_06_two_spellings_of_one_key_are_two_rows() {
    let mut bench = Bench::new();
    let one = key(&mut bench, "Contract", &contract("ub", "Гэрээ-1 "));
    let two = key(&mut bench, "Contract", &contract("UB  ", "ГЭРЭЭ-1"));
    assert_eq!(one, two);
    assert_eq!(one.to_string(), "UB/ГЭРЭЭ-1");
    let other = key(&mut bench, "Contract", &contract("UBГ", "ЭРЭЭ-1"));
    assert_ne!(one, other, "parts keep their borders");
}

#[test]
fn trap_07_a_reference_spelled_otherwise_finds_no_parent() {
    let mut bench = Bench::new();
    let parent = key(&mut bench, "Contract", &contract("UB", "C-1"));
    let item =
        [("KeyCompanyNo", text("ub ")), ("KeyContractNo", text("c-1")), ("KeyLineNo", Int(3))];
    let contracts = bench.entity("contracts").id;
    let item = bench.mapped("ContractItem", &item);
    assert_eq!(item.slots[1], (contracts, parent.to_string()));
    assert_eq!(item.row.key.to_string(), "UB/C-1/3");

    let half = [("OID", Int(1)), ("ContractCompanyNo", text("UB"))];
    let invoice = bench.mapped("Invoice", &half);
    assert_eq!(invoice.get("contract_id"), "NULL", "a key that is partly NULL refers to nothing");
    assert_eq!(invoice.slots.len(), 1);
    let nobody = [("OID", Int(1)), ("Property", Guid(Uuid::nil())), ("GCRecord", Int(1))];
    let space = bench.mapped("Space", &nobody);
    assert_eq!(space.get("property_id"), "NULL", "an empty GUID refers to nothing");
}

#[test]
fn trap_08_a_datetime_in_a_key_does_not_find_its_row_again() {
    let mut bench = Bench::new();
    let at = time("2024-03-01T00:00:00.187");
    let row = [("SPACE_ID", Int(1)), ("RATE_CODE", text("day")), ("VALID_FROM", at.clone())];
    let rate = key(&mut bench, "SpaceRate", &row);
    assert_eq!(rate.to_string(), "1/DAY/2024-03-01T00:00:00.187");
    assert_eq!(rate.parts(), [Int(1), text("DAY"), at]);
}

#[test]
fn trap_10_a_lob_that_the_event_does_not_carry_becomes_null() {
    let mut bench = Bench::new();
    let mut row = contract("UB", "1").to_vec();
    row.push(("Terms", Unchanged));
    let update = bench.mapped("Contract", &row);
    let terms = bench.entity("contracts").columns.iter().position(|c| c.name == "terms");
    assert_eq!(update.row.unchanged, 1 << terms.expect("a column"));
    assert_eq!(update.get("terms"), "NULL");

    row.push(("Status", Unchanged));
    assert_eq!(bench.rejected("Contract", &row).0, "column.missing", "no LOB");
}

#[test]
fn trap_11_a_sentinel_or_a_day_is_converted_as_an_instant() {
    let mut bench = Bench::new();
    let mut signed = |at: &str| {
        let mut row = contract("UB", "1").to_vec();
        row.push(("SignedOn", time(at)));
        bench.mapped("Contract", &row)
    };
    assert_eq!(signed("1753-01-01").get("signed_on"), "NULL");
    assert_eq!(signed("2024-03-01T12:00:00.003").get("signed_on"), "2024-03-01 04:00:00.003+00");
    assert_eq!(signed("2005-07-01T12:00:00").get("signed_on"), "2005-07-01 03:00:00+00");
    assert_eq!(signed("2015-03-28T02:30:00").get("signed_on"), "2015-03-27 18:30:00+00");
    let row = signed("2024-03-01T12:00:00").row;
    assert_eq!(row.created_at_ms, Some(1_709_265_600_000), "the id's time is the column's instant");
    assert_eq!(signed("1753-01-01").row.created_at_ms, None);

    let mut row = contract("UB", "1").to_vec();
    row.extend([("StartDate", time("2024-03-01")), ("EndDate", time("9999-12-31T23:59:59.997"))]);
    let days = bench.mapped("Contract", &row);
    assert_eq!(days.get("start_date"), "2024-03-01");
    assert_eq!(days.get("end_date"), "infinity");
    row[2] = ("StartDate", time("2024-03-01T08:00:00"));
    assert_eq!(bench.rejected("Contract", &row).0, "date.time");

    let owner = [
        ("OID", Int(1)),
        ("ObjectType", OWNER),
        ("Name", text("Бат")),
        ("CreatedOn", time("2015-03-28T02:30:00")),
    ];
    assert_eq!(bench.rejected("Party", &owner).0, "zone.gap");
}

#[test]
fn trap_12_null_is_not_what_the_application_reads() {
    let mut bench = Bench::new();
    let bare = bench.mapped("Contract", &contract("UB", "1"));
    assert_eq!(bare.get("status"), "draft");
    assert_eq!(bare.get("currency"), "MNT");
    assert_eq!(bare.get("version"), "0");
    assert_eq!(bare.get("vat_rate"), "NULL", "no default, no invention");
    let user = bench.mapped("PermissionPolicyUser", &[("Oid", Guid(Uuid::max()))]);
    assert_eq!(user.get("is_active"), "f");
}

#[test]
fn trap_13_money_is_rounded() {
    let mut bench = Bench::new();
    let mut total = |value: LegacyValue<'static>| {
        let mut row = contract("UB", "1").to_vec();
        row.push(("MonthlyTotal", value));
        match bench.map("Contract", &row) {
            Outcome::Mapped(entity) => Ok(bench.last(entity).i64("monthly_total")),
            Outcome::Rejected(rejection) => Err((rejection.rule, rejection.detail)),
            Outcome::Ignored(rule) => panic!("{rule}"),
        }
    };
    assert_eq!(total(money(12_345_600)), Ok(123_456));
    assert_eq!(total(money(-1_000_000_000_000)), Ok(-10_000_000_000));
    let (rule, detail) = total(money(12_345_678)).expect_err("four digits");
    assert_eq!(rule, "money.inexact");
    assert!(detail.starts_with("`MonthlyTotal` = `1234.5678` is not a whole number"), "{detail}");
    assert_eq!(total(money(10_i128.pow(30))).expect_err("too much").0, "money.range");

    let paid = |value| [("OID", Int(1)), ("PaidTotal", Float(value))];
    assert_eq!(bench.mapped("Invoice", &paid(1234.56)).i64("paid_total"), 123_456);
    assert_eq!(bench.mapped("Invoice", &[("OID", Int(1))]).i64("paid_total"), 0);
    assert_eq!(bench.rejected("Invoice", &paid(0.1 + 0.2)).0, "money.inexact");
    assert_eq!(bench.rejected("Invoice", &paid(1e300)).0, "number.range");
}

#[test]
fn trap_17_an_enum_value_that_nobody_named_is_taken() {
    let mut bench = Bench::new();
    let mut row = contract("UB", "1").to_vec();
    row.push(("Status", Int(7)));
    let (rule, detail) = bench.rejected("Contract", &row);
    assert_eq!(rule, "enum.unknown");
    assert!(detail.starts_with("`Status` = `7`"), "{detail}");
    row[2] = ("Status", Int(1));
    assert_eq!(bench.mapped("Contract", &row).get("status"), "active");
}

#[test]
fn trap_18_a_text_that_postgres_refuses_stops_the_batch() {
    let mut bench = Bench::new();
    let mut row = contract("UB", "1").to_vec();
    row.push(("Terms", text("a\0b")));
    assert_eq!(bench.rejected("Contract", &row).0, "text.nul");
    row[2] = ("Terms", BrokenText("a\u{fffd}".into()));
    assert_eq!(bench.rejected("Contract", &row).0, "text.surrogate");

    let property = [("Oid", Guid(Uuid::max())), ("Address", BrokenText("a\u{fffd}".into()))];
    assert_eq!(bench.mapped("Property", &property).get("address"), "a\u{fffd}", "the file says so");
    let owner =
        [("OID", Int(1)), ("ObjectType", OWNER), ("Name", text("n")), ("Note", text("a\0b\0"))];
    assert_eq!(bench.mapped("Party", &owner).get("note"), "ab", "the file says so");
    let broken = [("CompanyNo", BrokenText("\u{fffd}".into())), ("ContractNo", text("1"))];
    assert_eq!(bench.rejected("Contract", &broken).0, "key.surrogate");
}

#[test]
fn trap_19_a_file_is_taken_compressed() {
    let content = "Гэрээний хавсралт ".repeat(40).into_bytes();
    let length = i64::try_from(content.len()).expect("small");
    let size = Int(length);
    let best = Compression::best();
    let mut gzip = GzEncoder::new(Vec::new(), best);
    gzip.write_all(&content).expect("memory");
    let mut zlib = ZlibEncoder::new(Vec::new(), best);
    zlib.write_all(&content).expect("memory");
    let mut deflate = DeflateEncoder::new(Vec::new(), best);
    deflate.write_all(&content).expect("memory");
    let readings = [
        gzip.finish().expect("memory"),
        zlib.finish().expect("memory"),
        deflate.finish().expect("memory"),
        content.clone(),
    ];
    let mut bench = Bench::new();
    for stored in &readings {
        let row =
            [("Oid", Guid(Uuid::max())), ("Content", Bytes(stored.into())), ("size", size.clone())];
        let file = bench.mapped("FileData", &row);
        assert_eq!(file.raw["content"].as_deref(), Some(content.as_slice()));
        for wrong in [Int(1), Int(length - 1), Int(length + 1), Int(i64::MAX), Int(-1), Null] {
            let row =
                [("Oid", Guid(Uuid::max())), ("Content", Bytes(stored.into())), ("size", wrong)];
            assert!(bench.rejected("FileData", &row).0.starts_with("file."));
        }
    }
    let lob = [("Oid", Guid(Uuid::max())), ("Content", Unchanged), ("size", size)];
    assert_eq!(bench.mapped("FileData", &lob).row.unchanged, 0b10);
}

#[test]
fn trap_20_a_password_hash_is_shown() {
    let mut bench = Bench::new();
    let row = [("Oid", Guid(Uuid::max())), ("StoredPassword", text("c2VjcmV0\0"))];
    let (rule, detail) = bench.rejected("PermissionPolicyUser", &row);
    assert_eq!(rule, "text.nul");
    assert!(detail.starts_with("`StoredPassword` (masked) holds"), "{detail}");
    assert_eq!(bench.table("PermissionPolicyUser").sensitive_columns(), ["StoredPassword"]);
    assert_eq!(bench.table("Owner").sensitive_columns(), ["BankAccount"]);

    let careless = MAPPING.replace(
        r#"{ from = "StoredPassword", as = "text", sensitive = true }"#,
        r#"{ from = "StoredPassword", as = "text" }"#,
    );
    let mistakes =
        crate::plan::Plan::compile(&[file(&careless)], &catalog()).expect_err("careless");
    assert_eq!(mistakes[0].message, "`StoredPassword` is not masked");
}

#[test]
fn converters_of_xpo_oddities() {
    let mut bench = Bench::new();
    let mut row = vec![("Oid", Guid(Uuid::nil()))];
    row.extend([
        ("Color", Int(-16_744_448)),
        ("OpensAt", Float(32_400.0)),
        ("TotalArea", Float(81.35)),
    ]);
    let property = bench.mapped("Property", &row);
    assert_eq!(property.get("color"), "#ff008000");
    assert_eq!(property.get("opens_at"), "32400");
    assert_eq!(property.get("area"), "81.35");
    assert_eq!(property.get("origin"), "legacy");
    row[2] = ("OpensAt", Float(0.5));
    assert_eq!(bench.rejected("Property", &row).0, "seconds.inexact");
    row[2] = ("OpensAt", Null);
    row[3] = ("TotalArea", Float(0.125));
    assert_eq!(bench.rejected("Property", &row).0, "numeric.inexact");
    row[3] = ("TotalArea", Float(1e9));
    assert_eq!(bench.rejected("Property", &row).0, "numeric.range");

    let tenant = bench.mapped("Tenant", &[("OID", Int(1)), ("VatPayer", Bool(true))]);
    assert_eq!(tenant.get("vat_payer"), "t");
    let price = LegacyValue::Decimal(Decimal { unscaled: 15, scale: 1 });
    let item = [
        ("KeyCompanyNo", text("UB")),
        ("KeyContractNo", text("1")),
        ("KeyLineNo", Int(1)),
        ("UnitPrice", price),
    ];
    assert_eq!(bench.mapped("ContractItem", &item).get("unit_price"), "1.5000000000");
}

#[test]
fn tables_that_become_nothing_are_ignored_by_name() {
    let mut bench = Bench::new();
    let ignored = bench.map_op(SourceOp::Upsert, "ModuleInfo", &[], &Null);
    assert_eq!(ignored, Outcome::Ignored("ignored-table".into()));
    assert_eq!(bench.map("XPObjectType", &[]), Outcome::Ignored("object-types".into()));
    assert_eq!(bench.batches.row_count(), 0);
    let unnamed: Vec<String> =
        bench.plan.unnamed_tables(&catalog()).iter().map(ToString::to_string).collect();
    assert_eq!(unnamed, ["dbo.Payment"]);
}
