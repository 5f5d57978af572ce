//! Where each owned partition is: what Postgres has, and what the open batch will make of it.

use std::collections::BTreeMap;

use mapping::position::Lsn;
use target::batch::OffsetAdvance;

use crate::error::Error;

/// A partition that Postgres says is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Our epoch.
    pub epoch: i64,
    /// The offset that Postgres has.
    pub expected: i64,
    /// The offset to read next. Above `expected` only where a first claim finds a log that
    /// does not begin at 0, or where lost messages are accepted.
    pub next: i64,
    /// Whether it was never read before. Its start is stored with the first batch, so that
    /// messages which the broker deletes from then on are missed.
    pub first: bool,
    /// The highest commit LSN that Postgres has of it.
    pub commit_lsn: Option<Lsn>,
}

#[derive(Debug)]
struct Partition {
    epoch: i64,
    expected: i64,
    next: i64,
    touched: bool,
    wait: Option<Wait>,
    commit_lsn: Option<Lsn>,
    source_ts_ms: Option<i64>,
    /// Of the message at `next - 1`.
    fingerprint: Option<i64>,
    kafka_ts_ms: Option<i64>,
    last: Last,
}

/// What came last in a partition, for the tombstone that may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nobody knows: it was read by somebody else.
    Unknown,
    /// The delete of a row with this key.
    Delete(u64),
    /// Another change.
    Other,
}

/// Why a partition is read no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Its table is paused or stopped.
    Table,
    /// Its next change is above the LSN at which the run ends.
    Until,
}

#[derive(Debug, Default)]
struct Topic {
    name: String,
    partitions: BTreeMap<i32, Partition>,
}

/// All owned partitions.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    topics: Vec<Topic>,
    /// Messages come in runs of one topic.
    last: usize,
}

/// What a message's offset says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The expected one, or one behind an allowed gap.
    Next,
    /// Below what is accounted for: delivered again.
    Again,
    /// Of a partition that is not ours (any more).
    Foreign,
    /// Of a partition that waits: it will be read again.
    Waits,
}

impl Offsets {
    /// Replaces everything. Partitions whose start differs from what Postgres has are part of
    /// the next batch, so that the start is stored before anything else.
    pub(crate) fn assign(&mut self, owned: Vec<Owned>) {
        self.topics.clear();
        self.last = 0;
        for one in owned {
            let partition = Partition {
                epoch: one.epoch,
                expected: one.expected,
                next: one.next,
                touched: one.first || one.next != one.expected,
                wait: None,
                commit_lsn: None,
                source_ts_ms: None,
                fingerprint: None,
                kafka_ts_ms: None,
                last: Last::Unknown,
            };
            let found = self.topics.iter().position(|topic| topic.name == one.topic);
            let index = found.unwrap_or_else(|| {
                self.topics.push(Topic { name: one.topic, ..Topic::default() });
                self.topics.len() - 1
            });
            if let Some(topic) = self.topics.get_mut(index) {
                topic.partitions.insert(one.partition, partition);
            }
        }
    }

    fn partition(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        if self.topics.get(self.last).is_none_or(|last| last.name != topic) {
            self.last = self.topics.iter().position(|candidate| candidate.name == topic)?;
        }
        self.topics.get_mut(self.last)?.partitions.get_mut(&partition)
    }

    /// What is to be done with a message. Only [`Offsets::accept`] accounts for it.
    pub(crate) fn arrive(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        allow_gaps: bool,
    ) -> Result<Arrival, Error> {
        let Some(state) = self.partition(topic, partition) else { return Ok(Arrival::Foreign) };
        if state.wait.is_some() {
            return Ok(Arrival::Waits);
        }
        if offset < state.next {
            return Ok(Arrival::Again);
        }
        if offset > state.next && !allow_gaps {
            let expected = state.next;
            return Err(Error::Gap { topic: topic.into(), partition, expected, found: offset });
        }
        Ok(Arrival::Next)
    }

    /// The message is in the open batch.
    pub(crate) fn accept(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        fingerprint: Option<i64>,
    ) {
        if let Some(state) = self.partition(topic, partition) {
            state.next = offset + 1;
            state.fingerprint = fingerprint;
            state.touched = true;
        }
    }

    /// Accepts nothing more of a partition.
    pub(crate) fn wait(&mut self, topic: &str, partition: i32, why: Wait) {
        if let Some(state) = self.partition(topic, partition) {
            state.wait = Some(why);
        }
    }

    /// Accepts nothing more of a topic, on behalf of its table.
    pub(crate) fn wait_all(&mut self, topic: &str) {
        let topics = self.topics.iter_mut().filter(|found| found.name == topic);
        for state in topics.flat_map(|topic| topic.partitions.values_mut()) {
            state.wait.get_or_insert(Wait::Table);
        }
    }

    /// Goes on with a topic whose table is followed again; where each partition goes on.
    pub(crate) fn go_on(&mut self, topic: &str) -> Vec<(String, i32, i64)> {
        let mut released = Vec::new();
        for found in self.topics.iter_mut().filter(|found| found.name == topic) {
            for (number, state) in &mut found.partitions {
                if state.wait == Some(Wait::Table) {
                    state.wait = None;
                    released.push((found.name.clone(), *number, state.next));
                }
            }
        }
        released
    }

    /// The partitions that wait: topic, number and next offset.
    pub(crate) fn waiting(&self, why: Wait) -> impl Iterator<Item = (&str, i32, i64)> {
        self.topics.iter().flat_map(move |topic| {
            let waiting = topic.partitions.iter().filter(move |(_, at)| at.wait == Some(why));
            waiting.map(|(number, state)| (&*topic.name, *number, state.next))
        })
    }

    /// Goes on at `to` where `from` is the next offset: there is no message between.
    pub(crate) fn pass_over(&mut self, topic: &str, partition: i32, (from, to): (i64, i64)) {
        if let Some(state) = self.partition(topic, partition)
            && state.next == from
            && to > from
        {
            state.next = to;
            state.touched = true;
            state.fingerprint = None;
        }
    }

    /// Takes note of a change, and of its key's digest where it is a delete.
    pub(crate) fn note_last(&mut self, topic: &str, partition: i32, deleted: Option<u64>) {
        if let Some(state) = self.partition(topic, partition) {
            state.last = deleted.map_or(Last::Other, Last::Delete);
        }
    }

    /// Whether a tombstone of this key follows something else than the delete of its row.
    pub(crate) fn is_lone(&mut self, topic: &str, partition: i32, key: u64) -> bool {
        let last = self.partition(topic, partition).map_or(Last::Unknown, |state| state.last);
        last != Last::Unknown && last != Last::Delete(key)
    }

    /// Takes note of a change's place in the legacy log, when it was committed there, and when
    /// Kafka got it.
    pub(crate) fn note(
        &mut self,
        topic: &str,
        partition: i32,
        lsn: Option<Lsn>,
        (source_ts_ms, kafka_ts_ms): (Option<i64>, Option<i64>),
    ) {
        let Some(state) = self.partition(topic, partition) else { return };
        state.commit_lsn = state.commit_lsn.max(lsn);
        // The two times are those of one change: the newest.
        if source_ts_ms.is_some() && source_ts_ms >= state.source_ts_ms {
            state.source_ts_ms = source_ts_ms;
            state.kafka_ts_ms = kafka_ts_ms;
        }
    }

    /// Whether a batch would move anything.
    pub(crate) fn touched(&self) -> bool {
        self.topics.iter().any(|topic| topic.partitions.values().any(|state| state.touched))
    }

    /// The steps of the batch that is closed now; the next one expects what this one leaves.
    pub(crate) fn advance(&mut self) -> Vec<OffsetAdvance> {
        let mut advances = Vec::new();
        for topic in &mut self.topics {
            for (partition, state) in &mut topic.partitions {
                if !std::mem::take(&mut state.touched) {
                    continue;
                }
                advances.push(OffsetAdvance {
                    topic: topic.name.clone(),
                    partition: *partition,
                    expected: state.expected,
                    next: state.next,
                    epoch: state.epoch,
                    commit_lsn: state.commit_lsn.take(),
                    source_ts_ms: state.source_ts_ms.take(),
                    fingerprint: state.fingerprint,
                    kafka_ts_ms: state.kafka_ts_ms.take(),
                });
                state.expected = state.next;
            }
        }
        advances
    }

    /// Topic, partition and next offset of everything that is owned.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&str, i32, i64)> {
        self.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|(number, state)| (&*topic.name, *number, state.next))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(next: i64) -> Vec<Owned> {
        let topic = "t".to_owned();
        let (epoch, expected, first, commit_lsn) = (7, 5, false, None);
        vec![Owned { topic, partition: 0, epoch, expected, next, first, commit_lsn }]
    }

    fn take(offsets: &mut Offsets, offset: i64, allow_gaps: bool) -> Arrival {
        let arrival = offsets.arrive("t", 0, offset, allow_gaps).unwrap();
        if arrival == Arrival::Next {
            offsets.accept("t", 0, offset, Some(offset));
        }
        arrival
    }

    #[test]
    fn each_offset_is_accounted_for_once() {
        let mut offsets = Offsets::default();
        offsets.assign(owned(5));
        assert!(!offsets.touched());
        assert_eq!(take(&mut offsets, 5, false), Arrival::Next);
        assert_eq!(take(&mut offsets, 5, false), Arrival::Again);
        assert_eq!(offsets.arrive("t", 1, 5, false).unwrap(), Arrival::Foreign);
        assert_eq!(offsets.arrive("u", 0, 5, false).unwrap(), Arrival::Foreign);
        assert!(matches!(
            offsets.arrive("t", 0, 7, false),
            Err(Error::Gap { expected: 6, found: 7, .. })
        ));
        assert_eq!(take(&mut offsets, 7, true), Arrival::Next);
        let advance = offsets.advance().remove(0);
        assert_eq!((advance.expected, advance.next, advance.epoch), (5, 8, 7));
        assert!(offsets.advance().is_empty());
        assert_eq!(take(&mut offsets, 8, false), Arrival::Next);
        assert_eq!(offsets.advance().remove(0).expected, 8);
    }

    #[test]
    fn a_partition_that_waits_goes_on_where_it_was() {
        let mut offsets = Offsets::default();
        offsets.assign(owned(5));
        assert_eq!(take(&mut offsets, 5, false), Arrival::Next);
        offsets.wait_all("t");
        // What the client had fetched ahead is passed over, without a gap.
        assert_eq!(take(&mut offsets, 6, false), Arrival::Waits);
        assert_eq!(take(&mut offsets, 9, false), Arrival::Waits);
        assert_eq!(offsets.advance().remove(0).next, 6);
        assert_eq!(offsets.waiting(Wait::Table).collect::<Vec<_>>(), [("t", 0, 6)]);
        assert_eq!(offsets.go_on("t"), [("t".to_owned(), 0, 6)]);
        assert_eq!(take(&mut offsets, 6, false), Arrival::Next);
        // The run's end is no table's: it is not taken back.
        offsets.wait("t", 0, Wait::Until);
        offsets.wait_all("t");
        assert!(offsets.go_on("t").is_empty());
    }

    #[test]
    fn offsets_without_a_message_are_passed_over_once() {
        let mut offsets = Offsets::default();
        offsets.assign(owned(5));
        offsets.pass_over("t", 0, (4, 9));
        offsets.pass_over("t", 0, (5, 5));
        offsets.pass_over("u", 0, (5, 9));
        assert!(!offsets.touched());
        offsets.pass_over("t", 0, (5, 7));
        let advance = offsets.advance().remove(0);
        assert_eq!((advance.expected, advance.next), (5, 7));
        assert_eq!(offsets.arrive("t", 0, 7, false).unwrap(), Arrival::Next);
    }

    #[test]
    fn a_start_above_what_postgres_has_is_stored_first() {
        let mut offsets = Offsets::default();
        offsets.assign(owned(9));
        assert!(offsets.touched());
        let advance = offsets.advance().remove(0);
        assert_eq!((advance.expected, advance.next), (5, 9));
    }
}
