//! Every golden message, made by Debezium's own converters, against the row that it is about.
//!
//! Where Debezium's event is not what the table holds, the deviation is predicted to the letter
//! (`golden/rule.rs`), so that another behaviour of a later version is noticed. How many values
//! each rule explains is counted and asserted (`golden/count.rs`): none is skipped.

mod count;
mod file;
mod literal;
mod rule;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use cdc_consumer::{Decoder, Modes, Types, decode_line};
use mapping::catalog::{Catalog, Column, LegacyTable, SqlType, Table};
use serde::Deserialize;
use serde_json::Value;

use count::Met;
use file::{Golden, Row};
use rule::{Outcome, Place, Rule, predict};
use whole::Codecs;

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

impl Cell {
    fn outcome(&self) -> Outcome {
        match (&self.fault, self.unchanged, &self.value) {
            (Some(fault), _, _) if fault.starts_with("decimal.inexact: ") => {
                Outcome::Refused("decimal.inexact")
            }
            (Some(fault), _, _) => panic!("{fault}"),
            (None, true, _) => Outcome::Unchanged,
            (None, false, None) => Outcome::Null,
            (None, false, Some(text)) if self.broken => Outcome::Broken(text.clone()),
            (None, false, Some(text)) => Outcome::Value(text.clone()),
        }
    }
}

/// The table as the events name its columns.
fn catalog(table: &str, row: &Row, golden: &Golden<'_>) -> Catalog {
    let (schema, name) = table.split_once('.').unwrap();
    let columns = row.iter().map(|(name, expected)| Column {
        name: golden.settings.field_name(name),
        sql_type: expected.sql_type.parse().unwrap(),
        nullable: !expected.not_null,
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

/// What is kept from line to line, as the consumer keeps it.
#[derive(Default)]
struct Reader {
    decoder: Decoder,
    codecs: Codecs,
    met: Met,
}

fn check_set(set: &str) -> Met {
    let text = file::text(set);
    let mut reader = Reader::default();
    for line in text.lines() {
        let golden: Golden<'_> = serde_json::from_str(line).unwrap();
        reader.met.lines += 1;
        reader.met.combinations.insert(golden.settings.combination());
        check_line(&mut reader, line, &golden);
    }
    reader.met
}

fn decode(decoder: &mut Decoder, line: &str, types: &Types, modes: &Modes) -> Decoded {
    let text = decode_line(decoder, line.as_bytes(), types, modes);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn check_line(reader: &mut Reader, line: &str, golden: &Golden<'_>) {
    let Reader { decoder, met, .. } = reader;
    *met.kinds.entry(golden.kind.clone()).or_default() += 1;
    let bare = decode(decoder, line, &Types::default(), &golden.settings.modes());
    if golden.kind == "task_failure" {
        check_failure(golden, &bare);
        return;
    }
    assert_eq!(bare.kind, golden.kind, "{}: {:?}", golden.name, bare.reason);
    assert_eq!(bare.op, golden.op, "{}", golden.name);
    assert_eq!(bare.reason, None, "{}", golden.name);
    match golden.kind.as_str() {
        "data" => check_data(reader, line, golden, &bare),
        "tombstone" => check_plain_key(golden, &bare, met),
        "transaction" => check_mark(golden, &bare, met),
        "heartbeat" | "schema_change" => {
            assert!(bare.after.is_none() && bare.key.is_none(), "{}: it is no row", golden.name);
        }
        other => panic!("{}: a kind `{other}` that nobody looks at", golden.name),
    }
}

/// The connector stopped: there is no message, and the reason is the one that is documented.
fn check_failure(golden: &Golden<'_>, bare: &Decoded) {
    assert!(golden.value.is_none() && golden.key.is_none());
    assert_eq!(bare.kind, "tombstone", "a line without key and value is no event of a row");
    assert!(bare.key.is_none());
    let error = golden.error.as_deref().unwrap_or_default();
    let wanted = match golden.settings.get("event.converting.failure.handling.mode") {
        "fail" => "Failed to properly convert data value for 'bank.dbo.valid_to.valid_to'",
        _ => "null used for required field: \"valid_to\"",
    };
    assert!(error.contains(wanted), "{}: {error}", golden.name);
}

fn check_data(reader: &mut Reader, line: &str, golden: &Golden<'_>, bare: &Decoded) {
    let Reader { decoder, codecs, met } = reader;
    let (row, row_before) = (golden.row(), golden.row_before());
    let table = bare.table.as_deref().unwrap();
    let catalog = catalog(table, &row, golden);
    let types = Types::from_catalog(&catalog);
    let modes = golden.settings.modes();
    let decoded = decode(decoder, line, &types, &modes);
    assert_eq!(decoded.table.as_deref(), Some(&*source_table(golden)), "{}", golden.name);
    check_position(decoder, line, golden, &decoded);
    let op = golden.op.as_deref().unwrap();
    let partial = op == "u" || op == "d" || golden.is_key_change();
    let image = if op == "d" { &decoded.before } else { &decoded.after };
    let image = image.as_ref().unwrap();
    let row_in = |which, partial| RowIn { golden, table, which, partial };
    compare(&row_in("row", partial), &row, image, met);
    if op == "u" {
        compare(&row_in("before", true), &row_before, decoded.before.as_ref().unwrap(), met);
    }
    match (golden.key, &decoded.key) {
        (Some(_), Some(key)) => {
            let named =
                row.iter().filter(|(n, _)| key.contains_key(&golden.settings.field_name(n)));
            let of_key: Row = named.map(|(name, expect)| (name.clone(), expect.clone())).collect();
            assert!(!of_key.is_empty(), "{}: an empty key", golden.name);
            compare(&row_in("key", false), &of_key, key, met);
        }
        (None, None) => {}
        (_, key) => panic!("{}: the key is {key:?}", golden.name),
    }
    codecs.check(golden, &catalog.tables[0], image);
    if golden.has_schema() {
        let from_schema = if op == "d" { &bare.before } else { &bare.after };
        met.by_schema += compare_bare(golden, image, from_schema.as_ref().unwrap());
    }
}

fn value_of(golden: &Golden<'_>) -> Value {
    let text = golden.value.unwrap().get().replace("\\uD83Db", "b");
    let value: Value = serde_json::from_str(&text).unwrap();
    if golden.has_schema() { value["payload"].clone() } else { value }
}

fn source_table(golden: &Golden<'_>) -> String {
    let source = value_of(golden)["source"].clone();
    format!("{}.{}", source["schema"].as_str().unwrap(), source["table"].as_str().unwrap())
}

/// Commit LSN, then the order within the transaction, else the offset (trap 23).
fn check_position(decoder: &mut Decoder, line: &str, golden: &Golden<'_>, decoded: &Decoded) {
    let value = value_of(golden);
    let lsn = value["source"]["commit_lsn"].as_str().unwrap();
    let at_offset = line.replacen('{', &format!("{{\"offset\":{},", 7000 + golden.seq), 1);
    let with_offset =
        decode(decoder, &at_offset, &Types::default(), &golden.settings.modes()).position;
    if golden.op.as_deref() == Some("r") {
        assert_eq!(decoded.position, Some(format!("{lsn}/read")), "{}", golden.name);
        assert_eq!(with_offset, decoded.position, "{}", golden.name);
        return;
    }
    match value["transaction"]["total_order"].as_u64() {
        Some(order) => {
            assert_eq!(decoded.position, Some(format!("{lsn}/{order}")), "{}", golden.name);
            assert_eq!(with_offset, decoded.position, "{}", golden.name);
            let block = decoded.transaction.as_ref().unwrap();
            assert_eq!(block["id"], value["transaction"]["id"], "{}", golden.name);
            assert_eq!(block["total_order"], order, "{}", golden.name);
        }
        None => {
            assert_eq!(decoded.position, None, "{}", golden.name);
            let wanted = format!("{lsn}/{}", 7000 + golden.seq);
            assert_eq!(with_offset, Some(wanted), "{}", golden.name);
        }
    }
}

struct RowIn<'a> {
    golden: &'a Golden<'a>,
    table: &'a str,
    which: &'static str,
    partial: bool,
}

fn compare(row_in: &RowIn<'_>, expected: &Row, row: &BTreeMap<String, Cell>, met: &mut Met) {
    let RowIn { golden, table, which, partial } = *row_in;
    let mut seen = 0;
    for (column, expect) in expected {
        let sql_type: SqlType = expect.sql_type.parse().unwrap();
        let place = Place { table, column, settings: &golden.settings, partial };
        let (rule, wanted) = predict(expect, &sql_type, &place);
        let cell = row.get(&golden.settings.field_name(column));
        let got = cell.map_or(Outcome::Absent, Cell::outcome);
        let name = &golden.name;
        assert_eq!(got, wanted, "{name}: {which} {column} {sql_type} by {rule:?}: {expect:?}");
        if let Some(cell) = cell {
            assert_eq!(cell.sql_type, sql_type.to_string(), "{name}: {column}");
            seen += 1;
        }
        met.note(rule);
    }
    assert_eq!(seen, row.len(), "{}: {which} has columns that nobody expects", golden.name);
}

/// From the schema alone the same values come. What a schema can't tell: whether a text is one,
/// a GUID or bytes in another form, and a decimal's own scale where it comes as a double or text.
fn compare_bare(
    golden: &Golden<'_>,
    typed: &BTreeMap<String, Cell>,
    bare: &BTreeMap<String, Cell>,
) -> usize {
    let mut same = 0;
    for (name, cell) in typed {
        let other = &bare[name];
        let untold = cell.sql_type.contains("binary")
            || ["image", "rowversion", "uniqueidentifier"].contains(&&*cell.sql_type)
            || cell.sql_type.starts_with("decimal")
            || cell.sql_type.ends_with("money")
            || cell.fault.is_some()
            || cell.unchanged;
        if untold {
            continue;
        }
        let equal = match (&cell.value, &other.value) {
            (Some(typed), Some(bare)) => literal::same_but_for_precision(typed, bare),
            (typed, bare) => typed == bare,
        };
        assert!(equal, "{}: {name}: {cell:?} and {other:?}", golden.name);
        same += 1;
    }
    same
}

/// A tombstone names no table, so its key is shown as it stands.
fn check_plain_key(golden: &Golden<'_>, decoded: &Decoded, met: &mut Met) {
    let key: Value = golden.key.map_or(Value::Null, |key| serde_json::from_str(key.get()).unwrap());
    let key = if key.get("schema").is_some() { &key["payload"] } else { &key };
    let Some(columns) = key.as_object() else {
        assert!(decoded.key.is_none(), "{}", golden.name);
        return;
    };
    let shown = decoded.key.as_ref().unwrap();
    assert_eq!(shown.len(), columns.len(), "{}", golden.name);
    for (name, value) in columns {
        let wanted = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(shown[name].value, Some(wanted), "{}: {name}", golden.name);
        met.note(Rule::AsStored);
    }
}

/// BEGIN and END as the topic says them.
fn check_mark(golden: &Golden<'_>, decoded: &Decoded, met: &mut Met) {
    let value = value_of(golden);
    let mark = decoded.transaction.as_ref().unwrap();
    for name in ["status", "id"] {
        assert_eq!(mark[name], value[name], "{}", golden.name);
        met.note(Rule::AsStored);
    }
    assert_eq!(mark.get("event_count").cloned().unwrap_or(Value::Null), value["event_count"]);
    met.note(Rule::AsStored);
}

#[test]
fn every_golden_message_decodes_to_its_row() {
    let sets = file::sets();
    let known: Vec<&str> = count::SETS.iter().map(|set| set.name).collect();
    assert_eq!(sets, known, "each set has its counts, and each count its set");
    let mut combinations = BTreeSet::new();
    for set in count::SETS {
        let met = check_set(set.name);
        count::check(set, &met);
        combinations.extend(met.combinations);
    }
    let combinations: Vec<String> = combinations.into_iter().collect();
    insta::assert_snapshot!(combinations.join("\n"));
}
