//! Reads topics as they are, for people: no group, no position, nothing is changed anywhere.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
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

/// Reads and hands over message by message, in the order of each partition. Blocks. `each` says
/// whether more is wanted.
///
/// # Errors
/// [`Error::Kafka`] for a broker that refuses or a topic that isn't there.
pub fn tail(
    settings: &Settings,
    tail: &Tail,
    stop: &CancellationToken,
    mut each: impl FnMut(&Received<'_>) -> bool,
) -> Result<(), Error> {
    let consumer = consumer(settings)?;
    let mut ends = assign(&consumer, tail)?;
    let mut left = tail.limit.unwrap_or(u64::MAX);
    while left > 0 && !stop.is_cancelled() && (tail.follow || !ends.is_empty()) {
        let message = match consumer.poll(POLL) {
            None => continue,
            Some(message) => message.map_err(failed("reading"))?,
        };
        let headers = message.headers();
        let received = Received {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key(),
            value: message.payload(),
            renamed: headers.is_some_and(|all| all.iter().any(|h| h.key == OLD_KEY_HEADER)),
        };
        if !each(&received) {
            return Ok(());
        }
        left -= 1;
        let place = (message.topic().to_owned(), message.partition());
        if ends.get(&place).is_some_and(|end| message.offset() + 1 >= *end) {
            ends.remove(&place);
        }
    }
    Ok(())
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
        .set("allow.auto.create.topics", "false")
        .set("isolation.level", "read_committed")
        .set("queued.max.messages.kbytes", "16384");
    config.create().map_err(failed("making the kafka client"))
}

/// Where each partition that has anything to read ends now.
fn assign(consumer: &BaseConsumer, tail: &Tail) -> Result<BTreeMap<(String, i32), i64>, Error> {
    let (mut list, mut ends) = (TopicPartitionList::new(), BTreeMap::new());
    for topic in &tail.topics {
        let doing = format!("reading the topic {topic}");
        let metadata = consumer.fetch_metadata(Some(topic), ASK).map_err(failed(&doing))?;
        let partitions = metadata.topics().first().map(|found| found.partitions());
        let partitions = partitions.filter(|found| !found.is_empty());
        for partition in partitions.ok_or_else(|| Error::NoTopic { topic: topic.clone() })? {
            let number = partition.id();
            let (low, high) =
                consumer.fetch_watermarks(topic, number, ASK).map_err(failed(&doing))?;
            let from = if tail.offset < 0 { high + tail.offset } else { tail.offset };
            let from = from.clamp(low, high);
            list.add_partition_offset(topic, number, Offset::Offset(from))
                .map_err(failed(&doing))?;
            if from < high {
                ends.insert((topic.clone(), number), high);
            }
        }
    }
    consumer.assign(&list).map_err(failed("assigning partitions"))?;
    Ok(ends)
}

fn failed(doing: &str) -> impl FnOnce(rdkafka::error::KafkaError) -> Error {
    move |source| Error::Kafka { doing: doing.to_owned(), source }
}
