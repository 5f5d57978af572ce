use proptest::prelude::*;

use crate::{
    catalog::Catalog,
    file::MappingFile,
    fixture::{Bench, SEEN_AT_US, file, money, table, text, time, types},
    plan::{Context, Outcome, Plan, SourceChange, SourceOp},
    position::Position,
    row::{Batches, Row, RowKind},
    value::LegacyValue::{self, Bool, BrokenText, Guid, Int, Null, Unchanged},
};

fn branch(
    closed: LegacyValue<'static>,
    region: LegacyValue<'static>,
) -> [(&'static str, LegacyValue<'static>); 4] {
    [("Id", Int(7)), ("FullName", text("a")), ("Closed", closed), ("Region", region)]
}

#[test]
fn a_row_outside_the_filter_is_removed_and_not_forgotten() {
    let mut bench = Bench::new();
    let inside = bench.mapped("Branch", &branch(Bool(false), Int(1)));
    assert_eq!((inside.row.kind, inside.row.filtered), (RowKind::Upsert, false));
    for (closed, region) in [(Bool(true), Int(1)), (Bool(false), Int(3))] {
        let outside = bench.mapped("Branch", &branch(closed, region));
        assert_eq!((outside.row.kind, outside.row.filtered), (RowKind::Delete, true));
        assert_eq!(outside.row.key, inside.row.key);
        assert!(outside.row.fields.is_empty() && outside.row.slots.is_empty());
    }
    let gone = bench.map_op(SourceOp::Delete, "Branch", &[("Id", Int(7))], &Unchanged);
    let Outcome::Mapped(entity) = gone else { panic!("{gone:?}") };
    let gone = bench.last(entity).row;
    assert_eq!((gone.kind, gone.filtered), (RowKind::Delete, false), "a delete asks no filter");
}

#[test]
fn null_is_taken_where_the_file_says_so() {
    let mut bench = Bench::new();
    let kind = |bench: &mut Bench, closed, region| {
        bench.mapped("Branch", &branch(closed, region)).row.kind
    };
    assert_eq!(kind(&mut bench, Null, Int(2)), RowKind::Upsert, "NULL is not true");
    assert_eq!(kind(&mut bench, Null, Null), RowKind::Upsert, "null = true");
}

#[test]
fn what_is_wrong_with_a_row_outside_is_nobodys_concern() {
    let mut bench = Bench::new();
    let mut row = branch(Bool(true), Int(1)).to_vec();
    row.push(("CurrencyCode", text("???")));
    assert_eq!(bench.mapped("Branch", &row).row.kind, RowKind::Delete);
}

#[test]
fn a_column_that_the_change_does_not_carry_decides_nothing() {
    let mut bench = Bench::new();
    let (rule, detail) = bench.rejected("Branch", &branch(Bool(false), Unchanged));
    assert_eq!(rule, "column.missing");
    assert!(detail.starts_with("`Region` is not in the change"), "{detail}");
}

#[test]
fn a_table_can_be_shared_by_filters() {
    let mut bench = Bench::new();
    let (receipts, notes) = (bench.entity("receipts").id, bench.entity("credit_notes").id);
    let document = |kind| [("Id", Int(1)), ("Kind", kind), ("DocNo", text("n"))];
    assert_eq!(bench.map("Document", &document(text("Receipt "))), Outcome::Mapped(receipts));
    assert_eq!(bench.last(receipts).row.kind, RowKind::Upsert);
    assert!(bench.last(notes).row.filtered, "it may have been a credit note before");
    assert_eq!(bench.map("Document", &document(text("REFUND"))), Outcome::Mapped(notes));
    assert!(bench.last(receipts).row.filtered);
    assert_eq!(bench.batches.row_count(), 4);

    assert_eq!(bench.map("Document", &document(text("other"))), Outcome::Mapped(receipts));
    assert!(bench.last(receipts).row.filtered && bench.last(notes).row.filtered);
    assert!(matches!(
        bench.map("Document", &document(BrokenText("x".into()))),
        Outcome::Rejected(_)
    ));
    let nul = [("Id", Int(1)), ("Kind", text("credit")), ("DocNo", text("\0"))];
    let Outcome::Rejected(rejection) = bench.map("Document", &nul) else { panic!("not rejected") };
    assert_eq!((rejection.entity, rejection.rule), (Some(notes), "text.nul"));
    bench.map_op(SourceOp::Delete, "Document", &[("Id", Int(1))], &Unchanged);
    assert!(!bench.last(receipts).row.filtered && !bench.last(notes).row.filtered);
    assert_eq!(bench.batches.row_count(), 8, "a delete is one in both");
}

#[test]
fn the_plan_says_what_is_left_out() {
    let bench = Bench::new();
    let filters = bench.table("Branch").row_filters();
    assert_eq!(filters[0].entity, "branches");
    assert_eq!(filters[0].to_string(), "Closed is not true and Region is 1 or 2 or NULL");
    assert!(bench.table("Contract").row_filters().is_empty());
}

/// A table with a column of each type that can be filtered by, and a filter on it.
fn taken(condition: &str, values: &[(&str, LegacyValue<'_>)]) -> Result<bool, String> {
    let schema = "dbo.T: K int key; B bit; D decimal(9,4); M money; F float; C nvarchar(20); G uniqueidentifier; Da date; Dt datetime; Ti time(7)";
    let catalog = Catalog {
        database: "T".into(),
        collation: "Cyrillic_General_CI_AS".into(),
        tables: vec![table(schema)],
    };
    let columns = ["B", "D", "M", "F", "C", "G", "Da", "Dt", "Ti"];
    let left_out: String = columns
        .iter()
        .filter(|name| !condition.contains(&format!("{name} = ")))
        .map(|name| format!("{name} = \"not here\"\n"))
        .collect();
    let mapping = format!(
        "domain = \"t\"\n[[entity]]\nname = \"t\"\nfrom = \"dbo.T\"\n[entity.where]\n{condition}\n[entity.leave_out]\n{left_out}"
    );
    let files: [MappingFile; 1] = [file(&mapping)];
    let plan = Plan::compile(&files, &catalog).map_err(|mistakes| format!("{mistakes:?}"))?;
    let plan = &plan.tables[0];
    let value = |name: &str| {
        let found = values.iter().find(|(given, _)| *given == name);
        found.map_or(if name == "K" { Int(1) } else { Null }, |(_, value)| value.clone())
    };
    let row: Vec<_> = plan.columns.iter().map(|column| value(&column.name)).collect();
    let change =
        SourceChange { op: SourceOp::Upsert, values: &row, position: Position::ZERO, sequence: 0 };
    let types = types();
    let context = Context { object_types: &types, seen_at_us: SEEN_AT_US };
    let mut batches = Batches::default();
    match plan.map(&change, &context, &mut batches) {
        Outcome::Mapped(_) => {
            let rows: Vec<&Row> = batches.iter().flat_map(|batch| &batch.rows).collect();
            Ok(rows[0].kind == RowKind::Upsert)
        }
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn every_type_compares_as_the_server_compares_it() {
    let guid = uuid::Uuid::from_u128(7);
    let of_guid = format!("G = \"{}\"", guid.to_string().to_uppercase());
    for (condition, column, value, expect) in [
        ("B = 1", "B", Bool(true), true),
        ("B = false", "B", Bool(true), false),
        (
            "D = 1.5",
            "D",
            LegacyValue::Decimal(crate::value::Decimal { unscaled: 15_000, scale: 4 }),
            true,
        ),
        (
            "D = 2",
            "D",
            LegacyValue::Decimal(crate::value::Decimal { unscaled: 20_000, scale: 4 }),
            true,
        ),
        (
            "D = \"-0.0001\"",
            "D",
            LegacyValue::Decimal(crate::value::Decimal { unscaled: -1, scale: 4 }),
            true,
        ),
        ("M = 100", "M", money(1_000_000), true),
        ("M = { not = 100 }", "M", money(1_000_001), true),
        ("F = 0", "F", LegacyValue::Float(-0.0), true),
        ("F = 1.5", "F", LegacyValue::Float(1.5), true),
        ("C = \"байр\"", "C", text("БАЙР  "), true),
        ("C = \"байр\"", "C", text("байрр"), false),
        ("C = { not = [\"a\", \"b\"] }", "C", text("A"), false),
        ("C = { not = \"a\", null = false }", "C", Null, false),
        ("C = { null = false }", "C", text(""), true),
        ("C = { null = true }", "C", text(""), false),
        ("C = { null = true }", "C", Null, true),
        (of_guid.as_str(), "G", Guid(guid), true),
        ("Da = 2024-02-29", "Da", LegacyValue::Date(19_782), true),
        ("Da = \"2024-02-28\"", "Da", LegacyValue::Date(19_782), false),
        ("Dt = 2024-02-29T12:00:00.5", "Dt", time("2024-02-29T12:00:00.5"), true),
        ("Dt = \"2024-02-29\"", "Dt", time("2024-02-29T12:00:00.5"), false),
        ("Ti = \"12:30:00\"", "Ti", LegacyValue::Time(450_000_000_000), true),
    ] {
        assert_eq!(
            taken(condition, &[(column, value.clone())]),
            Ok(expect),
            "{condition} {value:?}"
        );
    }
}

#[test]
fn all_conditions_have_to_be_met() {
    let both = "B = true\nC = \"x\"";
    for (b, c, expect) in [(true, "x", true), (true, "y", false), (false, "x", false)] {
        assert_eq!(taken(both, &[("B", Bool(b)), ("C", text(c))]), Ok(expect));
    }
}

proptest! {
    #[test]
    fn a_text_is_taken_exactly_when_it_is_the_same_key(wanted in "[a-cA-CөӨ ]{1,3}", text in "[a-cA-CөӨ ]{0,3}") {
        let condition = format!("C = \"{wanted}\"");
        let is_one = taken(&condition, &[("C", LegacyValue::Text(text.clone().into()))]).expect("a row");
        let fold = |text: &str| text.trim_end_matches(' ').to_uppercase();
        prop_assert_eq!(is_one, fold(&wanted) == fold(&text));
        let other = format!("C = {{ not = \"{wanted}\" }}");
        let is_other = taken(&other, &[("C", LegacyValue::Text(text.into()))]).expect("a row");
        prop_assert_ne!(is_one, is_other);
    }
}
