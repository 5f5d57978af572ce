//! What SQL Server can't hold is refused, and what is exact comes back as it was.

use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestCaseError};
use uuid::Uuid;

use super::*;
use crate::{
    catalog::{Catalog, LegacyTable, SqlType, Table},
    convert::parse_timestamp,
    fixture::{Bench, file},
    plan::{Context, Outcome, Plan, SourceChange, SourceOp},
    position::Position,
    row::{Batches, fields},
    value::Decimal,
};

use LegacyValue::{Bool, Bytes, Date, Float, Guid, Int, Null, Text, Time, Timestamp};

fn column(sql_type: &str) -> Column {
    Column {
        name: "C".into(),
        sql_type: sql_type.parse().expect("a type"),
        nullable: true,
        collation: Some("Cyrillic_General_CI_AS".into()),
        computed: false,
        identity: false,
    }
}

/// The rule by which a value is refused.
fn refused(sql_type: &str, value: LegacyValue<'_>) -> &'static str {
    let refusal = fit(value, &column(sql_type)).expect_err(sql_type);
    assert!(refusal.to_string().starts_with("the value for `C` "), "{refusal}");
    refusal.rule
}

fn fits(sql_type: &str, value: LegacyValue<'static>) -> LegacyValue<'static> {
    fit(value, &column(sql_type)).unwrap_or_else(|refusal| panic!("{sql_type}: {refusal}"))
}

fn at(text: &str) -> LegacyValue<'static> {
    Timestamp(parse_timestamp(text).expect("a time"))
}

fn text(text: &str) -> LegacyValue<'static> {
    Text(text.to_owned().into())
}

fn decimal(unscaled: i128, scale: u8) -> LegacyValue<'static> {
    LegacyValue::Decimal(Decimal { unscaled, scale })
}

#[test]
fn trap_22_a_day_before_1753_is_written_into_a_datetime() {
    assert_eq!(refused("datetime", at("1752-12-31T23:59:59.999")), "time.range");
    assert_eq!(fits("datetime", at("1753-01-01")), at("1753-01-01"));
    assert_eq!(fits("datetime2(7)", at("0001-01-01")), at("0001-01-01"));
    assert_eq!(fits("datetime", at("9999-12-31T23:59:59.998")), at("9999-12-31T23:59:59.997"));
    assert_eq!(refused("datetime", at("9999-12-31T23:59:59.999")), "time.range");
    assert_eq!(refused("datetime2(3)", at("9999-12-31T23:59:59.9999")), "time.range");
    assert_eq!(refused("datetime2(7)", Timestamp(i64::MIN)), "time.range");
    assert_eq!(refused("date", Date(-719_163)), "time.range");
    assert_eq!(fits("date", Date(-719_162)), Date(-719_162));
    assert_eq!(refused("date", Date(2_932_897)), "time.range");
    assert_eq!(refused("smalldatetime", at("1899-12-31T23:59:59")), "time.range");
    assert_eq!(fits("smalldatetime", at("2079-06-06T23:59:29")), at("2079-06-06T23:59:00"));
    assert_eq!(refused("smalldatetime", at("2079-06-06T23:59:30")), "time.range");
    let offset =
        |ticks, offset_minutes| LegacyValue::TimestampOffset { utc_ticks: ticks, offset_minutes };
    assert_eq!(refused("datetimeoffset(7)", offset(0, 841)), "time.range");
    let first = -719_162 * 864_000_000_000_i64;
    assert_eq!(refused("datetimeoffset(7)", offset(first, -1)), "time.range", "the year 0 there");
    assert_eq!(fits("datetimeoffset(7)", offset(first, 1)), offset(first, 1));
}

#[test]
fn trap_22_a_time_is_rounded_otherwise_than_sql_server_rounds_it() {
    // The vendor's own table of a datetime's rounding.
    for (given, kept) in [
        ("1998-01-02T00:00:00.000", "1998-01-02T00:00:00.000"),
        ("1998-01-01T23:59:59.999", "1998-01-02T00:00:00.000"),
        ("1998-01-01T23:59:59.995", "1998-01-01T23:59:59.997"),
        ("1998-01-01T23:59:59.998", "1998-01-01T23:59:59.997"),
        ("1998-01-01T23:59:59.992", "1998-01-01T23:59:59.993"),
        ("1998-01-01T23:59:59.994", "1998-01-01T23:59:59.993"),
        ("1998-01-01T23:59:59.990", "1998-01-01T23:59:59.990"),
        ("1998-01-01T23:59:59.991", "1998-01-01T23:59:59.990"),
        ("1969-12-31T23:59:59.999", "1970-01-01T00:00:00.000"),
        ("1960-06-01T00:00:00.001", "1960-06-01T00:00:00.000"),
        ("1960-06-01T00:00:00.002", "1960-06-01T00:00:00.003"),
    ] {
        assert_eq!(fits("datetime", at(given)), at(kept), "{given}");
    }
    // And of a smalldatetime's.
    for (given, kept) in [
        ("2007-05-09T12:35:29.998", "2007-05-09T12:35:00"),
        ("2007-05-09T12:35:29.999", "2007-05-09T12:36:00"),
        ("2007-05-09T12:35:30.000", "2007-05-09T12:36:00"),
    ] {
        assert_eq!(fits("smalldatetime", at(given)), at(kept), "{given}");
    }
    assert_eq!(fits("datetime2(3)", at("2024-03-01T12:00:00.0005")), at("2024-03-01T12:00:00.001"));
    assert_eq!(fits("datetime2(0)", at("2024-12-31T23:59:59.5")), at("2025-01-01"));
    assert_eq!(fits("time(0)", Time(5_000_000)), Time(10_000_000));
    assert_eq!(refused("time(0)", Time(863_999_999_999)), "time.range", "no time of this day");
    assert_eq!(refused("time(7)", Time(864_000_000_000)), "time.range", "Postgres has 24:00");
}

#[test]
fn trap_22_more_money_than_the_column_holds() {
    assert_eq!(fits("money", decimal(i64::MAX.into(), 4)), decimal(i64::MAX.into(), 4));
    assert_eq!(fits("money", decimal(i64::MIN.into(), 4)), decimal(i64::MIN.into(), 4));
    assert_eq!(refused("money", decimal(i128::from(i64::MAX) + 1, 4)), "money.range");
    assert_eq!(fits("smallmoney", decimal(i32::MIN.into(), 4)), decimal(i32::MIN.into(), 4));
    assert_eq!(refused("smallmoney", decimal(i128::from(i32::MAX) + 1, 4)), "money.range");
    assert_eq!(fits("decimal(5,2)", decimal(-99_999, 2)), decimal(-99_999, 2));
    assert_eq!(refused("decimal(5,2)", decimal(100_000, 2)), "decimal.range");
    assert_eq!(refused("decimal(5,2)", decimal(1, 3)), "number.scale");
    assert_eq!(refused("tinyint", Int(-1)), "int.range");
    assert_eq!(refused("smallint", Int(32_768)), "int.range");
    assert_eq!(refused("int", Int(2_147_483_648)), "int.range");
    assert_eq!(refused("float", Float(f64::INFINITY)), "float.range");
    assert_eq!(refused("float", Float(f64::NAN)), "float.range");
    assert_eq!(refused("float", Float(1e-310)), "float.range");
    assert_eq!(fits("float", Float(-0.0)), Float(0.0));
    assert_eq!(refused("real", Float(0.1)), "real.inexact");
    assert_eq!(fits("real", Float(0.5)), Float(0.5));
    assert_eq!(refused("real", Float(1e39)), "real.inexact");
}

#[test]
fn trap_22_a_text_is_longer_in_utf_16_or_has_letters_that_the_code_page_lacks() {
    assert_eq!(fits("nvarchar(2)", text("😀")), text("😀"), "two units, one letter");
    assert_eq!(refused("nvarchar(1)", text("😀")), "text.length");
    assert_eq!(refused("nvarchar(3)", text("Гэрээ")), "text.length");
    assert_eq!(fits("nchar(4)", text("Г")), text("Г   "));
    assert_eq!(fits("nvarchar(max)", text("x")), text("x"));
    // Cyrillic_General: windows-1251 has Г and no ө, ү of Mongolian, and no emoji.
    assert_eq!(fits("varchar(5)", text("Герой")), text("Герой"), "a byte each");
    assert_eq!(refused("varchar(4)", text("Герой")), "text.length");
    assert_eq!(refused("varchar(20)", text("Өвөрхангай")), "text.code_page");
    assert_eq!(refused("varchar(20)", text("😀")), "text.code_page");
    assert_eq!(fits("char(4)", text("Г")), text("Г   "));
    let page = |collation: &str, given: &str| {
        let column = Column { collation: Some(collation.into()), ..column("varchar(9)") };
        fit(text(given), &column).map_err(|refusal| refusal.rule)
    };
    assert_eq!(page("SQL_Latin1_General_CP1_CI_AS", "é"), Ok(text("é")));
    assert_eq!(page("SQL_Latin1_General_CP1_CI_AS", "Г"), Err("text.code_page"));
    assert_eq!(page("SQL_Latin1_General_CP1251_CI_AS", "Г"), Ok(text("Г")));
    assert_eq!(page("SQL_Latin1_General_CP850_CI_AS", "é"), Err("text.code_page"), "not known");
    assert_eq!(page("SQL_Latin1_General_CP850_CI_AS", "e"), Ok(text("e")));
    assert_eq!(page("Japanese_CI_AS", "é"), Err("text.code_page"), "not known");
    assert_eq!(page("Latin1_General_100_CI_AS_SC_UTF8", "Өвөр"), Ok(text("Өвөр")));
    assert_eq!(page("Latin1_General_100_CI_AS_SC_UTF8", "Өвөрө"), Err("text.length"), "ten bytes");
    assert_eq!(fits("binary(3)", Bytes(vec![1].into())), Bytes(vec![1, 0, 0].into()));
    assert_eq!(refused("varbinary(1)", Bytes(vec![1, 2].into())), "bytes.length");
    assert_eq!(refused("rowversion", Bytes(vec![0; 8].into())), "column.rowversion");
}

#[test]
fn trap_22_a_version_wraps_or_a_type_has_the_number_of_another_database() {
    assert_eq!(next_version(None), Ok(0));
    assert_eq!(next_version(Some(0)), Ok(1));
    assert_eq!(next_version(Some(-1)), Ok(0));
    assert_eq!(next_version(Some(i32::MAX)).expect_err("it wraps").rule, "version.wrap");
    let types = |all: &[(i64, &str)]| -> ObjectTypes {
        all.iter().map(|(number, name)| (*number, (*name).to_owned())).collect()
    };
    let here = types(&[(7, "App.Owner"), (9, "App.Tenant"), (11, "App.Tenant")]);
    assert_eq!(object_type_id(&here, "App.Owner"), Ok(7));
    assert_eq!(object_type_id(&types(&[(3, "App.Owner")]), "App.Owner"), Ok(3));
    assert_eq!(object_type_id(&here, "App.Space").expect_err("none").rule, "type.unknown");
    assert_eq!(object_type_id(&here, "App.Tenant").expect_err("two").rule, "type.ambiguous");
}

#[test]
fn columns_that_nobody_writes_are_refused() {
    let computed = Column { computed: true, ..column("int") };
    assert_eq!(fit(Int(1), &computed).expect_err("computed").rule, "column.computed");
    let identity = Column { identity: true, ..column("int") };
    assert_eq!(fit(Int(1), &identity).expect_err("identity").rule, "column.identity");
    let key = Column { nullable: false, ..column("int") };
    assert_eq!(fit(Null, &key).expect_err("NULL").rule, "null");
    assert_eq!(fits("int", Null), Null);
    assert_eq!(refused("int", text("1")), "value.type");
}

/// A table of one column beside its key, mapped as the line says.
struct Loop {
    plan: Plan,
    types: ObjectTypes,
}

impl Loop {
    fn new(sql_type: &str, line: &str) -> Self {
        let key = Column { name: "K".into(), nullable: false, ..column("int") };
        let size = Column { name: "S".into(), ..column("int") };
        let columns = vec![key, column(sql_type), size];
        let table = Table::new(LegacyTable::new("dbo", "T"), columns, vec!["K".into()]);
        let xp = ["OID", "TypeName"];
        let xp = xp.iter().zip(["int", "nvarchar(254)"]);
        let xp = xp.map(|(name, sql_type)| Column { name: (*name).into(), ..column(sql_type) });
        let types = LegacyTable::new("dbo", "XPObjectType");
        let catalog = Catalog {
            database: "Test".into(),
            collation: "Cyrillic_General_CI_AS".into(),
            tables: vec![table, Table::new(types, xp.collect(), vec!["OID".into()])],
        };
        let from = if line.contains("from") { "" } else { "from = \"C\", " };
        let left = if line.contains("\"S\"") { "" } else { "S = \"not here\"" };
        let text = format!(
            "domain = \"d\"\nobject_types = \"dbo.XPObjectType\"\n[[entity]]\nname = \"t\"\nfrom = \"dbo.T\"\n\
             [entity.columns]\nc = {{ {from}{line} }}\n[entity.leave_out]\n{left}"
        );
        let plan = Plan::compile(&[file(&text)], &catalog);
        let plan = plan.unwrap_or_else(|mistakes| panic!("{line}: {mistakes:#?}"));
        let types = BTreeMap::from([(4, "App.Owner".into()), (8, "App.Tenant".into())]);
        Self { plan, types }
    }

    /// Maps a value and writes it back.
    fn there_and_back(
        &self,
        value: &LegacyValue<'static>,
        size: &LegacyValue<'static>,
    ) -> Result<Vec<LegacyValue<'static>>, String> {
        let table = self.plan.table("dbo", "T").expect("the table");
        let given = |name: &str| match name {
            "K" => Int(1),
            "C" => value.clone(),
            _ => size.clone(),
        };
        let values: Vec<_> = table.columns.iter().map(|column| given(&column.name)).collect();
        let change = SourceChange {
            op: SourceOp::Upsert,
            values: &values,
            position: Position::ZERO,
            sequence: 0,
        };
        let context = Context { object_types: &self.types, seen_at_us: 0 };
        let mut batches = Batches::default();
        let Outcome::Mapped(entity) = table.map(&change, &context, &mut batches) else {
            return Err("not mapped".into());
        };
        let batch = batches.iter().next().expect("a batch");
        let field = fields(&batch.fields).nth(1).expect("the column");
        let given = match (field, batch.objects.first()) {
            (None, _) => Given::Null,
            (Some(_), Some(object)) => Given::Value(&object.content),
            (Some(bytes), None) => Given::Value(bytes),
        };
        let back = table.write_back(entity, 1, given, &self.types);
        let back = back.map_err(|refusal| refusal.to_string())?;
        Ok(back.into_iter().map(|assignment| assignment.value).collect())
    }
}

/// The same value, after mapping and back, through every one of these lines.
fn check(sql_type: &str, lines: &[&str], values: impl Strategy<Value = LegacyValue<'static>>) {
    let loops: Vec<(&str, Loop)> = lines.iter().map(|l| (*l, Loop::new(sql_type, l))).collect();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(128)
    });
    let outcome = runner.run(&values, |value| {
        for (line, there) in &loops {
            let back = there.there_and_back(&value, &Null).map_err(TestCaseError::fail)?;
            prop_assert_eq!(&back, std::slice::from_ref(&value), "{} {}", sql_type, line);
            prop_assert_eq!(
                there.there_and_back(&Null, &Null).map_err(TestCaseError::fail)?,
                [Null]
            );
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{sql_type} {lines:?}: {error}"));
}

#[test]
fn whole_numbers_come_back() {
    check("bit", &[r#"as = "bool""#, r#"as = "int2""#], any::<bool>().prop_map(Bool));
    check("tinyint", &[r#"as = "int2""#], (0_i64..=255).prop_map(Int));
    check(
        "smallint",
        &[r#"as = "int2""#, r#"as = "int8""#],
        any::<i16>().prop_map(|n| Int(n.into())),
    );
    let int = || any::<i32>().prop_map(|n| Int(n.into()));
    let lines = [
        r#"as = "int4""#,
        r#"as = "text""#,
        r#"as = "numeric", scale = 3"#,
        r#"as = "money", currency = "MNT", digits = 2"#,
        r#"as = "color""#,
        r#"as = "float8""#,
        r#"as = "seconds""#,
    ];
    check("int", &lines, int());
    check(
        "bigint",
        &[r#"as = "int8""#, r#"as = "numeric", scale = 0"#],
        any::<i64>().prop_map(Int),
    );
}

#[test]
fn exact_numbers_come_back() {
    let cents = (-100_000_000_000_i128..100_000_000_000).prop_map(|n| decimal(n * 100, 4));
    check("money", &[r#"as = "money", currency = "MNT", digits = 2"#], cents);
    let all = any::<i64>().prop_map(|n| decimal(n.into(), 4));
    check(
        "money",
        &[r#"as = "money", currency = "X4X", digits = 4"#.replace("X4X", "XXX").as_str()],
        all,
    );
    let small = any::<i32>().prop_map(|n| decimal(n.into(), 4));
    check("smallmoney", &[r#"as = "numeric", scale = 4"#], small);
    let wide = -(10_i128.pow(28) - 1)..10_i128.pow(28);
    check("decimal(28,10)", &[r#"as = "numeric", scale = 10"#], wide.prop_map(|n| decimal(n, 10)));
    let any_float = any::<f64>().prop_filter("a number of a float", |n| n.is_normal());
    check("float", &[r#"as = "float8""#], any_float.prop_map(Float));
    let real = any::<f32>().prop_filter("a number of a real", |n| n.is_normal());
    check("real", &[r#"as = "float8""#], real.prop_map(|n| Float(n.into())));
    let typed = (-1_000_000_000_i32..1_000_000_000).prop_map(|n| Float(f64::from(n) / 100.0));
    check(
        "float",
        &[r#"as = "money", currency = "MNT", digits = 2"#, r#"as = "numeric", scale = 2"#],
        typed,
    );
    check("float", &[r#"as = "seconds""#], any::<i32>().prop_map(|n| Float(n.into())));
}

#[test]
fn texts_and_bytes_come_back() {
    let fits_into = |units: usize| move |text: &String| text.encode_utf16().count() <= units;
    let plain = any::<String>().prop_filter("short", fits_into(30));
    let plain = plain.prop_map(|text| Text(text.replace('\0', "").into()));
    check("nvarchar(30)", &[r#"as = "text""#, r#"as = "text", lob = "object-store""#], plain);
    let padded = "[а-яa-z ]{0,6}[а-яa-z]".prop_map(|text| {
        let padding = " ".repeat(7 - text.chars().count());
        Text((text + &padding).into())
    });
    check("nchar(7)", &[r#"as = "text""#, r#"as = "text", trim = "end""#], padded);
    check(
        "varchar(7)",
        &[r#"as = "text""#],
        "[а-яА-Яa-z№]{0,7}".prop_map(|text| Text(text.into())),
    );
    let guid = || any::<u128>().prop_map(|n| Guid(Uuid::from_u128(n)));
    check("uniqueidentifier", &[r#"as = "uuid""#, r#"as = "text""#], guid());
    let bytes = proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Bytes(bytes.into()));
    check("varbinary(max)", &[r#"as = "bytea""#, r#"as = "bytea", lob = "object-store""#], bytes);
    check(
        "binary(2)",
        &[r#"as = "bytea""#],
        any::<[u8; 2]>().prop_map(|b| Bytes(b.to_vec().into())),
    );
}

#[test]
fn days_and_times_come_back() {
    let days = || -719_162_i32..=2_932_896;
    check("date", &[r#"as = "date""#], days().prop_map(Date));
    let midnight = (-79_257_i64..=2_932_896).prop_map(|day| Timestamp(day * 864_000_000_000));
    check("datetime", &[r#"as = "date""#, r#"as = "timestamp""#], midnight);
    check("time(6)", &[r#"as = "time""#], (0_i64..86_400_000_000).prop_map(|us| Time(us * 10)));
    // Whatever a datetime holds: 1/300 s as milliseconds.
    let steps = || {
        ((-6_847_804_800_i64..253_402_300_800), 0_i64..300).prop_map(|(second, step)| {
            Timestamp(second * 10_000_000 + (step * 1000 + 150) / 300 * 10_000)
        })
    };
    check("datetime", &[r#"as = "timestamp""#, r#"as = "timestamptz", zone = "UTC""#], steps());
    let of_office = r#"as = "timestamptz", zone = "Asia/Ulaanbaatar""#;
    let there = Loop::new("datetime", of_office);
    let fixed = (1_500_000_000_i64..4_000_000_000, 0_i64..300).prop_map(|(second, step)| {
        Timestamp(second * 10_000_000 + (step * 1000 + 150) / 300 * 10_000)
    });
    check("datetime", &[of_office], fixed);
    // The hour that was twice: standard time is what comes back, and what is meant.
    let twice = at("2015-09-25T23:30:00");
    assert_eq!(there.there_and_back(&twice, &Null), Ok(vec![twice]));
    let micro =
        (-62_135_596_800_000_000_i64..253_402_300_800_000_000).prop_map(|us| Timestamp(us * 10));
    check("datetime2(6)", &[r#"as = "timestamp""#], micro);
    let offset = (-62_135_596_800_000_000_i64..253_402_300_800_000_000)
        .prop_map(|us| LegacyValue::TimestampOffset { utc_ticks: us * 10, offset_minutes: 0 });
    check("datetimeoffset(6)", &[r#"as = "timestamptz""#], offset);
}

#[test]
fn names_of_enums_and_types_come_back() {
    let values = r#"as = "enum", values = { 0 = "draft", 1 = "active", -3 = "odd" }"#;
    let numbers = prop_oneof![Just(0_i64), Just(1), Just(-3)];
    check("int", &[values], numbers.prop_map(Int));
    check(
        "bit",
        &[r#"as = "enum", values = { 0 = "no", 1 = "yes" }"#],
        any::<bool>().prop_map(Bool),
    );
    let words = r#"as = "enum", values = { A = "active", B = "blocked" }"#;
    check("nvarchar(9)", &[words], prop_oneof![Just("A"), Just("B")].prop_map(text));
    let types =
        [r#"as = "type""#, r#"as = "type", values = { "App.Owner" = "o", "App.Tenant" = "t" }"#];
    check("int", &types, prop_oneof![Just(4_i64), Just(8)].prop_map(Int));
}

/// What a target column may hold and no legacy value means.
#[test]
fn a_value_of_the_target_that_the_mapping_never_makes_is_refused() {
    let refuse = |sql_type: &str, line: &str, bytes: &[u8]| {
        let there = Loop::new(sql_type, line);
        let table = there.plan.table("dbo", "T").expect("the table");
        let entity = there.plan.entities[0].id;
        let refusal = table.write_back(entity, 1, Given::Value(bytes), &there.types);
        refusal.expect_err(line).rule
    };
    let values =
        r#"as = "enum", values = { 0 = "draft", 1 = "ended", 2 = "ended" }, unknown = "other""#;
    assert_eq!(refuse("int", values, b"paid"), "enum.unknown");
    assert_eq!(refuse("int", values, b"other"), "enum.unknown");
    assert_eq!(refuse("int", values, b"ended"), "enum.ambiguous");
    assert_eq!(refuse("int", r#"as = "type""#, b"App.Space"), "type.unknown");
    let infinity = i64::MAX.to_be_bytes();
    assert_eq!(refuse("datetime", r#"as = "timestamp""#, &infinity), "time.infinity");
    assert_eq!(refuse("int", r#"as = "int4""#, b"123"), "value.type");
    assert_eq!(refuse("int", r#"as = "color""#, b"red"), "color.text");
    let third = 12_345_i64.to_be_bytes();
    let three = r#"as = "money", currency = "KWD", digits = 3"#;
    assert_eq!(refuse("decimal(9,2)", three, &third), "number.inexact", "never rounded");
    // Daylight's hour of the two, where the legacy clock means the other.
    let microseconds = |text: &str| match at(text) {
        Timestamp(ticks) => (ticks / 10 - 946_684_800_000_000).to_be_bytes(),
        other => panic!("{other:?}"),
    };
    let zone =
        r#"as = "timestamptz", zone = "Asia/Ulaanbaatar", sentinels = { "1900-01-01" = "null" }"#;
    let first = microseconds("2015-09-25T14:30:00");
    assert_eq!(refuse("datetime", zone, &first), "zone.overlap");
    let sentinel = microseconds("1899-12-31T16:52:28");
    assert_eq!(refuse("datetime", zone, &sentinel), "time.sentinel");
    let early = microseconds("1752-06-01T00:00:00");
    assert_eq!(refuse("datetime", zone, &early), "time.range");
    let file = r#"from = ["C", "S"], as = "xpo-file""#;
    assert_eq!(refuse("varbinary(4)", file, &[0; 5]), "bytes.length");
}

#[test]
fn an_infinite_end_is_the_sentinel_again() {
    let line = r#"as = "date", sentinels = { "9999-12-31" = "infinity", "1753-01-01" = "null" }"#;
    let there = Loop::new("datetime", line);
    let end = at("9999-12-31");
    assert_eq!(there.there_and_back(&end, &Null), Ok(vec![end]));
    assert_eq!(there.there_and_back(&at("1753-01-01"), &Null), Ok(vec![Null]), "as NULL reads");
}

#[test]
fn a_file_comes_back_as_it_is_read_with_its_length() {
    let lines = [
        r#"from = ["C", "S"], as = "xpo-file""#,
        r#"from = ["C", "S"], as = "xpo-file", lob = "object-store""#,
    ];
    for line in lines {
        let there = Loop::new("varbinary(max)", line);
        let content = Bytes(b"%PDF-1.7".to_vec().into());
        let back = there.there_and_back(&content, &Int(8));
        assert_eq!(back, Ok(vec![content, Int(8)]), "{line}");
    }
}

#[test]
fn a_reference_is_written_as_the_parents_key() {
    let bench = Bench::new();
    let table = bench.table("Invoice");
    let invoices = bench.entity("invoices");
    let place = invoices.columns.iter().position(|c| c.name == "contract_id").expect("a column");
    let contract = bench.table("Contract").key_from_text("ub/c-1").expect("a key");
    let names = |given| -> Result<Vec<(String, LegacyValue<'static>)>, Refusal> {
        let all = table.write_back(invoices.id, place, given, &bench.types)?;
        Ok(all.into_iter().map(|a| (table.columns[a.column].name.clone(), a.value)).collect())
    };
    let company = || "ContractCompanyNo".to_owned();
    let number = || "ContractContractNo".to_owned();
    assert_eq!(
        names(Given::Key(&contract)),
        Ok(vec![(company(), text("UB")), (number(), text("C-1"))]),
        "in the spelling that the collation calls equal"
    );
    assert_eq!(names(Given::Null), Ok(vec![(company(), Null), (number(), Null)]));
    assert_eq!(names(Given::Value(&[0; 16])).expect_err("an id").rule, "ref.key");
    let other = bench.table("Party").key_from_text("7").expect("a key");
    assert_eq!(names(Given::Key(&other)).expect_err("another entity's").rule, "ref.key");
}

proptest! {
    #[test]
    fn no_bytes_and_no_type_panic(bytes: Vec<u8>, which in 0_usize..12) {
        let lines = [
            ("bit", r#"as = "bool""#), ("int", r#"as = "int4""#), ("float", r#"as = "float8""#),
            ("decimal(9,2)", r#"as = "numeric", scale = 2"#), ("nvarchar(9)", r#"as = "text""#),
            ("varbinary(9)", r#"as = "bytea""#), ("uniqueidentifier", r#"as = "uuid""#),
            ("date", r#"as = "date""#), ("time(7)", r#"as = "time""#), ("datetime", r#"as = "timestamp""#),
            ("datetime", r#"as = "timestamptz", zone = "Europe/Berlin""#), ("int", r#"as = "color""#),
        ];
        let (sql_type, line) = lines[which];
        let there = Loop::new(sql_type, line);
        let table = there.plan.table("dbo", "T").expect("the table");
        let entity = there.plan.entities[0].id;
        match table.write_back(entity, 1, Given::Value(&bytes), &there.types) {
            Ok(all) => {
                let column = column(sql_type);
                let keeps = |one: &Assignment| fit(one.value.clone(), &column).as_ref() == Ok(&one.value);
                prop_assert!(all.iter().all(keeps));
            }
            Err(refusal) => prop_assert!(!refusal.problem.is_empty()),
        }
    }
}

#[test]
fn sql_types_are_spelled_as_the_catalogue_does() {
    assert_eq!(column("datetime2(3)").sql_type, SqlType::DateTime2 { scale: 3 });
    assert_eq!(column("nvarchar(max)").sql_type, SqlType::NVarChar { length: None });
}
