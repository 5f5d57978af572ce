//! A ledger in Kafka, a target in Postgres, and the real binary between them.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use sandbox::postgres::{Postgres, SUPERUSER, copied_database, shared};
use secrecy::SecretString;
use sqlx::{PgPool, Row as _, postgres::PgPoolOptions};
use tempfile::TempDir;

use crate::{
    broker::Broker,
    event,
    ledger::{DATABASE, Ledger, Record, Table},
    mapping_files,
    process::Process,
};

/// How long anything may take before the test says that it hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// Partitions of each topic, at first.
const PARTITIONS: u32 = 2;
const TEMPLATE: &str = "ledger_template";

/// The installation, and what was sent into it. Clients first: the broker must outlive them.
pub(crate) struct World {
    producer: FutureProducer,
    pub(crate) ledger: Ledger,
    /// What is in each partition, in its order.
    pub(crate) logs: BTreeMap<(Table, i32), Vec<Record>>,
    /// A superuser's view of the target. It connects anew after a restart of the server.
    pub(crate) pool: PgPool,
    pub(crate) url: String,
    pub(crate) prefix: String,
    /// The consumer group that is counted on, and nobody else's.
    pub(crate) group: String,
    partitions: u32,
    folder: TempDir,
    pub(crate) broker: Broker,
}

/// How a transaction of the broker's ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    CommitAfter(Duration),
    Abort,
}

/// The number in the names of databases and topics.
fn serial() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// A database with the ledger's tables on the server that all tests share.
async fn shared_database() -> String {
    static READY: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let server = shared().await.expect("Postgres");
    READY.get_or_init(|| migrate(server, TEMPLATE)).await;
    copied_database(TEMPLATE, "ledger").await.expect("a database").url(SUPERUSER)
}

/// Makes a database with the engine's and the ledger's tables.
pub(crate) async fn migrate(server: &Postgres, name: &str) {
    server.create_database(name).await.expect("a database");
    let url = SecretString::from(server.url(SUPERUSER, name));
    target::migrate(&url, &[mapping_files::migration()]).await.expect("migrations");
}

impl World {
    /// A world on the shared Postgres.
    pub(crate) async fn start(broker: Broker, seed: u64) -> Self {
        Self::start_with(broker, seed, &[]).await
    }

    /// A world on the shared Postgres; topics with these settings.
    pub(crate) async fn start_with(broker: Broker, seed: u64, settings: &[(&str, &str)]) -> Self {
        let url = shared_database().await;
        Self::start_at(broker, seed, &url, settings).await
    }

    /// A world on any Postgres that has the ledger's tables; topics with these settings.
    pub(crate) async fn start_at(
        broker: Broker,
        seed: u64,
        url: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        mapping_files::write(folder.path());
        let prefix = format!("p{}-{}", std::process::id(), serial());
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy(url)
            .expect("an address");
        let producer = broker.producer();
        let world = Self {
            producer,
            ledger: Ledger::new(seed),
            logs: BTreeMap::new(),
            pool,
            url: url.to_owned(),
            group: format!("{prefix}-group"),
            prefix,
            partitions: PARTITIONS,
            folder,
            broker,
        };
        let partitions = i32::try_from(PARTITIONS).expect("few");
        let tables = Table::ALL.map(|table| (world.topic(table), partitions));
        let marker = [(world.marker_topic(), 1), (world.heartbeat_topic(), 1)];
        world.broker.create_topics(&[&tables[..], &marker].concat(), settings).await;
        world
    }

    pub(crate) fn topic(&self, table: Table) -> String {
        format!("{}.{DATABASE}.dbo.{}", self.prefix, table.name())
    }

    pub(crate) fn marker_topic(&self) -> String {
        format!("{}.{DATABASE}.dbo.ficus_marker", self.prefix)
    }

    pub(crate) fn heartbeat_topic(&self) -> String {
        format!("__debezium-heartbeat.{}", self.prefix)
    }

    /// The binary, told where everything is. Small batches, so that there is much to interrupt.
    pub(crate) fn ficus(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ficus"));
        let file = |name: &str| self.folder.path().join(name);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(std::env::vars().filter(|(name, _)| !name.starts_with("FICUS_")))
            .env("FICUS_LEGACY_CATALOG", file("catalog.json"))
            .env("FICUS_PRODUCT_MAPPINGS", file("mappings"))
            .env("FICUS_KAFKA_BOOTSTRAP", self.broker.bootstrap())
            .env("FICUS_KAFKA_TOPIC_PREFIX", &self.prefix)
            .env("FICUS_KAFKA_GROUP", &self.group)
            .env("FICUS_KAFKA_DECIMAL_MODE", "string")
            .env("FICUS_CONSUME_BATCH_ROWS_MAX", "40")
            .env("FICUS_TARGET_URL", &self.url);
        if let Ok(level) = std::env::var("FICUS_TEST_LOG") {
            command.env("FICUS_LOG_LEVEL", level);
        }
        command
    }

    /// Starts a consumer with further settings.
    pub(crate) fn consume(&self, settings: &[(&str, &str)]) -> Process {
        let mut command = self.ficus(&["consume"]);
        command.envs(settings.iter().copied());
        let log = self.folder.path().join("log");
        Process::start(command, log)
    }

    /// From now on this one sends.
    pub(crate) fn set_producer(&mut self, producer: FutureProducer) {
        self.producer = producer;
    }

    /// Sends so many transactions.
    pub(crate) async fn produce(&mut self, transactions: u32) {
        let mut records = Vec::new();
        for _ in 0..transactions {
            records.extend(self.ledger.transaction());
        }
        self.send(records).await;
    }

    /// Sends what nobody has read yet: afterwards the target can be whole.
    pub(crate) async fn produce_the_rest(&mut self) {
        let records = self.ledger.read_the_rest();
        self.send(records).await;
    }

    /// Sends the last records of every partition once more, as a connector does that has lost its
    /// last position.
    pub(crate) async fn repeat(&mut self, count: usize) {
        let tails = self.logs.values().flat_map(|log| &log[log.len().saturating_sub(count)..]);
        let records = tails.cloned().collect();
        self.send(records).await;
    }

    /// Sends records, each into its row's partition, in their order.
    pub(crate) async fn send(&mut self, records: Vec<Record>) {
        let mut sending = Vec::with_capacity(records.len());
        for record in &records {
            let topic = self.topic(record.table);
            let mut message =
                FutureRecord::to(&topic).partition(self.partition(record)).key(&record.key);
            if let Some(value) = &record.value {
                message = message.payload(value);
            }
            let header = Header { key: "__debezium.context.taskId", value: Some("0") };
            let message = message.headers(OwnedHeaders::new().insert(header));
            sending.push(self.producer.send_result(message).map_err(|(error, _)| error));
        }
        for sent in sending {
            let sent = sent.expect("room in the queue").await.expect("an answer");
            sent.map_err(|(error, _)| error).expect("the broker has it");
        }
        for record in records {
            let partition = self.partition(&record);
            self.logs.entry((record.table, partition)).or_default().push(record);
        }
    }

    /// Which partition a row's messages go to.
    fn partition(&self, record: &Record) -> i32 {
        i32::try_from(record.number % self.partitions).expect("few")
    }

    /// From now on there are so many.
    pub(crate) fn set_partitions(&mut self, count: u32) {
        self.partitions = count;
    }

    /// The topic was made anew: what was sent into it is gone.
    pub(crate) fn forget(&mut self, table: Table) {
        self.logs.retain(|(of, _), _| *of != table);
    }

    /// Partitions that a topic has, as the broker says.
    pub(crate) fn partitions(&self, topic: &str) -> usize {
        let client = self.producer.client();
        let metadata = tokio::task::block_in_place(|| client.fetch_metadata(Some(topic), LIMIT));
        let metadata = metadata.expect("metadata");
        metadata.topics().first().map_or(0, |topic| topic.partitions().len())
    }

    /// Sends records in one transaction of the broker's, which ends as told. What is aborted is
    /// nobody's message.
    pub(crate) async fn send_in_transaction(&mut self, records: Vec<Record>, end: End) {
        let id = format!("{}-{}", self.prefix, serial());
        let producer = self.broker.transactional(&id);
        let shared = std::mem::replace(&mut self.producer, producer);
        let begun = tokio::task::block_in_place(|| {
            self.producer.init_transactions(LIMIT)?;
            self.producer.begin_transaction()
        });
        begun.expect("a transaction");
        let logs = self.logs.clone();
        self.send(records).await;
        if let End::CommitAfter(pause) = end {
            tokio::time::sleep(pause).await;
        }
        let ended = tokio::task::block_in_place(|| match end {
            End::Commit | End::CommitAfter(_) => self.producer.commit_transaction(LIMIT),
            End::Abort => self.producer.abort_transaction(LIMIT),
        });
        ended.expect("the transaction's end");
        self.producer = shared;
        if end == End::Abort {
            self.logs = logs;
        }
    }

    /// The ends of the tables' topics, as the broker tells them to a reader of what is committed.
    pub(crate) fn ends(&self) -> BTreeMap<(String, i32), i64> {
        let mut config = self.broker.config();
        config.set("group.id", "asks").set("isolation.level", "read_committed");
        let client: BaseConsumer = config.create().expect("a client");
        let mut list = TopicPartitionList::new();
        for topic in Table::ALL.map(|table| self.topic(table)) {
            let metadata = client.fetch_metadata(Some(&topic), LIMIT).expect("metadata");
            for partition in metadata.topics()[0].partitions() {
                list.add_partition_offset(&topic, partition.id(), Offset::End).expect("a place");
            }
        }
        let ends = client.offsets_for_times(list, LIMIT).expect("offsets");
        let ends = ends.elements().into_iter().map(|end| {
            let offset = end.offset().to_raw().expect("an offset");
            ((end.topic().to_owned(), end.partition()), offset)
        });
        ends.collect()
    }

    /// Waits until Postgres has the very end of every partition.
    pub(crate) async fn at_the_end(&self, process: &mut Process) {
        let ends = tokio::task::block_in_place(|| self.ends());
        self.eventually("every partition is at its end", Some(process), async || {
            let at = self.positions(&self.group).await;
            ends.iter().all(|(partition, end)| *end == 0 || at.get(partition) >= Some(end))
        })
        .await;
    }

    /// Sends a marker of the last transaction; its LSN as text.
    pub(crate) async fn mark(&self) -> String {
        let topic = self.marker_topic();
        let value = event::marker(self.ledger.lsn());
        let message = FutureRecord::<str, str>::to(&topic).partition(0).payload(&value);
        let sent = self.producer.send(message, LIMIT).await;
        sent.map_err(|(error, _)| error).expect("the broker has it");
        event::lsn(self.ledger.lsn())
    }

    /// Messages in the tables' topics.
    pub(crate) fn sent(&self) -> u64 {
        self.logs.values().map(|log| u64::try_from(log.len()).expect("few")).sum()
    }

    /// Changes and reads that a table's topic holds.
    pub(crate) fn events(&self, table: Table) -> u64 {
        let logs = self.logs.iter().filter(|((of, _), _)| *of == table);
        let events = logs.flat_map(|(_, log)| log).filter(|record| record.value.is_some());
        u64::try_from(events.count()).expect("few")
    }

    /// The next offsets that Postgres has of the tables' topics; nothing while it is away.
    pub(crate) async fn positions(&self, group: &str) -> BTreeMap<(String, i32), i64> {
        let rows = sqlx::query(
            "select topic, partition, next_offset from ficus.partition \
             where consumer_group = $1 and topic like $2",
        )
        .bind(group)
        .bind(format!("{}.{DATABASE}.dbo.%", self.prefix))
        .fetch_all(&self.pool)
        .await
        .unwrap_or_default();
        rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect()
    }

    /// Messages of the tables' topics that are accounted for.
    pub(crate) async fn consumed(&self) -> u64 {
        self.consumed_by(&self.group).await
    }

    /// The same of another group.
    async fn consumed_by(&self, group: &str) -> u64 {
        let marker = self.marker_topic();
        let positions = self.positions(group).await;
        let nexts = positions.iter().filter(|((topic, _), _)| *topic != marker);
        nexts.map(|(_, next)| u64::try_from(*next).expect("an offset")).sum()
    }

    /// Waits until everything is consumed.
    pub(crate) async fn caught_up(&self, process: &mut Process) {
        self.group_caught_up(process, &self.group).await;
    }

    /// The same for another group.
    pub(crate) async fn group_caught_up(&self, process: &mut Process, group: &str) {
        let wanted = self.sent();
        self.eventually("all is committed", Some(process), async || {
            self.consumed_by(group).await >= wanted
        })
        .await;
    }

    /// Waits for something; a process that is given must not end meanwhile.
    pub(crate) async fn eventually(
        &self,
        what: &str,
        mut process: Option<&mut Process>,
        mut check: impl AsyncFnMut() -> bool,
    ) {
        let since = Instant::now();
        while !check().await {
            if let Some(process) = process.as_mut() {
                let ended = process.ended();
                assert!(ended.is_none(), "{what}: it ended: {ended:?}\n{}", process.words());
            }
            if since.elapsed() > LIMIT {
                let words = process.as_ref().map(|process| process.words()).unwrap_or_default();
                let at = self.positions(&self.group).await;
                panic!("not in time: {what}; {} sent, at {at:?}\n{words}", self.sent());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes everything down in the right order.
    pub(crate) async fn stop(self) {
        let Self { producer, pool, broker, folder, .. } = self;
        pool.close().await;
        drop(producer);
        if let Broker::Mock(kafka) = broker {
            tokio::task::block_in_place(|| kafka.stop());
        }
        drop(folder);
    }
}
