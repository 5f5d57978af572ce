//! What can be set, with units in the names.

mod drift;

use std::{str::FromStr, time::Duration};

use mapping::position::Lsn;
use tokio::sync::watch;

use crate::gap::Capture;
pub use drift::{DriftPolicies, DriftPolicy, DriftPolicyError};

/// `decimal.handling.mode` of the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecimalMode {
    /// Bytes of a big-endian two's complement (or a JSON number, with the converter's
    /// `decimal.format=NUMERIC`).
    #[default]
    Precise,
    /// Digits in a string.
    String,
    /// A floating-point number. Loses digits: values with more than 15 are refused.
    Double,
}

/// `time.precision.mode` of the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeMode {
    /// The unit follows the column's scale.
    #[default]
    Adaptive,
    /// As `adaptive`, but `time` always in microseconds.
    AdaptiveTimeMicroseconds,
    /// Milliseconds, whatever the column.
    Connect,
    /// ISO 8601 texts.
    IsoString,
    /// Microseconds, whatever the column.
    Microseconds,
    /// Nanoseconds, whatever the column.
    Nanoseconds,
}

/// `binary.handling.mode` of the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BinaryMode {
    /// Bytes, which JSON writes as base64.
    #[default]
    Bytes,
    /// Base64.
    Base64,
    /// Base64 with the alphabet for URLs.
    Base64UrlSafe,
    /// Hexadecimal digits.
    Hex,
}

/// A mode that Debezium doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a {setting}; one of {choices} is")]
pub struct ModeError {
    setting: &'static str,
    value: String,
    choices: &'static str,
}

impl FromStr for DecimalMode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match text {
            "precise" => Ok(Self::Precise),
            "string" => Ok(Self::String),
            "double" => Ok(Self::Double),
            other => Err(ModeError {
                setting: "decimal.handling.mode",
                value: other.into(),
                choices: "precise, string, double",
            }),
        }
    }
}

impl FromStr for TimeMode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match text {
            "adaptive" => Ok(Self::Adaptive),
            "adaptive_time_microseconds" => Ok(Self::AdaptiveTimeMicroseconds),
            "connect" => Ok(Self::Connect),
            "isostring" => Ok(Self::IsoString),
            "microseconds" => Ok(Self::Microseconds),
            "nanoseconds" => Ok(Self::Nanoseconds),
            other => Err(ModeError {
                setting: "time.precision.mode",
                value: other.into(),
                choices: "adaptive, adaptive_time_microseconds, connect, isostring, microseconds, \
                          nanoseconds",
            }),
        }
    }
}

impl FromStr for BinaryMode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match text {
            "bytes" => Ok(Self::Bytes),
            "base64" => Ok(Self::Base64),
            "base64-url-safe" => Ok(Self::Base64UrlSafe),
            "hex" => Ok(Self::Hex),
            other => Err(ModeError {
                setting: "binary.handling.mode",
                value: other.into(),
                choices: "bytes, base64, base64-url-safe, hex",
            }),
        }
    }
}

/// How the connector was told to write values. Needed where messages carry no schema, and for
/// binary columns always: a schema doesn't tell base64 from hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modes {
    /// `decimal.handling.mode`.
    pub decimal: DecimalMode,
    /// `time.precision.mode`.
    pub time: TimeMode,
    /// `binary.handling.mode`.
    pub binary: BinaryMode,
    /// `unavailable.value.placeholder`.
    pub placeholder: String,
}

impl Default for Modes {
    /// Debezium's own defaults.
    fn default() -> Self {
        Self {
            decimal: DecimalMode::default(),
            time: TimeMode::default(),
            binary: BinaryMode::default(),
            placeholder: "__debezium_unavailable_value".into(),
        }
    }
}

/// What messages that the broker deleted before they were read lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LostOffsets {
    /// The consumer stops: the tables need a new backfill.
    #[default]
    Stop,
    /// The consumer goes on from the earliest message that is left. For use once, after the
    /// tables have been backfilled again.
    Accept,
}

/// All settings of the consumer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port,…` of Kafka.
    pub bootstrap_servers: String,
    /// The consumer group, in Kafka and in `ficus.partition`.
    pub group: String,
    /// `topic.prefix` of the connector.
    pub topic_prefix: String,
    /// Further client properties (`security.protocol`, …), applied last but for those that
    /// exactly-once needs.
    pub kafka_properties: Vec<(String, String)>,
    /// How the connector writes values.
    pub modes: Modes,
    /// The watermark marker's table, as `schema.table`.
    pub marker_table: String,
    /// A batch is closed at so many data events.
    pub batch_rows_max: usize,
    /// A batch is closed at so many bytes of messages.
    pub batch_bytes_max: usize,
    /// A batch is closed when its first message is so old and Kafka has nothing more to give.
    pub batch_idle_ms_max: u64,
    /// A batch is closed when its first message is so old, whatever comes.
    pub batch_age_ms_max: u64,
    /// Batches that may wait for Postgres while the next one is decoded.
    pub batches_waiting_max: usize,
    /// Bytes of messages that librdkafka may hold ahead of decoding.
    pub prefetch_bytes_max: usize,
    /// Longest message accepted, in bytes.
    pub message_bytes_max: usize,
    /// Longest pause between two attempts of the same batch.
    pub retry_ms_max: u64,
    /// How often new topics and lag are looked for.
    pub topics_refresh_ms: u64,
    /// `session.timeout.ms` of the group.
    pub session_timeout_ms: u64,
    /// `group.instance.id`: this process's own name, the same after each restart. A process that
    /// comes back under its name gets its partitions at once; without one, those of a process
    /// that was killed are nobody's until its session ends.
    pub instance: Option<String>,
    /// Whether offsets may have gaps (compacted topics, transactional producers).
    pub allow_gaps: bool,
    /// What happens when the broker has deleted unread messages.
    pub lost_offsets: LostOffsets,
    /// What happens when an event has another shape than the mapping was made for.
    pub drift: DriftPolicies,
    /// Whether a legacy transaction is never broken apart: all its rows become visible in one
    /// Postgres transaction. Needs transaction metadata, and all partitions for this process.
    pub atomic: bool,
    /// With `atomic`: so many bytes of messages may wait for their transactions.
    pub atomic_bytes_max: usize,
    /// So many events of a table that go to quarantine in a row stop it (or as many of its last
    /// thousand, when they are more than half).
    pub quarantine_in_a_row_max: u64,
    /// What CDC has, asked of the legacy server by whoever can, again and again. The first answer
    /// is there before the run begins. `None`: nobody asks, and lost changes are not noticed.
    pub capture: Option<watch::Receiver<Option<Capture>>>,
    /// Stop when everything up to this LSN is applied. A marker at it or a change above it must
    /// come by, for nothing else proves it.
    pub until: Option<Lsn>,
}

impl Settings {
    /// Settings that serve, for a connector with Debezium's defaults.
    #[must_use]
    pub fn new(bootstrap_servers: &str, group: &str, topic_prefix: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into(),
            group: group.into(),
            topic_prefix: topic_prefix.into(),
            kafka_properties: Vec::new(),
            modes: Modes::default(),
            marker_table: "dbo.ficus_marker".into(),
            batch_rows_max: 10_000,
            batch_bytes_max: 16 << 20,
            batch_idle_ms_max: 20,
            batch_age_ms_max: 500,
            batches_waiting_max: 1,
            prefetch_bytes_max: 16 << 20,
            message_bytes_max: 64 << 20,
            retry_ms_max: 5_000,
            topics_refresh_ms: 5_000,
            session_timeout_ms: 10_000,
            instance: None,
            allow_gaps: false,
            lost_offsets: LostOffsets::default(),
            drift: DriftPolicies::default(),
            atomic: false,
            atomic_bytes_max: 128 << 20,
            quarantine_in_a_row_max: 100,
            capture: None,
            until: None,
        }
    }

    /// How often the group hears of us, and we of it.
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis((self.session_timeout_ms / 4).max(100))
    }
}
