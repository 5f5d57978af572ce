//! What stops the connector.

use mapping::position::Lsn;

/// A failure of the connector.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value of another type than its column's: a mistake of the simulated server.
    #[error("column {column} of {table} has a value of another type")]
    Value {
        /// `db.schema.table`.
        table: String,
        /// The column.
        column: String,
    },
    /// Debezium says null for such a value, and the column does not allow it.
    #[error(
        "column {column} of {table} has a time that nanoseconds can't express, and may not be null"
    )]
    NotExpressible {
        /// `db.schema.table`.
        table: String,
        /// The column.
        column: String,
    },
    /// The change log was cut before it was read.
    #[error("the change log no longer reaches back to {after}")]
    Log {
        /// The connector's position.
        after: Lsn,
        /// The cause.
        #[source]
        source: crate::legacy::Error,
    },
    /// Kafka refused.
    #[error("can't {what}")]
    Kafka {
        /// What was tried.
        what: &'static str,
        /// The cause.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// A message was not delivered.
    #[error("a message to {topic} was not delivered")]
    NotDelivered {
        /// The topic.
        topic: String,
        /// The cause.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// No such table.
    #[error("there is no table `{0}`")]
    UnknownTable(String),
    /// The connector's thread could not be started.
    #[error("can't start the connector's thread")]
    Thread(#[source] std::io::Error),
    /// The connector has stopped.
    #[error("the connector has stopped")]
    Stopped,
}

impl Error {
    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Value { .. } => "this is a defect of the sandbox: please report it",
            Self::NotExpressible { .. } => "set the connector's times to ISO strings",
            Self::Log { .. } => "read the tables again from the start (backfill)",
            Self::Kafka { .. } | Self::NotDelivered { .. } => "check that the broker runs",
            Self::UnknownTable(_) => "name a table of the legacy database",
            Self::Thread(_) => "the machine is out of threads",
            Self::Stopped => "look for the error that stopped it, and restart it",
        }
    }
}
