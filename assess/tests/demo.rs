//! Every defect that the demo plants is found, with its count, and nothing else blocks.

use std::collections::BTreeSet;

use assess::assessment::{Assessment, Hazard, Severity, TableAssessment};
use mapping::value::LegacyValue;
use spacehub::lab::Legacy;

use crate::{
    oracle::{self, Found},
    setup::{assess, clock, job, start},
};

fn table<'a>(assessment: &'a Assessment, name: &str) -> &'a TableAssessment {
    assessment.tables.iter().find(|table| table.table.name == name).expect("assessed")
}

fn hazard<'a>(assessment: &'a Assessment, name: &str, column: &str, code: &str) -> &'a Hazard {
    let hazards = &table(assessment, name).hazards;
    let found = hazards.iter().find(|h| {
        h.code == code && (column.is_empty() || h.columns.iter().any(|name| name == column))
    });
    assert!(found.is_some(), "{name}.{column} has no {code}: {hazards:?}");
    found.expect("there is one")
}

/// Everything that is called blocking.
fn blocking(assessment: &Assessment) -> Found {
    let mut found = Found::new();
    for table in &assessment.tables {
        for hazard in table.hazards.iter().filter(|h| h.severity == Severity::Blocking) {
            let place = (table.table.name.clone(), hazard.columns.join(", "), hazard.code.clone());
            let before = found.insert(place, hazard.count.expect("rows"));
            assert_eq!(before, None, "told twice: {hazard:?}");
        }
    }
    found
}

/// What must block, from the demo's own list and from its rows.
fn expected(legacy: &Legacy, assessment: &Assessment) -> Found {
    let read: Vec<String> = assessment
        .tables
        .iter()
        .filter(|table| table.read_whole)
        .map(|table| table.table.name.clone())
        .collect();
    let mut found = oracle::refused(legacy, &read);
    let mut add = |table: &str, column: &str, code: &str, rows: u64| {
        found.insert((table.to_owned(), column.to_owned(), code.to_owned()), rows);
    };
    for orphan in &legacy.demo.orphans {
        add(orphan.table, orphan.column, "reference.orphan", orphan.rows);
    }
    add("Space", "ObjectType", "type.unknown", 1);
    add("Space", "ObjectType", "type.null", 1);
    add("PermissionPolicyUser", "ObjectType", "type.unknown", 1);
    add("FileData", "Content, size", "file.length", 2);
    for (table, column) in
        [("Contract", "SignedOn"), ("Invoice", "IssuedOn"), ("Party", "CreatedOn")]
    {
        let values = oracle::column(legacy, table, column);
        let skipped = values.iter().filter(|value| oracle::is_skipped(value)).count();
        add(table, column, "zone.gap", u64::try_from(skipped).expect("few"));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_defect_is_found_and_nothing_else_blocks() {
    let legacy = start(6_000, 23).await;
    let mut job = job(&legacy.url());
    job.clock = clock();
    let assessment = assess(&job).await;
    let expected = expected(&legacy, &assessment);
    assert!(expected.len() > 20 && expected.values().all(|rows| *rows > 0), "{expected:?}");
    assert_eq!(blocking(&assessment), expected);

    for planted in &legacy.demo.planted {
        let key: Vec<String> = planted.key.iter().map(ToString::to_string).collect();
        let key = key.join("/").to_uppercase();
        let code = match planted.rule {
            "money.inexact" => "money.fraction",
            "enum.unknown" => "enum.values",
            "seconds.inexact" => "float.seconds",
            "null" => "type.null",
            // The renamed class is still in the dictionary: it is one of the classes.
            "type.unknown" if planted.what.contains("renamed") => "type.values",
            rule => rule,
        };
        let told = hazard(&assessment, planted.table, planted.column, code);
        let has_example = told.examples.iter().any(|example| example.to_uppercase() == key);
        // A value is rare only among many.
        let few =
            matches!(code, "type.values") || (code == "enum.values" && told.count < Some(100));
        assert!(few || told.count > Some(5) || has_example, "{planted}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_enum_values_and_classes_are_counted() {
    let legacy = start(3_000, 5).await;
    let assessment = assess(&job(&legacy.url())).await;
    let enums = legacy.demo.planted.iter().filter(|planted| planted.rule == "enum.unknown");
    for planted in enums {
        let columns = &table(&assessment, planted.table).columns;
        let facts = columns.iter().find(|facts| facts.name == planted.column).expect("facts");
        let values = oracle::column(&legacy, planted.table, planted.column);
        for (value, count) in &facts.values {
            let same = values.iter().filter(|other| **other == LegacyValue::Int(*value)).count();
            assert_eq!(*count, u64::try_from(same).expect("few"), "{planted} {value}");
        }
        let distinct: BTreeSet<i64> = values
            .iter()
            .filter_map(|value| match value {
                LegacyValue::Int(value) => Some(*value),
                _ => None,
            })
            .collect();
        assert!(facts.values.iter().map(|(value, _)| *value).eq(distinct), "{planted}");
        assert_eq!(
            hazard(&assessment, planted.table, planted.column, "enum.values").severity,
            Severity::Decide
        );
    }
    let classes = hazard(&assessment, "Space", "ObjectType", "type.values");
    assert!(classes.message.contains("Kiosk (1)"), "{}", classes.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn references_and_facts_are_as_the_rows_say() {
    let legacy = start(3_000, 5).await;
    let assessment = assess(&job(&legacy.url())).await;
    // Live lines of soft-deleted invoices.
    let deleted = |table: &str| oracle::place(&legacy, table, "GCRecord");
    let (invoice_gc, line_gc) = (deleted("Invoice"), deleted("InvoiceLine"));
    let gone: BTreeSet<String> = oracle::rows(&legacy, "Invoice")
        .iter()
        .filter(|row| !row[invoice_gc].is_null())
        .map(|row| row[0].to_string())
        .collect();
    let invoice = oracle::place(&legacy, "InvoiceLine", "Invoice");
    let lines = oracle::rows(&legacy, "InvoiceLine");
    let live = lines.iter().filter(|row| row[line_gc].is_null());
    let count = live.filter(|row| gone.contains(&row[invoice].to_string())).count();
    assert!(count > 0);
    let told = hazard(&assessment, "InvoiceLine", "Invoice", "reference.deleted");
    assert_eq!(told.count, Some(u64::try_from(count).expect("few")));
    // Half a reference to a contract.
    let company = oracle::column(&legacy, "Invoice", "ContractCompanyNo");
    let number = oracle::column(&legacy, "Invoice", "ContractContractNo");
    let halves = company.iter().zip(&number).filter(|(a, b)| a.is_null() != b.is_null()).count();
    assert!(halves > 0);
    let told = hazard(&assessment, "Invoice", "ContractCompanyNo", "reference.partial");
    assert_eq!(told.count, Some(u64::try_from(halves).expect("few")));
    // NULLs of every column that was read, and the rows themselves.
    for read in assessment.tables.iter().filter(|table| table.read_whole) {
        let name = &read.table.name;
        assert_eq!(read.rows, legacy.database.row_count(name).expect("a table"), "{name}");
        for facts in &read.columns {
            let values = oracle::column(&legacy, name, &facts.name);
            let nulls = values.iter().filter(|value| value.is_null()).count();
            assert_eq!(facts.nulls, u64::try_from(nulls).expect("few"), "{name}.{}", facts.name);
        }
    }
    let facts = |name: &str, column: &str| {
        let columns = &table(&assessment, name).columns;
        columns.iter().find(|facts| facts.name == column).expect("facts").clone()
    };
    assert!(facts("Contract", "StartDate").only_midnights);
    assert!(!facts("Invoice", "DueOn").only_midnights, "one is due at noon");
    assert_eq!(facts("Invoice", "PaidTotal").fraction_digits_max, Some(17));
    assert_eq!(facts("Contract", "MonthlyTotal").fraction_digits_max, Some(2));
    let longest = |value: &LegacyValue<'_>| match value {
        LegacyValue::Text(text) | LegacyValue::BrokenText(text) => text.encode_utf16().count(),
        _ => 0,
    };
    let address = oracle::column(&legacy, "Property", "Address");
    let longest = address.iter().map(longest).max().and_then(|units| u64::try_from(units).ok());
    assert_eq!(facts("Property", "Address").length_max, longest);
}

#[tokio::test(flavor = "multi_thread")]
async fn some_tables_may_be_asked_for() {
    let legacy = start(500, 5).await;
    let mut job = job(&legacy.url());
    job.tables = vec!["invoiceline".to_owned(), "dbo.XPWeakReference".to_owned()];
    let assessment = assess(&job).await;
    let names: Vec<&str> = assessment.tables.iter().map(|t| t.table.name.as_str()).collect();
    assert_eq!(names, ["InvoiceLine", "XPWeakReference"]);
    assert!(assessment.tables.iter().all(|table| table.read_whole));
    // The invoices were read for their keys.
    let orphans = hazard(&assessment, "InvoiceLine", "Invoice", "reference.orphan");
    assert_eq!(orphans.count, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_comes_from_all_over_the_table() {
    let legacy = start(6_000, 5).await;
    let mut job = job(&legacy.url());
    job.tables = vec!["Invoice".to_owned(), "ModuleInfo".to_owned()];
    job.sample = Some(160);
    let assessment = assess(&job).await;
    let invoices = table(&assessment, "Invoice");
    assert!(
        !invoices.read_whole && invoices.rows > 100 && invoices.rows <= 160,
        "{}",
        invoices.rows
    );
    assert_eq!(invoices.rows_estimate, Some(legacy.database.row_count("Invoice").expect("there")));
    assert!(table(&assessment, "ModuleInfo").read_whole, "three rows are no sample");
    // Old rows alone would have the small numbers only: the last stretch has the planted ones,
    // of which the first 10 rows of a stretch at the end know nothing, so ask for the spread.
    let dates = hazard(&assessment, "Invoice", "DueOn", "date.midnight");
    assert_eq!(dates.count, Some(invoices.rows));
    let no_orphans = invoices.hazards.iter().all(|hazard| !hazard.code.starts_with("reference."));
    assert!(no_orphans, "{:?}", invoices.hazards);
    let sample = hazard(&assessment, "Invoice", "", "read.sample");
    assert_eq!(sample.count, Some(invoices.rows));
}
