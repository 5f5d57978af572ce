//! The golden files: plain, or packed where they are large.

use std::{collections::BTreeMap, fs::File, io::Read, path::PathBuf};

use cdc_consumer::Modes;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

/// `FICUS_GOLDEN` names another folder, such as one with sets made anew.
fn folder() -> PathBuf {
    std::env::var_os("FICUS_GOLDEN").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden")),
        PathBuf::from,
    )
}

/// All lines of a set, such as `lob.schemas`.
pub(super) fn text(set: &str) -> String {
    let path = folder().join(format!("{set}.jsonl"));
    let packed = folder().join(format!("{set}.jsonl.gz"));
    let mut text = String::new();
    let read = match File::open(&path) {
        Ok(mut file) => file.read_to_string(&mut text),
        Err(_) => {
            File::open(&packed).and_then(|file| GzDecoder::new(file).read_to_string(&mut text))
        }
    };
    read.unwrap_or_else(|e| panic!("{} or {}: {e}", path.display(), packed.display()));
    text
}

/// The sets that the folder holds.
pub(super) fn sets() -> Vec<String> {
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut sets: Vec<String> = names
        .filter_map(|name| {
            let name = name.into_string().unwrap();
            let set = name.strip_suffix(".jsonl").or_else(|| name.strip_suffix(".jsonl.gz"));
            set.map(str::to_owned)
        })
        .collect();
    sets.sort();
    sets
}

/// A golden line's own fields, the connector's record as it is.
#[derive(Deserialize)]
pub(super) struct Golden<'a> {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) op: Option<String>,
    pub(super) seq: i64,
    pub(super) settings: Settings,
    #[serde(default)]
    pub(super) topic: String,
    #[serde(borrow)]
    expected: Option<&'a RawValue>,
    #[serde(borrow)]
    expected_before: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) key: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
    pub(super) error: Option<String>,
}

/// One column of the row that the event is about.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Expected {
    #[serde(rename = "type")]
    pub(super) sql_type: String,
    pub(super) sql: Option<String>,
    #[serde(default)]
    pub(super) not_null: bool,
    #[serde(default)]
    pub(super) default: Option<String>,
    /// CDC did not keep the value, so no event can tell it.
    #[serde(default)]
    pub(super) cdc_image_is_null: bool,
}

pub(super) type Row = BTreeMap<String, Expected>;

impl Golden<'_> {
    /// The row after the change, or the one that was deleted.
    pub(super) fn row(&self) -> Row {
        row(self.expected)
    }

    /// The row before an update.
    pub(super) fn row_before(&self) -> Row {
        row(self.expected_before)
    }

    /// Whether the record is half of a changed key: `d` of the old, `c` of the new.
    pub(super) fn is_key_change(&self) -> bool {
        let headers = self.headers.map(RawValue::get).unwrap_or_default();
        headers.contains("__debezium.oldkey") || headers.contains("__debezium.newkey")
    }

    /// Whether it is the `c` of a changed key.
    pub(super) fn has_old_key(&self) -> bool {
        self.headers.is_some_and(|headers| headers.get().contains("__debezium.oldkey"))
    }

    pub(super) fn has_schema(&self) -> bool {
        self.value.is_some_and(|value| value.get().starts_with("{\"schema\""))
    }
}

/// A lone surrogate can't be in a Rust string; this letter of no alphabet stands for it.
pub(super) const LONE_SURROGATE: &str = "\u{E000}";

fn row(raw: Option<&RawValue>) -> Row {
    let text = raw.map_or("{}", RawValue::get).replace("\\ud83d", LONE_SURROGATE);
    serde_json::from_str(&text).unwrap()
}

/// Settings of the connector and the converter, as the golden line tells them.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Settings(BTreeMap<String, String>);

impl Settings {
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// What the consumer is told of the connector.
    pub(super) fn modes(&self) -> Modes {
        let mut modes = Modes::default();
        let set = |name: &str| self.0.get(name).map(String::as_str);
        if let Some(mode) = set("decimal.handling.mode") {
            modes.decimal = mode.parse().unwrap();
        }
        if let Some(mode) = set("time.precision.mode") {
            modes.time = mode.parse().unwrap();
        }
        if let Some(mode) = set("binary.handling.mode") {
            modes.binary = mode.parse().unwrap();
        }
        modes
    }

    /// Settings that change what an event looks like, in one line.
    pub(super) fn combination(&self) -> String {
        const OF_EVERY_SET: [&str; 6] = [
            "debezium",
            "topic.prefix",
            "database.names",
            "jvm.timezone",
            "heartbeat.interval.ms",
            "include.schema.changes",
        ];
        let told = self.0.iter().filter(|(name, _)| !OF_EVERY_SET.contains(&name.as_str()));
        let told: Vec<String> = told.map(|(name, value)| format!("{name}={value}")).collect();
        told.join(" ")
    }

    /// A column's name in the event.
    pub(super) fn field_name(&self, column: &str) -> String {
        if self.get("field.name.adjustment.mode") != "avro" {
            return column.to_owned();
        }
        let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        let name: String = column.chars().map(letter).collect();
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            format!("_{name}")
        } else {
            name
        }
    }

    /// Whether a setting that ends with `what` names this column of this table.
    fn names(&self, what: &str, table: &str, column: &str) -> bool {
        let wanted = format!("{table}.{column}");
        self.0.iter().any(|(name, value)| name.starts_with(what) && *value == wanted)
    }

    pub(super) fn leaves_out(&self, table: &str, column: &str) -> bool {
        self.names("column.exclude.list", table, column)
    }

    pub(super) fn hashes(&self, table: &str, column: &str) -> bool {
        self.names("column.mask.hash.v2.SHA-256.with.salt.s1", table, column)
    }

    pub(super) fn cuts_to_five(&self, table: &str, column: &str) -> bool {
        self.names("column.truncate.to.5.chars", table, column)
    }
}
