//! The same messages through a broker and the real consume loop.

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
    producer::{BaseProducer, Producer as _},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    cluster::{Cluster, PATIENCE, Room, Yard, producer, send},
    events::Log,
    settings,
};
use crate::{
    cost::{Cost, Meter},
    place::{Place, Spot},
};

/// Messages of a partition sent in one go.
const RUN: usize = 500;

/// A broker, and a thread that publishes the messages.
struct Broker {
    cluster: Cluster,
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
    /// Publishes as much as there is room for.
    fn start(cluster: Cluster, log: &Arc<Log>, room: Room) -> anyhow::Result<Self> {
        let positions = log.partitions.iter().map(|_| AtomicUsize::new(0)).collect();
        let (loaded, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { positions, loaded, stop });
        let publisher = Publisher {
            log: Arc::clone(log),
            shared: Arc::clone(&shared),
            producer: producer(cluster.bootstrap())?,
            room,
        };
        let publishing = std::thread::Builder::new()
            .name("producer".to_owned())
            .spawn(move || publisher.run())?;
        let broker = Self { cluster, shared, publishing };
        while broker.loaded() == 0 && !broker.publishing.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(broker)
    }

    fn loaded(&self) -> usize {
        self.shared.loaded.load(Ordering::Relaxed)
    }

    /// The cluster must outlive its clients.
    async fn end(self) -> anyhow::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let publishing = self.publishing;
        let ended = tokio::task::spawn_blocking(move || publishing.join()).await?;
        ended.map_err(|_| anyhow!("the producer panicked"))??;
        match self.cluster {
            Cluster::Mock(kafka) => tokio::task::spawn_blocking(move || kafka.stop()).await?,
            Cluster::Real(real) => real.delete().await?,
        }
        Ok(())
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
                if loaded == self.log.messages() {
                    return Ok(());
                }
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
    (log, yard): (&Arc<Log>, &Yard),
) -> anyhow::Result<(f64, Cost)> {
    let broker = start(log, yard).await?;
    let (sender, receiver) = watch::channel(Progress::default());
    let stop = CancellationToken::new();
    let consuming = tokio::spawn(cdc_consumer::run(
        settings(broker.cluster.bootstrap()),
        Arc::clone(&spot.target),
        Arc::clone(&place.plan),
        sender,
        stop.clone(),
    ));
    let measured = follow(place, log, &broker, receiver).await;
    stop.cancel();
    consuming.await??;
    broker.end().await?;
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

async fn start(log: &Arc<Log>, yard: &Yard) -> anyhow::Result<Broker> {
    let (cluster, room, log) = (yard.open(log).await?, yard.room(), Arc::clone(log));
    tokio::task::spawn_blocking(move || Broker::start(cluster, &log, room)).await?
}

/// Consumes what fits into the broker and drops it: what no consumer can beat.
pub(super) async fn consume(
    place: &Place,
    (log, yard): (&Arc<Log>, &Yard),
) -> anyhow::Result<(f64, Cost)> {
    let broker = start(log, yard).await?;
    let (bootstrap, loaded) = (broker.cluster.bootstrap().to_owned(), broker.loaded());
    let (topic, count) = (log.topic.clone(), i32::try_from(log.partitions.len())?);
    let servers = place.servers;
    let reading = tokio::task::spawn_blocking(move || {
        let consumer = raw_consumer(&bootstrap, &topic, count)?;
        let (mut seen, mut data) = (0, 0_u64);
        let mut meter = None;
        while seen < loaded {
            let message = consumer.poll(PATIENCE).context("the broker hangs")??;
            meter.get_or_insert_with(|| Meter::start(servers));
            seen += 1;
            data += u64::from(message.payload().is_some());
        }
        let meter = meter.context("there were no messages")?;
        anyhow::Ok(meter.stop(data))
    });
    let measured = reading.await?;
    broker.end().await?;
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
