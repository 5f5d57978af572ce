//! The broker that the messages go through.
//!
//! A real one gets all of them before the clock starts. The in-process one keeps 5 MB of a
//! partition, as they come compressed, and drops older ones in silence. So it is tried out how much
//! of a log fits; so much is published before the clock starts, and the rest as the reader's
//! position allows. A message lost all the same is an error of the run, never a wrong figure.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
    types::RDKafkaErrorCode,
};
use sandbox::kafka::Kafka;

use super::events::Log;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Which broker it is, and what it holds.
pub(super) enum Yard {
    /// The in-process one, with room for so much of each partition.
    Mock(Room),
    /// The real one at this address.
    Real(String),
}

impl Yard {
    /// Finds out how much of a log fits.
    pub(super) async fn find(address: Option<String>, log: &Arc<Log>) -> anyhow::Result<Self> {
        if let Some(address) = address {
            return Ok(Self::Real(address));
        }
        let log = Arc::clone(log);
        Ok(Self::Mock(tokio::task::spawn_blocking(move || room(&log)).await??))
    }

    pub(super) fn room(&self) -> Room {
        match self {
            Self::Mock(room) => *room,
            Self::Real(_) => Room(usize::MAX),
        }
    }

    /// A broker with the log's topic, empty.
    pub(super) async fn open(&self, log: &Log) -> anyhow::Result<Cluster> {
        let count = i32::try_from(log.partitions.len())?;
        match self {
            Self::Mock(_) => Ok(Cluster::Mock(Kafka::start([(log.topic.as_str(), count)])?)),
            Self::Real(address) => Ok(Cluster::Real(Real::make(address, &log.topic, count).await?)),
        }
    }
}

/// A running broker.
pub(super) enum Cluster {
    Mock(Kafka),
    Real(Real),
}

pub(super) struct Real {
    address: String,
    topic: String,
}

impl Real {
    /// The topic, made anew.
    pub(super) async fn make(address: &str, topic: &str, count: i32) -> anyhow::Result<Self> {
        let real = Self { address: address.to_owned(), topic: topic.to_owned() };
        real.delete().await?;
        let new = NewTopic::new(topic, count, TopicReplication::Fixed(1));
        for made in real.admin()?.create_topics(&[new], &AdminOptions::new()).await? {
            made.map_err(|(topic, code)| anyhow!("making the topic {topic}: {code}"))?;
        }
        Ok(real)
    }

    fn admin(&self) -> anyhow::Result<AdminClient<DefaultClientContext>> {
        Ok(ClientConfig::new().set("bootstrap.servers", &self.address).create()?)
    }

    /// Deletes the topic, if it is there, and waits until it is gone.
    pub(super) async fn delete(&self) -> anyhow::Result<()> {
        let admin = self.admin()?;
        for deleted in admin.delete_topics(&[&self.topic], &AdminOptions::new()).await? {
            match deleted {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => bail!("deleting the topic {topic}: {code}"),
            }
        }
        for _ in 0..600 {
            let metadata = admin.inner().fetch_metadata(None, PATIENCE)?;
            if !metadata.topics().iter().any(|topic| topic.name() == self.topic) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the topic {} does not go away", self.topic)
    }
}

impl Cluster {
    pub(super) fn bootstrap(&self) -> &str {
        match self {
            Self::Mock(kafka) => kafka.bootstrap(),
            Self::Real(real) => &real.address,
        }
    }
}

/// Bytes of messages that fit into a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room(pub(super) usize);

/// Publishes all messages into a broker that nobody reads, and looks what it has kept.
fn room(log: &Log) -> anyhow::Result<Room> {
    let count = i32::try_from(log.partitions.len())?;
    let kafka = Kafka::start([(log.topic.as_str(), count)])?;
    let producer = producer(kafka.bootstrap())?;
    for (number, partition) in (0..).zip(&log.partitions) {
        for offset in 0..partition.len() {
            while !send(&producer, log, (number, offset))? {
                producer.poll(Duration::from_millis(1));
            }
        }
    }
    producer.flush(PATIENCE)?;
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create()?;
    let mut room = usize::MAX;
    for (number, partition) in (0..).zip(&log.partitions) {
        let (low, high) = consumer.fetch_watermarks(&log.topic, number, PATIENCE)?;
        ensure!(usize::try_from(high)? == partition.len(), "not all was published");
        if low > 0 {
            let kept = usize::try_from(low)?..partition.len();
            room = room.min(kept.map(|offset| partition.size(offset)).sum());
        }
    }
    drop((producer, consumer));
    kafka.stop();
    // Batches that are cut elsewhere are compressed a little better or worse.
    Ok(Room(room / 10 * 8))
}

pub(super) fn producer(bootstrap: &str) -> anyhow::Result<BaseProducer> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("message.max.bytes", "4000000")
        .set("queue.buffering.max.kbytes", "65536")
        .create()?)
}

/// Sends a message; `false` when the producer's queue is full.
pub(super) fn send(
    producer: &BaseProducer,
    log: &Log,
    (number, offset): (i32, usize),
) -> anyhow::Result<bool> {
    let partition = log.partitions.get(usize::try_from(number)?).context("no such partition")?;
    let (key, value) = partition.message(offset).context("no such message")?;
    let mut record: BaseRecord<'_, [u8], [u8]> =
        BaseRecord::to(&log.topic).partition(number).key(key);
    if let Some(value) = value {
        record = record.payload(value);
    }
    match producer.send(record) {
        Ok(()) => Ok(true),
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(false),
        Err((error, _)) => Err(error.into()),
    }
}
