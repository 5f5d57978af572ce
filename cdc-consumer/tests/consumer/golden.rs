//! Every golden message, made by Debezium's own converters, against the row that it is about.
//!
//! Where Debezium's event is not what the table holds, the deviation is asserted as such
//! (`expect.rs`), so that another behaviour of a later version is noticed.

mod expect;

use std::{collections::BTreeMap, fs, path::PathBuf};

use cdc_consumer::{Decoder, Modes, Types, decode_line};
use mapping::catalog::{Catalog, Column, LegacyTable, SqlType, Table};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use expect::{Expected, Settings, Verdict};

/// `FICUS_GOLDEN` names another folder, such as one with the bigger sets.
fn folder() -> PathBuf {
    std::env::var_os("FICUS_GOLDEN").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden")),
        PathBuf::from,
    )
}

/// A golden line's own fields.
#[derive(Deserialize)]
struct Golden<'a> {
    name: String,
    kind: String,
    op: Option<String>,
    settings: Settings,
    #[serde(borrow)]
    expected: Option<&'a RawValue>,
    #[serde(borrow)]
    expected_before: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// What `decode_line` says.
#[derive(Debug, Deserialize)]
struct Decoded {
    kind: String,
    op: Option<String>,
    table: Option<String>,
    position: Option<String>,
    transaction: Option<Value>,
    key: Option<BTreeMap<String, Cell>>,
    before: Option<BTreeMap<String, Cell>>,
    after: Option<BTreeMap<String, Cell>>,
    reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Cell {
    #[serde(rename = "type")]
    sql_type: String,
    value: Option<String>,
    #[serde(default)]
    unchanged: bool,
    #[serde(default)]
    broken: bool,
    fault: Option<String>,
}

fn row(raw: Option<&RawValue>) -> BTreeMap<String, Expected> {
    // A lone surrogate can't be in a Rust string; the test of it looks at it by itself.
    let text = raw.map_or("{}", RawValue::get).replace("\\ud83d", "\\ufffd");
    serde_json::from_str(&text).unwrap()
}

fn catalog(table: &str, row: &BTreeMap<String, Expected>) -> Catalog {
    let (schema, name) = table.split_once('.').unwrap();
    let columns = row.iter().map(|(name, expected)| Column {
        name: name.clone(),
        sql_type: expected.sql_type.parse().unwrap(),
        nullable: true,
        collation: None,
        computed: false,
        identity: false,
    });
    let table = Table::new(LegacyTable::new(schema, name), columns.collect(), Vec::new());
    Catalog {
        database: "bank".into(),
        collation: "Cyrillic_General_CI_AS".into(),
        tables: vec![table],
    }
}

/// Kinds and deviations met, to know that the files were really looked at.
#[derive(Debug, Default)]
struct Met {
    lines: usize,
    values: usize,
    verdicts: BTreeMap<Verdict, usize>,
}

fn check_file(name: &str) -> Met {
    let path = folder().join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut met = Met::default();
    let mut decoder = Decoder::default();
    for line in text.lines() {
        let golden: Golden<'_> = serde_json::from_str(line).unwrap();
        if golden.kind == "task_failure" {
            continue;
        }
        check_line(&mut decoder, line, &golden, &mut met);
    }
    assert!(met.lines > 0, "{name} is empty");
    met
}

fn decode(decoder: &mut Decoder, line: &str, types: &Types, modes: &Modes) -> Decoded {
    let text = decode_line(decoder, line.as_bytes(), types, modes);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn check_line(decoder: &mut Decoder, line: &str, golden: &Golden<'_>, met: &mut Met) {
    met.lines += 1;
    let modes = golden.settings.modes();
    let expected = row(golden.expected);
    let bare = decode(decoder, line, &Types::default(), &modes);
    assert_eq!(bare.kind, golden.kind, "{}: {:?}", golden.name, bare.reason);
    assert_eq!(bare.op, golden.op, "{}", golden.name);
    if golden.kind != "data" {
        return;
    }
    let types = Types::from_catalog(&catalog(bare.table.as_deref().unwrap(), &expected));
    let decoded = decode(decoder, line, &types, &modes);
    check_position(golden, &decoded);
    let raw = golden.value.unwrap().get();
    let (image, before) = match golden.op.as_deref() {
        Some("d") => (&decoded.before, &None),
        _ => (&decoded.after, &decoded.before),
    };
    compare(golden, &expected, image.as_ref().unwrap(), "row", met);
    if let Some(before) = before {
        compare(golden, &row(golden.expected_before), before, "before", met);
    }
    if raw.starts_with("{\"schema\"") {
        let image = if golden.op.as_deref() == Some("d") { bare.before } else { bare.after };
        compare_bare(golden, &decoded, image.as_ref().unwrap());
    }
}

fn check_position(golden: &Golden<'_>, decoded: &Decoded) {
    let position = decoded.position.as_deref();
    if golden.op.as_deref() == Some("r") {
        assert!(position.unwrap().ends_with("/read"), "{}", golden.name);
        return;
    }
    // Golden lines carry no offset: only a transaction block gives an order.
    match decoded.transaction.as_ref().map(|block| &block["total_order"]) {
        Some(order) => {
            let expect = format!(
                "{}/{order}",
                decoded.transaction.as_ref().unwrap()["id"].as_str().unwrap()
            );
            assert_eq!(position, Some(&*expect), "{}", golden.name);
        }
        None => assert_eq!(position, None, "{}", golden.name),
    }
}

fn compare(
    golden: &Golden<'_>,
    expected: &BTreeMap<String, Expected>,
    row: &BTreeMap<String, Cell>,
    which: &str,
    met: &mut Met,
) {
    for (name, expect) in expected {
        // With `avro` names, and with excluded columns, there is no such column.
        let Some(cell) = row.get(name) else {
            assert!(golden.settings.changes_columns(), "{}: no {name}", golden.name);
            continue;
        };
        met.values += 1;
        let sql_type: SqlType = expect.sql_type.parse().unwrap();
        assert_eq!(cell.sql_type, sql_type.to_string(), "{}: {name}", golden.name);
        // An update of the message key comes as `d` and `c`.
        let renamed = golden.headers.is_some_and(|headers| headers.get().contains("oldkey"));
        let op = if renamed { "u" } else { golden.op.as_deref().unwrap() };
        let verdict = expect::judge(expect, &sql_type, cell, op, which, &golden.settings);
        assert_ne!(
            verdict,
            Verdict::Wrong,
            "{}: {which} {name} {sql_type}: {:?} decoded as {cell:?}",
            golden.name,
            expect.sql,
        );
        *met.verdicts.entry(verdict).or_default() += 1;
    }
}

/// From the schema alone the same values come, though types may be less exact.
fn compare_bare(golden: &Golden<'_>, decoded: &Decoded, bare: &BTreeMap<String, Cell>) {
    let with_types = decoded.after.as_ref().or(decoded.before.as_ref()).unwrap();
    for (name, cell) in with_types {
        let other = &bare[name];
        let same = match (&cell.value, &other.value) {
            (Some(typed), Some(bare)) => expect::same_but_for_precision(typed, bare),
            (typed, bare) => typed == bare,
        };
        let text_like = cell.sql_type.contains("binary")
            || ["image", "rowversion", "uniqueidentifier"].contains(&&*cell.sql_type)
            || cell.fault.is_some()
            || cell.unchanged
            || cell.sql_type.starts_with("decimal")
            || cell.sql_type.ends_with("money");
        assert!(same || text_like, "{}: {name}: {cell:?} and {other:?}", golden.name);
    }
}

/// All sets that are there. Those of the repository must be.
#[test]
fn every_golden_message_decodes_to_its_row() {
    let required = [
        "contract.noschemas.jsonl",
        "contract.schemas.jsonl",
        "lob.noschemas.jsonl",
        "scenario.noschemas.jsonl",
        "all_types.noschemas.jsonl",
        "surrogate.noschemas.jsonl",
        "incremental.noschemas.jsonl",
    ];
    let mut files: Vec<String> = required.iter().map(|name| (*name).into()).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".jsonl") && !files.contains(&name) {
            files.push(name);
        }
    }
    let mut verdicts: BTreeMap<Verdict, usize> = BTreeMap::new();
    for file in files {
        let met = check_file(&file);
        println!("{file}: {met:?}");
        for (verdict, count) in met.verdicts {
            *verdicts.entry(verdict).or_default() += count;
        }
    }
    for verdict in [Verdict::Equal, Verdict::Unchanged, Verdict::Cut, Verdict::OutOfRange] {
        assert!(verdicts.contains_key(&verdict), "{verdict:?} was never met");
    }
}

#[test]
fn a_lone_surrogate_is_told_and_the_rest_is_kept() {
    let text = fs::read_to_string(folder().join("surrogate.noschemas.jsonl")).unwrap();
    let mut decoder = Decoder::default();
    for line in text.lines() {
        let expected = BTreeMap::from([(
            "s".to_owned(),
            Expected { sql_type: "nvarchar(20)".into(), ..Expected::default() },
        )]);
        let types = Types::from_catalog(&catalog("dbo.surrogate", &expected));
        let decoded = decode(&mut decoder, line, &types, &Modes::default());
        let cell = &decoded.after.unwrap()["s"];
        assert!(cell.broken);
        assert_eq!(cell.value.as_deref(), Some("a\u{FFFD}b"));
        assert!(decoded.key.unwrap().contains_key("id"));
    }
}
