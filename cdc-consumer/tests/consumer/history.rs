//! Any valid history, cut into batches anywhere, delivered in any interleaving of partitions,
//! repeated from anywhere, ends in the same rows (F16, F17, F23–F26, F28, F30).

use std::collections::BTreeMap;

use cdc_consumer::{
    Settings,
    batch::{Batcher, Owned},
    settings::{DriftPolicies, DriftPolicy},
};
use proptest::prelude::*;

use crate::{
    fixture::{At, Contract, Record, TOPIC, plan, settings},
    model::Model,
};

pub(crate) const PARTITIONS: usize = 3;

/// What a transaction does to a row.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write {
        number: u8,
        status: i64,
        terms: Option<u8>,
    },
    /// Leaves the LOBs alone.
    Touch {
        number: u8,
        status: i64,
    },
    Delete {
        number: u8,
    },
    /// The connector reads the row again (an incremental snapshot).
    Read {
        number: u8,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let number = 0..5_u8;
    prop_oneof![
        4 => (number.clone(), 0..9_i64, proptest::option::of(0..9_u8))
            .prop_map(|(number, status, terms)| Step::Write { number, status, terms }),
        3 => (number.clone(), 0..9_i64).prop_map(|(number, status)| Step::Touch { number, status }),
        2 => number.clone().prop_map(|number| Step::Delete { number }),
        1 => number.prop_map(|number| Step::Read { number }),
    ]
}

/// The legacy database and the logs that its connector writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Legacy {
    pub(crate) rows: BTreeMap<u8, Contract>,
    pub(crate) logs: [Vec<Record>; PARTITIONS],
}

impl Legacy {
    pub(crate) fn run(transactions: &[Vec<Step>], ordered: bool) -> Self {
        let mut legacy = Self::default();
        for (lsn, steps) in (1..).zip(transactions) {
            for (order, step) in (1..).zip(steps) {
                legacy.step(step, At { lsn, order: ordered.then_some(2 * order) });
            }
        }
        legacy
    }

    fn step(&mut self, step: &Step, at: At) {
        let number = match step {
            Step::Write { number, .. } | Step::Touch { number, .. } => *number,
            Step::Delete { number } | Step::Read { number } => *number,
        };
        let log = &mut self.logs[usize::from(number) % PARTITIONS];
        let old = self.rows.get(&number).cloned();
        match (step, old) {
            (Step::Write { status, terms, .. }, old) => {
                let terms = terms.map(|terms| format!("terms {terms}"));
                let row =
                    Contract { terms, ..Contract::new(&format!("N-{number}"), *status, None) };
                // An update that sets a LOB to NULL can't be told from one that leaves it alone
                // (trap 10), so such a write is a delete and an insert (trap 5).
                match old {
                    Some(old) if row.terms.is_none() => {
                        log.push(Record::delete(&old, at));
                        log.push(Record::tombstone(&old));
                        let at = At { order: at.order.map(|order| order + 1), ..at };
                        log.push(Record::insert(&row, at));
                    }
                    Some(_) => log.push(Record::update(&row, true, at)),
                    None => log.push(Record::insert(&row, at)),
                }
                self.rows.insert(number, row);
            }
            (Step::Touch { status, .. }, Some(old)) => {
                let row = Contract { status: *status, ..old };
                log.push(Record::update(&row, false, at));
                self.rows.insert(number, row);
            }
            (Step::Delete { .. }, Some(old)) => {
                log.push(Record::delete(&old, at));
                log.push(Record::tombstone(&old));
                self.rows.remove(&number);
            }
            // What a snapshot reads is as of the last whole transaction.
            (Step::Read { .. }, Some(old)) => {
                log.push(Record::read(&old, At { lsn: at.lsn - 1, order: None }));
            }
            (_, None) => {}
        }
    }
}

/// What happens next on the consumer's side.
#[derive(Debug, Clone)]
enum Event {
    Deliver {
        partition: usize,
    },
    Commit,
    /// The process dies: what was collected is lost, reading goes on from what is committed.
    Crash,
}

fn happening() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..PARTITIONS).prop_map(|partition| Event::Deliver { partition }),
        2 => Just(Event::Commit),
        1 => Just(Event::Crash),
    ]
}

struct World {
    legacy: Legacy,
    model: Model,
    batcher: Batcher,
    next: [usize; PARTITIONS],
}

impl World {
    fn new(legacy: Legacy, model: Model) -> Self {
        let batcher = Batcher::new(&settings(), plan(), BTreeMap::new());
        let mut world = Self { legacy, model, batcher, next: [0; PARTITIONS] };
        world.claim();
        world
    }

    fn claim(&mut self) {
        let mut owned = Vec::new();
        for (partition, next) in (0..).zip(&mut self.next) {
            let stored = self.model.offsets.get(&(TOPIC.to_owned(), partition)).copied();
            let stored = stored.unwrap_or(0);
            *next = usize::try_from(stored).unwrap();
            let topic = TOPIC.to_owned();
            owned.push(Owned {
                topic,
                partition,
                epoch: 1,
                expected: stored,
                next: stored,
                first: false,
                commit_lsn: None,
            });
        }
        self.batcher.assign(owned);
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Deliver { partition } => {
                let log = &self.legacy.logs[*partition];
                let next = &mut self.next[*partition];
                if let Some(record) = log.get(*next) {
                    let number = i32::try_from(*partition).unwrap();
                    let offset = i64::try_from(*next).unwrap();
                    self.batcher.push(&record.incoming(TOPIC, number, offset), 0).unwrap();
                    *next += 1;
                }
            }
            Event::Commit => {
                if let Some(batch) = self.batcher.take() {
                    assert!(batch.quarantine.is_empty(), "{:?}", batch.quarantine);
                    self.model.apply(&batch);
                }
            }
            Event::Crash => self.claim(),
        }
    }

    fn drain(mut self) -> Model {
        for partition in 0..PARTITIONS {
            while self.next[partition] < self.legacy.logs[partition].len() {
                self.happen(&Event::Deliver { partition });
            }
        }
        self.happen(&Event::Commit);
        self.model
    }
}

/// What the target must hold: the legacy rows, each as one insert.
fn wanted(rows: &BTreeMap<u8, Contract>) -> Model {
    let mut batcher = crate::fixture::batcher();
    let records: Vec<Record> = (1..)
        .zip(rows.values())
        .map(|(lsn, row)| Record::insert(row, At { lsn, order: Some(1) }))
        .collect();
    crate::fixture::push_all(&mut batcher, TOPIC, &records);
    let mut model = Model::default();
    if let Some(batch) = batcher.take() {
        model.apply(&batch);
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_delivery_of_a_history_ends_in_the_same_rows(
        transactions in proptest::collection::vec(proptest::collection::vec(step(), 1..4), 1..16),
        happenings in proptest::collection::vec(happening(), 0..80),
        ordered: bool,
    ) {
        let legacy = Legacy::run(&transactions, ordered);
        let rows = legacy.rows.clone();
        let mut world = World::new(legacy, Model::default());
        for event in &happenings {
            world.happen(event);
        }
        let legacy = Legacy { rows: BTreeMap::new(), logs: world.legacy.logs.clone() };
        let model = world.drain();
        prop_assert_eq!(model.contents(), wanted(&rows).contents());
        prop_assert_eq!(model.parked_count(), 0);

        // Replay of everything from offset 0 changes nothing.
        let mut again = model.clone();
        again.offsets.clear();
        let replayed = World::new(legacy, again).drain();
        prop_assert_eq!(replayed.contents(), model.contents());
    }

    #[test]
    fn arbitrary_messages_are_counted_and_never_fatal(
        values in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)), 1..20),
        cut in 0..600_usize,
        flip in 0..600_usize,
    ) {
        // A flipped byte may be a column of another name, which would stop the table.
        let drift = DriftPolicies::all(DriftPolicy::Quarantine);
        let mut batcher = Batcher::new(&Settings { drift, ..settings() }, plan(), BTreeMap::new());
        batcher.assign(vec![crate::fixture::owned(TOPIC, 0)]);
        let good = Record::update(&Contract::new("N", 1, Some("t")), true, At { lsn: 1, order: Some(1) });
        let good = good.value.unwrap().into_bytes();
        let mut flipped = good.clone();
        let at = flip % flipped.len();
        flipped[at] ^= 0x15;
        let truncated = good[..cut.min(good.len())].to_vec();
        let all = values.iter().map(Option::as_deref).chain([Some(&*flipped), Some(&*truncated), Some(&*good)]);
        let mut count = 0;
        let mut headers = cdc_consumer::batch::Headers::default();
        headers.push(cdc_consumer::decode::OLD_KEY_HEADER, Some(b"{}"));
        for (offset, value) in (0..).zip(all) {
            let renamed: &[u8] = if offset % 2 == 0 { headers.as_bytes() } else { &[] };
            let incoming = cdc_consumer::batch::Incoming {
                topic: TOPIC, partition: 0, offset, key: value, value, headers: renamed,
                timestamp_ms: None,
                fingerprint: None,
            };
            batcher.push(&incoming, 0).unwrap();
            count = offset + 1;
        }
        let batch = batcher.take().unwrap();
        let target::Checkpoint::Offsets { advances, .. } = &batch.checkpoint else { panic!() };
        prop_assert_eq!(advances[0].next, count);
        // Every data event is mapped, ignored or in quarantine.
        let read: u64 = batch.read.values().map(|counts| counts.read).sum();
        let ignored: u64 = batch.read.values().flat_map(|counts| counts.ignored.values()).sum();
        let kept = batch.quarantine.iter().filter(|entry| entry.table.is_some()).count();
        prop_assert_eq!(read, ignored + u64::try_from(batch.tables.len() + kept).unwrap());
    }
}
