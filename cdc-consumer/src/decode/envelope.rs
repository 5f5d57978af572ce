//! From a message's bytes to its kind and its parts.

use std::{borrow::Cow, sync::Arc};

use mapping::position::Lsn;

use super::{
    Event, Message, Op, Source, TransactionBlock, TransactionMark, number,
    scan::{Malformed, Raw, Scanner},
    schema::Schemas,
};

/// A message that is not Debezium's. Goes to quarantine; rules are a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// A stable code.
    pub rule: &'static str,
    /// One sentence, without values.
    pub detail: String,
}

impl From<Malformed> for Foreign {
    fn from(malformed: Malformed) -> Self {
        Self { rule: "message.json", detail: malformed.to_string() }
    }
}

/// Decodes messages, and remembers the schemas that it met.
#[derive(Debug, Default)]
pub struct Decoder {
    schemas: Schemas,
    lsn: LsnMemo,
}

/// The last commit LSN: a transaction's events come one after the other.
#[derive(Debug, Default)]
struct LsnMemo {
    text: Vec<u8>,
    lsn: Lsn,
}

impl LsnMemo {
    fn parse(&mut self, raw: Raw<'_>) -> Result<Option<Lsn>, Foreign> {
        let wrong = |detail: String| Err(Foreign { rule: "source.lsn", detail });
        let text = match raw {
            Raw::Null => return Ok(None),
            Raw::Text(text) => text,
            other => return wrong(format!("an LSN is {}", other.kind())),
        };
        if self.text != text.bytes || text.bytes.is_empty() {
            let Ok(lsn) = Lsn::parse(&text.to_text()) else {
                return wrong("an LSN of another form".into());
            };
            self.lsn = lsn;
            self.text.clear();
            self.text.extend_from_slice(text.bytes);
        }
        Ok(Some(self.lsn))
    }
}

/// Everything that the top level of a payload may hold.
#[derive(Default)]
struct Payload<'a> {
    op: Option<Raw<'a>>,
    before: Option<Raw<'a>>,
    after: Option<Raw<'a>>,
    source: Option<Raw<'a>>,
    transaction: Option<Raw<'a>>,
    status: Option<Raw<'a>>,
    id: Option<Raw<'a>>,
    event_count: Option<Raw<'a>>,
    collections: Option<Raw<'a>>,
    table_changes: bool,
    time: bool,
    others: bool,
}

impl Decoder {
    /// What messages of a topic begin with, where they carry a schema: the same bytes for all of
    /// them, until the table changes. A message may begin otherwise nevertheless.
    pub(crate) fn head(&self, topic: &str) -> Option<&Arc<[u8]>> {
        self.schemas.head(topic)
    }

    /// Decodes a message's value. `topic` only helps to recognise its schema.
    ///
    /// # Errors
    /// [`Foreign`], for what is not Debezium's.
    pub fn decode<'a>(
        &mut self,
        topic: &str,
        value: Option<&'a [u8]>,
    ) -> Result<Message<'a>, Foreign> {
        target::hook::point("decode.in");
        let Some(value) = value else { return Ok(Message::Tombstone) };
        let parts = self.schemas.split(topic, value)?;
        let object = match parts.payload {
            Raw::Null => return Ok(Message::Tombstone),
            Raw::Object(object) => object,
            other => return Err(not_debezium(format!("{} instead of an envelope", other.kind()))),
        };
        let payload = top_level(object)?;
        if let (Some(op), Some(source)) = (payload.op, payload.source) {
            let event = event(op, source, &payload, &mut self.lsn)?;
            return Ok(Message::Data(Box::new(Event { schema: parts.schema, ..event })));
        }
        if let (Some(Raw::Text(status)), Some(Raw::Text(id))) = (payload.status, payload.id) {
            return Ok(Message::Transaction(TransactionMark {
                status: status.to_text(),
                id: id.to_text(),
                event_count: payload.event_count.and_then(unsigned),
                collections: match payload.collections {
                    Some(Raw::Array(list)) => Some(list),
                    _ => None,
                },
            }));
        }
        if payload.table_changes {
            return Ok(Message::SchemaChange);
        }
        if payload.time && !payload.others {
            return Ok(Message::Heartbeat);
        }
        Err(not_debezium("an object without `op` and `source`".into()))
    }

    /// The object in a message's key, without its schema.
    ///
    /// # Errors
    /// [`Foreign`], when the bytes are not JSON.
    pub fn decode_key<'a>(
        &mut self,
        topic: &str,
        key: Option<&'a [u8]>,
    ) -> Result<Option<&'a [u8]>, Foreign> {
        let Some(key) = key else { return Ok(None) };
        // Keys and values of a topic have different schemas: keep their prefixes apart.
        let topic = format!("{topic}\0key");
        match self.schemas.split(&topic, key)?.payload {
            Raw::Object(object) => Ok(Some(object)),
            _ => Ok(None),
        }
    }
}

fn not_debezium(detail: String) -> Foreign {
    Foreign { rule: "message.not-debezium", detail }
}

fn top_level(object: &[u8]) -> Result<Payload<'_>, Malformed> {
    let mut payload = Payload::default();
    let mut scanner = Scanner::new(object);
    scanner.open_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(first)? {
        first = false;
        let value = scanner.value()?;
        match key.bytes {
            b"op" => payload.op = Some(value),
            b"before" => payload.before = Some(value),
            b"after" => payload.after = Some(value),
            b"source" => payload.source = Some(value),
            b"transaction" => payload.transaction = Some(value),
            b"status" => payload.status = Some(value),
            b"id" => payload.id = Some(value),
            b"event_count" => payload.event_count = Some(value),
            b"data_collections" => payload.collections = Some(value),
            b"tableChanges" => payload.table_changes = true,
            b"ts_ms" => payload.time = true,
            b"ts_us" | b"ts_ns" => {}
            _ => payload.others = true,
        }
    }
    scanner.end()?;
    Ok(payload)
}

fn event<'a>(
    op: Raw<'a>,
    source: Raw<'a>,
    payload: &Payload<'a>,
    memo: &mut LsnMemo,
) -> Result<Event<'a>, Foreign> {
    let op = match op {
        Raw::Text(letter) => match letter.bytes {
            b"c" => Op::Create,
            b"u" => Op::Update,
            b"d" => Op::Delete,
            b"r" => Op::Read,
            b"t" => Op::Truncate,
            _ => return Err(Foreign { rule: "message.op", detail: "an unknown `op`".into() }),
        },
        other => return Err(not_debezium(format!("`op` is {}", other.kind()))),
    };
    let Raw::Object(source) = source else {
        return Err(not_debezium(format!("`source` is {}", source.kind())));
    };
    let row = |raw: Option<Raw<'a>>| match raw {
        Some(Raw::Object(object)) => Ok(Some(object)),
        Some(Raw::Null) | None => Ok(None),
        Some(other) => Err(not_debezium(format!("a row is {}", other.kind()))),
    };
    let (before, after) = (row(payload.before)?, row(payload.after)?);
    if after.is_none() && matches!(op, Op::Create | Op::Update | Op::Read) {
        return Err(not_debezium("no `after`".into()));
    }
    let transaction = match payload.transaction {
        Some(Raw::Object(object)) => Some(transaction_block(object)?),
        _ => None,
    };
    Ok(Event { op, source: source_block(source, memo)?, transaction, before, after, schema: None })
}

fn source_block<'a>(object: &'a [u8], memo: &mut LsnMemo) -> Result<Source<'a>, Foreign> {
    let mut source = Source::default();
    let mut scanner = Scanner::new(object);
    scanner.open_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(first)? {
        first = false;
        let value = scanner.value()?;
        match key.bytes {
            b"db" => source.database = text(value),
            b"schema" => source.schema = text(value),
            b"table" => source.table = text(value),
            b"commit_lsn" => source.commit_lsn = memo.parse(value)?,
            b"event_serial_no" => source.event_serial_no = unsigned(value),
            b"ts_ms" => source.ts_ms = signed(value),
            b"snapshot" => {
                if let Raw::Text(word) = value {
                    source.snapshot = Some(word.to_text());
                }
            }
            _ => {}
        }
    }
    if source.table.is_empty() {
        return Err(not_debezium("no table in `source`".into()));
    }
    Ok(source)
}

fn transaction_block(object: &[u8]) -> Result<TransactionBlock<'_>, Malformed> {
    let mut block =
        TransactionBlock { id: Cow::Borrowed(""), total_order: None, collection_order: None };
    let mut scanner = Scanner::new(object);
    scanner.open_object()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(first)? {
        first = false;
        let value = scanner.value()?;
        match key.bytes {
            b"id" => block.id = text(value),
            b"total_order" => block.total_order = unsigned(value),
            b"data_collection_order" => block.collection_order = unsigned(value),
            _ => {}
        }
    }
    Ok(block)
}

fn text(raw: Raw<'_>) -> Cow<'_, str> {
    match raw {
        Raw::Text(text) => text.to_text(),
        _ => Cow::Borrowed(""),
    }
}

fn signed(raw: Raw<'_>) -> Option<i64> {
    match raw {
        Raw::Number(digits) => number::whole(digits),
        _ => None,
    }
}

fn unsigned(raw: Raw<'_>) -> Option<u64> {
    signed(raw).and_then(|value| u64::try_from(value).ok())
}
