//! However the partitions of a valid history are handed to and fro between the members of a group,
//! whatever they have in flight then, whoever has not heard of it, dies, or loses an answer, and
//! whatever the connector repeats: Postgres ends with the legacy rows, and every event is
//! counted once.
//!
//! Batcher, claims and apply are the real ones. The group is a model of what the protocol allows:
//! a member that has not heard of a rebalance goes on for a while with what it had. Which of its
//! batches must be refused is known beforehand: those of a partition that was claimed since.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use cdc_consumer::batch::{Batcher, Owned};
use mapping::plan::Plan;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sqlx::{PgPool, Row as _};
use target::{Batch, Checkpoint, Error, Target, batch::OffsetAdvance};

use crate::{
    fixture::{Contract, TOPIC, plan, settings},
    history::{Legacy, PARTITIONS, Step, step},
    stream::world::database,
};

const MEMBERS: usize = 3;

/// Which member has which partition.
type Owners = [usize; PARTITIONS];

#[derive(Debug, Clone)]
enum Happening {
    /// A member reads on in a partition that it believes to be its own.
    Read { member: usize, partition: usize, messages: usize },
    /// It closes its batch, which is in flight then.
    Close { member: usize },
    /// Its oldest batch in flight reaches Postgres; perhaps twice, as where an answer is lost and
    /// the question asked again.
    Write { member: usize, twice: bool },
    /// The group hands out its partitions anew. Those who are deaf do not hear of it.
    Rebalance { owners: Owners, deaf: Option<usize> },
    /// A member dies and comes back; its batch in flight may have been committed.
    Die { member: usize, committed: bool },
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::{Close, Die, Read, Rebalance, Write};
    let member = 0..MEMBERS;
    let owners = [0..MEMBERS, 0..MEMBERS, 0..MEMBERS];
    prop_oneof![
        8 => (member.clone(), 0..PARTITIONS, 1..6_usize)
            .prop_map(|(member, partition, messages)| Read { member, partition, messages }),
        4 => member.clone().prop_map(|member| Close { member }),
        4 => (member.clone(), any::<bool>()).prop_map(|(member, twice)| Write { member, twice }),
        2 => (owners, proptest::option::of(member.clone()))
            .prop_map(|(owners, deaf)| Rebalance { owners, deaf }),
        1 => (member, any::<bool>()).prop_map(|(member, committed)| Die { member, committed }),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    legacy: Legacy,
    happenings: Vec<Happening>,
}

fn case() -> impl Strategy<Value = Case> {
    let transactions = proptest::collection::vec(proptest::collection::vec(step(), 1..4), 1..16);
    let repeats = proptest::collection::vec((0..PARTITIONS, 0..40_usize, 1..12_usize), 0..4);
    let echoes = proptest::collection::vec((0..PARTITIONS, 0..40_usize, 0..40_usize), 0..4);
    let happenings = proptest::collection::vec(happening(), 10..70);
    (transactions, (repeats, echoes), happenings, any::<bool>()).prop_map(
        |(transactions, (repeats, echoes), happenings, ordered): (Vec<Vec<Step>>, _, _, _)| {
            let mut legacy = Legacy::run(&transactions, ordered);
            for (partition, end, back) in repeats {
                repeat(&mut legacy, partition, (end, back));
            }
            // Where the offset is the order, a single message that comes late passes for a newer one.
            for (partition, from, to) in echoes.into_iter().filter(|_| ordered) {
                echo(&mut legacy, partition, (from, to));
            }
            Case { legacy, happenings }
        },
    )
}

/// The connector lost its last position: it sends the last so many messages once more.
fn repeat(legacy: &mut Legacy, partition: usize, (end, back): (usize, usize)) {
    let log = &mut legacy.logs[partition];
    let end = end.min(log.len());
    let again = log[end.saturating_sub(back)..end].to_vec();
    log.splice(end..end, again);
}

/// One message comes once more, somewhere later.
fn echo(legacy: &mut Legacy, partition: usize, (from, to): (usize, usize)) {
    let log = &mut legacy.logs[partition];
    if let Some(record) = log.get(from).cloned() {
        log.insert(to.clamp(from + 1, log.len()), record);
    }
}

struct Member {
    batcher: Batcher,
    /// Where it reads on, in the partitions that it believes to be its own.
    next: BTreeMap<usize, usize>,
    flight: VecDeque<Batch>,
}

struct World<'a> {
    target: Arc<Target>,
    legacy: &'a Legacy,
    owners: Owners,
    members: Vec<Member>,
    /// As Postgres has them.
    epochs: [i64; PARTITIONS],
}

fn number(partition: usize) -> i32 {
    i32::try_from(partition).unwrap()
}

impl<'a> World<'a> {
    async fn new(target: Target, legacy: &'a Legacy) -> Self {
        let target = Arc::new(target);
        let member = || Member {
            batcher: Batcher::new(&settings(), Arc::clone(target.plan()), BTreeMap::new()),
            next: BTreeMap::new(),
            flight: VecDeque::new(),
        };
        let members = (0..MEMBERS).map(|_| member()).collect();
        let owners = [0, 0, 1];
        let mut world =
            Self { target: Arc::clone(&target), legacy, owners, members, epochs: [0; PARTITIONS] };
        for member in 0..MEMBERS {
            world.hear(member).await;
        }
        world
    }

    /// A member hears what is its own, and claims it. What it had only collected is dropped.
    async fn hear(&mut self, member: usize) {
        let mut owned = Vec::new();
        self.members[member].next.clear();
        for partition in (0..PARTITIONS).filter(|partition| self.owners[*partition] == member) {
            let owner = member.to_string();
            let claim = self.target.claim_partition("g", TOPIC, number(partition), &owner);
            let claim = claim.await.unwrap();
            self.epochs[partition] = claim.epoch;
            let next = claim.next_offset.unwrap_or(0);
            self.members[member].next.insert(partition, usize::try_from(next).unwrap());
            owned.push(Owned {
                topic: TOPIC.to_owned(),
                partition: number(partition),
                epoch: claim.epoch,
                expected: next,
                next,
                first: claim.next_offset.is_none(),
                commit_lsn: None,
            });
        }
        self.members[member].batcher.assign(owned);
    }

    async fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Read { member, partition, messages } => {
                self.read(member, partition, messages);
            }
            Happening::Close { member } => self.close(member),
            Happening::Write { member, twice } => self.write(member, twice).await,
            Happening::Rebalance { owners, deaf } => {
                self.owners = owners;
                for member in (0..MEMBERS).filter(|member| Some(*member) != deaf) {
                    self.hear(member).await;
                }
            }
            Happening::Die { member, committed } => {
                if committed && !self.members[member].flight.is_empty() {
                    self.write(member, false).await;
                }
                self.members[member].flight.clear();
                self.hear(member).await;
            }
        }
    }

    fn read(&mut self, member: usize, partition: usize, messages: usize) {
        let Member { batcher, next, .. } = &mut self.members[member];
        let Some(next) = next.get_mut(&partition) else { return };
        for record in self.legacy.logs[partition].iter().skip(*next).take(messages) {
            let offset = i64::try_from(*next).unwrap();
            batcher.push(&record.incoming(TOPIC, number(partition), offset), 0).unwrap();
            *next += 1;
        }
    }

    fn close(&mut self, member: usize) {
        let Member { batcher, flight, .. } = &mut self.members[member];
        flight.extend(batcher.take());
    }

    async fn write(&mut self, member: usize, twice: bool) {
        let Some(batch) = self.members[member].flight.pop_front() else { return };
        let Checkpoint::Offsets { advances, .. } = &batch.checkpoint else { panic!("offsets") };
        let advances = advances.clone();
        let is_fenced = advances.iter().any(|advance| {
            self.epochs[usize::try_from(advance.partition).unwrap()] != advance.epoch
        });
        match self.target.apply(batch).await {
            Ok(_) => {
                assert!(!is_fenced, "member {member} wrote what is not its own any more");
                if twice {
                    self.write_again(&advances).await;
                }
            }
            Err(Error::Fenced { .. }) => {
                assert!(is_fenced, "member {member} could not write what is its own");
                // It joins again: whatever it has in flight is dropped, and it reads from Postgres.
                self.members[member].flight.clear();
                self.hear(member).await;
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// What is committed is refused when it comes once more, under the same epoch.
    async fn write_again(&self, advances: &[OffsetAdvance]) {
        let plan = Arc::clone(self.target.plan());
        let mut batcher = Batcher::new(&settings(), plan, BTreeMap::new());
        let moved = advances.iter().filter(|advance| advance.next > advance.expected);
        let owned = moved.clone().map(|advance| Owned {
            topic: TOPIC.to_owned(),
            partition: advance.partition,
            epoch: advance.epoch,
            expected: advance.expected,
            next: advance.expected,
            first: false,
            commit_lsn: None,
        });
        batcher.assign(owned.collect());
        for advance in moved {
            let partition = usize::try_from(advance.partition).unwrap();
            for offset in advance.expected..advance.next {
                let record = &self.legacy.logs[partition][usize::try_from(offset).unwrap()];
                let incoming = record.incoming(TOPIC, advance.partition, offset);
                batcher.push(&incoming, 0).unwrap();
            }
        }
        let Some(batch) = batcher.take() else { return };
        let again = self.target.apply(batch).await;
        assert!(matches!(again, Err(Error::Fenced { .. })), "it was written twice: {again:?}");
    }

    /// The group comes to rest, and reads to the end.
    async fn drain(&mut self) {
        let owners = [2, 1, 0];
        self.happen(&Happening::Rebalance { owners, deaf: None }).await;
        // What was in flight comes too late.
        for member in 0..MEMBERS {
            while !self.members[member].flight.is_empty() {
                self.write(member, false).await;
            }
        }
        for (partition, member) in owners.into_iter().enumerate() {
            self.read(member, partition, usize::MAX);
            self.close(member);
            self.write(member, true).await;
        }
    }
}

struct Postgres {
    admin: PgPool,
    pool: PgPool,
    plan: Arc<Plan>,
}

impl Postgres {
    async fn start() -> Self {
        let plan = plan();
        let (admin, target) = database("assignment", &plan).await;
        Self { admin, pool: target.pool().clone(), plan }
    }

    /// An empty target; a new one, because ids are minted anew.
    async fn empty(&self) -> Target {
        let tables = "truncate contracts, ficus.key_map, ficus.tombstone, ficus.parked, \
                      ficus.table_count, ficus.partition, ficus.quarantine";
        sqlx::raw_sql(tables).execute(&self.admin).await.unwrap();
        Target::open(self.pool.clone(), Arc::clone(&self.plan)).await.unwrap()
    }

    async fn rows(&self) -> Vec<(String, i64, Option<String>)> {
        let sql = "select contract_no, status::int8, terms from contracts order by contract_no";
        let rows = sqlx::query(sql).fetch_all(&self.admin).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.admin).await.unwrap()
    }
}

fn wanted(rows: &BTreeMap<u8, Contract>) -> Vec<(String, i64, Option<String>)> {
    let mut rows: Vec<_> =
        rows.values().map(|row| (row.number.clone(), row.status, row.terms.clone())).collect();
    rows.sort();
    rows
}

async fn run(postgres: &Postgres, case: &Case) -> Result<(), TestCaseError> {
    let mut world = World::new(postgres.empty().await, &case.legacy).await;
    for happening in &case.happenings {
        world.happen(happening).await;
    }
    world.drain().await;
    prop_assert_eq!(postgres.rows().await, wanted(&case.legacy.rows));
    let events = case.legacy.logs.iter().flatten().filter(|record| record.value.is_some()).count();
    let read = "select coalesce(sum(read), 0)::int8 from ficus.table_count";
    let accounted = "select coalesce(sum(applied + stale + folded + ignored), 0)::int8
                     from ficus.table_count";
    let events = i64::try_from(events).unwrap();
    prop_assert_eq!(postgres.number(read).await, events, "each event is read once");
    prop_assert_eq!(postgres.number(accounted).await, events, "and accounted for once");
    prop_assert_eq!(postgres.number("select count(*) from ficus.parked").await, 0);
    Ok(())
}

#[test]
fn any_assignment_of_a_history_ends_in_the_same_rows() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let postgres = runtime.block_on(Postgres::start());
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(32);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&case(), |case| runtime.block_on(run(&postgres, &case)))
        .unwrap_or_else(|error| panic!("{error}"));
}
