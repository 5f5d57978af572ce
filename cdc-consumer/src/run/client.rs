//! The Kafka client: its settings, and what happens at a rebalance.
//!
//! Postgres decides where to read. On assignment each partition is claimed there (which fences
//! off its former owner), and then assigned once, with the stored offsets: assigning twice makes
//! librdkafka ask for offsets that it does not need. `auto.offset.reset=error` makes sure that
//! nobody ever jumps.

use std::{collections::BTreeMap, sync::Arc};

use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use target::{Disposition, Target};
use tokio::runtime::Handle;

use super::{
    growth,
    peek::{self, Found, Place},
    shared::{Notice, Shared},
    topics::{ASK, offsets},
};
use crate::{
    batch::Owned,
    error::Error,
    settings::{LostOffsets, Settings},
    status::State,
};

/// How long a revocation waits for batches that are on their way to Postgres. The partition's
/// next owner waits for them too (its claim waits for their row lock).
const FINISH: std::time::Duration = std::time::Duration::from_secs(10);

/// The consumer.
pub(super) type Client = BaseConsumer<Callbacks>;

/// What the client calls back.
pub(super) struct Callbacks {
    pub(super) shared: Arc<Shared>,
    pub(super) target: Arc<Target>,
    pub(super) runtime: Handle,
}

/// Makes a client. It connects by itself.
pub(super) fn client(settings: &Settings, callbacks: Callbacks) -> KafkaResult<Client> {
    let mut config = config(settings);
    if let Some(instance) = &settings.instance {
        config.set("group.instance.id", instance);
    }
    // See `remade`.
    let asked = config.get("debug").map(|asked| format!("{asked},topic"));
    config.set("debug", asked.unwrap_or_else(|| "topic".into()));
    config.set_log_level(RDKafkaLogLevel::Debug);
    config.create_with_context(callbacks)
}

/// How a client reads, whatever it is for.
pub(super) fn config(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in defaults(settings) {
        config.set(name, value);
    }
    for (name, value) in &settings.kafka_properties {
        config.set(name, value);
    }
    // What exactly-once rests on can't be set otherwise.
    config.set("bootstrap.servers", &settings.bootstrap_servers);
    config.set("group.id", &settings.group);
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "error");
    config.set("allow.auto.create.topics", "false");
    config.set("isolation.level", "read_committed");
    // Eager: every rebalance begins anew. Round robin, since most topics have one partition and
    // `range` would give all of them to the first member.
    config.set("partition.assignment.strategy", "roundrobin");
    config
}

fn defaults(settings: &Settings) -> Vec<(&'static str, String)> {
    let message_max = settings.message_bytes_max.max(1 << 20);
    let prefetch_kb = (settings.prefetch_bytes_max / 1024).clamp(64, 2_097_151);
    vec![
        ("client.id", "ficus".into()),
        ("session.timeout.ms", settings.session_timeout_ms.to_string()),
        ("heartbeat.interval.ms", settings.heartbeat().as_millis().to_string()),
        ("queued.max.messages.kbytes", prefetch_kb.to_string()),
        // After a full queue librdkafka would rest for a second.
        ("fetch.queue.backoff.ms", "5".into()),
        ("fetch.error.backoff.ms", "200".into()),
        // A broker answers one request of a connection after the other: a fetch that waits for
        // messages holds up every question, and the reading thread asks some.
        ("fetch.wait.max.ms", "50".into()),
        // An answer is held until its last message is read, and several of them beside the queue:
        // smaller ones keep memory down, much smaller ones cost rate.
        ("fetch.message.max.bytes", (2_usize << 20).to_string()),
        // A longer message comes nevertheless, alone.
        ("fetch.max.bytes", (4_usize << 20).to_string()),
        ("receive.message.max.bytes", (message_max + (9 << 20)).to_string()),
        ("reconnect.backoff.max.ms", "1000".into()),
        ("topic.metadata.refresh.interval.ms", "30000".into()),
        ("socket.keepalive.enable", "true".into()),
    ]
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if let Some(topic) = remade(message) {
            self.shared.leave(Notice::Remade(topic.to_owned()));
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "{message}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::debug!(facility, "{message}");
            }
            _ => tracing::trace!(facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The same errors come out of polling, where they are handled.
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Callbacks {
    /// Runs on the reading thread, inside of a poll.
    fn rebalance(&self, client: &Client, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(client, list);
        } else {
            self.revoked(client);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "kafka's copy of the offsets was not stored");
        }
    }
}

impl Callbacks {
    fn assigned(&self, client: &Client, list: &TopicPartitionList) {
        target::hook::point("rebalance.assign");
        let partitions: Vec<(String, i32)> = list
            .elements()
            .iter()
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        let result = self.claim(client, &partitions).and_then(|owned| {
            assign(client, &owned)
                .map_err(|source| Error::Kafka { doing: "assigning partitions".into(), source })?;
            Ok(owned)
        });
        match result {
            Ok(owned) => self.shared.notify(Notice::Assigned(owned)),
            Err(error) => {
                // The protocol wants an answer, whatever comes of it.
                if let Err(error) = client.unassign() {
                    tracing::debug!(%error, "unassigning");
                }
                self.shared.notify(Notice::Failed(error));
            }
        }
    }

    fn revoked(&self, client: &Client) {
        target::hook::point("rebalance.revoke");
        // What was only collected is dropped: its offsets are not committed. What is on its way
        // is waited for, so that the next owner has less to repeat.
        self.shared.notify(Notice::Revoked);
        let mut in_flight = self.shared.in_flight.subscribe();
        let finished = self.runtime.block_on(async {
            tokio::time::timeout(FINISH, in_flight.wait_for(|count| *count == 0)).await.is_ok()
        });
        if !finished {
            tracing::warn!("partitions are given up with a batch in flight: it will be fenced off");
        }
        if let Err(error) = client.unassign() {
            tracing::debug!(%error, "unassigning");
        }
    }

    /// Claims partitions in Postgres and checks that Kafka still has what comes next.
    fn claim(&self, client: &Client, partitions: &[(String, i32)]) -> Result<Vec<Owned>, Error> {
        let shared = &self.shared;
        // Before the reading thread looks at the topics again, a new partition may be ours.
        let mut counts: BTreeMap<String, i32> = BTreeMap::new();
        for (topic, partition) in partitions {
            let count = counts.entry(topic.clone()).or_default();
            *count = (*count).max(partition + 1);
        }
        let look = || growth::look(shared, &self.target, &counts);
        let looked = self.runtime.block_on(self.patiently("looking for new partitions", look))?;
        if looked.is_none() {
            return Ok(Vec::new());
        }
        let lows = self.ask(client, partitions, Offset::Beginning)?;
        let highs = self.ask(client, partitions, Offset::End)?;
        let owner = format!("{}/{}", shared.settings.group, std::process::id());
        let mut owned = Vec::with_capacity(partitions.len());
        let mut remembered = Vec::new();
        for ((topic, partition, low), (_, _, high)) in lows.into_iter().zip(highs) {
            let doing = format!("claiming {topic}/{partition}");
            let group = &shared.settings.group;
            let claim = || self.target.claim_partition(group, &topic, partition, &owner);
            let claim = self.runtime.block_on(self.patiently(&doing, claim))?;
            let Some(claim) = claim else { return Ok(Vec::new()) };
            let start = Start { topic, partition, low, high, claim };
            remembered.extend(start.remembered());
            owned.push(start.check(shared.settings.lost_offsets)?);
        }
        Ok(if self.recognise(&remembered)? { owned } else { Vec::new() })
    }

    /// Checks that the messages that were applied last are still where they were; false when the
    /// run ends meanwhile.
    fn recognise(&self, remembered: &[(Place, i64)]) -> Result<bool, Error> {
        let mut attempt = 0;
        let mut rest = remembered.to_vec();
        while !rest.is_empty() {
            let places: Vec<Place> = rest.iter().map(|(place, _)| place.clone()).collect();
            let found = peek::look(&self.shared.settings, &places, ASK)
                .map_err(|source| Error::Kafka { doing: "looking at messages".into(), source })?;
            let mut unknown = Vec::new();
            for (one, found) in rest.into_iter().zip(found) {
                match found {
                    Found::Unknown => unknown.push(one),
                    Found::Message { offset, fingerprint }
                        if offset == one.0.2 && fingerprint != one.1 =>
                    {
                        let (topic, partition, offset) = one.0;
                        return Err(Error::Remade { topic, partition, offset });
                    }
                    // It is the same, or it is gone (compacted), which proves nothing.
                    Found::Message { .. } | Found::End => {}
                }
            }
            rest = unknown;
            if rest.is_empty() {
                break;
            }
            if self.shared.is_stopping() {
                return Ok(false);
            }
            let why = "kafka to show the messages that were applied last".to_owned();
            self.shared.tell(State::Waiting, Some(why));
            std::thread::sleep(self.shared.pause(attempt, 100));
            attempt += 1;
        }
        Ok(true)
    }

    /// Asks the brokers for offsets until they answer, sorted as the partitions are.
    fn ask(
        &self,
        client: &Client,
        partitions: &[(String, i32)],
        which: Offset,
    ) -> Result<Vec<(String, i32, i64)>, Error> {
        let mut attempt = 0;
        loop {
            match offsets(client, partitions, which) {
                Ok(mut answer) => {
                    answer.sort();
                    return Ok(answer);
                }
                Err(_) if self.shared.is_stopping() => return Ok(Vec::new()),
                Err(error) => {
                    let why = format!("kafka to tell the offsets: {error}");
                    self.shared.tell(State::Waiting, Some(why));
                    std::thread::sleep(self.shared.pause(attempt, 100));
                    attempt += 1;
                }
            }
        }
    }

    /// Asks Postgres until it answers; `None` when the run ends meanwhile.
    async fn patiently<T, F: Future<Output = Result<T, target::Error>>>(
        &self,
        doing: &str,
        ask: impl Fn() -> F,
    ) -> Result<Option<T>, Error> {
        let shared = &self.shared;
        let mut attempt = 0;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(error) => error,
            };
            // At the start a missing grant or table is for the operator; later on, for patience.
            let proven = shared.progress.borrow().batches > 0;
            match error.disposition() {
                Disposition::Retry | Disposition::RetrySmaller | Disposition::Reclaim => {}
                Disposition::RetrySlowly if proven => {}
                Disposition::RetrySlowly | Disposition::Quarantine | Disposition::Stop => {
                    let doing = doing.to_owned();
                    return Err(Error::Target { doing, source: Box::new(error) });
                }
            }
            shared.tell(State::Waiting, Some(format!("postgres: {error}")));
            let pause = tokio::time::sleep(shared.pause(attempt, 100));
            attempt += 1;
            tokio::select! {
                () = pause => {}
                () = shared.stop.cancelled() => return Ok(None),
            }
        }
    }
}

/// The topic that was deleted and made anew under its name, when that is what a line of
/// librdkafka's log says.
///
/// A reader whose position the new topic has too goes on there, past all messages before it, and
/// librdkafka (2.12) tells nobody but its log. The line comes through the queue of the messages,
/// ahead of the new topic's first one. Brokers before 2.8 have no ids for their topics.
fn remade(line: &str) -> Option<&str> {
    let (topic, ids) = line.rsplit_once(" changed id from ")?;
    let (before, _) = ids.split_once(" to ")?;
    // Before the first answer the id is zero.
    let was_known = before.trim_end_matches('=').bytes().any(|byte| byte != b'A');
    let (_, topic) = topic.rsplit_once("Topic ")?;
    was_known.then_some(topic)
}

/// A claimed partition, and what Kafka has of it.
struct Start {
    topic: String,
    partition: i32,
    low: i64,
    high: i64,
    claim: target::partition::Claim,
}

impl Start {
    /// Where the message is that was applied last, and what it was; `None` where nobody can look.
    fn remembered(&self) -> Option<(Place, i64)> {
        let last = self.claim.next_offset?.checked_sub(1).filter(|last| *last >= self.low)?;
        let fingerprint = self.claim.fingerprint?;
        Some(((self.topic.clone(), self.partition, last), fingerprint))
    }

    /// Where to begin, if nothing is lost.
    fn check(self, lost: LostOffsets) -> Result<Owned, Error> {
        let Self { topic, partition, low, high, claim } = self;
        let expected = claim.next_offset.unwrap_or(0);
        let first = claim.next_offset.is_none();
        let next = match claim.next_offset {
            // Never read: from what there is. The batch that comes first stores it.
            None => low,
            Some(next) if next > high => {
                return Err(Error::Truncated { topic, partition, expected, end: high });
            }
            Some(next) if next < low => match lost {
                LostOffsets::Accept => low,
                LostOffsets::Stop => {
                    return Err(Error::Retention { topic, partition, expected, earliest: low });
                }
            },
            Some(next) => next,
        };
        let (epoch, commit_lsn) = (claim.epoch, claim.commit_lsn);
        Ok(Owned { topic, partition, epoch, expected, next, first, commit_lsn })
    }
}

fn assign(client: &Client, owned: &[Owned]) -> KafkaResult<()> {
    let mut list = TopicPartitionList::with_capacity(owned.len());
    for one in owned {
        list.add_partition_offset(&one.topic, one.partition, Offset::Offset(one.next))?;
    }
    client.assign(&list)?;
    // The client remembers that a partition was paused when it was ours before, also if it was
    // taken away meanwhile.
    client.resume(&list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(next_offset: Option<i64>, low: i64, high: i64) -> Start {
        let claim = target::partition::Claim {
            epoch: 3,
            next_offset,
            fingerprint: Some(1),
            commit_lsn: None,
        };
        Start { topic: "t".into(), partition: 0, low, high, claim }
    }

    #[test]
    fn a_new_id_under_an_old_name_is_seen_in_the_log() {
        let line = "[thrd:main]: Topic a b.c changed id from bGlicmRrYWZrYTEyMzQ1Ng to";
        assert_eq!(remade(&format!("{line} c29tZXRoaW5nIGVsc2UgIQ")), Some("a b.c"));
        let first =
            "[thrd:main]: Topic t changed id from AAAAAAAAAAAAAAAAAAAAAA to bGlicmRrYWZrYTEy";
        assert_eq!(remade(first), None);
        assert_eq!(remade("[thrd:main]: Topic t [0] Leader 1 Epoch 0"), None);
    }

    #[test]
    fn lost_messages_are_never_passed_over() {
        let begin = |next, low, high| start(next, low, high).check(LostOffsets::Stop);
        assert_eq!(begin(None, 7, 9).unwrap().next, 7);
        assert_eq!(begin(None, 7, 9).unwrap().expected, 0);
        assert_eq!(begin(Some(8), 7, 9).unwrap().next, 8);
        assert_eq!(begin(Some(9), 9, 9).unwrap().next, 9);
        assert!(matches!(begin(Some(6), 7, 9), Err(Error::Retention { earliest: 7, .. })));
        assert!(matches!(begin(Some(10), 7, 9), Err(Error::Truncated { end: 9, .. })));
        // What is below the log's beginning, or was never read, can't be looked at.
        let last = |next, low| start(next, low, 9).remembered().map(|(place, _)| place.2);
        assert_eq!((last(Some(9), 7), last(Some(7), 7), last(None, 7)), (Some(8), None, None));
        let accepted = start(Some(6), 7, 9).check(LostOffsets::Accept).unwrap();
        assert_eq!((accepted.expected, accepted.next), (6, 7));
    }
}
