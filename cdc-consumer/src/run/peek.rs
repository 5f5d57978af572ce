//! One look at single messages, by a client of its own: is the message that was applied last still
//! the one at its offset, is there any message between two offsets?

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, KafkaResult},
};
use xxhash_rust::xxh3::Xxh3;

use super::client::config;
use crate::settings::Settings;

const POLL: Duration = Duration::from_millis(20);

/// A place in the log.
pub(super) type Place = (String, i32, i64);

/// What is at a place, or behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The first message from there on.
    Message {
        /// Its offset.
        offset: i64,
        /// Its [`fingerprint`].
        fingerprint: i64,
    },
    /// No message up to the end.
    End,
    /// The broker did not tell in time.
    Unknown,
}

/// Tells a message from any other, in all likelihood: key, time, and the value's length.
pub(super) fn fingerprint(message: &impl Message) -> i64 {
    let mut hash = Xxh3::new();
    hash.update(message.key().unwrap_or_default());
    hash.update(&message.timestamp().to_millis().unwrap_or(-1).to_be_bytes());
    let length = message.payload().map_or(-1, |payload| i64::try_from(payload.len()).unwrap_or(0));
    hash.update(&length.to_be_bytes());
    i64::from_ne_bytes(hash.digest().to_ne_bytes())
}

/// Looks at each place; answers in their order.
pub(super) fn look(
    settings: &Settings,
    places: &[Place],
    limit: Duration,
) -> KafkaResult<Vec<Found>> {
    let mut config = config(settings);
    // One message of each partition is enough; a broker gives at least that.
    config.set("enable.partition.eof", "true").set("queued.min.messages", "1");
    config.set("fetch.message.max.bytes", "1024").set("queued.max.messages.kbytes", "1024");
    let client: Arc<BaseConsumer> = Arc::new(config.create()?);
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition, offset) in places {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    client.assign(&list)?;
    // A queue for each: the end of a partition is told without its topic.
    let queues: Vec<_> = places
        .iter()
        .map(|(topic, partition, _)| client.split_partition_queue(topic, *partition))
        .collect();
    let mut found = vec![Found::Unknown; places.len()];
    let since = Instant::now();
    while found.contains(&Found::Unknown) && since.elapsed() < limit {
        // The client's own events, such as lost connections.
        if let Some(Err(error)) = client.poll(Duration::ZERO) {
            tracing::debug!(%error, "looking at messages");
        }
        let mut wait = POLL;
        for (queue, found) in queues.iter().zip(&mut found) {
            let (Some(queue), Found::Unknown) = (queue, *found) else { continue };
            match queue.poll(wait) {
                Some(Ok(message)) => {
                    let fingerprint = fingerprint(&message);
                    *found = Found::Message { offset: message.offset(), fingerprint };
                }
                Some(Err(KafkaError::PartitionEOF(_))) => *found = Found::End,
                Some(Err(error)) => tracing::debug!(%error, "looking at a message"),
                None => wait = Duration::ZERO,
            }
        }
    }
    Ok(found)
}
