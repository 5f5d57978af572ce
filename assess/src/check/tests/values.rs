use mapping::{probe::WallClock, value::LegacyValue};
use uuid::Uuid;

use super::harness::{Base, NULL, at, broken, decimal, int, numbered, one, text, ticks};

/// The hazards of the one table, in its one column.
fn check(base: &Base, expected: &[&str]) {
    assert_eq!(base.hazards("T", &["personal.column", "column.lob"]), expected);
}

#[test]
fn texts_that_postgres_refuses_and_texts_that_differ_unseen() {
    let words = ["", " ", "a", " a", "b ", "\u{0}", "c"];
    let mut rows: Vec<_> = words.iter().map(|word| text(word)).collect();
    rows.extend([NULL, broken("x\u{fffd}")]);
    check(
        &one("Name", "nvarchar(100)", rows.clone()),
        &[
            "text.nul Name 1: 6",
            "text.surrogate Name 1: 9",
            "text.empty Name 2: 1 2",
            "text.blanks Name 2: 4 5",
        ],
    );
    // The padding of nchar is no blank of anybody's.
    check(&one("Name", "nchar(3)", [text("b  "), text("   ")]), &[]);
    assert_eq!(one("Name", "nchar(3)", [text("b  ")]).facts("T", "Name").length_max, Some(1));
    assert_eq!(one("Name", "nvarchar(9)", [text("😀ө")]).facts("T", "Name").length_max, Some(3));
}

#[test]
fn look_alikes_matter_where_texts_are_compared() {
    let words = ["Ст-1", "Cт-1", "УБ 1", "УБ\u{a0}1", "C 1", "ABC"];
    let rows = || words.iter().map(|word| text(word));
    check(&one("Code", "nvarchar(20)", rows()), &[]);
    let compared = one("Code", "nvarchar(20) not null", rows()).unique(&["Code"]);
    check(
        &compared,
        &["unique.rules Code", "text.invisible Code 1: 4", "text.look-alike Code 1: 2"],
    );
}

#[test]
fn money_is_exact_or_told() {
    let cents = |count: i128| (0..count).map(|n| decimal(n * 100, 4));
    let with =
        |rest: &[i128]| cents(20).chain(rest.iter().map(|n| decimal(*n, 4)).collect::<Vec<_>>());
    check(&one("Amount", "money", with(&[])), &[]);
    check(&one("Sum", "money", with(&[50, 99])), &["money.fraction Sum 2: 21 22"]);
    // A decimal is money by its name alone.
    check(&one("Weight", "decimal(19,4)", with(&[50])), &[]);
    check(&one("UnitPrice", "decimal(19,4)", with(&[50])), &["money.fraction UnitPrice 1: 21"]);
    let rates = (0..9).map(|n| decimal(n * 1000 + 1, 4));
    check(&one("Price", "decimal(19,4)", rates), &["money.rate Price 9: 1 2 3 4 5"]);
    let floats = |values: &[f64]| values.iter().map(|v| LegacyValue::Float(*v)).collect::<Vec<_>>();
    check(&one("PaidTotal", "float", floats(&[1.5, 2.25])), &["money.float PaidTotal 2"]);
    check(
        &one("PaidTotal", "float", floats(&[1.5, 2.0, 0.1 + 0.2, 1e300])),
        &["money.fraction PaidTotal 2: 3 4"],
    );
    check(&one("TotalArea", "float", floats(&[0.125])), &[]);
    assert_eq!(
        one("TotalArea", "float", floats(&[0.125])).facts("T", "TotalArea").fraction_digits_max,
        Some(3)
    );
    check(
        &one("OpensAt", "float", floats(&[32_400.0, 30_600.25])),
        &["float.seconds OpensAt 2: 2"],
    );
    let real = |value: f32| LegacyValue::Float(f64::from(value));
    check(&one("Total", "real", [real(1.1), real(0.07)]), &["money.float Total 2"]);
}

#[test]
fn a_day_is_told_from_an_instant() {
    let days = || (1..=9).map(|day| at(&format!("2024-01-{day:02}")));
    check(&one("Due", "datetime", days()), &["date.midnight Due 9"]);
    assert!(one("Due", "datetime", days()).facts("T", "Due").only_midnights);
    let noon = days().chain([at("2024-01-10T12:00:00")]);
    check(&one("Due", "datetime", noon.clone()), &["date.time Due 1: 10"]);
    assert!(!one("Due", "datetime", noon).facts("T", "Due").only_midnights);
    let times = || (1..=4).map(|hour| at(&format!("2024-01-01T{hour:02}:00:00")));
    check(&one("Due", "datetime", times()), &["time.zone Due"]);
    check(&one("Due", "date", [LegacyValue::Date(0)]), &[]);
    check(&one("Due", "datetime", [NULL, at("1753-01-01")]), &["time.sentinel Due 1: 2"]);
}

#[test]
fn sentinels_are_told_before_anything_else() {
    let rows =
        ["0001-01-01", "1753-01-01", "1900-01-01", "9999-12-31T23:59:59.9999999", "2024-01-01"];
    let base = one("Until", "datetime2(7)", rows.map(at));
    check(
        &base,
        &["debezium.range Until 2: 1 4", "time.sentinel Until 4: 1 2 3 4", "date.midnight Until 1"],
    );
    let hazards = &base.assess()[0].hazards;
    let sentinel = hazards.iter().find(|h| h.code == "time.sentinel").expect("told");
    assert_eq!(
        sentinel.advice,
        r#"until = { from = "Until", as = "date", time = "midnight", sentinels = { "0001-01-01" = "null", "1753-01-01" = "null", "1900-01-01" = "null", "9999-12-31" = "infinity" } }"#
    );
    assert_eq!(
        sentinel.message,
        "dates that mean something else than themselves: 0001-01-01 (1), 1753-01-01 (1), 1900-01-01 (1), 9999-12-31 (1)"
    );
}

#[test]
fn hours_that_were_never_or_twice_need_a_zone() {
    let rows = ["2016-03-26T02:30:00", "2016-09-23T23:30:00", "2016-05-01T10:00:00", "1900-01-01"];
    let mut base = one("At", "datetime", rows.map(at));
    check(&base, &["time.sentinel At 1: 4", "time.zone At"]);
    base.clock = WallClock::named("Asia/Ulaanbaatar").ok();
    check(&base, &["zone.gap At 1: 1", "time.sentinel At 1: 4", "zone.overlap At 1: 2"]);
    // A day has no hour, but a connector in the zone gives it one.
    let mut days = one("Born", "datetime", ["1978-01-01", "1983-04-01", "1990-01-01"].map(at));
    days.clock = WallClock::named("Asia/Ulaanbaatar").ok();
    check(&days, &["debezium.gap Born 2: 1 2", "date.midnight Born 3"]);
}

#[test]
fn what_the_wire_loses_is_counted() {
    let seventh = ["2024-01-01T10:00:00.1234567", "2024-01-01T10:00:00.1234560"];
    check(&one("At", "datetime2(7)", seventh.map(at)), &["time.precision At 1: 1", "time.zone At"]);
    let range = [
        "1677-09-21T00:12:43",
        "1677-09-21T00:12:44",
        "2262-04-11T23:47:16",
        "2262-04-11T23:47:17",
    ];
    check(&one("At", "datetime2(7)", range.map(at)), &["debezium.range At 2: 1 4", "time.zone At"]);
    check(&one("At", "datetime2(3)", range.map(at)), &["time.zone At"]);
    let offset = |written: &str| LegacyValue::TimestampOffset {
        utc_ticks: ticks(written),
        offset_minutes: 480,
    };
    let rows = ["1960-06-01T00:00:00.5", "1960-06-01T00:00:00", "2024-06-01T00:00:00.1234567"];
    check(
        &one("At", "datetimeoffset(7)", rows.map(offset)),
        &["time.precision At 1: 3", "debezium.offset At 1: 1"],
    );
    check(
        &one("At", "time(7)", [LegacyValue::Time(1), LegacyValue::Time(10)]),
        &["time.precision At 1: 1"],
    );
}

#[test]
fn an_enum_has_few_values_and_a_name_that_does_not_count() {
    let values = || (0..300).map(|n| int(if n == 299 { 42 } else { n % 3 }));
    check(&one("Status", "int", values()), &["enum.values Status 300: 300"]);
    assert_eq!(
        one("Status", "int", values()).facts("T", "Status").values,
        [(0, 100), (1, 100), (2, 99), (42, 1)]
    );
    for other in ["LineNo", "FloorNo", "Year", "AccessFailedCount"] {
        check(&one(other, "int", values()), &[]);
    }
    check(&one("Status", "int", (0..5).map(int)), &[]);
    check(&one("Status", "int", (0..300).map(|n| int(n % 33))), &[]);
    check(&one("Color", "int", (0..300).map(|n| int((n % 2) * -65_537))), &[]);
    check(&one("Status", "int", [int(1), NULL, int(1)]), &["null.int Status 1: 2"]);
    let negative = one("Kind", "smallint", (0..30).map(|n| int(n % 2 - 1)).chain([NULL]));
    let hazard = &negative.assess()[0].hazards[0];
    assert_eq!(
        hazard.message,
        "2 values: -1 (15), 0 (15), NULL (1); an enum, it seems: name them as the class does"
    );
    assert_eq!(
        hazard.advice,
        r#"kind = { from = "Kind", as = "enum", values = { -1 = "value_minus_1", 0 = "value_0" }, null = "value_0" }"#
    );
}

#[test]
fn dead_columns_and_bits_that_nobody_set() {
    let nulls = || (0..10).map(|_| NULL);
    check(&one("Old", "nvarchar(10)", nulls()), &["column.dead Old 10"]);
    check(&one("Old", "nvarchar(10)", nulls().skip(1)), &[]);
    check(&one("Old", "nvarchar(10)", (0..10).map(|_| text("x"))), &["column.dead Old 10"]);
    check(&one("Old", "nvarchar(10)", (0..9).map(|_| text("x")).chain([text("y")])), &[]);
    check(&one("OptimisticLockField", "int", (0..10).map(|_| int(0))), &[]);
    let bits = [LegacyValue::Bool(true), NULL, LegacyValue::Bool(false)];
    check(&one("IsActive", "bit", bits), &["null.bit IsActive 1: 2"]);
    let guid = |n: u128| LegacyValue::Guid(Uuid::from_u128(n));
    check(&one("Author", "uniqueidentifier", [guid(0), guid(1)]), &["guid.empty Author 1: 1"]);
}

#[test]
fn a_file_has_the_length_that_it_says() {
    let bytes = |bytes: &'static [u8]| LegacyValue::Bytes(bytes.into());
    let rows = [
        vec![int(1), int(5), bytes(b"plain")],
        vec![int(2), int(6), bytes(b"plain")],
        vec![int(3), NULL, NULL],
        vec![int(4), NULL, bytes(b"x")],
    ];
    let columns = [("OID", "int not null key"), ("size", "int"), ("Content", "varbinary(max)")];
    let base = Base::new().table("T", &columns, rows);
    let hazards = base.hazards("T", &["column.lob", "null.int"]);
    assert_eq!(hazards, ["file.length Content+size 2: 2 4"]);
    assert_eq!(base.facts("T", "Content").length_max, Some(5));
}

#[test]
fn classes_are_told_by_name_and_unknown_numbers_block() {
    let mut base = one("ObjectType", "int", [1, 1, 2, 9].map(int).into_iter().chain([NULL]));
    base.types = [(1, "App.Space".to_owned()), (2, "App.Parking".to_owned())].into();
    check(
        &base,
        &["type.unknown ObjectType 1: 4", "type.null ObjectType 1: 5", "type.values ObjectType 3"],
    );
    let hazards = &base.assess()[0].hazards;
    assert_eq!(hazards[2].message, "2 classes: Space (2), Parking (1)");
    // Without a dictionary nobody can say anything.
    base.types.clear();
    check(&base, &[]);
}

#[test]
fn rows_that_a_clean_unique_index_would_refuse() {
    let columns = [("OID", "int not null key"), ("No", "nvarchar(10)"), ("GCRecord", "int")];
    let row = |n: i64, no: super::harness::Value, deleted: bool| {
        vec![int(n), no, if deleted { int(7) } else { NULL }]
    };
    let rows = vec![
        row(1, text("A1"), false),
        row(2, text(" a1"), false),
        row(3, text("A1 "), true),
        row(4, text(""), false),
        row(5, NULL, false),
        row(6, NULL, true),
        row(7, text("A2"), false),
    ];
    let base = Base::new().table("T", &columns, rows.clone()).unique(&["No", "GCRecord"]);
    let but = ["text.empty", "text.blanks"];
    assert_eq!(
        base.hazards("T", &but),
        ["unique.clash No+GCRecord 2: 2 5", "unique.rules No+GCRecord 2"]
    );
    let rules = &base.assess()[0].hazards[1];
    assert_eq!(
        rules.advice,
        "create unique index on ts (upper(no)) nulls not distinct where deleted_at is null;"
    );
    // With a filter of its own only the rule is told.
    let filtered = Base::new().table("T", &columns, rows).unique(&["No"]).with(|table| {
        table.unique_indexes[0].filter = Some("([No] IS NOT NULL)".to_owned());
    });
    let hazards = filtered.hazards("T", &but);
    assert_eq!(hazards, ["unique.rules No 3"]);
    let message = &filtered.assess()[0].hazards[0].message;
    assert!(message.contains("it holds only where ([No] IS NOT NULL)"), "{message}");
}

#[test]
fn keys_that_are_one_or_none() {
    let columns = [("Code", "nvarchar(10) not null key"), ("N", "int")];
    let words = [text("a"), text("A "), text("b"), broken("x\u{fffd}")];
    let rows = words.into_iter().map(|word| vec![word, int(1)]);
    let base = Base::new().table("T", &columns, rows);
    assert_eq!(
        base.hazards("T", &["text.blanks"]),
        ["key.duplicate Code 1: A", "key.surrogate Code 1: x\u{fffd}"]
    );
    // Under a collation that tells case apart these are two keys.
    let columns = [("Code", "nvarchar(10) not null key collate Latin1_General_CS_AS")];
    let base = Base::new().table("T", &columns, [vec![text("a")], vec![text("A")]]);
    assert_eq!(base.hazards("T", &[]), Vec::<String>::new());
}

#[test]
fn a_personal_key_is_masked() {
    let columns = [
        ("RegisterNo", "nvarchar(10) not null key"),
        ("Line", "int not null key"),
        ("Text", "nvarchar(10)"),
    ];
    let rows = [vec![text("УБ90010112"), int(7), text("\u{0}")]];
    let base = Base::new().table("T", &columns, rows);
    assert_eq!(base.hazards("T", &["personal.column"]), ["text.nul Text 1: ***/7"]);
}

#[test]
fn a_table_without_a_key_has_no_examples() {
    let base = Base::new().table(
        "T",
        &[("N", "int"), ("Text", "nvarchar(10)")],
        numbered([text("\u{0}")]),
    );
    assert_eq!(base.hazards("T", &[]), ["key.none ", "text.nul Text 1"]);
}
