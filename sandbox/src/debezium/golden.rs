//! The encoder against golden records, byte by byte. Not compared: the header
//! `__debezium.context.runId`, which is random. Wall-clock fields (`ts_*` of the envelope, and of
//! the source of rows that were read) are put into the encoder as the golden record has them.
//! One number differs in text, not in value: Java before 19 prints the smallest normal `real` with
//! a digit more than it takes.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use mapping::{
    catalog::{Column, LegacyTable, Table},
    position::Lsn,
    value::LegacyValue,
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    Binaries, Counts, Decimals, Encoder, Marker, Origin, Place, Reading, Record, RowChange,
    Settings, Times,
};
use crate::legacy::Operation;

mod literal;

/// One line of a golden file.
#[derive(Deserialize)]
struct Line {
    name: String,
    kind: String,
    settings: BTreeMap<String, String>,
    topic: String,
    headers: Vec<Header>,
    #[serde(default)]
    expected: literal::Fields,
    #[serde(default)]
    expected_before: literal::Fields,
    key: Option<Box<RawValue>>,
    value: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Header {
    key: String,
    simple: Value,
}

/// What a record looks like, in one text.
#[derive(Debug, PartialEq)]
struct Seen {
    topic: String,
    key: String,
    value: String,
    headers: Vec<(String, String)>,
}

impl Line {
    fn value(&self) -> Value {
        let value: Value = self.value.as_ref().map_or(Value::Null, |raw| {
            // A lone surrogate is no reason to give up: only other fields are looked at.
            serde_json::from_str(&raw.get().replace("a\\uD83Db", "a?b")).unwrap()
        });
        if value.get("payload").is_some() { value["payload"].clone() } else { value }
    }

    fn header(&self, name: &str) -> bool {
        self.headers.iter().any(|header| header.key == name)
    }

    fn seen(&self) -> Seen {
        let text = |raw: &Option<Box<RawValue>>| {
            raw.as_ref().map_or_else(|| "null".to_owned(), |raw| raw.get().to_owned())
        };
        let header = |header: &Header| {
            let text =
                header.simple.as_str().map_or_else(|| header.simple.to_string(), str::to_owned);
            (header.key.clone(), text)
        };
        Seen {
            topic: self.topic.clone(),
            key: text(&self.key),
            value: text(&self.value),
            headers: self.headers.iter().map(header).filter(|(key, _)| !is_run(key)).collect(),
        }
    }

    fn settings(&self) -> Settings {
        let of = |name: &str, default: &str| {
            self.settings.get(name).cloned().unwrap_or_else(|| default.to_owned())
        };
        Settings {
            schemas: of("converter.schemas.enable", "true") == "true",
            decimals: match of("decimal.handling.mode", "precise").as_str() {
                "precise" => Decimals::Precise,
                "string" => Decimals::String,
                _ => Decimals::Double,
            },
            times: match of("time.precision.mode", "adaptive").as_str() {
                "adaptive" => Times::Adaptive,
                "adaptive_time_microseconds" => Times::AdaptiveTimeMicroseconds,
                "connect" => Times::Connect,
                _ => Times::IsoString,
            },
            binaries: match of("binary.handling.mode", "bytes").as_str() {
                "bytes" => Binaries::Bytes,
                "base64" => Binaries::Base64,
                _ => Binaries::Hex,
            },
            transactions: of("provide.transaction.metadata", "false") == "true",
            tombstones: of("tombstones.on.delete", "true") == "true",
            ..Settings::new(of("topic.prefix", ""))
        }
    }

    /// The table as this record shows it; the key's columns are those of the record's key.
    fn table(&self, value: &Value) -> Arc<Table> {
        let key: literal::Names = self.key.as_ref().map_or_else(Default::default, |raw| {
            #[derive(Deserialize)]
            struct Wrapped {
                payload: literal::Names,
            }
            serde_json::from_str::<Wrapped>(raw.get())
                .map_or_else(|_| serde_json::from_str(raw.get()).unwrap(), |key| key.payload)
        });
        let source = &value["source"];
        let column = |(name, field): &(String, literal::Field)| Column {
            name: name.clone(),
            sql_type: field.sql_type.clone(),
            nullable: !field.not_null,
            collation: None,
            computed: false,
            identity: false,
        };
        Arc::new(Table::new(
            LegacyTable::new(source["schema"].as_str().unwrap(), source["table"].as_str().unwrap()),
            self.expected.0.iter().map(column).collect(),
            key.0,
        ))
    }
}

fn is_run(header: &str) -> bool {
    header == "__debezium.context.runId"
}

fn lines(file: &str) -> Vec<Line> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    // The one literal that is not Unicode.
    let text = text.replace("\"sql\":\"a\\ud83db\"", "\"sql\":\"a\\ufffdb\"");
    let text = text.replace(":-1.17549435E-38", ":-1.1754944E-38");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn seen(record: &Record<'_>) -> Seen {
    let null = || "null".to_owned();
    let mut headers = Vec::new();
    headers.extend(record.key_change.map(|(name, key)| (name.to_owned(), key.to_owned())));
    if record.context {
        for (name, value) in
            [("connectorLogicalName", "mssql"), ("taskId", "0"), ("connectorName", "sqlserver")]
        {
            headers.push((format!("__debezium.context.{name}"), value.to_owned()));
        }
    }
    Seen {
        topic: record.topic.to_owned(),
        key: record.key.map_or_else(null, str::to_owned),
        value: record.value.map_or_else(null, str::to_owned),
        headers,
    }
}

fn lsn(value: &Value) -> Lsn {
    Lsn::parse(value.as_str().unwrap()).unwrap()
}

fn origin(value: &Value) -> Origin {
    let block = &value["transaction"];
    Origin {
        commit_lsn: lsn(&value["source"]["commit_lsn"]),
        commit_ms: value["source"]["ts_ms"].as_i64().unwrap(),
        place: block["total_order"].as_u64().map(|total_order| Place {
            total_order,
            collection_order: block["data_collection_order"].as_u64().unwrap(),
        }),
    }
}

/// Compares every data record, tombstone and heartbeat of a file; the number of lines compared.
fn check(file: &str, skip: impl Fn(&Line, &Value) -> bool) -> usize {
    let lines = lines(file);
    let mut compared = 0;
    let mut rest = lines.as_slice();
    while let [line, after @ ..] = rest {
        rest = after;
        let value = line.value();
        if skip(line, &value) {
            continue;
        }
        let mut encoder = Encoder::new("bank", line.settings());
        let mut records = Vec::new();
        let mut emit = |record: Record<'_>| records.push(seen(&record));
        match line.kind.as_str() {
            "data" if value["op"] == "r" => read(&mut encoder, line, &value, &mut emit),
            "data" => stream(&mut encoder, line, rest, &value, &mut emit),
            "heartbeat" => encoder.heartbeat(value["ts_ms"].as_i64().unwrap(), &mut emit),
            _ => continue,
        }
        let golden: Vec<Seen> =
            std::iter::once(line).chain(rest).take(records.len()).map(Line::seen).collect();
        for (record, golden) in records.iter().zip(&golden) {
            assert_eq!(record, golden, "{}", line.name);
        }
        compared += records.len();
        rest = rest.get(records.len() - 1..).unwrap();
    }
    compared
}

fn read(encoder: &mut Encoder, line: &Line, value: &Value, emit: &mut dyn FnMut(Record<'_>)) {
    let source = &value["source"];
    let marker = [
        Marker::First,
        Marker::FirstInDataCollection,
        Marker::True,
        Marker::LastInDataCollection,
        Marker::Last,
        Marker::Incremental,
    ];
    let marker = marker.into_iter().find(|marker| source["snapshot"] == marker.name()).unwrap();
    let streamed = source["event_serial_no"].as_u64();
    let reading = Reading {
        lsn: lsn(&source["commit_lsn"]),
        streamed: streamed.map(|serial| (lsn(&source["change_lsn"]), serial.try_into().unwrap())),
        at_ns: source["ts_ns"].as_i64().unwrap(),
    };
    let now = value["ts_ns"].as_i64().unwrap();
    let row = line.expected.values();
    encoder.read(&line.table(value), &row, (&reading, marker), now, emit).unwrap();
}

fn stream(
    encoder: &mut Encoder,
    line: &Line,
    rest: &[Line],
    value: &Value,
    emit: &mut dyn FnMut(Record<'_>),
) {
    let (mut operation, mut before, mut after) = match value["op"].as_str().unwrap() {
        "c" => (Operation::Insert, None, Some(line.expected.values())),
        "d" => (Operation::Delete, Some(line.expected.values()), None),
        _ => (Operation::Update, Some(line.expected_before.values()), Some(line.expected.values())),
    };
    if line.header("__debezium.newkey") {
        let other = rest.iter().find(|line| line.header("__debezium.oldkey")).unwrap();
        (operation, before) = (Operation::Update, Some(line.expected.values()));
        after = Some(other.expected.values());
    }
    let changed: Vec<usize> = match (&before, &after) {
        (Some(before), Some(after)) => {
            (0..before.len()).filter(|index| before.get(*index) != after.get(*index)).collect()
        }
        _ => Vec::new(),
    };
    let change = RowChange {
        operation,
        before: before.as_deref(),
        after: after.as_deref(),
        change_lsn: lsn(&value["source"]["change_lsn"]),
        event_serial_no: value["source"]["event_serial_no"].as_u64().unwrap().try_into().unwrap(),
        columns_changed: &changed,
    };
    let now = value["ts_ns"].as_i64().unwrap();
    let mut place = 0;
    // The second half of a key change has a clock of its own: compare it apart from its time.
    let mut each = |record: Record<'_>| {
        let own = rest.get(place.max(1) - 1).filter(|_| place > 0).map(Line::value);
        let own = own.and_then(|value| value["ts_ns"].as_i64()).unwrap_or(now);
        let retimed = record.value.map(|text| retimed(text, now, own));
        emit(Record { value: retimed.as_deref(), ..record });
        place += 1;
    };
    encoder.change(&line.table(value), &change, &origin(value), now, &mut each).unwrap();
}

fn retimed(text: &str, from: i64, to: i64) -> String {
    let times =
        |ns: i64| format!("\"ts_ms\":{},\"ts_us\":{},\"ts_ns\":{ns}}}", ns / 1_000_000, ns / 1_000);
    text.replace(&times(from), &times(to))
}

#[test]
fn contracts() {
    assert_eq!(check("contract.noschemas.jsonl", |_, _| false), 5);
    assert_eq!(check("contract.schemas.jsonl", |_, _| false), 5);
}

#[test]
fn all_types_in_four_modes() {
    assert_eq!(check("all_types.noschemas.jsonl", |_, _| false), 4 * 16);
}

#[test]
fn large_objects() {
    assert_eq!(check("lob.noschemas.jsonl", |_, _| false), 2 * 14);
}

#[test]
fn text_that_is_not_unicode() {
    assert_eq!(check("surrogate.noschemas.jsonl", |_, _| false), 2);
    assert_eq!(check("surrogate.schemas.jsonl", |_, _| false), 2);
}

#[test]
fn incremental_snapshots() {
    assert_eq!(check("incremental.noschemas.jsonl", |_, _| false), 14);
}

/// Sets whose settings change the text, and the table whose NULLs come as defaults, are left out.
#[test]
fn a_connectors_life() {
    let sets = [
        "default",
        "tombstones_off",
        "propagate_types",
        "function_mode",
        "before_and_transaction_off",
    ];
    let skip = |line: &Line, value: &Value| {
        let set = line.name.split(['/', '#']).nth(1).unwrap();
        !sets.contains(&set) || value["source"]["table"] == "defaults"
    };
    assert_eq!(check("scenario.noschemas.jsonl", skip), 117);
}

#[test]
fn inline_schemas() {
    let compared = check("excerpt.schemas.jsonl", |line, value| {
        // The column `amount` has a default, which the catalogue does not know.
        line.name.contains("scenario") && value["source"]["table"] == "contract"
    });
    assert_eq!(compared, 4 + 2);
}

#[test]
fn transaction_boundaries() {
    for (file, expected) in [("scenario.noschemas.jsonl", 126), ("excerpt.schemas.jsonl", 2)] {
        let mut compared = 0;
        for line in lines(file).iter().filter(|line| line.kind == "transaction") {
            let value = line.value();
            let id = lsn(&value["id"]);
            let at = value["ts_ms"].as_i64().unwrap();
            let mut encoder = Encoder::new("bank", line.settings());
            let check =
                &mut |record: Record<'_>| assert_eq!(seen(&record), line.seen(), "{}", line.name);
            if value["status"] == "BEGIN" {
                encoder.begin(id, at, check);
            } else {
                let mut counts = Counts::default();
                for table in value["data_collections"].as_array().unwrap().iter().rev() {
                    let name = table["data_collection"].as_str().unwrap();
                    counts.add(name, table["event_count"].as_u64().unwrap());
                }
                encoder.end(id, &counts, at, check);
            }
            compared += 1;
        }
        assert_eq!(compared, expected);
    }
}

#[test]
fn schema_changes() {
    let mut compared = 0;
    for file in ["scenario.noschemas.jsonl", "excerpt.schemas.jsonl"] {
        for line in lines(file).iter().filter(|line| line.kind == "schema_change") {
            let value = line.value();
            let change = &value["tableChanges"][0];
            // Defaults are not known here, nor the second capture instance.
            if change["type"] == "ALTER"
                || change.to_string().contains("defaultValueExpression\":\"")
            {
                continue;
            }
            let source = &value["source"];
            let columns = change["table"]["columns"].as_array().unwrap();
            let table = Arc::new(Table::new(
                LegacyTable::new(
                    source["schema"].as_str().unwrap(),
                    source["table"].as_str().unwrap(),
                ),
                columns.iter().map(literal::column).collect(),
                serde_json::from_value(change["table"]["primaryKeyColumnNames"].clone()).unwrap(),
            ));
            let reading = Reading {
                lsn: lsn(&source["commit_lsn"]),
                streamed: None,
                at_ns: source["ts_ns"].as_i64().unwrap(),
            };
            let now = value["ts_ms"].as_i64().unwrap();
            let check =
                &mut |record: Record<'_>| assert_eq!(seen(&record), line.seen(), "{}", line.name);
            Encoder::new("bank", line.settings()).schema_change(&table, &reading, now, check);
            compared += 1;
        }
    }
    assert_eq!(compared, 27);
}

#[test]
fn an_inexpressible_time_in_a_required_column_stops_the_connector() {
    let column = |nullable| Column {
        name: "at".into(),
        sql_type: "datetime2(7)".parse().unwrap(),
        nullable,
        collation: None,
        computed: false,
        identity: false,
    };
    let forever = [LegacyValue::Timestamp(2_932_896 * super::time::DAY)];
    let mut encoder = Encoder::new("bank", Settings::new("mssql"));
    let reading = Reading { lsn: Lsn::ZERO, streamed: None, at_ns: 0 };
    for (nullable, stops) in [(true, false), (false, true)] {
        let table =
            Arc::new(Table::new(LegacyTable::new("dbo", "t"), vec![column(nullable)], Vec::new()));
        let result = encoder.read(&table, &forever, (&reading, Marker::True), 0, &mut |_| ());
        assert_eq!(matches!(result, Err(super::Error::NotExpressible { .. })), stops);
    }
}
