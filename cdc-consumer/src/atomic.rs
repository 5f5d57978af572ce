//! Whole legacy transactions, in their order (`--atomic`). Pure.
//!
//! Messages of all partitions go in; they come out again so that all messages of one legacy
//! transaction stand together, behind those of every earlier one. A batch is closed between two
//! transactions only, so each becomes visible in one Postgres transaction, and what is visible is
//! always a state that the legacy database had.
//!
//! **Why it is right.** Debezium writes the transactions one after the other, so in every partition
//! they stand in order, and so do the marks on the transaction topic. The END of a transaction tells
//! how many events of each table it has. Once so many have come, it is whole; all earlier ones were
//! whole before it, because their ENDs stand before its own. What belongs to no transaction (a
//! tombstone, a heartbeat, a row that the connector read) goes with what stands before it.
//!
//! **What it costs.** Messages wait here until their transaction is whole. When they become too
//! many bytes, partitions that are ahead of the oldest transaction are not read; what is left then
//! is that transaction itself, and if it alone is too large, the run ends and says so.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use mapping::position::Lsn;

use crate::{
    batch::{Incoming, copied::Copied},
    decode::{Decoder, Message, Op},
    error::Error,
};

/// What a message costs beside its bytes.
const MESSAGE_BYTES: usize = 160;

/// A message that waits.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) message: Copied,
    transaction: Option<Lsn>,
}

impl Waiting {
    fn bytes(&self) -> usize {
        MESSAGE_BYTES + self.message.bytes()
    }
}

/// What is known of a transaction.
#[derive(Debug, Default)]
struct Transaction {
    /// Its events that are followed, by their number within the transaction: an event that is
    /// delivered twice is one.
    events: HashSet<u64>,
    bytes: usize,
    /// How many it has, once its END has come.
    needed: Option<u64>,
}

/// Puts messages in the order of their transactions.
#[derive(Debug)]
pub(crate) struct Sequencer {
    /// `database.schema.table` of the tables that are followed, in lower case.
    followed: BTreeSet<String>,
    marks_topic: String,
    bytes_max: usize,
    decoder: Decoder,
    queues: BTreeMap<(String, i32), VecDeque<Waiting>>,
    transactions: BTreeMap<Lsn, Transaction>,
    /// Everything up to here is done, or was begun by a run that did not know of transactions.
    done: Lsn,
    bytes: usize,
}

impl Sequencer {
    pub(crate) fn new(
        followed: impl IntoIterator<Item = String>,
        marks_topic: String,
        bytes_max: usize,
    ) -> Self {
        Self {
            followed: followed.into_iter().map(|name| name.to_lowercase()).collect(),
            marks_topic,
            bytes_max,
            decoder: Decoder::default(),
            queues: BTreeMap::new(),
            transactions: BTreeMap::new(),
            done: Lsn::ZERO,
            bytes: 0,
        }
    }

    /// Begins anew. Marks up to `done` were read before and don't come again.
    pub(crate) fn restart(&mut self, done: Lsn) {
        self.queues.clear();
        self.transactions.clear();
        self.done = done;
        self.bytes = 0;
    }

    /// Takes in a message.
    ///
    /// # Errors
    /// [`Error::NoTransaction`], [`Error::TransactionTooLarge`].
    pub(crate) fn push(&mut self, incoming: &Incoming<'_>) -> Result<(), Error> {
        let transaction = self.transaction_of(incoming)?;
        let waiting = Waiting { message: Copied::new(incoming), transaction };
        let bytes = waiting.bytes();
        self.bytes += bytes;
        if let Some(known) = transaction.and_then(|lsn| self.transactions.get_mut(&lsn)) {
            known.bytes += bytes;
        }
        let place = (incoming.topic.to_owned(), incoming.partition);
        self.queues.entry(place).or_default().push_back(waiting);
        self.check_size()
    }

    /// The messages that may be applied now; a transaction is among them whole or not at all. Ask
    /// again until there are none.
    pub(crate) fn next(&mut self) -> Vec<Waiting> {
        let free = self.take(self.done);
        if !free.is_empty() {
            return free;
        }
        let whole = self.transactions.first_key_value().and_then(|(lsn, transaction)| {
            let count = u64::try_from(transaction.events.len()).unwrap_or(u64::MAX);
            transaction.needed.is_some_and(|needed| count >= needed).then_some(*lsn)
        });
        let Some(lsn) = whole else { return Vec::new() };
        self.transactions.remove(&lsn);
        self.done = lsn;
        self.take(lsn)
    }

    /// The oldest transaction that is not whole: how many of its events are here, and how many it
    /// has, where that is known.
    pub(crate) fn missing(&self) -> Option<(Lsn, u64, Option<u64>)> {
        let (lsn, transaction) = self.transactions.first_key_value()?;
        let count = u64::try_from(transaction.events.len()).unwrap_or(u64::MAX);
        Some((*lsn, count, transaction.needed))
    }

    /// Partitions that are not to be read now: those that are past the oldest transaction, while
    /// too much waits.
    pub(crate) fn ahead(&self) -> BTreeSet<(String, i32)> {
        let Some((oldest, _)) = self.transactions.first_key_value() else { return BTreeSet::new() };
        if self.bytes < self.bytes_max {
            return BTreeSet::new();
        }
        let is_ahead = |queue: &VecDeque<Waiting>| {
            let newest = queue.iter().rev().find_map(|waiting| waiting.transaction);
            newest.is_some_and(|newest| newest > *oldest)
        };
        self.queues.iter().filter(|(_, queue)| is_ahead(queue)).map(|(at, _)| at.clone()).collect()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes everything up to a transaction from the front of each partition.
    fn take(&mut self, up_to: Lsn) -> Vec<Waiting> {
        let mut taken = Vec::new();
        for queue in self.queues.values_mut() {
            let is_free = |waiting: &mut Waiting| waiting.transaction.is_none_or(|at| at <= up_to);
            while let Some(waiting) = queue.pop_front_if(is_free) {
                self.bytes = self.bytes.saturating_sub(waiting.bytes());
                taken.push(waiting);
            }
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        taken
    }

    fn transaction_of(&mut self, incoming: &Incoming<'_>) -> Result<Option<Lsn>, Error> {
        let place =
            || format!("{}/{} offset {}", incoming.topic, incoming.partition, incoming.offset);
        match self.decoder.decode(incoming.topic, incoming.value) {
            Ok(Message::Data(event)) if event.op != Op::Read => {
                let block = event.transaction.as_ref();
                let lsn = block.and_then(|block| Lsn::parse(&block.id).ok());
                let order = block.and_then(|block| block.total_order);
                let (Some(lsn), Some(order)) = (lsn, order) else {
                    return Err(Error::NoTransaction { place: place() });
                };
                if lsn <= self.done {
                    return Ok(Some(lsn));
                }
                let source = &event.source;
                let name = format!("{}.{}.{}", source.database, source.schema, source.table);
                let transaction = self.transactions.entry(lsn).or_default();
                if self.followed.contains(&name.to_lowercase()) {
                    transaction.events.insert(order);
                }
                Ok(Some(lsn))
            }
            Ok(Message::Transaction(mark)) if incoming.topic == self.marks_topic => {
                let Some(lsn) = mark.lsn() else { return Ok(None) };
                if lsn > self.done {
                    let transaction = self.transactions.entry(lsn).or_default();
                    if mark.is_end() {
                        let followed = |(name, _): &(String, u64)| {
                            self.followed.contains(&name.to_lowercase())
                        };
                        let counts = mark.counts();
                        let needed = counts.iter().filter(|count| followed(count));
                        transaction.needed = Some(needed.map(|(_, count)| count).sum());
                    }
                }
                Ok(Some(lsn))
            }
            _ => Ok(None),
        }
    }

    fn check_size(&self) -> Result<(), Error> {
        match self.transactions.first_key_value() {
            Some((lsn, oldest)) if oldest.bytes > self.bytes_max => {
                Err(Error::TransactionTooLarge {
                    transaction: *lsn,
                    events: oldest.events.len(),
                    bytes: oldest.bytes,
                    bytes_max: self.bytes_max,
                })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
