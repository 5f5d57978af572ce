//! Whole legacy transactions: transfers between accounts of three partitions and two tables.
//! Whoever looks at Postgres at any moment finds the same sum.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use cdc_consumer::{Error, Settings};
use target::domain::Decision;

use super::world::World;
use crate::fixture::{At, Contract, PAYMENTS, Record, TOPIC, event};

const MARKS: &str = "p.transaction";
const ACCOUNTS: u32 = 9;
const START: i64 = 1_000;

/// A bank whose accounts are contracts (the status is the balance), with a safe, which is payment 1.
struct Bank {
    balances: Vec<i64>,
    safe: i64,
    lsn: u32,
}

fn mark(lsn: u32, counts: Option<[u64; 2]>) -> Record {
    let id = At { lsn, order: None }.lsn();
    let (status, total, list) = match counts {
        None => ("BEGIN", "null".to_owned(), "null".to_owned()),
        Some([contracts, payments]) => {
            let one = |table: &str, count: u64| {
                format!(r#"{{"data_collection":"Db.dbo.{table}","event_count":{count}}}"#)
            };
            let list = [one("Contract", contracts), one("Payment", payments)].join(",");
            ("END", (contracts + payments).to_string(), format!("[{list}]"))
        }
    };
    Record::of(&format!(
        r#"{{"status":"{status}","id":"{id}","event_count":{total},"data_collections":{list},"ts_ms":1}}"#
    ))
}

impl Bank {
    fn new() -> Self {
        Self { balances: vec![START; usize::try_from(ACCOUNTS).unwrap()], safe: START, lsn: 0 }
    }

    fn total(&self) -> i64 {
        self.balances.iter().sum::<i64>() + self.safe
    }

    fn account(&self, account: u32, order: u64, op: &str) -> (i32, Record) {
        let balance = self.balances[usize::try_from(account).unwrap()];
        let row = Contract::new(&format!("K{account}"), balance, Some("terms"));
        let at = At { lsn: self.lsn, order: Some(order) };
        let image = row.row(true);
        let before = (op == "u").then_some(&*image);
        let value = event("Contract", op, before, Some(&image), at);
        let partition = i32::try_from(account % 3).unwrap();
        (partition, Record { key: Some(row.key()), value: Some(value) })
    }

    fn put_in_safe(&self, order: u64) -> Record {
        Record::payment(1, self.safe, At { lsn: self.lsn, order: Some(order) })
    }

    /// All accounts in one transaction.
    async fn open(&mut self, world: &World) {
        self.lsn += 1;
        world.send(MARKS, 0, &mark(self.lsn, None)).await;
        for account in 0..ACCOUNTS {
            let (partition, record) = self.account(account, u64::from(account) + 1, "c");
            world.send(TOPIC, partition, &record).await;
        }
        world.send(PAYMENTS, 0, &self.put_in_safe(u64::from(ACCOUNTS) + 1)).await;
        world.send(MARKS, 0, &mark(self.lsn, Some([u64::from(ACCOUNTS), 1]))).await;
    }

    /// From one account to another and into the safe, with the messages in an order that breaks
    /// the transaction apart for whoever does not wait.
    async fn transfer(&mut self, world: &World, step: u32) {
        self.lsn += 1;
        let (from, to) = (step % ACCOUNTS, (step * 7 + 1) % ACCOUNTS);
        let amount = i64::from(step % 50) + 2;
        self.balances[usize::try_from(from).unwrap()] -= amount;
        self.balances[usize::try_from(to).unwrap()] += amount - 1;
        self.safe += 1;
        let mut events = Vec::new();
        if from == to {
            events.push(self.account(from, 1, "u"));
        } else {
            events.push(self.account(from, 1, "u"));
            events.push(self.account(to, 2, "u"));
        }
        let safe = self.put_in_safe(3);
        let end = mark(self.lsn, Some([u64::try_from(events.len()).unwrap(), 1]));
        world.send(MARKS, 0, &mark(self.lsn, None)).await;
        if step.is_multiple_of(2) {
            world.send(MARKS, 0, &end).await;
        }
        world.send(PAYMENTS, 0, &safe).await;
        for (partition, record) in events.iter().rev() {
            world.send(TOPIC, *partition, record).await;
        }
        if !step.is_multiple_of(2) {
            world.send(MARKS, 0, &end).await;
        }
    }
}

/// Looks at the sum again and again, each time in one snapshot; comes back with the number of
/// different pictures.
async fn watch(
    pool: sqlx::PgPool,
    total: i64,
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
) -> u64 {
    let mut pictures = std::collections::BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let (count, sum, safe): (i64, i64, i64) = sqlx::query_as(
            "select (select count(*) from contracts), (select coalesce(sum(status), 0) from contracts),
                    (select coalesce(sum(amount), 0)::int8 from payments)",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        if count > 0 || safe > 0 {
            assert_eq!(count, i64::from(ACCOUNTS), "all accounts or none");
            assert_eq!(sum + safe, total, "money came or went");
            pictures.insert(safe);
        }
        looks.fetch_add(1, Ordering::Relaxed);
    }
    u64::try_from(pictures.len()).unwrap()
}

async fn world(name: &str) -> (World, Settings) {
    let world = World::start(name).await;
    world.kafka.create_topic(MARKS, 1).unwrap();
    let settings =
        Settings { atomic: true, batch_rows_max: 3, batch_idle_ms_max: 1, ..world.settings() };
    (world, settings)
}

async fn safe_is(world: &World, safe: i64) {
    world
        .eventually("the last transfer is there", async |world| {
            world.payments().await == [i32::try_from(safe).unwrap()]
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f32_the_sum_is_the_same_in_every_snapshot() {
    let (world, settings) = world("bank").await;
    let mut bank = Bank::new();
    bank.open(&world).await;
    let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let watching = tokio::spawn(watch(
        world.admin.clone(),
        bank.total(),
        Arc::clone(&stop),
        Arc::clone(&looks),
    ));
    for round in 0..3 {
        let consumer = world.consume(settings.clone());
        for step in 0..60 {
            bank.transfer(&world, round * 60 + step).await;
        }
        if round < 2 {
            // Ends in the middle of it.
            consumer.until("it applies", |progress| progress.batches > 2).await;
        } else {
            safe_is(&world, bank.safe).await;
        }
        consumer.stop().await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let pictures = watching.await.unwrap();
    assert!(pictures > 3, "{pictures} states seen in {} looks", looks.load(Ordering::Relaxed));
    let mut found: Vec<(String, i64)> = world
        .contents_with_positions()
        .await
        .into_iter()
        .map(|(number, status, ..)| (number, i64::from(status)))
        .collect();
    found.sort();
    let wanted: Vec<(String, i64)> =
        (0..).zip(&bank.balances).map(|(n, balance)| (format!("K{n}"), *balance)).collect();
    assert_eq!(found, wanted);
    // The last message of each partition is recognised when it is claimed again.
    let unknown: i64 = sqlx::query_scalar(
        "select count(*) from ficus.partition where next_offset > 0 and fingerprint is null",
    )
    .fetch_one(&world.admin)
    .await
    .unwrap();
    assert_eq!(unknown, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_transaction_is_not_applied() {
    let (world, settings) = world("half").await;
    let mut bank = Bank::new();
    bank.open(&world).await;
    let consumer = world.consume(settings);
    safe_is(&world, START).await;
    // A transfer whose second half does not come.
    bank.lsn += 1;
    world.send(MARKS, 0, &mark(bank.lsn, None)).await;
    bank.balances[0] -= 5;
    let (partition, record) = bank.account(0, 1, "u");
    world.send(TOPIC, partition, &record).await;
    world.send(MARKS, 0, &mark(bank.lsn, Some([2, 0]))).await;
    // A later one is whole, and waits for its turn.
    let first = bank.lsn;
    bank.lsn += 1;
    bank.safe += 7;
    world.send(PAYMENTS, 0, &bank.put_in_safe(1)).await;
    world.send(MARKS, 0, &mark(bank.lsn, Some([0, 1]))).await;
    let lsn = At { lsn: first, order: None }.lsn();
    consumer
        .until("it tells what it waits for", |progress| {
            progress.pending.is_some_and(|p| p.transaction.to_string() == lsn && p.here == 1)
        })
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.payments().await, [i32::try_from(START).unwrap()]);
    bank.lsn -= 1;
    bank.balances[1] += 5;
    let (partition, record) = bank.account(1, 2, "u");
    world.send(TOPIC, partition, &record).await;
    safe_is(&world, bank.safe).await;
    consumer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn atomic_needs_to_be_alone() {
    let (world, settings) = world("alone").await;
    let mut bank = Bank::new();
    bank.open(&world).await;
    let first = world.consume(settings.clone());
    safe_is(&world, START).await;
    let second = world.consume(world.settings());
    let error = first.ended().await.unwrap_err();
    assert!(matches!(error, Error::Shared { .. }), "{error}");
    assert!(!error.hint().is_empty());
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_stops_makes_whole_transactions_wait() {
    let (world, settings) = world("whole_stop").await;
    let mut bank = Bank::new();
    bank.open(&world).await;
    let consumer = world.consume(settings.clone());
    safe_is(&world, START).await;
    // The account is not readable; the safe, in the same transaction, is.
    bank.lsn += 1;
    bank.balances[0] -= 5;
    bank.safe += 5;
    let (partition, record) = bank.account(0, 2, "u");
    let value = record.value.as_ref().unwrap();
    let renamed = Record { value: Some(value.replace(r#""Status""#, r#""Stand""#)), ..record };
    world.send(PAYMENTS, 0, &bank.put_in_safe(1)).await;
    world.send(TOPIC, partition, &renamed).await;
    world.send(MARKS, 0, &mark(bank.lsn, Some([1, 1]))).await;
    world
        .eventually("it is stopped", async |world| {
            world.state_of("Contract").await == "stopped drift"
        })
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.payments().await, [i32::try_from(START).unwrap()]);
    consumer.stop().await.unwrap();
    let drift = "missing=report, unknown=report".parse().unwrap();
    let consumer = world.consume(Settings { drift, ..settings });
    let me = Decision { actor: "me", reason: "a test" };
    world.target.resume_table(world.table("Contract"), me).await.unwrap();
    safe_is(&world, bank.safe).await;
    consumer.stop().await.unwrap();
}
