//! What stops the consumer.

use mapping::position::Lsn;

/// Why the consumer stopped. What can be waited for is not here: it is retried for ever.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting has a value that can't be.
    #[error("setting `{name}`: {problem}")]
    Settings {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The Kafka client refused.
    #[error("{doing}")]
    Kafka {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// Postgres refused, and waiting does not help.
    #[error("{doing}")]
    Target {
        /// What was being done.
        doing: String,
        /// The cause.
        #[source]
        source: Box<target::Error>,
    },
    /// Offsets between the expected and the received one never came.
    #[error("{topic}/{partition}: offset {expected} expected, {found} received")]
    Gap {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that should have come.
        expected: i64,
        /// The offset that came.
        found: i64,
    },
    /// The broker has deleted messages that were not read yet.
    #[error(
        "{topic}/{partition}: messages {expected} to {earliest} were deleted by the broker before \
         they were read"
    )]
    Retention {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset that was not read.
        expected: i64,
        /// The earliest offset that is left.
        earliest: i64,
    },
    /// The log ends before the stored position: another topic of the same name, or a broker
    /// that lost its tail.
    #[error(
        "{topic}/{partition}: ends at offset {end}, but everything below {expected} was applied"
    )]
    Truncated {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The stored next offset.
        expected: i64,
        /// The log's end.
        end: i64,
    },
    /// The message that was read last is another one now.
    #[error(
        "{topic}/{partition}: the message at offset {offset} is not the one that was read: the \
         topic was made anew"
    )]
    Remade {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// With `--atomic`: an event does not say of which transaction it is.
    #[error("{place}: the event does not say of which transaction it is")]
    NoTransaction {
        /// Topic, partition and offset.
        place: String,
    },
    /// With `--atomic`: a transaction is larger than what may wait in memory.
    #[error(
        "the legacy transaction {transaction} does not fit: {events} events of it, {bytes} bytes, \
         are here and it goes on; {bytes_max} may wait"
    )]
    TransactionTooLarge {
        /// The transaction.
        transaction: Lsn,
        /// Events that are here.
        events: usize,
        /// Their bytes.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// With `--atomic`: another process has some of the partitions.
    #[error("{owned} of {all} partitions are this process's: others share the group `{group}`")]
    Shared {
        /// Partitions of this process.
        owned: usize,
        /// All of them.
        all: usize,
        /// The group.
        group: String,
    },
    /// A topic that was named does not exist.
    #[error("there is no topic `{topic}`")]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// A task of the consumer ended without a result.
    #[error("the {task} task ended early")]
    Task {
        /// Which.
        task: &'static str,
        /// The cause.
        #[source]
        source: tokio::task::JoinError,
    },
}

impl Error {
    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "correct the setting; `ficus config check` shows all of them",
            Self::Kafka { .. } => "check the bootstrap servers, the login and the network",
            Self::Target { .. } => {
                "remove the cause in Postgres and start again: nothing was skipped"
            }
            Self::Gap { .. } => {
                "a compacted topic or a transactional producer leaves gaps: allow them with \
                 `kafka.offset_gaps = \"allow\"`, else backfill the table again and reconcile it"
            }
            Self::Retention { .. } => {
                "backfill the table again, then start once with `kafka.lost_offsets = \"accept\"`, and \
                 raise the topic's retention"
            }
            Self::Truncated { .. } | Self::Remade { .. } => {
                "if the topic was made anew, use a new consumer group and backfill its table \
                 again; if the broker lost its tail, reconcile first"
            }
            Self::NoTransaction { .. } => {
                "set `provide.transaction.metadata=true` in the connector (events from before it \
                 are followed without --atomic), or follow without --atomic"
            }
            Self::TransactionTooLarge { .. } => {
                "raise `consume.atomic_bytes_max`, or follow without --atomic until the stream has \
                 passed it: nothing of it was applied, nothing is lost"
            }
            Self::Shared { .. } => {
                "with --atomic one process follows everything: stop the others of this group"
            }
            Self::NoTopic { .. } => {
                "topics are named PREFIX.DATABASE.SCHEMA.TABLE, as in spacehub.Spacehub23.dbo.Contract"
            }
            Self::Task { .. } => "this is a defect of ficus: report it with the log; start again",
        }
    }
}
