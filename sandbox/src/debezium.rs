//! The events of Debezium's SQL Server connector 3.6.1, made from the simulated server's log.
//!
//! [`Encoder`] is pure and byte-exact: its records are compared with golden ones that the real
//! connector and Kafka's `JsonConverter` wrote, their known mistakes included (a consumer has
//! to live with them). [`Connector`] follows a database and publishes to Kafka.

mod connector;
mod control;
mod encoder;
mod error;
mod record;
mod schema;
mod table;
mod text;
mod time;
mod value;

pub use self::{
    connector::{BackPressure, Connector, Options, Status},
    control::Counts,
    encoder::Encoder,
    error::Error,
    record::{Marker, Origin, Place, Reading, Record, RowChange},
    table::RowText,
};

/// The version that is imitated.
pub const VERSION: &str = "3.6.1.Final";

/// `decimal.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimals {
    /// The unscaled number's bytes, in base64.
    Precise,
    /// Plain digits.
    String,
    /// A double, which loses digits.
    Double,
}

/// `time.precision.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// By the column's precision: milliseconds, microseconds or nanoseconds.
    Adaptive,
    /// The same, with times of day always in microseconds.
    AdaptiveTimeMicroseconds,
    /// Milliseconds, which loses digits.
    Connect,
    /// ISO 8601 text.
    IsoString,
}

/// `binary.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are Debezium's own names")]
pub enum Binaries {
    Bytes,
    Base64,
    Base64UrlSafe,
    Hex,
}

/// The connector's settings that shape its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `topic.prefix`.
    pub prefix: String,
    /// `schemas.enable` of the converters.
    pub schemas: bool,
    /// `decimal.handling.mode`.
    pub decimals: Decimals,
    /// `time.precision.mode`.
    pub times: Times,
    /// `binary.handling.mode`.
    pub binaries: Binaries,
    /// `provide.transaction.metadata`.
    pub transactions: bool,
    /// `tombstones.on.delete`.
    pub tombstones: bool,
}

impl Settings {
    /// Debezium's defaults, with transaction metadata and without inline schemas.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            schemas: false,
            decimals: Decimals::Precise,
            times: Times::Adaptive,
            binaries: Binaries::Bytes,
            transactions: true,
            tombstones: true,
        }
    }

    /// The topic of a table, `db.schema.table`: every character that a topic can't have is `_`.
    #[must_use]
    pub fn topic(&self, collection: &str) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        format!("{}.{collection}", self.prefix).replace(|c| !allowed(c), "_")
    }

    /// The topic of transaction boundaries.
    #[must_use]
    pub fn transaction_topic(&self) -> String {
        format!("{}.transaction", self.prefix)
    }

    /// The topic of heartbeats.
    #[must_use]
    pub fn heartbeat_topic(&self) -> String {
        format!("__debezium-heartbeat.{}", self.prefix)
    }
}

#[cfg(test)]
mod golden;
