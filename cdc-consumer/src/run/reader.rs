//! The reading thread: polls Kafka, decodes, maps, and hands closed batches over.
//!
//! It is a thread of its own, and no task, because polling calls back (at a rebalance) and
//! decoding keeps a core busy. While Postgres writes one batch, the next is made here.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use mapping::position::Lsn;
use rdkafka::{
    Message as _, Offset,
    consumer::Consumer,
    error::KafkaError,
    message::{BorrowedMessage, Headers},
    types::RDKafkaErrorCode,
};
use target::{Target, batch::Fence};
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, error::TrySendError},
};

use super::{
    client::Client,
    peek,
    shared::{Notice, Shared, Work},
    silence::Silence,
    topics::{self, Topics},
};
use crate::{
    batch::{Batcher, Incoming},
    decode::OLD_KEY_HEADER,
    error::Error,
    status::State,
};

/// How long a poll waits when there is nothing to flush.
const POLL: Duration = Duration::from_millis(50);
/// How long a full queue is waited for before partitions are paused and polling goes on, which
/// the group's protocol needs.
const FULL: Duration = Duration::from_secs(2);
/// How often the log's ends are asked for, for the lag.
const ENDS: Duration = Duration::from_secs(1);
/// How long after a failure the brokers are asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The reading thread's state.
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Arc<Client>,
    pub(super) topics: Topics,
    pub(super) batcher: Batcher,
    pub(super) batches: mpsc::Sender<Work>,
    pub(super) runtime: Handle,
    target: Arc<Target>,
    clock: Clock,
    subscribed: BTreeSet<String>,
    generation: u64,
    /// When the open batch got its first message.
    opened: Option<Instant>,
    /// A marker whose fence is still to be asked for.
    marker: Option<Lsn>,
    silence: Silence,
}

/// When things are due.
struct Clock {
    topics: Instant,
    ends: Instant,
    ask: Instant,
    counted: (Instant, u64),
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        client: Arc<Client>,
        (topics, batcher): (Topics, Batcher),
        batches: mpsc::Sender<Work>,
        target: Arc<Target>,
    ) -> Self {
        let now = Instant::now();
        let clock = Clock { topics: now, ends: now, ask: now, counted: (now, 0) };
        Self {
            shared,
            client,
            topics,
            batcher,
            batches,
            runtime: Handle::current(),
            target,
            clock,
            subscribed: BTreeSet::new(),
            generation: 0,
            opened: None,
            marker: None,
            silence: Silence::default(),
        }
    }

    /// Reads until it is asked to stop, or until somebody must decide.
    pub(super) fn run(mut self) -> Result<(), Error> {
        let result = self.read();
        self.tell_seen();
        if result.is_err() {
            // The writing task must not go on trying for a run that is over.
            self.shared.stop.cancel();
        }
        result
    }

    fn read(&mut self) -> Result<(), Error> {
        while !self.shared.is_stopping() {
            self.heed_notices()?;
            self.rejoin_when_fenced()?;
            self.keep_time()?;
            if self.subscribed.is_empty() {
                std::thread::sleep(POLL);
                continue;
            }
            let polled = self.poll_once()?;
            self.ask_for_fence();
            if self.is_due(polled) {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn heed_notices(&mut self) -> Result<(), Error> {
        for notice in self.shared.take_notices() {
            self.generation = self.shared.generation();
            self.opened = None;
            self.marker = None;
            self.silence.reset();
            let owned = match notice {
                Notice::Assigned(owned) => owned,
                Notice::Revoked => Vec::new(),
                Notice::Failed(error) => return Err(error),
            };
            tracing::info!(partitions = owned.len(), "assignment");
            self.shared.progress.send_modify(|progress| {
                progress.assignments += u64::from(!owned.is_empty());
                progress.partitions = owned
                    .iter()
                    .map(|one| ((one.topic.clone(), one.partition), one.expected))
                    .map(|(partition, next)| {
                        (partition, crate::status::PartitionProgress { next, end: next })
                    })
                    .collect();
            });
            let state = if owned.is_empty() { State::Joining } else { State::Following };
            self.shared.tell(state, None);
            self.batcher.assign(owned);
            // The start of a partition that is read for the first time is to be stored.
            self.opened = (!self.batcher.is_empty()).then(Instant::now);
            self.clock.ends = Instant::now();
        }
        Ok(())
    }

    /// A batch was dropped: another process owns what we thought was ours, or Postgres was away
    /// for long. The group says again who owns what, and Postgres where to go on.
    fn rejoin_when_fenced(&mut self) -> Result<(), Error> {
        if self.generation == 0 || !self.shared.is_fenced(self.generation) {
            return Ok(());
        }
        tracing::warn!("a batch was not committed: joining the group again");
        self.client.unsubscribe();
        self.batcher.assign(Vec::new());
        self.generation = 0;
        self.opened = None;
        let names: Vec<&str> = self.subscribed.iter().map(String::as_str).collect();
        self.client.subscribe(&names).map_err(kafka("subscribing"))
    }

    /// What is done by the clock: new topics, the lag, the rate.
    fn keep_time(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if now >= self.clock.topics {
            let pause = if self.subscribed.is_empty() {
                ASK_AGAIN
            } else {
                Duration::from_millis(self.shared.settings.topics_refresh_ms.max(100))
            };
            self.subscribe_to_what_exists()?;
            self.clock.topics = Instant::now() + pause;
        }
        if now >= self.clock.ends && self.generation != 0 {
            self.tell_progress(now);
            self.clock.ends = Instant::now() + ENDS;
            self.shared.check_goal();
        }
        Ok(())
    }

    fn subscribe_to_what_exists(&mut self) -> Result<(), Error> {
        let existing = match self.topics.existing(&self.client) {
            Ok(existing) => existing,
            Err(error) => {
                let why = format!("kafka at {}: {error}", self.shared.settings.bootstrap_servers);
                self.shared.tell(State::Waiting, Some(why));
                return Ok(());
            }
        };
        let names: BTreeSet<String> = existing.into_keys().collect();
        if names.is_empty() {
            let prefix = &self.shared.settings.topic_prefix;
            let why = format!("topics of the connector `{prefix}`: there are none yet");
            self.shared.tell(State::Waiting, Some(why));
        }
        if names.is_empty() || names == self.subscribed {
            return Ok(());
        }
        tracing::info!(topics = names.len(), "subscribing");
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        self.client.subscribe(&list).map_err(kafka("subscribing"))?;
        self.subscribed = names;
        Ok(())
    }

    fn tell_progress(&mut self, now: Instant) {
        let partitions: Vec<(String, i32)> = self
            .batcher
            .positions()
            .map(|(topic, partition, _)| (topic.to_owned(), partition))
            .collect();
        let ends = topics::offsets(&self.client, &partitions, Offset::End).unwrap_or_default();
        if self.silence.pass_over(&self.shared.settings, &mut self.batcher, &ends) {
            self.opened.get_or_insert(now);
        }
        self.tell_seen();
        let counted = &mut self.clock.counted;
        self.shared.progress.send_modify(|progress| {
            for (topic, partition, end) in ends {
                if let Some(at) = progress.partitions.get_mut(&(topic, partition)) {
                    at.end = end;
                }
            }
            let read = progress.read();
            let millis = u64::try_from((now - counted.0).as_millis()).unwrap_or(u64::MAX).max(1);
            progress.events_per_second = read.saturating_sub(counted.1) * 1_000 / millis;
            *counted = (now, read);
        });
    }

    fn tell_seen(&self) {
        let seen = self.batcher.seen();
        self.shared.progress.send_modify(|progress| {
            progress.messages = seen.messages;
            progress.unmapped.clone_from(&seen.unmapped);
            progress.drift.clone_from(&seen.drift);
        });
    }

    /// Takes one message in; false when none came.
    fn poll_once(&mut self) -> Result<bool, Error> {
        let idle = Duration::from_millis(self.shared.settings.batch_idle_ms_max);
        let wait = self.opened.map_or(POLL, |opened| idle.saturating_sub(opened.elapsed()));
        let client = Arc::clone(&self.client);
        match client.poll(wait) {
            Some(Ok(message)) => {
                // A rebalance within this poll comes before its message.
                self.heed_notices()?;
                self.push(&message)?;
                Ok(true)
            }
            Some(Err(error)) => self.heed(error).map(|()| false),
            None => Ok(false),
        }
    }

    fn push(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Error> {
        let renamed = message
            .headers()
            .is_some_and(|headers| headers.iter().any(|header| header.key == OLD_KEY_HEADER));
        let incoming = Incoming {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key(),
            value: message.payload(),
            renamed,
        };
        self.batcher.push(&incoming, now_us())?;
        let Incoming { topic, partition, offset, .. } = incoming;
        self.batcher.note_fingerprint(topic, partition, offset, peek::fingerprint(message));
        if self.opened.is_none() && !self.batcher.is_empty() {
            self.opened = Some(Instant::now());
        }
        Ok(())
    }

    /// What an error that polling told means.
    fn heed(&mut self, error: KafkaError) -> Result<(), Error> {
        // The client is done for good: as where another process has taken our instance's name.
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(kafka("reading")(error));
        }
        let code = error.rdkafka_error_code();
        match code {
            Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                Err(self.out_of_range(error))
            }
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SSL
                | RDKafkaErrorCode::UnsupportedFeature
                | RDKafkaErrorCode::Fatal,
            ) => Err(kafka("reading")(error)),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                // A topic went; the next look at the topics settles it.
                Ok(())
            }
            _ => {
                tracing::debug!(%error, "polling");
                Ok(())
            }
        }
    }

    /// The client does not say which partition it was, so all are looked at.
    fn out_of_range(&self, error: KafkaError) -> Error {
        let nexts: Vec<(String, i32, i64)> = self
            .batcher
            .positions()
            .map(|(topic, partition, next)| (topic.to_owned(), partition, next))
            .collect();
        for (topic, partition, expected) in nexts {
            let asked = self.client.fetch_watermarks(&topic, partition, topics::ASK);
            let Ok((low, high)) = asked else { continue };
            if expected < low {
                return Error::Retention { topic, partition, expected, earliest: low };
            }
            if expected > high {
                return Error::Truncated { topic, partition, expected, end: high };
            }
        }
        kafka("reading")(error)
    }

    /// A marker is a fence once the ends of all partitions are known; asked for after the
    /// marker came, they are above everything that was published before it.
    fn ask_for_fence(&mut self) {
        self.marker = self.marker.max(self.batcher.take_marker());
        self.look_for_goal();
        let Some(lsn) = self.marker else { return };
        let now = Instant::now();
        if now < self.clock.ask {
            return;
        }
        match self.topics.ends(&self.client) {
            Ok(ends) => {
                self.marker = None;
                self.batcher.add_fence(Fence { lsn, ends });
                self.opened.get_or_insert(now);
            }
            Err(error) => {
                tracing::debug!(%error, "asking for the ends of the topics");
                self.clock.ask = now + ASK_AGAIN;
            }
        }
    }

    /// With `until`: any change above it proves, as a marker does, that everything up to it is
    /// below the present ends.
    fn look_for_goal(&mut self) {
        let Some(until) = self.shared.settings.until else { return };
        let passed = self.batcher.last_lsn().is_some_and(|lsn| lsn > until)
            || self.marker.is_some_and(|lsn| lsn >= until);
        let now = Instant::now();
        if !passed || self.shared.has_goal() || now < self.clock.ask {
            return;
        }
        match self.topics.ends(&self.client) {
            Ok(ends) => self.shared.set_goal(
                ends.into_iter().map(|(topic, number, end)| ((topic, number), end)).collect(),
            ),
            Err(_) => self.clock.ask = now + ASK_AGAIN,
        }
    }

    fn is_due(&self, polled: bool) -> bool {
        let settings = &self.shared.settings;
        let Some(opened) = self.opened else { return false };
        if self.batcher.rows() >= settings.batch_rows_max
            || self.batcher.bytes() >= settings.batch_bytes_max
        {
            return true;
        }
        let age = opened.elapsed();
        age >= Duration::from_millis(settings.batch_age_ms_max)
            || (!polled && age >= Duration::from_millis(settings.batch_idle_ms_max))
    }

    /// Closes the batch and hands it over; waits while the queue is full.
    fn flush(&mut self) -> Result<(), Error> {
        self.opened = None;
        self.learn_types();
        let Some(batch) = self.batcher.take() else { return Ok(()) };
        let generation = self.generation;
        let mut work = Work { batch, generation };
        let since = Instant::now();
        let mut paused = false;
        while let Some(refused) = self.send(work) {
            work = refused;
            if since.elapsed() < FULL {
                let room = self.batches.reserve();
                let room = async { tokio::time::timeout(POLL, room).await.is_ok() };
                self.runtime.block_on(room);
                continue;
            }
            paused = paused || self.pause();
            self.poll_paused()?;
            if self.generation != generation {
                // The batch's offsets are not committed: they come again to their new owner.
                break;
            }
        }
        if paused {
            self.resume();
        }
        Ok(())
    }

    /// Hands a batch over, or gives it back when the queue is full. Counted before it is sent:
    /// it may be written before this returns.
    fn send(&self, work: Work) -> Option<Work> {
        let in_flight = &self.shared.in_flight;
        in_flight.send_modify(|count| *count += 1);
        match self.batches.try_send(work) {
            Ok(()) => return None,
            // The writing task ended; its error is the one to tell.
            Err(TrySendError::Closed(_)) => in_flight.send_modify(|count| *count -= 1),
            Err(TrySendError::Full(work)) => {
                in_flight.send_modify(|count| *count -= 1);
                return Some(work);
            }
        }
        None
    }

    /// Another process (a backfill, as a rule) may have stored the types that rows wait for.
    fn learn_types(&mut self) {
        if !self.batcher.has_unknown_types() {
            return;
        }
        let asking = async { tokio::time::timeout(topics::ASK, self.target.object_types()).await };
        match self.runtime.block_on(asking) {
            Ok(Ok(types)) => self.batcher.learn(types),
            Ok(Err(error)) => tracing::warn!(%error, "type names could not be read again"),
            Err(_) => tracing::warn!("type names could not be read again in time"),
        }
    }

    fn pause(&self) -> bool {
        let paused = self.client.assignment().and_then(|list| self.client.pause(&list));
        paused.is_ok()
    }

    fn resume(&self) {
        let resumed = self.client.assignment().and_then(|list| self.client.resume(&list));
        if let Err(error) = resumed {
            tracing::warn!(%error, "resuming partitions");
        }
    }

    /// Serves the group while nothing may be read.
    fn poll_paused(&mut self) -> Result<(), Error> {
        let client = Arc::clone(&self.client);
        match client.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                self.heed_notices()?;
                self.push(&message)?;
            }
            Some(Err(error)) => self.heed(error)?,
            None => self.heed_notices()?,
        }
        Ok(())
    }
}

pub(super) fn kafka(doing: &'static str) -> impl FnOnce(KafkaError) -> Error {
    move |source| Error::Kafka { doing: doing.into(), source }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
