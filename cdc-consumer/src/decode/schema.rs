//! Inline schemas: found once, then recognised by their bytes.
//!
//! A message with its schema is five parts schema to one part row. Parsing it for each message
//! is what makes others slow; here it is compared with the bytes of the topic's last schema,
//! which is exact and costs a few nanoseconds. Another schema is looked up by its hash, and only
//! an unknown one is parsed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128;

use super::scan::{Malformed, Raw, Scanner};

/// Schemas kept at most; a topic's schema changes rarely, so more is a sign of something odd.
const SCHEMAS_MAX: usize = 4_096;

/// A node of Kafka Connect's JSON schema.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ConnectSchema {
    /// `int32`, `string`, `struct`, …
    #[serde(rename = "type")]
    pub(crate) connect_type: String,
    /// The logical type.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The field's name within its struct.
    #[serde(default)]
    pub(crate) field: Option<String>,
    #[serde(default)]
    pub(crate) fields: Vec<ConnectSchema>,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, String>,
}

impl ConnectSchema {
    /// The scale of a `Decimal`.
    pub(crate) fn scale(&self) -> Option<u8> {
        self.parameters.get("scale")?.parse().ok()
    }

    /// The columns of a message's rows: those of `after`, or of a key, or of the row itself.
    fn into_columns(self) -> Vec<ConnectSchema> {
        let row = |name: &str| {
            self.fields.iter().find(|field| {
                field.field.as_deref() == Some(name) && field.connect_type == "struct"
            })
        };
        match row("after").or_else(|| row("before")) {
            Some(row) => row.fields.clone(),
            None => self.fields,
        }
    }
}

/// The columns of a topic's rows, as the messages themselves tell them.
#[derive(Debug)]
pub struct RowSchema {
    /// A number of its own within one decoder.
    pub(crate) id: u64,
    pub(crate) columns: Vec<ConnectSchema>,
}

impl RowSchema {
    pub(crate) fn column(&self, name: &str) -> Option<&ConnectSchema> {
        self.columns.iter().find(|column| column.field.as_deref() == Some(name))
    }
}

/// A message taken apart.
pub(crate) struct Parts<'a> {
    pub(crate) payload: Raw<'a>,
    pub(crate) schema: Option<Arc<RowSchema>>,
}

/// What stands before the payload, up to and including `"payload":`.
#[derive(Debug)]
struct Prefix {
    bytes: Arc<[u8]>,
    schema: Option<Arc<RowSchema>>,
}

/// All schemas seen.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    last: HashMap<Box<str>, Prefix>,
    known: HashMap<u128, Arc<RowSchema>>,
    made: u64,
}

impl Schemas {
    /// What the last message of a topic that began with a schema has before its payload.
    pub(crate) fn head(&self, topic: &str) -> Option<&Arc<[u8]>> {
        self.last.get(topic).map(|prefix| &prefix.bytes)
    }

    /// Splits a message into schema and payload; one without a schema is all payload.
    pub(crate) fn split<'a>(
        &mut self,
        topic: &str,
        message: &'a [u8],
    ) -> Result<Parts<'a>, Malformed> {
        if !message.starts_with(br#"{"schema":"#) {
            return self.split_bare(message);
        }
        let last = self.last.get(topic);
        if let Some(prefix) = last.filter(|prefix| message.starts_with(&prefix.bytes)) {
            let rest = message.get(prefix.bytes.len()..).unwrap_or_default();
            let mut scanner = Scanner::new(rest);
            let payload = scanner.value()?;
            if scanner.next_key(false)?.is_none() {
                scanner.end()?;
                return Ok(Parts { payload, schema: prefix.schema.clone() });
            }
        }
        self.split_new(topic, message)
    }

    /// A message that doesn't begin with a schema: it has none, or it was written by another
    /// hand (blanks, other order). The first key tells; a payload is read where it is used.
    fn split_bare<'a>(&mut self, message: &'a [u8]) -> Result<Parts<'a>, Malformed> {
        let mut scanner = Scanner::new(message);
        let bare = Parts { payload: Raw::Object(message), schema: None };
        if scanner.open_object().is_err() {
            let payload = scanner.value()?;
            scanner.end()?;
            return Ok(Parts { payload, schema: None });
        }
        let mut key = scanner.next_key(true)?;
        let (mut schema, mut payload) = (None, None);
        while let Some(name) = key {
            let slot = match name.bytes {
                b"schema" => &mut schema,
                b"payload" => &mut payload,
                _ => return Ok(bare),
            };
            *slot = Some(scanner.value()?);
            key = scanner.next_key(false)?;
        }
        scanner.end()?;
        match (schema, payload) {
            (Some(schema), Some(payload)) => Ok(Parts { payload, schema: self.intern(schema) }),
            _ => Ok(bare),
        }
    }

    fn split_new<'a>(&mut self, topic: &str, message: &'a [u8]) -> Result<Parts<'a>, Malformed> {
        let mut scanner = Scanner::new(message);
        scanner.open_object()?;
        scanner.next_key(true)?;
        let schema = scanner.value()?;
        let is_payload = scanner.next_key(false)?.is_some_and(|key| key.bytes == b"payload");
        if !is_payload {
            return self.split_bare(message);
        }
        let prefix_length = scanner.at();
        let payload = scanner.value()?;
        if scanner.next_key(false)?.is_some() {
            return self.split_bare(message);
        }
        scanner.end()?;
        let schema = self.intern(schema);
        let bytes = message.get(..prefix_length).unwrap_or_default().into();
        if self.last.len() >= SCHEMAS_MAX {
            self.last.clear();
        }
        self.last.insert(topic.into(), Prefix { bytes, schema: schema.clone() });
        Ok(Parts { payload, schema })
    }

    /// The schema of these bytes. One that can't be read is none: then types come from the
    /// catalogue, as for messages without.
    fn intern(&mut self, schema: Raw<'_>) -> Option<Arc<RowSchema>> {
        let Raw::Object(bytes) = schema else { return None };
        let hash = xxh3_128(bytes);
        if let Some(known) = self.known.get(&hash) {
            return Some(Arc::clone(known));
        }
        let parsed: ConnectSchema = serde_json::from_slice(bytes).ok()?;
        if self.known.len() >= SCHEMAS_MAX {
            self.known.clear();
        }
        self.made += 1;
        let schema = Arc::new(RowSchema { id: self.made, columns: parsed.into_columns() });
        self.known.insert(hash, Arc::clone(&schema));
        Some(schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str =
        r#"{"type":"struct","fields":[{"type":"int32","field":"id"}],"field":"after"}"#;

    fn message(schema: &str, payload: &str) -> Vec<u8> {
        format!(r#"{{"schema":{schema},"payload":{payload}}}"#).into_bytes()
    }

    #[test]
    fn a_schema_is_parsed_once_and_recognised_by_its_bytes() {
        let mut schemas = Schemas::default();
        let envelope = format!(r#"{{"type":"struct","fields":[{ROW}]}}"#);
        let first = message(&envelope, r#"{"op":"c"}"#);
        let second = message(&envelope, r#"{"op":"u"}"#);
        let one = schemas.split("t", &first).unwrap().schema.unwrap();
        let two = schemas.split("t", &second).unwrap().schema.unwrap();
        let elsewhere = schemas.split("other", &second).unwrap().schema.unwrap();
        assert!(Arc::ptr_eq(&one, &two) && Arc::ptr_eq(&one, &elsewhere));
        assert_eq!(one.columns.len(), 1);
        assert_eq!(schemas.made, 1);
        // The same topic may switch in the middle (F22).
        assert!(schemas.split("t", br#"{"op":"c"}"#).unwrap().schema.is_none());
        let changed = message(r#"{"type":"struct","fields":[]}"#, "null");
        assert_eq!(schemas.split("t", &changed).unwrap().payload, Raw::Null);
        assert_eq!(schemas.made, 2);
    }

    #[test]
    fn other_orders_and_blanks_are_understood() {
        let mut schemas = Schemas::default();
        let odd = br#" { "payload" : {"op":"c"}, "schema" : {"type":"struct","fields":[]} } "#;
        let parts = schemas.split("t", odd).unwrap();
        assert_eq!(parts.payload, Raw::Object(br#"{"op":"c"}"#));
        assert!(parts.schema.is_some());
        // A row with a column called `schema` is not a schema.
        let row = br#"{"schema":"dbo","table":"x"}"#;
        assert_eq!(schemas.split("t", row).unwrap().payload, Raw::Object(row));
        assert!(schemas.split("t", br#"{"schema":{"#).is_err());
        assert!(schemas.split("t", &message("null", "null")).unwrap().schema.is_none());
    }
}
