//! Rows whose type nobody knows yet. The event of the type itself is in another topic and may be
//! read later, or a backfill may have brought it meanwhile; so such a row is mapped once more when
//! its batch is closed, and only then it is rejected.

use super::Incoming;

/// A message that is mapped again.
#[derive(Clone)]
pub(super) struct Waiting {
    topic: String,
    partition: i32,
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<u8>,
    /// When it was met, by the clock of the first attempt.
    pub(super) now_us: i64,
}

impl std::fmt::Debug for Waiting {
    /// Without the message: it is personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} offset {}", self.topic, self.partition, self.offset)
    }
}

impl Waiting {
    pub(super) fn new(incoming: &Incoming<'_>, now_us: i64) -> Self {
        Self {
            topic: incoming.topic.to_owned(),
            partition: incoming.partition,
            offset: incoming.offset,
            key: incoming.key.map(<[u8]>::to_vec),
            value: incoming.value.map(<[u8]>::to_vec),
            headers: incoming.headers.to_vec(),
            now_us,
        }
    }

    pub(super) fn incoming(&self) -> Incoming<'_> {
        Incoming {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
            timestamp_ms: None,
            fingerprint: None,
        }
    }
}
