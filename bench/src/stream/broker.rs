//! The same messages through the in-process broker and the real consume loop.
//!
//! The mock broker keeps 5 MB of a partition, as they come compressed, so whoever publishes must
//! not run ahead: it waits for the reader's position.

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
use sandbox::kafka::{Kafka, PARTITION_BYTES_MAX};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{events::Log, settings};
use crate::{
    cost::Cost,
    place::{Place, Spot},
};

/// JSON like this is compressed to a fourth or less; a message lost all the same is an error of
/// the run, never a wrong figure.
const AHEAD_BYTES_MAX: usize = 3 * 5 * 1024 * 1024;
const _: () = assert!(PARTITION_BYTES_MAX == 5 * 1024 * 1024, "the broker keeps another number");
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker, and a thread that publishes the messages.
struct Broker {
    kafka: Kafka,
    /// By partition: the offset that the reader has come to.
    positions: Arc<Vec<AtomicUsize>>,
    stop: Arc<AtomicBool>,
    publishing: JoinHandle<anyhow::Result<()>>,
}

impl Broker {
    fn start(log: &Arc<Log>) -> anyhow::Result<Self> {
        let count = i32::try_from(log.partitions.len())?;
        let kafka = Kafka::start([(log.topic.as_str(), count)])?;
        let positions: Vec<AtomicUsize> = log.partitions.iter().map(|_| AtomicUsize::new(0)).collect();
        let positions = Arc::new(positions);
        let stop = Arc::new(AtomicBool::new(false));
        let publisher = Publisher {
            log: Arc::clone(log),
            positions: Arc::clone(&positions),
            stop: Arc::clone(&stop),
            bootstrap: kafka.bootstrap().to_owned(),
        };
        let publishing = std::thread::Builder::new()
            .name("producer".to_owned())
            .spawn(move || publisher.run())?;
        Ok(Self { kafka, positions, stop, publishing })
    }

    /// The cluster must outlive its clients.
    fn end(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let published = self.publishing.join().map_err(|_| anyhow!("the producer panicked"))?;
        self.kafka.stop();
        published
    }
}

struct Publisher {
    log: Arc<Log>,
    positions: Arc<Vec<AtomicUsize>>,
    stop: Arc<AtomicBool>,
    bootstrap: String,
}

impl Publisher {
    fn run(self) -> anyhow::Result<()> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("batch.size", "1000000")
            .set("message.max.bytes", "4000000")
            .set("queue.buffering.max.kbytes", "65536")
            .create()?;
        let count = self.log.partitions.len();
        let (mut sent, mut ahead, mut passed) = (vec![0; count], vec![0; count], vec![0; count]);
        while !self.stop.load(Ordering::Relaxed) {
            let mut idle = true;
            for partition in 0..count {
                let at = (&mut sent[partition], &mut ahead[partition], &mut passed[partition]);
                idle &= !self.publish(&producer, partition, at)?;
            }
            producer.poll(if idle { Duration::from_millis(2) } else { Duration::ZERO });
        }
        drop(producer.flush(Duration::from_secs(1))); // nobody reads any more
        Ok(())
    }

    /// Sends a run of messages, as far as the reader's position allows; whether any was sent.
    fn publish(
        &self,
        producer: &BaseProducer,
        number: usize,
        (sent, ahead, passed): (&mut usize, &mut usize, &mut usize),
    ) -> anyhow::Result<bool> {
        let partition = self.log.partitions.get(number).context("no such partition")?;
        let size = |offset: usize| {
            let message = partition.message(offset);
            message.map_or(0, |(key, value)| key.len() + value.unwrap_or_default().len())
        };
        let position = self.positions.get(number).map_or(0, |at| at.load(Ordering::Relaxed));
        while *passed < position {
            *ahead = ahead.saturating_sub(size(*passed));
            *passed += 1;
        }
        let mut any = false;
        for _ in 0..500 {
            let Some((key, value)) = partition.message(*sent) else { break };
            if *ahead > AHEAD_BYTES_MAX {
                break;
            }
            let mut record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(&self.log.topic).partition(i32::try_from(number)?).key(key);
            if let Some(value) = value {
                record = record.payload(value);
            }
            match producer.send(record) {
                Ok(()) => {}
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => break,
                Err((error, _)) => return Err(error.into()),
            }
            *ahead += size(*sent);
            *sent += 1;
            any = true;
        }
        Ok(any)
    }
}

/// Consumes everything into Postgres. The clock runs from the first commit to the last, so that
/// joining the group is not in it.
pub(super) async fn apply(
    place: &Place,
    spot: &Spot,
    log: &Arc<Log>,
) -> anyhow::Result<(f64, Cost)> {
    let broker = Broker::start(log)?;
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
                if let Some(position) = broker.positions.get(usize::try_from(*number)?) {
                    position.store(next, Ordering::Relaxed);
                }
            }
            (now.read(), now.batches, done)
        };
        if meter.is_none() && batches > 0 {
            meter = Some((place.meter(), read));
        }
        if done >= log.messages() {
            let (meter, before) = meter.context("everything came in one batch: more rows, please")?;
            let units = log.events().saturating_sub(before);
            ensure!(units > 0, "everything came in one batch: more rows, please");
            return Ok(meter.stop(units));
        }
    }
}

/// Consumes everything and drops it: what no consumer can beat.
pub(super) async fn consume(place: &Place, log: &Arc<Log>) -> anyhow::Result<(f64, Cost)> {
    let broker = Broker::start(log)?;
    let bootstrap = broker.kafka.bootstrap().to_owned();
    let (messages, positions) = (Arc::clone(log), Arc::clone(&broker.positions));
    let postmaster = place.postmaster;
    let reading = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap)
            .set("group.id", "raw")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("queued.max.messages.kbytes", "32768")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.message.max.bytes", "4194304")
            .create()?;
        let mut list = TopicPartitionList::new();
        for number in 0..i32::try_from(messages.partitions.len())? {
            list.add_partition_offset(&messages.topic, number, Offset::Offset(0))?;
        }
        consumer.assign(&list)?;
        let (mut seen, mut data) = (0, 0_u64);
        let mut meter = None;
        while seen < messages.messages() {
            let message = consumer.poll(PATIENCE).context("the broker hangs")??;
            meter.get_or_insert_with(|| crate::cost::Meter::start(postmaster));
            seen += 1;
            data += u64::from(message.payload().is_some());
            let number = usize::try_from(message.partition())?;
            if let Some(position) = positions.get(number) {
                position.store(usize::try_from(message.offset())? + 1, Ordering::Relaxed);
            }
        }
        let meter = meter.context("there were no messages")?;
        anyhow::Ok(meter.stop(data))
    });
    let measured = reading.await?;
    tokio::task::spawn_blocking(move || broker.end()).await??;
    measured
}
