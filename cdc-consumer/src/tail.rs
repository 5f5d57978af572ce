//! Reads topics as they are, for people: no group, no position, nothing is changed anywhere.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers},
};
use tokio_util::sync::CancellationToken;

use crate::{decode::OLD_KEY_HEADER, error::Error, line::Received, settings::Settings};

/// How long one question to the brokers may take.
const ASK: Duration = Duration::from_secs(10);
/// Between two looks at whether it is to stop.
const POLL: Duration = Duration::from_millis(200);

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The topics.
    pub topics: Vec<String>,
    /// From this offset of each partition on; a negative one counts from the end.
    pub offset: i64,
    /// So many messages at most.
    pub limit: Option<u64>,
    /// Go on at the end, instead of ending with what was there at the start.
    pub follow: bool,
}

/// A partition that has something to read.
struct Place {
    topic: String,
    partition: i32,
    from: i64,
    /// Where the log ends now.
    end: i64,
}

/// Reads and hands over message by message, one partition after the other, or all at once as they
/// come with `follow`. Blocks. `each` says whether more is wanted.
///
/// # Errors
/// [`Error::Kafka`] for a broker that refuses, [`Error::NoTopic`].
pub fn tail(
    settings: &Settings,
    tail: &Tail,
    stop: &CancellationToken,
    mut each: impl FnMut(&Received<'_>) -> bool,
) -> Result<(), Error> {
    let consumer = consumer(settings)?;
    let places = places(&consumer, tail)?;
    let mut left = tail.limit.unwrap_or(u64::MAX);
    // The client tells the end of a partition without its topic, so there is but one at a time.
    for together in places.chunks(if tail.follow { places.len().max(1) } else { 1 }) {
        assign(&consumer, together)?;
        let end = together.first().filter(|_| !tail.follow).map(|place| place.end);
        loop {
            if left == 0 || stop.is_cancelled() {
                return Ok(());
            }
            let message = match consumer.poll(POLL) {
                None => continue,
                // What is left are offsets without a message, such as a transaction's end.
                Some(Err(KafkaError::PartitionEOF(_))) if end.is_some() => break,
                Some(Err(KafkaError::PartitionEOF(_))) => continue,
                Some(message) => message.map_err(failed("reading"))?,
            };
            if end.is_some_and(|end| message.offset() >= end) {
                break;
            }
            if !each(&received(&message)) {
                return Ok(());
            }
            left -= 1;
            if end == Some(message.offset() + 1) {
                break;
            }
        }
    }
    Ok(())
}

fn received<'a>(message: &'a BorrowedMessage<'_>) -> Received<'a> {
    let headers = message.headers();
    Received {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key(),
        value: message.payload(),
        renamed: headers.is_some_and(|all| all.iter().any(|h| h.key == OLD_KEY_HEADER)),
    }
}

fn consumer(settings: &Settings) -> Result<BaseConsumer, Error> {
    let mut config = ClientConfig::new();
    for (name, value) in &settings.kafka_properties {
        config.set(name, value);
    }
    config
        .set("bootstrap.servers", &settings.bootstrap_servers)
        .set("group.id", "ficus-decode")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        .set("isolation.level", "read_committed")
        .set("queued.max.messages.kbytes", "16384");
    config.create().map_err(failed("making the kafka client"))
}

/// The partitions of the topics; without `follow`, those that have anything to read.
fn places(consumer: &BaseConsumer, tail: &Tail) -> Result<Vec<Place>, Error> {
    let mut places = Vec::new();
    for topic in &tail.topics {
        let doing = format!("reading the topic {topic}");
        let metadata = consumer.fetch_metadata(Some(topic), ASK).map_err(failed(&doing))?;
        let partitions = metadata.topics().first().map(|found| found.partitions());
        let partitions = partitions.filter(|found| !found.is_empty());
        for partition in partitions.ok_or_else(|| Error::NoTopic { topic: topic.clone() })? {
            let partition = partition.id();
            let (low, end) =
                consumer.fetch_watermarks(topic, partition, ASK).map_err(failed(&doing))?;
            let from = if tail.offset < 0 { end + tail.offset } else { tail.offset };
            let from = from.max(low).min(end);
            if tail.follow || from < end {
                places.push(Place { topic: topic.clone(), partition, from, end });
            }
        }
    }
    Ok(places)
}

fn assign(consumer: &BaseConsumer, places: &[Place]) -> Result<(), Error> {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for place in places {
        list.add_partition_offset(&place.topic, place.partition, Offset::Offset(place.from))
            .map_err(failed("assigning partitions"))?;
    }
    consumer.assign(&list).map_err(failed("assigning partitions"))
}

fn failed(doing: &str) -> impl FnOnce(KafkaError) -> Error {
    move |source| Error::Kafka { doing: doing.to_owned(), source }
}
