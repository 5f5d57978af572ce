use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use mapping::value::LegacyValue;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::Headers,
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::Value;

use super::*;
use crate::kafka::Kafka;

const DDL: &str = "
CREATE TABLE [dbo].[Item] ([Id] int NOT NULL, [Name] nvarchar(200) NULL, [Price] money NULL,
  CONSTRAINT [PK_Item] PRIMARY KEY CLUSTERED ([Id]));
CREATE TABLE [dbo].[Part] ([Id] int NOT NULL, [Item] int NULL,
  CONSTRAINT [PK_Part] PRIMARY KEY CLUSTERED ([Id]));
";
const ITEMS: &str = "spacehub.Test.dbo.Item";
const PARTS: &str = "spacehub.Test.dbo.Part";
const MARKERS: &str = "spacehub.Test.dbo.ficus_marker";
const PARTITIONS: i32 = 3;
const LIMIT: Duration = Duration::from_secs(30);

struct Sandbox {
    connector: Connector,
    database: Database,
    kafka: Kafka,
}

fn sandbox(change: impl FnOnce(&mut Options)) -> Sandbox {
    let database = Database::from_ddl("Test", "Cyrillic_General_CI_AS", DDL).unwrap();
    let topics = [ITEMS, PARTS].map(|topic| (topic, PARTITIONS));
    let single = [MARKERS, "spacehub.transaction"].map(|topic| (topic, 1));
    let kafka = Kafka::start(topics.into_iter().chain(single)).unwrap();
    let mut options = Options::new(kafka.bootstrap(), Settings::new("spacehub"), Some("group"));
    change(&mut options);
    let connector = Connector::start(&database, options).unwrap();
    Sandbox { connector, database, kafka }
}

fn item(id: i64, name: &str) -> Vec<LegacyValue<'static>> {
    let price = mapping::value::Decimal { unscaled: i128::from(id) * 10_000, scale: 4 };
    vec![
        LegacyValue::Int(id),
        LegacyValue::Text(name.to_owned().into()),
        LegacyValue::Decimal(price),
    ]
}

fn insert(database: &Database, ids: std::ops::Range<i64>, name: &str) -> Lsn {
    database
        .transaction(|transaction| {
            ids.clone().try_for_each(|id| transaction.insert("Item", item(id, name)))
        })
        .unwrap()
}

fn part(database: &Database, id: i64) -> Lsn {
    let row = vec![LegacyValue::Int(id), LegacyValue::Null];
    database.transaction(|transaction| transaction.insert("dbo.Part", row)).unwrap()
}

/// Reads assigned partitions from their beginnings, and commits as a consumer would.
struct Reader {
    consumer: BaseConsumer,
    next: BTreeMap<(String, i32), i64>,
}

struct Seen {
    topic: String,
    partition: i32,
    key: Option<String>,
    value: Option<Value>,
    headers: Vec<String>,
}

impl Reader {
    fn new(kafka: &Kafka, topics: &[&str]) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap())
            .set("group.id", "group")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "10")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        for topic in topics {
            let metadata = consumer.fetch_metadata(Some(topic), LIMIT).unwrap();
            for partition in metadata.topics()[0].partitions() {
                assignment.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
            }
        }
        consumer.assign(&assignment).unwrap();
        Self { consumer, next: BTreeMap::new() }
    }

    /// The next record, with a check that no offset is missing.
    fn next(&mut self, wait: Duration) -> Option<Seen> {
        let deadline = Instant::now() + wait;
        while Instant::now() < deadline {
            let Some(message) = self.consumer.poll(Duration::from_millis(20)) else { continue };
            let message = message.unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let place = (message.topic().to_owned(), message.partition());
            let next = self.next.entry(place).or_insert(0);
            assert_eq!(message.offset(), *next, "a gap in {}", message.topic());
            *next += 1;
            return Some(Seen {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                key: message.key().map(text),
                value: message.payload().map(|bytes| serde_json::from_slice(bytes).unwrap()),
                headers: message.headers().map_or_else(Vec::new, |headers| {
                    headers.iter().map(|header| header.key.to_owned()).collect()
                }),
            });
        }
        None
    }

    fn take(&mut self, count: usize) -> Vec<Seen> {
        (0..count).map(|index| self.next(LIMIT).unwrap_or_else(|| panic!("only {index}"))).collect()
    }

    fn commit(&self) {
        let mut offsets = TopicPartitionList::new();
        for ((topic, partition), next) in &self.next {
            offsets.add_partition_offset(topic, *partition, Offset::Offset(*next)).unwrap();
        }
        self.consumer.commit(&offsets, CommitMode::Sync).unwrap();
    }
}

fn id(seen: &Seen) -> i64 {
    let key: Value = serde_json::from_str(seen.key.as_deref().unwrap()).unwrap();
    key["Id"].as_i64().unwrap()
}

#[tokio::test]
async fn a_transaction_is_published_whole_and_in_order() {
    let Sandbox { connector, database, kafka } = sandbox(|_| ());
    insert(&database, 0..20, "a");
    let key = [LegacyValue::Int(3)];
    database
        .transaction(|transaction| {
            transaction.update("Item", &key, |row| row[1] = LegacyValue::Null)?;
            transaction.delete("Item", &key)?;
            transaction.insert("Part", vec![LegacyValue::Int(1), LegacyValue::Int(3)])
        })
        .unwrap();
    connector.published(database.log().committed_lsn()).await.unwrap();
    let mut reader = Reader::new(&kafka, &[ITEMS, PARTS, "spacehub.transaction"]);
    let seen = reader.take(20 + 4 + 4);
    let of_three: Vec<&Seen> = seen.iter().filter(|s| s.topic == ITEMS && id(s) == 3).collect();
    let ops: Vec<_> = of_three.iter().map(|s| s.value.as_ref().map(|v| v["op"].clone())).collect();
    assert_eq!(ops, [Some("c".into()), Some("u".into()), Some("d".into()), None]);
    let block = &of_three[1].value.as_ref().unwrap()["transaction"];
    assert_eq!(
        (block["total_order"].as_u64(), block["data_collection_order"].as_u64()),
        (Some(1), Some(1))
    );
    let part = seen.iter().find(|s| s.topic == PARTS).unwrap();
    assert_eq!(part.value.as_ref().unwrap()["transaction"]["total_order"], 3);
    assert_eq!(part.headers.len(), 4);
    let boundaries: Vec<_> = seen
        .iter()
        .filter(|s| s.topic == "spacehub.transaction")
        .map(|s| s.value.as_ref().unwrap()["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(boundaries, ["BEGIN", "END", "BEGIN", "END"]);
    assert_eq!(connector.status().events, 23);
    drop((reader, connector));
}

#[tokio::test]
async fn keys_go_where_kafkas_partitioner_puts_them() {
    let Sandbox { connector, database, kafka } = sandbox(|_| ());
    kafka.create_topic("reference", PARTITIONS).unwrap();
    let lsn = insert(&database, 0..50, "a");
    connector.published(lsn).await.unwrap();
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    for id in 0..50 {
        let key = format!("{{\"Id\":{id}}}");
        producer.send(BaseRecord::<str, str>::to("reference").key(&key).payload("{}")).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let mut reader = Reader::new(&kafka, &[ITEMS, "reference"]);
    let mut partitions: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
    for seen in reader.take(100) {
        partitions.entry(id(&seen)).or_default().push(seen.partition);
    }
    assert!(partitions.values().all(|pair| pair.len() == 2 && pair[0] == pair[1]));
    drop((reader, producer, connector));
}

#[tokio::test]
async fn it_waits_for_the_consumer_and_loses_nothing() {
    let ahead = 100_000;
    let Sandbox { connector, database, kafka } = sandbox(|options| {
        options.back_pressure.as_mut().unwrap().ahead_bytes_max = ahead;
    });
    let name = "x".repeat(200);
    let mut last = Lsn::ZERO;
    for start in 0..20 {
        last = insert(&database, start * 100..(start + 1) * 100, &name);
    }
    let began = Instant::now();
    while !connector.status().is_waiting {
        assert!(began.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Each event is more than 1,000 bytes.
    assert!(connector.status().events <= u64::try_from(PARTITIONS).unwrap() * ahead / 1_000);
    let mut reader = Reader::new(&kafka, &[ITEMS]);
    let mut ids = Vec::new();
    while ids.len() < 2_000 {
        ids.extend(reader.take(50).iter().map(id));
        reader.commit();
    }
    connector.published(last).await.unwrap();
    assert!(reader.next(Duration::from_millis(200)).is_none());
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..2_000));
    drop((reader, connector));
}

#[tokio::test]
async fn a_topic_that_nobody_reads_is_not_waited_for() {
    let Sandbox { connector, database, kafka } = sandbox(|options| {
        let limit = options.back_pressure.as_mut().unwrap();
        limit.ahead_bytes_max = 1_000;
        limit.tables = Some(vec![LegacyTable::new("dbo", "Part")]);
    });
    let lsn = insert(&database, 0..500, "a");
    tokio::time::timeout(LIMIT, connector.published(lsn)).await.unwrap().unwrap();
    drop((connector, kafka));
}

#[tokio::test]
async fn whoever_sees_a_marker_can_see_all_that_came_before() {
    let Sandbox { connector, database, kafka } = sandbox(|options| options.back_pressure = None);
    for round in 0..10 {
        insert(&database, round * 50..(round + 1) * 50, "a");
        let marker = vec![LegacyValue::Guid(uuid::Uuid::now_v7()), LegacyValue::Timestamp(0)];
        database.transaction(|transaction| transaction.insert("ficus_marker", marker)).unwrap();
        part(&database, round);
    }
    let mut markers = Reader::new(&kafka, &[MARKERS]);
    for round in 1..=10 {
        let seen = markers.take(1);
        assert_eq!(seen[0].topic, MARKERS);
        let ends = |topic| -> i64 {
            let end =
                |partition| markers.consumer.fetch_watermarks(topic, partition, LIMIT).unwrap().1;
            (0..PARTITIONS).map(end).sum()
        };
        assert!(ends(ITEMS) >= round * 50);
        assert!(ends(PARTS) >= round - 1);
    }
    drop((markers, connector));
}

#[tokio::test]
async fn a_restart_publishes_again() {
    let Sandbox { connector, database, kafka } = sandbox(|_| ());
    let first = insert(&database, 0..5, "a");
    let second = insert(&database, 5..10, "a");
    connector.published(second).await.unwrap();
    connector.restart_from(first);
    let mut reader = Reader::new(&kafka, &[ITEMS]);
    let mut ids: Vec<i64> = reader.take(15).iter().map(id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]);
    drop((reader, connector));
}

#[tokio::test]
async fn a_pause_holds_everything_back() {
    let Sandbox { connector, database, kafka } = sandbox(|_| ());
    connector.pause();
    while !connector.status().is_paused {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let lsn = insert(&database, 0..5, "a");
    let early = tokio::time::timeout(Duration::from_millis(200), connector.published(lsn)).await;
    assert!(early.is_err());
    connector.resume();
    connector.published(lsn).await.unwrap();
    drop((connector, kafka));
}

#[tokio::test]
async fn a_snapshot_is_stamped_with_the_lsn_before_it() {
    let Sandbox { connector, database, kafka } = sandbox(|_| ());
    database.load("Item", (0..3).map(|id| item(id, "a"))).unwrap();
    let lsn = part(&database, 1);
    assert_eq!(connector.snapshot(&["Item", "dbo.Part"]).await.unwrap(), 4);
    let error = connector.snapshot(&["Absent"]).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no table `Absent`");
    let mut reader = Reader::new(&kafka, &[ITEMS, PARTS]);
    let mut markers = Vec::new();
    for seen in reader.take(5) {
        let value = seen.value.unwrap();
        if value["op"] == "r" {
            assert_eq!(value["source"]["commit_lsn"], lsn.to_string());
            markers.push(value["source"]["snapshot"].as_str().unwrap().to_owned());
        }
    }
    markers.sort();
    assert_eq!(markers, ["first", "last", "last_in_data_collection", "true"]);
    drop((reader, connector));
}

#[tokio::test]
async fn it_beats_and_tells_schemas() {
    let Sandbox { connector, database: _database, kafka } = sandbox(|options| {
        options.heartbeat = Some(Duration::from_millis(20));
        options.schema_changes = true;
    });
    let began = Instant::now();
    while connector.status().stopped.is_none() && began.elapsed() < Duration::from_millis(200) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut reader = Reader::new(&kafka, &["__debezium-heartbeat.spacehub", "spacehub"]);
    let seen = reader.take(5);
    assert!(seen.iter().any(|seen| seen.key.as_deref() == Some("{\"serverName\":\"spacehub\"}")));
    let tables = |seen: &&Seen| seen.topic == "spacehub";
    assert_eq!(seen.iter().chain(&reader.take(2)).filter(tables).count(), 3);
    drop((reader, connector));
}

#[tokio::test]
async fn a_log_that_was_cut_stops_it() {
    let Sandbox { connector, database, kafka } = sandbox(|_| ());
    connector.pause();
    while !connector.status().is_paused {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let first = insert(&database, 0..5, "a");
    let second = insert(&database, 5..10, "a");
    database.log().trim(first);
    connector.resume();
    let error = tokio::time::timeout(LIMIT, connector.published(second)).await.unwrap();
    assert!(matches!(error, Err(Error::Stopped)));
    let stopped = connector.status().stopped.unwrap();
    assert!(stopped.starts_with("the change log no longer reaches back to"), "{stopped}");
    drop(kafka);
}
