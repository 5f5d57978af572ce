//! The messages of a contract topic, as Debezium writes them, made before anything is measured.

use std::sync::Arc;

use anyhow::Context;
use mapping::{catalog::Table, position::Lsn, value::LegacyValue};
use sandbox::{
    debezium::{Encoder, Origin, Place, RowChange, Settings},
    legacy::{Operation, Values},
};

use crate::data;

/// The connector's `topic.prefix`.
pub(super) const PREFIX: &str = "spacehub";
/// Contracts that are changed all the time.
const HOT: u64 = 1_000;
/// Events of one legacy transaction.
const TRANSACTION_EVENTS: u64 = 10;

/// What happens to the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// New ones only.
    Inserts,
    /// Nine of ten are updates of one of 1,000 contracts, the tenth is a new one.
    Hot,
    /// 50 % new ones, 40 % updates (nine of ten leave the text alone, which Debezium then does
    /// not send), 10 % deletes with their tombstones, of random contracts.
    Mixed,
}

/// A topic's messages.
pub(super) struct Log {
    load: Load,
    pub(super) schemas: bool,
    /// Its name.
    pub(super) topic: String,
    /// By number.
    pub(super) partitions: Vec<Partition>,
    events: u64,
    rows: u64,
}

/// A partition's messages in one piece; the index is the offset.
#[derive(Default)]
pub(super) struct Partition {
    bytes: Vec<u8>,
    messages: Vec<Message>,
}

struct Message {
    begin: usize,
    value: usize,
    end: usize,
    is_tombstone: bool,
}

impl Partition {
    /// Messages, tombstones among them.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Key and value of the message at an offset.
    pub(super) fn message(&self, offset: usize) -> Option<(&[u8], Option<&[u8]>)> {
        let Message { begin, value, end, is_tombstone } = self.messages.get(offset)?;
        let payload = self.bytes.get(*value..*end)?;
        Some((self.bytes.get(*begin..*value)?, (!is_tombstone).then_some(payload)))
    }

    /// Bytes of a message.
    pub(super) fn size(&self, offset: usize) -> usize {
        self.messages.get(offset).map_or(0, |message| message.end - message.begin)
    }

    fn push(&mut self, key: &str, value: Option<&str>) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(key.as_bytes());
        let at = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default().as_bytes());
        let (end, is_tombstone) = (self.bytes.len(), value.is_none());
        self.messages.push(Message { begin, value: at, end, is_tombstone });
    }
}

impl Log {
    pub(super) fn make(
        load: Load,
        schemas: bool,
        (events, partitions): (u64, i32),
    ) -> anyhow::Result<Self> {
        let catalog = spacehub::catalog()?;
        let contract = catalog.tables.into_iter().find(|table| table.table.name == "Contract");
        let contract = Arc::new(contract.context("no table dbo.Contract")?);
        let settings = Settings { schemas, ..Settings::new(PREFIX) };
        let mut encoder = Encoder::new(spacehub::DATABASE, settings);
        let topic = encoder.topic(&contract);
        let count = usize::try_from(partitions.max(1))?;
        let partitions = std::iter::repeat_with(Partition::default).take(count).collect();
        let mut log = Self { load, schemas, topic, partitions, events, rows: 0 };
        let mut history = History::default();
        for event in 0..events {
            let step = history.step(load, event);
            log.write(&mut encoder, &contract, (&step, event))?;
        }
        log.rows = u64::try_from(history.live.len())?;
        Ok(log)
    }

    fn write(
        &mut self,
        encoder: &mut Encoder,
        contract: &Arc<Table>,
        (step, event): (&Step, u64),
    ) -> anyhow::Result<()> {
        let transaction = event / TRANSACTION_EVENTS;
        let order = event % TRANSACTION_EVENTS + 1;
        let lsn = Lsn::parse(&format!("00000027:{transaction:08x}:0003"))?;
        let change = RowChange {
            operation: step.operation,
            before: step.before.as_deref(),
            after: step.after.as_deref(),
            change_lsn: Lsn::parse(&format!("00000027:{transaction:08x}:{order:04x}"))?,
            event_serial_no: if step.operation == Operation::Update { 2 } else { 1 },
            columns_changed: step.changed,
        };
        let place = Place { total_order: order, collection_order: order };
        let commit_ms = 1_753_142_401_037 + i64::try_from(transaction)?;
        let origin = Origin { commit_lsn: lsn, commit_ms, place: Some(place) };
        let count = u64::try_from(self.partitions.len())?;
        let partition = usize::try_from(data::below(step.number, 77, count))?;
        let partition = self.partitions.get_mut(partition).context("no such partition")?;
        encoder.change(contract, &change, &origin, commit_ms * 1_000_000, &mut |record| {
            partition.push(record.key.unwrap_or_default(), record.value);
        })?;
        Ok(())
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        let load = match self.load {
            Load::Inserts => "inserts",
            Load::Hot => "updates of hot keys",
            Load::Mixed => "mixed",
        };
        let schemas = if self.schemas { " with schemas" } else { "" };
        let count = self.partitions.len();
        format!("{load}{schemas}, {count} partition{}", if count == 1 { "" } else { "s" })
    }

    /// Data events, tombstones not counted.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Messages, tombstones counted.
    pub(super) fn messages(&self) -> usize {
        self.partitions.iter().map(Partition::len).sum()
    }

    /// Bytes of all messages.
    pub(super) fn bytes(&self) -> u64 {
        let bytes: usize = self.partitions.iter().map(|partition| partition.bytes.len()).sum();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// Rows that there are in the end.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }
}

/// What happens to one contract.
struct Step {
    number: u64,
    operation: Operation,
    before: Option<Vec<LegacyValue<'static>>>,
    after: Option<Vec<LegacyValue<'static>>>,
    changed: &'static [usize],
}

/// Which contracts there are, each at its version.
#[derive(Default)]
struct History {
    live: Vec<(u64, u64)>,
    made: u64,
}

impl History {
    fn step(&mut self, load: Load, event: u64) -> Step {
        let turn = data::below(event, 70, 10);
        let (turn, among) = match load {
            Load::Inserts => (0, self.count()),
            Load::Hot => (if turn < 9 { 5 } else { 0 }, self.count().min(HOT)),
            Load::Mixed => (turn, self.count()),
        };
        let at = usize::try_from(data::below(event, 71, among)).unwrap_or(0);
        match (turn, self.live.get(at).copied()) {
            (5..=8, Some((number, version))) => {
                if let Some(live) = self.live.get_mut(at) {
                    live.1 += 1;
                }
                self.update(number, version, event)
            }
            (9, Some((number, version))) => {
                self.live.swap_remove(at);
                let before = Some(data::contract(number, version));
                Step { number, operation: Operation::Delete, before, after: None, changed: &[] }
            }
            _ => {
                let number = self.made;
                self.made += 1;
                self.live.push((number, 0));
                let after = Some(data::contract(number, 0));
                Step { number, operation: Operation::Insert, before: None, after, changed: &[] }
            }
        }
    }

    fn update(&self, number: u64, version: u64, event: u64) -> Step {
        let before: Values = data::contract(number, version);
        let mut after = data::contract(number, version + 1);
        let with_terms = event.is_multiple_of(10);
        let terms = if with_terms {
            Some(LegacyValue::Text(format!("Шинэ нөхцөл {event}").into()))
        } else {
            // As it was; the change table does not have it.
            before.get(10).cloned()
        };
        if let (Some(place), Some(terms)) = (after.get_mut(10), terms) {
            *place = terms;
        }
        let changed =
            if with_terms { data::CONTRACT_CHANGED_TERMS } else { data::CONTRACT_CHANGED };
        let operation = Operation::Update;
        Step { number, operation, before: Some(before), after: Some(after), changed }
    }

    fn count(&self) -> u64 {
        u64::try_from(self.live.len()).unwrap_or(u64::MAX)
    }
}
