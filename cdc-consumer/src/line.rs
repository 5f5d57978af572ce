//! `ficus decode`: one message in, one line out, for an engineer to read.

use std::{borrow::Cow, collections::HashMap};

use mapping::{
    catalog::{Catalog, LegacyTable, SqlType},
    plan::{Plan, SourceColumn},
    value::LegacyValue,
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    canonical::canonical,
    decode::{
        Decoder, Event, Image, Message, OLD_KEY_HEADER, Raw, RowCodec, RowFault, RowSchema, Scanner,
    },
    settings::Modes,
};

/// The columns' types, for messages that carry no schema.
#[derive(Debug, Clone, Default)]
pub struct Types {
    tables: HashMap<LegacyTable, Vec<SourceColumn>>,
    sensitive: HashMap<LegacyTable, Vec<String>>,
}

impl Types {
    /// All columns of a catalogue.
    #[must_use]
    pub fn from_catalog(catalog: &Catalog) -> Self {
        let tables = catalog.tables.iter().map(|table| {
            let columns = table.columns.iter().map(|column| SourceColumn {
                name: column.name.clone(),
                sql_type: column.sql_type.clone(),
                key: table.primary_key.contains(&column.name),
                lob: column.sql_type.is_lob(),
            });
            (table.table.clone(), columns.collect())
        });
        Self { tables: tables.collect(), sensitive: HashMap::new() }
    }

    /// The columns that a plan reads, and those that it masks.
    #[must_use]
    pub fn from_plan(plan: &Plan) -> Self {
        let mut types = Self::default();
        for table in &plan.tables {
            types.tables.insert(table.table.clone(), table.columns.clone());
        }
        types.mask(plan);
        types
    }

    /// Values of the plan's sensitive columns are not shown.
    pub fn mask(&mut self, plan: &Plan) {
        for table in &plan.tables {
            self.sensitive.insert(table.table.clone(), table.sensitive_columns().to_vec());
        }
    }
}

/// What is printed for a message.
#[derive(Debug, Default, Serialize)]
struct Line {
    #[serde(flatten)]
    place: Option<Place>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Columns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<TransactionLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Columns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Columns>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Where a message of a topic stands.
#[derive(Debug, Serialize)]
struct Place {
    topic: String,
    partition: i32,
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_ms: Option<i64>,
}

/// A message as Kafka gives it.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// When Kafka got it, milliseconds since 1970 UTC.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// Whether it has the header [`OLD_KEY_HEADER`].
    pub renamed: bool,
}

#[derive(Debug, Serialize)]
struct TransactionLine {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_order: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_count: Option<u64>,
}

/// Columns in the event's order.
#[derive(Debug, Default)]
struct Columns(Vec<(String, ColumnLine)>);

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, column) in &self.0 {
            map.serialize_entry(name, column)?;
        }
        map.end()
    }
}

#[derive(Debug, Default, Serialize)]
struct ColumnLine {
    #[serde(rename = "type")]
    sql_type: String,
    value: Option<String>,
    /// Tells the word `unchanged` from a text that says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unchanged: bool,
    /// A lone surrogate stands as U+FFFD.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    broken: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// The fields of an input line.
#[derive(Default)]
struct Input<'a> {
    topic: Cow<'a, str>,
    key: Option<Cow<'a, [u8]>>,
    value: Option<Cow<'a, [u8]>>,
    offset: Option<i64>,
    renamed: bool,
}

/// Decodes one line `{"topic", "key", "value", "headers"}` (and `offset`, where it is known) into
/// one line of JSON. Whatever the line is, there is an answer.
#[must_use]
pub fn decode_line(decoder: &mut Decoder, line: &[u8], types: &Types, modes: &Modes) -> String {
    let line = match read_input(line) {
        Some(input) => describe(decoder, &input, types, modes),
        None => foreign("message.json", "a line that is not a JSON object"),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// Decodes a message of a topic into one line of JSON, which begins with where it stands.
#[must_use]
pub fn decode_received(
    decoder: &mut Decoder,
    received: &Received<'_>,
    types: &Types,
    modes: &Modes,
) -> String {
    let input = Input {
        topic: Cow::Borrowed(received.topic),
        key: received.key.map(Cow::Borrowed),
        value: received.value.map(Cow::Borrowed),
        offset: Some(received.offset),
        renamed: received.renamed,
    };
    let place = Place {
        topic: received.topic.to_owned(),
        partition: received.partition,
        offset: received.offset,
        timestamp_ms: received.timestamp_ms,
    };
    let line = Line { place: Some(place), ..describe(decoder, &input, types, modes) };
    serde_json::to_string(&line).unwrap_or_default()
}

fn foreign(rule: &str, detail: &str) -> Line {
    Line { kind: "foreign", reason: Some(format!("{rule}: {detail}")), ..Line::default() }
}

fn read_input(line: &[u8]) -> Option<Input<'_>> {
    let mut input = Input::default();
    let mut scanner = Scanner::new(line);
    scanner.open_object().ok()?;
    let mut first = true;
    while let Some(name) = scanner.next_key(first).ok()? {
        first = false;
        let start = scanner.at();
        let value = scanner.value().ok()?;
        let bytes = line.get(start..scanner.at()).unwrap_or_default().trim_ascii();
        match (name.bytes, value) {
            (b"topic", Raw::Text(text)) => input.topic = text.to_text(),
            (b"key", value) => input.key = body(value, bytes),
            (b"value", value) => input.value = body(value, bytes),
            (b"headers", _) => {
                let name = format!("\"{OLD_KEY_HEADER}\"");
                input.renamed = String::from_utf8_lossy(bytes).contains(&name);
            }
            (b"offset", Raw::Number(_)) => {
                input.offset = str::from_utf8(bytes).ok().and_then(|digits| digits.parse().ok());
            }
            _ => {}
        }
    }
    Some(input)
}

/// A message's body stands in the line as JSON, or as a string that holds JSON.
fn body<'a>(value: Raw<'a>, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    match value {
        Raw::Null => None,
        Raw::Text(text) => Some(Cow::Owned(text.to_text().into_owned().into_bytes())),
        _ => Some(Cow::Borrowed(bytes)),
    }
}

fn describe(decoder: &mut Decoder, input: &Input<'_>, types: &Types, modes: &Modes) -> Line {
    let message = match decoder.decode(&input.topic, input.value.as_deref()) {
        Ok(message) => message,
        Err(error) => return foreign(error.rule, &error.detail),
    };
    let mut line = Line { kind: message.kind(), ..Line::default() };
    let key = decoder.decode_key(&input.topic, input.key.as_deref()).ok().flatten();
    match &message {
        Message::Data(event) => {
            let table = LegacyTable::new(event.source.schema.clone(), event.source.table.clone());
            let rows = Rows {
                columns: types.tables.get(&table).map(Vec::as_slice),
                sensitive: types.sensitive.get(&table).map(Vec::as_slice).unwrap_or_default(),
                schema: event.schema.as_deref(),
                modes,
            };
            line.op = Some(event.op.letter());
            line.position = event.position(input.offset).map(|position| position.to_string());
            line.transaction = event.transaction.as_ref().map(|block| TransactionLine {
                id: block.id.clone().into_owned(),
                status: None,
                total_order: block.total_order,
                event_count: None,
            });
            line.key = key.map(|key| rows.describe(key, Image::Whole));
            (line.before, line.after) = images(event, &rows, input.renamed);
            line.table = Some(table.to_string());
        }
        Message::Transaction(mark) => {
            line.transaction = Some(TransactionLine {
                id: mark.id.clone().into_owned(),
                status: Some(mark.status.clone().into_owned()),
                total_order: None,
                event_count: mark.event_count,
            });
        }
        Message::Tombstone => {
            // A tombstone names no table; only its topic does, and not exactly.
            let rows = Rows { columns: None, sensitive: &[], schema: None, modes };
            line.key = key.map(|key| rows.describe(key, Image::Whole));
        }
        Message::Heartbeat | Message::SchemaChange => {}
    }
    line
}

fn images(event: &Event<'_>, rows: &Rows<'_>, renamed: bool) -> (Option<Columns>, Option<Columns>) {
    let after = event.after_image(renamed);
    (
        event.before.map(|row| rows.describe(row, Image::Before)),
        event.after.map(|row| rows.describe(row, after)),
    )
}

/// What is known of a table's rows.
struct Rows<'a> {
    columns: Option<&'a [SourceColumn]>,
    sensitive: &'a [String],
    schema: Option<&'a RowSchema>,
    modes: &'a Modes,
}

impl Rows<'_> {
    fn describe(&self, row: &[u8], image: Image) -> Columns {
        let mut described = Columns::default();
        let mut scanner = Scanner::new(row);
        if scanner.open_object().is_err() {
            return described;
        }
        while let Ok(Some(name)) = scanner.next_key(described.0.is_empty()) {
            let start = scanner.at();
            let Ok(raw) = scanner.value() else { break };
            let bytes = row.get(start..scanner.at()).unwrap_or_default();
            let name = name.to_text().into_owned();
            let column = self.column(&name, raw);
            let line = match column {
                Some(column) => self.describe_value(column, bytes, image),
                None => ColumnLine { value: plain(raw, bytes), ..ColumnLine::default() },
            };
            described.0.push((name, line));
        }
        described
    }

    /// A column's type: from the catalogue, else as far as the schema tells.
    fn column(&self, name: &str, raw: Raw<'_>) -> Option<SourceColumn> {
        let known = self
            .columns
            .and_then(|columns| columns.iter().find(|c| c.name.eq_ignore_ascii_case(name)));
        if let Some(column) = known {
            return Some(SourceColumn { name: name.into(), ..column.clone() });
        }
        let sql_type = self.schema?.column(name)?.sql_type()?;
        // The schema doesn't tell nvarchar(20) from nvarchar(max): a NULL is shown as it stands.
        let lob = sql_type.is_lob() && raw != Raw::Null;
        Some(SourceColumn { name: name.into(), sql_type, key: false, lob })
    }

    fn describe_value(&self, column: SourceColumn, bytes: &[u8], image: Image) -> ColumnLine {
        let sql_type = column.sql_type.clone();
        let mut line = ColumnLine { sql_type: sql_type.to_string(), ..ColumnLine::default() };
        if self.sensitive.iter().any(|name| name.eq_ignore_ascii_case(&column.name)) {
            line.masked = true;
            return line;
        }
        let object = one_field(&column.name, bytes);
        let mut codec = RowCodec::new(&[column], Vec::new(), self.schema, self.modes);
        let mut values = Vec::new();
        match codec.read(&object, image, &mut values) {
            Ok(()) => {
                let value = values.first().unwrap_or(&LegacyValue::Null);
                line.unchanged = *value == LegacyValue::Unchanged;
                line.broken = matches!(value, LegacyValue::BrokenText(_));
                line.value = canonical(value, &sql_type);
            }
            Err(RowFault::Value { fault, .. }) => {
                line.fault = Some(format!("{}: {}", fault.rule, fault.detail));
            }
            Err(RowFault::Malformed(error)) => line.fault = Some(error.to_string()),
            Err(RowFault::Missing { .. }) => {}
        }
        line
    }
}

/// `{"name":value}`, so that one column goes through the codec of rows.
fn one_field(name: &str, value: &[u8]) -> Vec<u8> {
    let mut object = b"{".to_vec();
    object.extend_from_slice(serde_json::to_string(name).unwrap_or_default().as_bytes());
    object.push(b':');
    object.extend_from_slice(value);
    object.push(b'}');
    object
}

/// A value whose type nobody tells: as it stands in the message.
fn plain(raw: Raw<'_>, bytes: &[u8]) -> Option<String> {
    match raw {
        Raw::Null => None,
        Raw::Text(text) => Some(text.to_text().into_owned()),
        _ => Some(String::from_utf8_lossy(bytes.trim_ascii()).into_owned()),
    }
}

/// The types that a schema leaves open are named by what the event says of them.
impl crate::decode::schema::ConnectSchema {
    fn sql_type(&self) -> Option<SqlType> {
        if let Some(source) = self.parameters.get("__debezium.source.column.type") {
            let number = |name: &str| {
                self.parameters.get(&format!("__debezium.source.column.{name}")).map(String::as_str)
            };
            return Some(propagated(source, number("length"), number("scale")));
        }
        let name = self.name.as_deref().unwrap_or_default();
        let short = name.rsplit('.').next().unwrap_or_default();
        let scale = self.scale();
        Some(match (self.connect_type.as_str(), short) {
            (_, "Decimal") => SqlType::Decimal { precision: 38, scale: scale.unwrap_or(0) },
            (_, "Date" | "IsoDate") => SqlType::Date,
            (_, "Time") => SqlType::Time { scale: 3 },
            (_, "MicroTime") => SqlType::Time { scale: 6 },
            (_, "NanoTime" | "IsoTime") => SqlType::Time { scale: 7 },
            (_, "Timestamp") => SqlType::DateTime2 { scale: 3 },
            (_, "MicroTimestamp") => SqlType::DateTime2 { scale: 6 },
            (_, "NanoTimestamp" | "IsoTimestamp") => SqlType::DateTime2 { scale: 7 },
            (_, "ZonedTimestamp") => SqlType::DateTimeOffset { scale: 7 },
            (_, "Xml") => SqlType::Xml,
            ("boolean", _) => SqlType::Bit,
            ("int8" | "int16", _) => SqlType::SmallInt,
            ("int32", _) => SqlType::Int,
            ("int64", _) => SqlType::BigInt,
            ("float", _) => SqlType::Real,
            ("double", _) => SqlType::Float,
            ("string", _) => SqlType::NVarChar { length: None },
            ("bytes", _) => SqlType::VarBinary { length: None },
            _ => return None,
        })
    }
}

/// The column's own type, as `column.propagate.source.type` tells it.
fn propagated(name: &str, length: Option<&str>, scale: Option<&str>) -> SqlType {
    let name = name.to_ascii_lowercase();
    let name = name.split(' ').next().unwrap_or_default();
    let arguments = match name {
        "decimal" | "numeric" => {
            format!("({},{})", length.unwrap_or("18"), scale.unwrap_or("0"))
        }
        "time" | "datetime2" | "datetimeoffset" => format!("({})", scale.unwrap_or("7")),
        "char" | "varchar" | "nchar" | "nvarchar" | "binary" | "varbinary" => {
            // A (max) column is told with the greatest length there is.
            let max =
                length.and_then(|length| length.parse::<u32>().ok()).is_none_or(|n| n > 8_000);
            format!("({})", if max { "max" } else { length.unwrap_or("max") })
        }
        _ => String::new(),
    };
    match format!("{name}{arguments}").parse() {
        Ok(sql_type) => sql_type,
    }
}
