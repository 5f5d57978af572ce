//! A legacy log in Kafka, a target in Postgres, and consumers between them.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use cdc_consumer::{Error, Progress, Report, Settings};
use mapping::plan::{PgType, Plan, TableId};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use sandbox::{kafka::Kafka, postgres::fresh_database};
use sqlx::Row;
use target::{ProductMigration, Role, Target};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::fixture::{At, Contract, PAYMENTS, Record, TOPIC, plan};

pub(crate) const PARTITIONS: i32 = 3;
pub(crate) const MARKER: &str = "p.Db.dbo.ficus_marker";
const LIMIT: Duration = Duration::from_secs(60);
const KEYS: u32 = 97;

pub(crate) struct World {
    pub(crate) kafka: Kafka,
    pub(crate) target: Arc<Target>,
    /// A superuser's view of the target.
    pub(crate) admin: sqlx::PgPool,
    plan: Arc<Plan>,
    producer: FutureProducer,
    rows: BTreeMap<u32, Contract>,
    sent: [i64; 3],
    steps: u32,
    tombstones: u64,
}

fn ddl(plan: &Plan) -> String {
    let mut sql = String::new();
    for entity in &plan.entities {
        let table = &entity.target_table;
        write!(sql, "create table {table} (").unwrap();
        for column in &entity.columns {
            let pg_type = match column.pg_type {
                PgType::Uuid => "uuid",
                PgType::Int4 => "int4",
                PgType::Int8 => "int8",
                PgType::Text => "text",
                other => panic!("{other:?}"),
            };
            let key = if column.name == "id" { " primary key" } else { "" };
            let check = if column.name == "status" { " check (status <> -77)" } else { "" };
            write!(sql, "{} {pg_type}{key}{check}, ", column.name).unwrap();
        }
        write!(sql, "source_position bytea); grant all on {table} to ficus_engine;").unwrap();
    }
    sql
}

/// A database of its own, with the plan's tables: a superuser's view of it, and the target.
pub(crate) async fn database(name: &str, plan: &Arc<Plan>) -> (sqlx::PgPool, Arc<Target>) {
    let database = fresh_database(&format!("consumer_{name}")).await.unwrap();
    let admin = sqlx::PgPool::connect(&database.url("postgres")).await.unwrap();
    let url = secrecy::SecretString::from(database.url("postgres"));
    let product = ProductMigration { version: 1001, name: "test".into(), sql: ddl(plan) };
    target::migrate(&url, &[product]).await.unwrap();
    let settings = target::Settings { url, role: Role::Engine, set_role: true, max_connections: 4 };
    let pool = target::connect(&settings).await.unwrap();
    let target = Arc::new(Target::open(pool, Arc::clone(plan)).await.unwrap());
    (admin, target)
}

impl World {
    pub(crate) async fn start(name: &str) -> Self {
        let plan = plan();
        let (admin, target) = database(name, &plan).await;
        let kafka = Kafka::start([(TOPIC, PARTITIONS), (PAYMENTS, 1), (MARKER, 1)]).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap())
            .set("linger.ms", "1")
            .create()
            .unwrap();
        Self {
            kafka,
            target,
            admin,
            plan,
            producer,
            rows: BTreeMap::new(),
            sent: [0; 3],
            steps: 0,
            tombstones: 0,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.kafka.bootstrap(), "g", "p");
        settings.session_timeout_ms = 6_000;
        settings.topics_refresh_ms = 500;
        settings
    }

    pub(crate) fn consume(&self, settings: Settings) -> Consumer {
        let stop = CancellationToken::new();
        let sender = watch::Sender::new(Progress::default());
        let progress = sender.subscribe();
        let group = settings.group.clone();
        let run = cdc_consumer::run(
            settings,
            Arc::clone(&self.target),
            Arc::clone(&self.plan),
            sender,
            stop.clone(),
        );
        let ends = stop.clone().drop_guard();
        Consumer { stop, progress, group, task: tokio::spawn(run), _ends: ends }
    }

    pub(crate) async fn send(&self, topic: &str, partition: i32, record: &Record) {
        let mut message = FutureRecord::<str, str>::to(topic).partition(partition);
        if let Some(key) = &record.key {
            message = message.key(key);
        }
        if let Some(value) = &record.value {
            message = message.payload(value);
        }
        let sent = self.producer.send(message, Duration::from_secs(20)).await;
        sent.map_err(|(error, _)| error).unwrap();
    }

    /// Some thousand changes of some rows, as a pattern that is the same each time.
    pub(crate) async fn produce(&mut self, changes: u32) {
        let mut records = Vec::new();
        for _ in 0..changes {
            self.steps += 1;
            self.step(&mut records);
        }
        // All at once, in order within each partition.
        let mut sending = Vec::new();
        for (partition, record) in &records {
            let mut message = FutureRecord::<str, str>::to(TOPIC).partition(*partition);
            if let Some(key) = &record.key {
                message = message.key(key);
            }
            if let Some(value) = &record.value {
                message = message.payload(value);
            }
            sending.push(self.producer.send_result(message).map_err(|(error, _)| error).unwrap());
            self.sent[usize::try_from(*partition).unwrap()] += 1;
        }
        for sent in sending {
            sent.await.unwrap().map_err(|(error, _)| error).unwrap();
        }
    }

    /// So many bytes of heartbeats into partition 0.
    pub(crate) async fn flood(&mut self, bytes: usize) {
        let value = format!(r#"{{"ts_ms":1,"ts_us":"{}"}}"#, "x".repeat(60_000));
        for _ in 0..bytes / value.len() {
            self.send(TOPIC, 0, &Record::of(&value)).await;
        }
    }

    fn step(&mut self, records: &mut Vec<(i32, Record)>) {
        let step = self.steps;
        let number = step * 31 % KEYS;
        let partition = i32::try_from(number).unwrap() % PARTITIONS;
        let at = At { lsn: step, order: step.is_multiple_of(2).then_some(1) };
        let terms = format!("нөхцөл {step}");
        let row = Contract::new(&format!("Г-{number}"), i64::from(step), Some(&terms));
        match self.rows.get(&number).cloned() {
            None => {
                records.push((partition, Record::insert(&row, at)));
                self.rows.insert(number, row);
            }
            Some(old) if step.is_multiple_of(7) => {
                records.push((partition, Record::delete(&old, at)));
                records.push((partition, Record::tombstone(&old)));
                self.tombstones += 1;
                self.rows.remove(&number);
            }
            Some(old) if step.is_multiple_of(3) => {
                let row = Contract { status: i64::from(step), ..old };
                records.push((partition, Record::update(&row, false, at)));
                self.rows.insert(number, row);
            }
            Some(_) => {
                records.push((partition, Record::update(&row, true, at)));
                self.rows.insert(number, row);
            }
        }
    }

    /// Amounts of the payments, by number.
    pub(crate) async fn payments(&self) -> Vec<i32> {
        sqlx::query_scalar("select amount from payments order by number")
            .fetch_all(self.target.pool())
            .await
            .unwrap()
    }

    pub(crate) fn table(&self, name: &str) -> TableId {
        self.plan.table("dbo", name).unwrap().id
    }

    /// `state reason` of a table.
    pub(crate) async fn state_of(&self, name: &str) -> String {
        let states = self.target.table_states().await.unwrap();
        let found = states.into_iter().find(|state| state.table == format!("dbo.{name}"));
        found.map_or("following".into(), |found| {
            format!("{} {}", found.state, found.reason).trim_end().to_owned()
        })
    }

    pub(crate) fn tombstones(&self) -> u64 {
        self.tombstones
    }

    /// Waits until Postgres has the end of all partitions.
    pub(crate) async fn caught_up(&self, consumer: &Consumer) {
        self.eventually("all is committed", async |world| {
            assert!(!consumer.task.is_finished(), "the consumer ended early");
            let positions = world.target.positions().await.unwrap();
            (0..PARTITIONS).zip(world.sent).all(|(partition, sent)| {
                positions.iter().any(|at| {
                    at.group == consumer.group
                        && at.topic == TOPIC
                        && at.partition == partition
                        && at.next_offset == sent
                })
            })
        })
        .await;
    }

    pub(crate) async fn eventually(&self, what: &str, mut check: impl AsyncFnMut(&Self) -> bool) {
        let since = Instant::now();
        while !check(self).await {
            assert!(since.elapsed() < LIMIT, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn contents_with_positions(
        &self,
    ) -> Vec<(String, i32, Option<String>, Vec<u8>)> {
        let rows = sqlx::query(
            "select contract_no, status, terms, source_position from contracts order by contract_no",
        )
        .fetch_all(self.target.pool())
        .await
        .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
    }

    /// The contracts' numbers, in their order.
    pub(crate) async fn numbers(&self) -> Vec<String> {
        let rows = self.contents_with_positions().await;
        rows.into_iter().map(|(number, ..)| number).collect()
    }

    /// The target's rows are the legacy rows, and everything that was read is accounted for.
    pub(crate) async fn check(&self) {
        let mut wanted: Vec<(String, i32, Option<String>)> = self
            .rows
            .values()
            .map(|row| (row.number.clone(), i32::try_from(row.status).unwrap(), row.terms.clone()))
            .collect();
        wanted.sort();
        let mut found: Vec<(String, i32, Option<String>)> = self
            .contents_with_positions()
            .await
            .into_iter()
            .map(|(number, status, terms, _)| (number, status, terms))
            .collect();
        found.sort();
        assert_eq!(found, wanted);
        for table in self.target.counts().await.unwrap() {
            let counts = &table.counts;
            let accounted =
                counts.applied + counts.stale + counts.folded + counts.ignored + counts.quarantined;
            assert_eq!(counts.read, accounted, "{counts:?}");
            assert_eq!(counts.quarantined, 0, "{counts:?}");
        }
    }

    /// What only an accident can do.
    pub(crate) async fn set_offset(&self, partition: i32, offset: i64) {
        self.target.claim_partition("g", TOPIC, partition, "test").await.unwrap();
        sqlx::query(
            "update ficus.partition set next_offset = $1 where topic = $2 and partition = $3",
        )
        .bind(offset)
        .bind(TOPIC)
        .bind(partition)
        .execute(self.target.pool())
        .await
        .unwrap();
    }
}

/// A consumer that runs.
pub(crate) struct Consumer {
    stop: CancellationToken,
    progress: watch::Receiver<Progress>,
    group: String,
    task: JoinHandle<Result<Report, Error>>,
    /// A test that fails must not wait for a consumer that goes on.
    _ends: DropGuard,
}

impl Consumer {
    pub(crate) async fn stop(self) -> Result<Report, Error> {
        self.stop.cancel();
        self.ended().await
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    pub(crate) async fn ended(self) -> Result<Report, Error> {
        tokio::time::timeout(LIMIT, self.task).await.expect("it ends").unwrap()
    }

    pub(crate) async fn until(&self, what: &str, check: impl Fn(&Progress) -> bool) {
        let mut progress = self.progress.clone();
        let reached = tokio::time::timeout(LIMIT, progress.wait_for(check)).await;
        assert!(reached.is_ok_and(|found| found.is_ok()), "not in time: {what}");
    }
}
