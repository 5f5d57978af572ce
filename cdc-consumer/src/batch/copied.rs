//! A message that is kept for later.

use super::Incoming;

/// A message of its own.
#[derive(Clone)]
pub(crate) struct Copied {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<u8>,
    timestamp_ms: Option<i64>,
    fingerprint: Option<i64>,
}

impl std::fmt::Debug for Copied {
    /// Without what it says: that is personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} offset {}", self.topic, self.partition, self.offset)
    }
}

impl Copied {
    pub(crate) fn new(incoming: &Incoming<'_>) -> Self {
        Self {
            topic: incoming.topic.to_owned(),
            partition: incoming.partition,
            offset: incoming.offset,
            key: incoming.key.map(<[u8]>::to_vec),
            value: incoming.value.map(<[u8]>::to_vec),
            headers: incoming.headers.to_vec(),
            timestamp_ms: incoming.timestamp_ms,
            fingerprint: incoming.fingerprint,
        }
    }

    /// As it came.
    pub(crate) fn incoming(&self) -> Incoming<'_> {
        Incoming {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
            timestamp_ms: self.timestamp_ms,
            fingerprint: self.fingerprint,
        }
    }

    /// Bytes of key, value and headers.
    pub(crate) fn bytes(&self) -> usize {
        let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
        length(&self.key) + length(&self.value) + self.headers.len()
    }
}
