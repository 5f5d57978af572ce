//! The sending side: batches of records, what is in flight, and who has to be waited for.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use mapping::position::Lsn;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    client::ClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};

use super::{
    BackPressure,
    lane::{Lane, Topic},
    lock,
};
use crate::debezium::{Error, Record};

/// What a message costs the broker beside its text: framing and the four context headers.
const OVERHEAD_BYTES: u64 = 220;
const KAFKA_PATIENCE: Duration = Duration::from_secs(10);
const COMPLAIN_AFTER: Duration = Duration::from_secs(10);

/// A record of the transaction topic, kept until its batch is acknowledged.
pub(super) struct Control {
    pub(super) topic: String,
    pub(super) key: String,
    pub(super) value: String,
}

/// What was asked to be sent, until Kafka says what became of it.
struct Sent {
    batch: u64,
    topic: Arc<str>,
    partition: i32,
    bytes: u64,
}

struct Delivered {
    sent: Box<Sent>,
    result: Result<i64, KafkaError>,
}

/// Gathers the answers; they are handled between two sends.
#[derive(Default)]
struct Answers(Mutex<Vec<Delivered>>);

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let result = match result {
            Ok(message) => Ok(message.offset()),
            Err((cause, _)) => Err(cause.clone()),
        };
        lock(&self.0).push(Delivered { sent, result });
    }
}

/// Records that stand and fall together: their control records wait for all of them.
struct Batch {
    number: u64,
    outstanding: u64,
    is_closed: bool,
    control: Vec<Control>,
    up_to: Option<Lsn>,
}

/// The sending side.
pub(super) struct Outbox {
    producer: BaseProducer<Answers>,
    follower: Option<(BaseConsumer, BackPressure)>,
    followed_topics: Option<Vec<String>>,
    topics: HashMap<String, Topic>,
    batches: VecDeque<Batch>,
    headers: OwnedHeaders,
    blocked_since: Option<Instant>,
}

impl Outbox {
    /// `followed_topics`: those that the group reads, all when `None`.
    pub(super) fn new(
        bootstrap: &str,
        back_pressure: Option<BackPressure>,
        followed_topics: Option<Vec<String>>,
        headers: OwnedHeaders,
    ) -> Result<Self, Error> {
        let kafka = |what| move |source| Error::Kafka { what, source };
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("compression.type", "none")
            .set("queue.buffering.max.messages", "50000")
            .set("queue.buffering.max.kbytes", "262144")
            .set("message.max.bytes", "50000000")
            .create_with_context(Answers::default())
            .map_err(kafka("make a Kafka producer"))?;
        let follower = match back_pressure {
            Some(back_pressure) => {
                let consumer = ClientConfig::new()
                    .set("bootstrap.servers", bootstrap)
                    .set("group.id", &back_pressure.group)
                    .set("enable.auto.commit", "false")
                    .create()
                    .map_err(kafka("make a Kafka consumer"))?;
                Some((consumer, back_pressure))
            }
            None => None,
        };
        Ok(Self {
            producer,
            follower,
            followed_topics,
            topics: HashMap::new(),
            batches: VecDeque::new(),
            headers,
            blocked_since: None,
        })
    }

    /// Opens a batch; what is sent from now on belongs to it.
    pub(super) fn open(&mut self) {
        let number = self.batches.back().map_or(0, |batch| batch.number + 1);
        self.batches.push_back(Batch {
            number,
            outstanding: 0,
            is_closed: false,
            control: Vec::new(),
            up_to: None,
        });
    }

    /// Closes the open batch: its control records are sent once all its records are
    /// acknowledged, and then `up_to` counts as published.
    pub(super) fn close(&mut self, control: Vec<Control>, up_to: Option<Lsn>) {
        if let Some(batch) = self.batches.back_mut() {
            batch.is_closed = true;
            batch.control = control;
            batch.up_to = up_to;
        }
    }

    /// Whether nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether a record of this topic with this key may be sent now. It asks the broker when
    /// the answer would be no.
    pub(super) fn may_send(&mut self, record: &Record<'_>) -> Result<bool, Error> {
        let Some(limit) = self.follower.as_ref().map(|(_, limit)| limit.ahead_bytes_max) else {
            return Ok(true);
        };
        let bytes = size(record);
        for is_fresh in [false, true] {
            if is_fresh {
                self.refresh()?;
            }
            let topic = self.topic(record.topic)?;
            let partition = topic.partition(record.key);
            let lane = topic.lane(partition);
            let ahead = lane.map_or(0, |lane| lane.sent - lane.reached);
            if !topic.is_followed || ahead == 0 || ahead + bytes <= limit {
                self.blocked_since = None;
                return Ok(true);
            }
        }
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        if since.elapsed() > COMPLAIN_AFTER {
            let group = self.follower.as_ref().map(|(_, limit)| limit.group.as_str());
            tracing::warn!(topic = record.topic, group, "waiting for the consumer group to commit");
            self.blocked_since = Some(Instant::now());
        }
        Ok(false)
    }

    /// Sends a record of the open batch.
    pub(super) fn send(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let bytes = size(record);
        let batch = self.batches.back_mut().map_or(0, |batch| {
            batch.outstanding += 1;
            batch.number
        });
        let topic = self.topic(record.topic)?;
        let partition = topic.partition(record.key);
        if record.key.is_none() {
            topic.next_without_key = topic.next_without_key.wrapping_add(1);
        }
        if let Some(lane) = topic.lane(partition) {
            lane.sent += bytes;
        }
        let sent = Box::new(Sent { batch, topic: Arc::clone(&topic.name), partition, bytes });
        let headers = match (record.context, record.key_change) {
            (false, _) => None,
            (true, None) => Some(self.headers.clone()),
            (true, Some((key, value))) => {
                Some(with_first(Header { key, value: Some(value) }, &self.headers))
            }
        };
        let mut message = BaseRecord::<str, str, Box<Sent>> {
            topic: record.topic,
            partition: Some(partition),
            payload: record.value,
            key: record.key,
            timestamp: None,
            headers,
            delivery_opaque: sent,
        };
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    message = back;
                    self.producer.poll(Duration::from_millis(5));
                }
                Err((source, _)) => {
                    return Err(Error::NotDelivered { topic: record.topic.to_owned(), source });
                }
            }
        }
    }

    /// Takes answers, sends control records whose turn has come, and returns the last LSN that
    /// became published.
    pub(super) fn poll(&mut self, wait: Duration) -> Result<Option<Lsn>, Error> {
        self.producer.poll(wait);
        let answers = std::mem::take(&mut *lock(&self.producer.context().0));
        for Delivered { sent, result } in answers {
            let offset = result
                .map_err(|source| Error::NotDelivered { topic: sent.topic.to_string(), source })?;
            self.acknowledge(&sent, offset);
        }
        let mut published = None;
        while self.batches.front().is_some_and(|batch| batch.is_closed && batch.outstanding == 0) {
            let Some(batch) = self.batches.pop_front() else { break };
            for control in batch.control {
                self.send_control(&control)?;
            }
            published = batch.up_to.or(published);
        }
        Ok(published)
    }

    /// Sends a record that belongs to no batch.
    pub(super) fn send_control(&mut self, control: &Control) -> Result<(), Error> {
        let Control { topic, key, value } = control;
        let sent = Sent { batch: u64::MAX, topic: topic.as_str().into(), partition: 0, bytes: 0 };
        let record = BaseRecord::with_opaque_to(topic, Box::new(sent)).key(key).payload(value);
        self.producer
            .send(record)
            .map_err(|(source, _)| Error::NotDelivered { topic: topic.clone(), source })
    }

    /// Waits until Kafka has everything, for a stop.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.producer
            .flush(KAFKA_PATIENCE)
            .map_err(|source| Error::Kafka { what: "deliver the last messages", source })
    }

    fn acknowledge(&mut self, sent: &Sent, offset: i64) {
        let first = self.batches.front().map_or(0, |batch| batch.number);
        let index = sent.batch.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(batch) = index.and_then(|index| self.batches.get_mut(index)) {
            batch.outstanding = batch.outstanding.saturating_sub(1);
        }
        let follows = self.follower.is_some();
        let lane = self.topics.get_mut(&*sent.topic).and_then(|topic| topic.lane(sent.partition));
        if let Some(lane) = lane
            && follows
        {
            lane.acknowledged.push_back((offset + 1, sent.bytes));
        }
    }

    /// Asks the broker how far the group is.
    fn refresh(&mut self) -> Result<(), Error> {
        let Some((consumer, _)) = &self.follower else { return Ok(()) };
        let mut wanted = TopicPartitionList::new();
        for topic in self.topics.values().filter(|topic| topic.is_followed) {
            for (partition, lane) in (0..).zip(&topic.lanes) {
                if lane.sent > lane.reached {
                    wanted.add_partition(&topic.name, partition);
                }
            }
        }
        let kafka = |source| Error::Kafka { what: "read the consumer group's offsets", source };
        let committed = match consumer.committed_offsets(wanted, KAFKA_PATIENCE) {
            Ok(committed) => committed,
            // A broker that is away for a moment: the question is asked again.
            Err(KafkaError::MetadataFetch(_) | KafkaError::ConsumerCommit(_)) => return Ok(()),
            Err(source) => return Err(kafka(source)),
        };
        for element in committed.elements() {
            let Offset::Offset(offset) = element.offset() else { continue };
            let topic = self.topics.get_mut(element.topic());
            if let Some(lane) = topic.and_then(|topic| topic.lane(element.partition())) {
                while let Some((_, bytes)) =
                    lane.acknowledged.pop_front_if(|(next, _)| *next <= offset)
                {
                    lane.reached += bytes;
                }
            }
        }
        Ok(())
    }

    /// The topic's partitions, asked for at its first use.
    fn topic(&mut self, name: &str) -> Result<&mut Topic, Error> {
        if !self.topics.contains_key(name) {
            let metadata =
                self.producer.client().fetch_metadata(Some(name), KAFKA_PATIENCE).map_err(
                    |source| Error::Kafka { what: "ask for a topic's partitions", source },
                )?;
            let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
            let is_followed = self
                .followed_topics
                .as_ref()
                .is_none_or(|topics| topics.iter().any(|topic| topic == name));
            let topic = Topic {
                name: name.into(),
                lanes: (0..partitions.max(1)).map(|_| Lane::default()).collect(),
                next_without_key: 0,
                is_followed,
            };
            self.topics.insert(name.to_owned(), topic);
        }
        Ok(self.topics.get_mut(name).expect("it was put there above"))
    }
}

fn size(record: &Record<'_>) -> u64 {
    let text = |text: Option<&str>| text.map_or(0, str::len);
    u64::try_from(text(record.key) + text(record.value)).unwrap_or(u64::MAX) + OVERHEAD_BYTES
}

fn with_first(first: Header<'_, &str>, rest: &OwnedHeaders) -> OwnedHeaders {
    use rdkafka::message::Headers;
    let mut headers = OwnedHeaders::new_with_capacity(rest.count() + 1).insert(first);
    for header in rest.iter() {
        headers = headers.insert(header);
    }
    headers
}
