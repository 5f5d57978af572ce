//! The same messages through the in-process broker and the real consume loop.
//!
//! The mock broker keeps 5 MB of a partition, as they come compressed, and drops older ones in
//! silence. So it is tried out how much of a log fits; so much is published before the clock
//! starts, and the rest as the reader's position allows. A message lost all the same is an error
//! of the run, never a wrong figure.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, anyhow, bail, ensure};
use cdc_consumer::status::Progress;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
    types::RDKafkaErrorCode,
};
use sandbox::kafka::Kafka;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{events::Log, settings};
use crate::{
    cost::{Cost, Meter},
    place::{Place, Spot},
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Messages of a partition sent in one go.
const RUN: usize = 500;

/// A broker, and a thread that publishes the messages.
struct Broker {
    kafka: Kafka,
    shared: Arc<Shared>,
    publishing: JoinHandle<anyhow::Result<()>>,
}

/// What the publishing thread and the reader know of each other.
struct Shared {
    /// By partition: the offset that the reader has come to.
    positions: Vec<AtomicUsize>,
    /// Messages that the broker has, once there is no room for more.
    loaded: AtomicUsize,
    stop: AtomicBool,
}

impl Broker {
    /// Starts it, and waits until it is full.
    fn start(log: &Arc<Log>, room: Room) -> anyhow::Result<Self> {
        let kafka = Kafka::start([(log.topic.as_str(), i32::try_from(log.partitions.len())?)])?;
        let positions = log.partitions.iter().map(|_| AtomicUsize::new(0)).collect();
        let (loaded, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { positions, loaded, stop });
        let publisher = Publisher {
            log: Arc::clone(log),
            shared: Arc::clone(&shared),
            producer: producer(kafka.bootstrap())?,
            room,
        };
        let publishing = std::thread::Builder::new()
            .name("producer".to_owned())
            .spawn(move || publisher.run())?;
        let broker = Self { kafka, shared, publishing };
        while broker.loaded() == 0 && !broker.publishing.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(broker)
    }

    fn loaded(&self) -> usize {
        self.shared.loaded.load(Ordering::Relaxed)
    }

    /// The cluster must outlive its clients.
    fn end(self) -> anyhow::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let published = self.publishing.join().map_err(|_| anyhow!("the producer panicked"))?;
        self.kafka.stop();
        published
    }
}

/// Bytes of messages that fit into a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room(usize);

/// Publishes all messages into a broker that nobody reads, and looks what it has kept.
pub(super) fn room(log: &Log) -> anyhow::Result<Room> {
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

fn producer(bootstrap: &str) -> anyhow::Result<BaseProducer> {
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
fn send(
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

struct Publisher {
    log: Arc<Log>,
    shared: Arc<Shared>,
    producer: BaseProducer,
    room: Room,
}

/// How far a partition is.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    next: usize,
    /// Bytes that the reader has not come to.
    ahead: usize,
    passed: usize,
}

impl Publisher {
    fn run(self) -> anyhow::Result<()> {
        let mut sent = vec![Sent::default(); self.log.partitions.len()];
        while !self.shared.stop.load(Ordering::Relaxed) {
            let mut idle = true;
            for (number, sent) in (0..).zip(&mut sent) {
                idle &= !self.publish(number, sent)?;
            }
            if idle && self.producer.in_flight_count() == 0 {
                let loaded = sent.iter().map(|sent| sent.next).sum();
                self.shared.loaded.store(loaded, Ordering::Relaxed);
            }
            self.producer.poll(if idle { Duration::from_millis(2) } else { Duration::ZERO });
        }
        drop(self.producer.flush(Duration::from_secs(1))); // nobody reads any more
        Ok(())
    }

    /// Sends a run of messages, as far as there is room; whether any was sent.
    fn publish(&self, number: i32, sent: &mut Sent) -> anyhow::Result<bool> {
        let index = usize::try_from(number)?;
        let partition = self.log.partitions.get(index).context("no such partition")?;
        let position = self.shared.positions.get(index).map_or(0, |at| at.load(Ordering::Relaxed));
        while sent.passed < position {
            sent.ahead = sent.ahead.saturating_sub(partition.size(sent.passed));
            sent.passed += 1;
        }
        let begin = sent.next;
        while sent.next < partition.len().min(begin + RUN) && sent.ahead < self.room.0 {
            if !send(&self.producer, &self.log, (number, sent.next))? {
                break;
            }
            sent.ahead += partition.size(sent.next);
            sent.next += 1;
        }
        Ok(sent.next > begin)
    }
}

/// Consumes everything into Postgres. The clock runs from the first commit to the last, so that
/// joining the group is not in it.
pub(super) async fn apply(
    place: &Place,
    spot: &Spot,
    (log, room): (&Arc<Log>, Room),
) -> anyhow::Result<(f64, Cost)> {
    let broker = start(log, room).await?;
    let (sender, receiver) = watch::channel(Progress::default());
    let stop = CancellationToken::new();
    let consuming = tokio::spawn(cdc_consumer::run(
        settings(broker.kafka.bootstrap()),
        Arc::clone(&spot.target),
        Arc::clone(&place.plan),
        sender,
        stop.clone(),
    ));
    let measured = follow(place, log, &broker, receiver).await;
    stop.cancel();
    consuming.await??;
    tokio::task::spawn_blocking(move || broker.end()).await??;
    measured
}

async fn follow(
    place: &Place,
    log: &Log,
    broker: &Broker,
    mut progress: watch::Receiver<Progress>,
) -> anyhow::Result<(f64, Cost)> {
    let mut meter = None;
    loop {
        let changed = tokio::time::timeout(PATIENCE, progress.changed()).await;
        if changed.context("the consumer hangs")?.is_err() {
            bail!("the consumer ended early");
        }
        let (read, batches, done) = {
            let now = progress.borrow_and_update();
            let mut done = 0;
            for ((_, number), at) in &now.partitions {
                let next = usize::try_from(at.next)?;
                done += next;
                if let Some(position) = broker.shared.positions.get(usize::try_from(*number)?) {
                    position.store(next, Ordering::Relaxed);
                }
            }
            (now.read(), now.batches, done)
        };
        if meter.is_none() && batches > 0 {
            meter = Some((place.meter(), read));
        }
        if done >= log.messages() {
            let (meter, before) =
                meter.context("everything came in one batch: more rows, please")?;
            let units = log.events().saturating_sub(before);
            ensure!(units > 0, "everything came in one batch: more rows, please");
            return Ok(meter.stop(units));
        }
    }
}

async fn start(log: &Arc<Log>, room: Room) -> anyhow::Result<Broker> {
    let log = Arc::clone(log);
    tokio::task::spawn_blocking(move || Broker::start(&log, room)).await?
}

/// Consumes what fits into the broker and drops it: what no consumer can beat.
pub(super) async fn consume(
    place: &Place,
    (log, room): (&Arc<Log>, Room),
) -> anyhow::Result<(f64, Cost)> {
    let broker = start(log, room).await?;
    let (bootstrap, loaded) = (broker.kafka.bootstrap().to_owned(), broker.loaded());
    let (topic, count) = (log.topic.clone(), i32::try_from(log.partitions.len())?);
    let postmaster = place.postmaster;
    let reading = tokio::task::spawn_blocking(move || {
        let consumer = raw_consumer(&bootstrap, &topic, count)?;
        let (mut seen, mut data) = (0, 0_u64);
        let mut meter = None;
        while seen < loaded {
            let message = consumer.poll(PATIENCE).context("the broker hangs")??;
            meter.get_or_insert_with(|| Meter::start(postmaster));
            seen += 1;
            data += u64::from(message.payload().is_some());
        }
        let meter = meter.context("there were no messages")?;
        anyhow::Ok(meter.stop(data))
    });
    let measured = reading.await?;
    tokio::task::spawn_blocking(move || broker.end()).await??;
    measured
}

/// With the settings of the engine's own.
fn raw_consumer(bootstrap: &str, topic: &str, partitions: i32) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "raw")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("queued.max.messages.kbytes", "32768")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.message.max.bytes", "4194304")
        .create()?;
    let mut list = TopicPartitionList::new();
    for number in 0..partitions {
        list.add_partition_offset(topic, number, Offset::Offset(0))?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}
