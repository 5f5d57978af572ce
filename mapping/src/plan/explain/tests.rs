use proptest::prelude::*;

use super::*;
use crate::{
    fixture::{Bench, SEEN_AT_US, money, text, time},
    plan::tests::any_value,
    plan::{PgType, SourceOp},
    position::Position,
    value::Decimal,
};

fn explain(bench: &Bench, table: &str, given: &[(&str, LegacyValue<'_>)]) -> Explained {
    explain_with(bench, table, given, &LegacyValue::Null)
}

fn explain_with(
    bench: &Bench,
    table: &str,
    given: &[(&str, LegacyValue<'_>)],
    rest: &LegacyValue<'_>,
) -> Explained {
    let table = bench.table(table);
    let value = |name: &str| {
        given.iter().find(|(given, _)| *given == name).map_or(rest, |(_, value)| value).clone()
    };
    let values: Vec<_> = table.columns.iter().map(|column| value(&column.name)).collect();
    of(bench, table, &values)
}

fn of(bench: &Bench, table: &TablePlan, values: &[LegacyValue<'_>]) -> Explained {
    let op = SourceOp::Upsert;
    let change = SourceChange { op, values, position: Position::ZERO, sequence: 0 };
    let context = Context { object_types: &bench.types, seen_at_us: SEEN_AT_US };
    bench.plan.explain(table, &change, &context)
}

/// A column as one line: sources, steps, what came out.
fn line(bench: &Bench, explained: &Explained, name: &str) -> String {
    let (id, _) = explained.part.expect("an entity");
    let entity = &bench.plan.entities[usize::from(id.0)];
    let index = entity.columns.iter().position(|column| column.name == name).expect("a column");
    let column = explained.columns.iter().find(|c| c.column == index).expect("of this part");
    let sources = column.sources.iter().map(|s| format!("{} {}", s.sql_type, s.value));
    let sources: Vec<String> = sources.collect();
    let made = match &column.made {
        Made::Rejected { column, rule, .. } => format!("{column} {rule}"),
        _ => column.shown(entity.columns[index].pg_type).to_string(),
    };
    format!("{} | {} | {made}", sources.join(", "), column.steps.join("; "))
}

fn lines(bench: &Bench, explained: &Explained, expect: &[(&str, &str)]) {
    for (name, expect) in expect {
        assert_eq!(line(bench, explained, name), *expect, "{name}");
    }
}

#[test]
fn each_column_tells_its_steps() {
    let bench = Bench::new();
    let given = [
        ("CompanyNo", text("a1 ")),
        ("ContractNo", text("Г/7")),
        ("Tenant", LegacyValue::Int(42)),
        ("SignedOn", time("2016-03-26T02:30:00")),
        ("StartDate", time("2024-03-01")),
        ("EndDate", time("9999-12-31T23:59:59.997")),
        ("Status", LegacyValue::Int(1)),
        ("CurrencyCode", text("   ")),
        ("MonthlyTotal", money(12_345_600)),
        ("VatRate", LegacyValue::Float(0.1)),
        ("Terms", LegacyValue::Unchanged),
    ];
    let explained = explain(&bench, "Contract", &given);
    assert_eq!(explained.key.as_ref().map(CanonicalKey::to_text), Some("A1/Г~17".into()));
    assert_eq!(explained.kind, Some(RowKind::Upsert));
    let expect = [
        ("company_no", "nvarchar(4) 'a1 ' | blanks cut at the end | 'a1'"),
        ("contract_no", "nvarchar(20) 'Г/7' | as it is | 'Г/7'"),
        ("tenant_id", "int 42 | the id that this key of `tenants` has | 42"),
        (
            "signed_on",
            "datetime 2016-03-26T02:30:00 | an hour that summer time skipped: the time after the \
             jump; wall time of Asia/Ulaanbaatar, at +08:00; a new id takes its time from here \
             | 2016-03-25 18:30:00+00",
        ),
        ("start_date", "datetime 2024-03-01T00:00:00 | the day | 2024-03-01"),
        ("end_date", "datetime 9999-12-31T23:59:59.997 | a sentinel | infinity"),
        ("status", "int 1 | by `values` | 'active'"),
        (
            "currency",
            "nchar(3) '   ' | blanks cut at both ends; an empty text means NULL; the default takes \
             the place of NULL | 'MNT'",
        ),
        ("monthly_total", "money 1234.5600 | minor units (2 digits after the point) | 123456"),
        ("vat_rate", "float 0.1 | as it is | 0.1"),
        (
            "terms",
            "nvarchar(max) (not in the event) | the target keeps what it has | (not in the event)",
        ),
        ("version", "int NULL | the default takes the place of NULL | 0"),
    ];
    lines(&bench, &explained, &expect);
    assert_eq!(explained.columns.len(), expect.len());
}

#[test]
fn every_column_that_rejects_is_told_at_once() {
    let bench = Bench::new();
    let given = [
        ("CompanyNo", text("a")),
        ("ContractNo", text("b")),
        ("Status", LegacyValue::Int(99)),
        ("MonthlyTotal", money(1)),
        ("StartDate", time("2024-03-01T00:00:01")),
    ];
    let explained = explain(&bench, "Contract", &given);
    lines(
        &bench,
        &explained,
        &[
            ("status", "int 99 |  | Status enum.unknown"),
            ("monthly_total", "money 0.0001 |  | MonthlyTotal money.inexact"),
            ("start_date", "datetime 2024-03-01T00:00:01 |  | StartDate date.time"),
            ("company_no", "nvarchar(4) 'a' | as it is | 'a'"),
        ],
    );
    let Outcome::Rejected(rejection) = &explained.outcome else { panic!("{explained:?}") };
    assert_eq!(rejection.rule, "date.time", "the row has the first one's reason");
}

#[test]
fn a_row_is_of_the_entity_that_its_type_says() {
    let bench = Bench::new();
    let party = |number| {
        [
            ("OID", LegacyValue::Int(1)),
            ("Name", text(" Б ")),
            ("ObjectType", LegacyValue::Int(number)),
        ]
    };
    let explained = explain(&bench, "Party", &party(7));
    assert_eq!(explained.part, Some((bench.entity("owners").id, 0)));
    assert_eq!(
        explained.notes,
        ["`ObjectType` 7 is the type Demo.Owner", "`GCRecord` is NULL: the row is live"]
    );
    lines(&bench, &explained, &[("name", "nvarchar(100) ' Б ' | blanks cut at both ends | 'Б'")]);
    let other = explain(&bench, "Party", &party(9));
    assert_eq!((other.part, other.columns.len()), (None, 0));
    assert_eq!(other.outcome, Outcome::Ignored("other-type".into()));
    let unknown = explain(&bench, "Party", &party(99));
    assert_eq!(unknown.notes, ["`ObjectType` 99 is no type that XPObjectType has"]);

    let mut space = vec![("OID", LegacyValue::Int(3)), ("ObjectType", LegacyValue::Int(11))];
    space.push(("Property", LegacyValue::Guid(uuid::Uuid::nil())));
    space.push(("GCRecord", LegacyValue::Int(5)));
    let explained = explain(&bench, "Space", &space);
    assert_eq!(explained.kind, Some(RowKind::SoftDelete));
    lines(
        &bench,
        &explained,
        &[
            ("kind", "int 11 | the type Demo.Parking, by `values` | 'parking'"),
            (
                "property_id",
                "uniqueidentifier 00000000-0000-0000-0000-000000000000 | no reference: an empty GUID | NULL",
            ),
            ("deleted_at", " | when the soft delete was seen (here: now) | 2023-11-14 22:13:20+00"),
        ],
    );
}

#[test]
fn a_deleted_row_has_no_columns_and_an_ignored_table_none() {
    let bench = Bench::new();
    let tenant = [
        ("OID", LegacyValue::Int(1)),
        ("ObjectType", LegacyValue::Int(8)),
        ("GCRecord", LegacyValue::Int(9)),
    ];
    let explained = explain(&bench, "Party", &tenant);
    assert_eq!((explained.kind, explained.columns.len()), (Some(RowKind::Delete), 0));
    assert_eq!(explained.notes[1], "`GCRecord` is set: the target row is deleted");
    let ignored = explain(&bench, "ModuleInfo", &[]);
    assert_eq!((ignored.part, ignored.columns.len()), (None, 0));
    let keyless = explain(&bench, "Contract", &[("CompanyNo", text("a"))]);
    assert_eq!(keyless.key, None);
    assert_eq!(keyless.columns.len(), 12, "the columns are explained all the same");
}

#[test]
fn what_is_converted_is_told_and_what_is_not_is_not() {
    let bench = Bench::new();
    let decimal = |unscaled, scale| LegacyValue::Decimal(Decimal { unscaled, scale });
    let property = [
        ("Oid", LegacyValue::Guid(uuid::Uuid::max())),
        ("Address", LegacyValue::BrokenText("x\u{fffd}".into())),
        ("TotalArea", LegacyValue::Float(12.5)),
        ("Color", LegacyValue::Int(-16_744_448)),
        ("OpensAt", LegacyValue::Float(3600.0)),
        ("Photo", LegacyValue::Bytes(vec![1, 2].into())),
    ];
    let explained = explain(&bench, "Property", &property);
    lines(
        &bench,
        &explained,
        &[
            (
                "legacy_oid",
                "uniqueidentifier ffffffff-ffff-ffff-ffff-ffffffffffff | as it is | ffffffff-ffff-ffff-ffff-ffffffffffff",
            ),
            (
                "address",
                "nvarchar(max) 'x\u{fffd}' | half a surrogate pair replaced by U+FFFD | 'x\u{fffd}'",
            ),
            ("area", "float 12.5 | the shortest decimal form; 2 digits after the point | 12.50"),
            ("color", "int -16744448 | ARGB as #aarrggbb | '#ff008000'"),
            ("opens_at", "float 3600.0 | whole seconds | 3600"),
            ("photo", "varbinary(max) 0x0102 | as it is | \\x0102"),
            ("origin", " | a constant | 'legacy'"),
            ("deleted_at", " | the row is live | NULL"),
        ],
    );
    let file = [
        ("Oid", LegacyValue::Guid(uuid::Uuid::max())),
        ("Content", LegacyValue::Bytes(b"abc".to_vec().into())),
        ("size", LegacyValue::Int(3)),
    ];
    let explained = explain(&bench, "FileData", &file);
    lines(
        &bench,
        &explained,
        &[(
            "content",
            "varbinary(max) 0x616263, int 3 | as it is: it has the length that the length column says | \\x616263",
        )],
    );
    let rate = [("SPACE_ID", LegacyValue::Int(1)), ("RATE", decimal(15_000, 4))];
    let explained = explain_with(&bench, "SpaceRate", &rate, &time("2024-01-01"));
    let made = line(&bench, &explained, "rate");
    assert_eq!(made, "money 1.5000 | minor units (4 digits after the point) | 15000");
}

#[test]
fn texts_show_on_one_line() {
    let shown = Shown::target(PgType::Text, Some(b"a\n\x1b[31mb"), false);
    assert_eq!(shown.to_string(), "'a\\n\\u{1b}[31mb'");
    assert_eq!(
        Shown::target(PgType::Int4, None, true),
        Shown::Null,
        "that it is NULL is no secret"
    );
}

proptest! {
    /// The promise of the module: the columns, put together, are the row that the mapper writes.
    #[test]
    fn an_explanation_says_what_happens(
        values in prop::collection::vec(any_value(), 1..20),
        table in 0_usize..14,
    ) {
        let bench = Bench::new();
        let table = &bench.plan.tables[table % bench.plan.tables.len()];
        let wide: Vec<_> = values.iter().cycle().take(table.columns.len()).cloned().collect();
        let explained = of(&bench, table, &wide);
        match &explained.outcome {
            Outcome::Mapped(_) if explained.kind != Some(RowKind::Delete) => {
                let op = SourceOp::Upsert;
                let change = SourceChange { op, values: &wide, position: Position::ZERO, sequence: 0 };
                let context = Context { object_types: &bench.types, seen_at_us: SEEN_AT_US };
                let mut batches = Batches::default();
                table.map(&change, &context, &mut batches);
                let batch = batches.iter().next().expect("a batch");
                let written: Vec<_> = fields(&batch.fields).skip(1).collect();
                prop_assert_eq!(written.len(), explained.columns.len());
                for (written, column) in written.into_iter().zip(&explained.columns) {
                    match &column.made {
                        Made::Field(field) => prop_assert_eq!(written, field.as_deref()),
                        Made::Id { .. } => prop_assert_eq!(written, Some(&[0; 16][..])),
                        Made::Unchanged => prop_assert_eq!(written, None),
                        Made::Rejected { .. } => prop_assert!(false, "{:?}", column),
                    }
                }
            }
            Outcome::Rejected(rejection) if explained.key.is_some() => {
                let first = explained.columns.iter().find_map(|column| match &column.made {
                    Made::Rejected { rule, column, .. } => Some((*rule, column.clone())),
                    _ => None,
                });
                if let Some(first) = first.filter(|_| explained.kind.is_some()) {
                    prop_assert_eq!(first, (rejection.rule, rejection.column.clone()));
                }
            }
            _ => {}
        }
    }

    /// Masked on both sides, whatever the value is.
    #[test]
    fn no_sensitive_value_is_shown(secret in "[a-z]{12,30}[ \0]{0,2}", broken: bool) {
        let bench = Bench::new();
        let table = bench.table("PermissionPolicyUser");
        let values: Vec<_> = table.columns.iter().map(|column| match column.name.as_str() {
            "Oid" => LegacyValue::Guid(uuid::Uuid::max()),
            "StoredPassword" if broken => LegacyValue::BrokenText(secret.clone().into()),
            "StoredPassword" => LegacyValue::Text(secret.clone().into()),
            _ => LegacyValue::Null,
        }).collect();
        let explained = of(&bench, table, &values);
        let column = explained.columns.iter().find(|column| column.masked).expect("the hash");
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            column.sources, column.steps, column.shown(PgType::Text), explained.outcome, explained.notes
        );
        prop_assert!(!shown.contains(secret.trim_end_matches(['\0', ' '])), "{}", shown);
        prop_assert!(shown.contains("Masked"));
    }
}
