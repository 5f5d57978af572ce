//! The reading thread: polls Kafka, decodes, maps, and hands closed batches over.
//!
//! It is a thread of its own, and no task, because polling calls back (at a rebalance) and
//! decoding keeps a core busy. While Postgres writes one batch, the next is made here.

use std::{
    collections::BTreeMap,
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
use target::Target;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

use super::{
    client::Client,
    growth, peek,
    shared::{Held, Notice, Shared, Work},
    silence::Silence,
    topics,
    whole::Whole,
};
use crate::{
    batch::{self, Batcher, Incoming, Owned},
    error::Error,
    status::{PartitionProgress, State},
    topics::Topics,
};

/// How long a poll waits when there is nothing to flush.
pub(super) const POLL: Duration = Duration::from_millis(50);
/// How often the log's ends are asked for, for the lag.
const ENDS: Duration = Duration::from_secs(1);
/// How long after a failure the brokers are asked again.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The reading thread's state.
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Arc<Client>,
    pub(super) topics: Topics,
    pub(super) batcher: Batcher,
    pub(super) batches: mpsc::Sender<Work>,
    pub(super) runtime: Handle,
    pub(super) target: Arc<Target>,
    pub(super) clock: Clock,
    /// The tables that Postgres says are not followed.
    pub(super) held: watch::Receiver<Held>,
    /// The topics that are subscribed to, with their numbers of partitions.
    pub(super) subscribed: BTreeMap<String, i32>,
    pub(super) generation: u64,
    /// The assignment, as it was at its beginning.
    pub(super) owned: Vec<Owned>,
    /// When the open batch got its first message.
    pub(super) opened: Option<Instant>,
    /// When a batch of this generation was first seen dropped.
    fenced: Option<Instant>,
    /// A marker whose fence is still to be asked for.
    pub(super) marker: Option<Lsn>,
    silence: Silence,
    /// Those of the message at hand.
    headers: batch::Headers,
    /// With `--atomic`.
    pub(super) whole: Option<Whole>,
    /// With `--atomic`: a table waits, so everything does.
    pub(super) waits_whole: bool,
}

/// When things are due.
pub(super) struct Clock {
    topics: Instant,
    ends: Instant,
    pub(super) ask: Instant,
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
        let whole = Whole::new(&shared.settings, target.plan());
        let mut held = shared.held.subscribe();
        held.mark_changed();
        Self {
            shared,
            client,
            topics,
            batcher,
            batches,
            runtime: Handle::current(),
            target,
            clock,
            held,
            subscribed: BTreeMap::new(),
            generation: 0,
            owned: Vec::new(),
            opened: None,
            fenced: None,
            marker: None,
            headers: batch::Headers::default(),
            silence: Silence::default(),
            whole,
            waits_whole: false,
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
            self.go_on_when_fenced()?;
            self.heed_held();
            self.keep_time()?;
            if self.subscribed.is_empty() {
                std::thread::sleep(POLL);
                continue;
            }
            let polled = self.poll_once()?;
            self.tend_whole()?;
            self.ask_for_fence();
            self.pause_what_waits();
            if self.is_due(polled) {
                self.flush()?;
            }
        }
        self.flush()
    }

    pub(super) fn heed_notices(&mut self) -> Result<(), Error> {
        for notice in self.shared.take_notices() {
            match notice {
                Notice::Assigned(owned) => {
                    let assignments = u64::from(!owned.is_empty());
                    let progress = &self.shared.progress;
                    progress.send_modify(|progress| progress.assignments += assignments);
                    self.begin(owned);
                }
                Notice::Again(owned) => self.begin(owned),
                Notice::Revoked => self.begin(Vec::new()),
                Notice::Remade(topic) => self.refuse_remade(topic)?,
                Notice::Failed(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Another assignment, or the same anew: what was collected is dropped.
    fn begin(&mut self, owned: Vec<Owned>) {
        self.generation = self.shared.generation();
        self.fenced = None;
        self.marker = None;
        self.silence.reset();
        self.restart_whole(&owned);
        tracing::info!(partitions = owned.len(), "assignment");
        self.shared.progress.send_modify(|progress| {
            progress.partitions = owned
                .iter()
                .map(|one| ((one.topic.clone(), one.partition), one.expected))
                .map(|(partition, next)| {
                    (partition, PartitionProgress { next, end: next, waits: false })
                })
                .collect();
        });
        let state = if owned.is_empty() { State::Joining } else { State::Following };
        self.shared.tell(state, None);
        self.owned.clone_from(&owned);
        self.batcher.assign(owned);
        self.held.mark_changed();
        // The start of a partition that is read for the first time is to be stored.
        self.opened = (!self.batcher.is_empty()).then(Instant::now);
        self.clock.ends = Instant::now();
    }

    /// Of a topic that was made anew nothing is read, unless nothing of the old one was.
    fn refuse_remade(&self, topic: String) -> Result<(), Error> {
        let read = self.batcher.positions().find(|at| at.0 == topic && at.2 > 0);
        let Some((_, partition, next)) = read else { return Ok(()) };
        Err(Error::Remade { topic, partition, offset: next - 1 })
    }

    /// A batch was dropped. Where another process owns what we thought was ours, the group says
    /// again who owns what. Where Postgres did not take it, that is none of the group's business:
    /// its other members would lose their partitions each time.
    fn go_on_when_fenced(&mut self) -> Result<(), Error> {
        if self.generation == 0 || !self.shared.is_fenced(self.generation) {
            return Ok(());
        }
        if !self.shared.is_lost(self.generation) && self.read_again() {
            return self.heed_notices();
        }
        // Who joins under its own name throws another bearer of it out. If that is our successor,
        // the group is about to tell us so: until it had the time to, what is read is dropped.
        let settings = &self.shared.settings;
        let told = settings.instance.as_ref().map_or(Duration::ZERO, |_| 2 * settings.heartbeat());
        if self.fenced.get_or_insert_with(Instant::now).elapsed() < told {
            return Ok(());
        }
        tracing::warn!("a batch was not committed: joining the group again");
        self.rejoin()
    }

    /// Gives everything back and asks for it again, which checks all positions.
    pub(super) fn rejoin(&mut self) -> Result<(), Error> {
        self.client.unsubscribe();
        self.restart_whole(&[]);
        self.owned.clear();
        self.batcher.assign(Vec::new());
        self.generation = 0;
        self.fenced = None;
        self.opened = None;
        let names: Vec<&str> = self.subscribed.keys().map(String::as_str).collect();
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
        if existing.is_empty() {
            let prefix = &self.shared.settings.topic_prefix;
            let why = format!("topics of the connector `{prefix}`: there are none yet");
            self.shared.tell(State::Waiting, Some(why));
        }
        if existing.is_empty() || existing == self.subscribed {
            return Ok(());
        }
        let look = growth::look(&self.shared, &self.target, &existing);
        if let Err(error) = self.runtime.block_on(look) {
            self.shared.tell(State::Waiting, Some(format!("postgres: {error}")));
            return Ok(());
        }
        if !existing.keys().eq(self.subscribed.keys()) {
            tracing::info!(topics = existing.len(), "subscribing");
            let names: Vec<&str> = existing.keys().map(String::as_str).collect();
            self.client.subscribe(&names).map_err(kafka("subscribing"))?;
        }
        self.subscribed = existing;
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
        let polled = client.poll(wait);
        // A rebalance within this poll comes before its message.
        self.heed_notices()?;
        match polled {
            Some(Ok(message)) => self.push(&message).map(|()| true),
            Some(Err(error)) => self.heed(error).map(|()| false),
            None => Ok(false),
        }
    }

    pub(super) fn push(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Error> {
        let mut headers = std::mem::take(&mut self.headers);
        headers.clear();
        for header in message.headers().into_iter().flat_map(Headers::iter) {
            headers.push(header.key, header.value);
        }
        let incoming = Incoming {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key(),
            value: message.payload(),
            headers: headers.as_bytes(),
            timestamp_ms: message.timestamp().to_millis(),
            fingerprint: Some(peek::fingerprint(message)),
        };
        let taken = match self.whole {
            Some(_) => self.push_whole(&incoming),
            None => self.batcher.push(&incoming, now_us()),
        };
        self.headers = headers;
        taken?;
        if self.opened.is_none() && !self.batcher.is_empty() {
            self.opened = Some(Instant::now());
        }
        Ok(())
    }

    /// What an error that polling told means.
    pub(super) fn heed(&mut self, error: KafkaError) -> Result<(), Error> {
        // The client is done for good: as where another process has taken our instance's name.
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(kafka("reading")(error));
        }
        let code = error.rdkafka_error_code();
        match code {
            Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
                self.heed_out_of_range()
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

    /// The client does not say which partition it was, so all are looked at. Where the log has
    /// grown past our position meanwhile, what it has there is not what was read.
    fn heed_out_of_range(&mut self) -> Result<(), Error> {
        for (topic, partition, expected) in self.batcher.positions() {
            let asked = self.client.fetch_watermarks(topic, partition, topics::ASK);
            let Ok((low, high)) = asked else { continue };
            let topic = topic.to_owned();
            if expected < low {
                return Err(Error::Retention { topic, partition, expected, earliest: low });
            }
            if expected > high {
                return Err(Error::Truncated { topic, partition, expected, end: high });
            }
        }
        tracing::warn!("the broker did not have an offset for a while: joining the group again");
        self.rejoin()
    }

    pub(super) fn is_due(&self, polled: bool) -> bool {
        let settings = &self.shared.settings;
        let Some(opened) = self.opened else { return false };
        if self.batcher.rows() >= self.shared.limit.rows()
            || self.batcher.bytes() >= settings.batch_bytes_max
        {
            return true;
        }
        let age = opened.elapsed();
        age >= Duration::from_millis(settings.batch_age_ms_max)
            || (!polled && age >= Duration::from_millis(settings.batch_idle_ms_max))
    }
}

pub(super) fn kafka(doing: &'static str) -> impl FnOnce(KafkaError) -> Error {
    move |source| Error::Kafka { doing: doing.into(), source }
}

pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
