//! Messages behind the mapped rows of the open batch, in case that Postgres refuses a row: then
//! the message itself goes to quarantine, as it does when the mapping refuses it.

use std::{fmt, ops::Range, sync::Arc};

use mapping::plan::{Plan, TableId};
use target::batch::{SourceRow, Sources};

use super::{Incoming, headers, mask};

/// A message, as ranges of the shared bytes.
struct Place {
    topic: usize,
    partition: i32,
    offset: i64,
    table: TableId,
    /// What stands before `value`, by its place in the list.
    head: Option<usize>,
    value: Range<usize>,
    key: Option<Range<usize>>,
    headers: Range<usize>,
}

/// Messages by their number in the batch; one allocation for all of them. An inline schema, which is
/// most of a message, is there once.
#[derive(Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    heads: Vec<Arc<[u8]>>,
    head_bytes: usize,
    topics: Vec<String>,
    places: Vec<Place>,
    plan: Arc<Plan>,
    placeholder: String,
}

impl fmt::Debug for Kept {
    /// Without the bytes: they are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("messages", &self.places.len()).finish_non_exhaustive()
    }
}

impl Kept {
    pub(super) fn new(plan: &Arc<Plan>, placeholder: &str) -> Self {
        Self { plan: Arc::clone(plan), placeholder: placeholder.to_owned(), ..Self::default() }
    }

    /// Bytes that are held, shared beginnings once.
    pub(super) fn byte_count(&self) -> usize {
        self.bytes.len() + self.head_bytes
    }

    /// Keeps a message. `head` is what it probably begins with.
    pub(super) fn push(
        &mut self,
        incoming: &Incoming<'_>,
        table: TableId,
        head: Option<&Arc<[u8]>>,
    ) {
        // Messages come in runs of one topic.
        let known = self.topics.iter().rposition(|topic| topic == incoming.topic);
        let topic = known.unwrap_or_else(|| {
            self.topics.push(incoming.topic.to_owned());
            self.topics.len() - 1
        });
        let value = incoming.value.unwrap_or_default();
        let shared = head.and_then(|head| Some((head, value.strip_prefix(head.as_ref())?)));
        let head = shared.map(|(head, _)| self.head(head));
        let value = self.add(shared.map_or(value, |(_, rest)| rest));
        let key = incoming.key.map(|key| self.add(key));
        let headers = self.add(incoming.headers);
        let (partition, offset) = (incoming.partition, incoming.offset);
        self.places.push(Place { topic, partition, offset, table, head, value, key, headers });
    }

    fn value(&self, place: &Place) -> Option<Vec<u8>> {
        let head = place.head.and_then(|head| self.heads.get(head));
        let head = head.map_or(&[][..], |head| head.as_ref());
        Some([head, self.bytes.get(place.value.clone())?].concat())
    }

    fn head(&mut self, head: &Arc<[u8]>) -> usize {
        let known = self.heads.iter().rposition(|known| Arc::ptr_eq(known, head));
        known.unwrap_or_else(|| {
            // A topic whose schemas take turns has a new one with each message.
            self.head_bytes += head.len();
            self.heads.push(Arc::clone(head));
            self.heads.len() - 1
        })
    }

    fn add(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

impl Sources for Kept {
    fn source(&self, sequence: u32) -> Option<SourceRow> {
        let place = self.places.get(usize::try_from(sequence).ok()?)?;
        let table = self.plan.tables.get(usize::from(place.table.0))?;
        let value = self.value(place)?;
        let payload = mask::mask(&value, table.sensitive_columns(), &self.placeholder).into_owned();
        Some(SourceRow {
            payload,
            payload_key: place.key.clone().and_then(|key| Some(self.bytes.get(key)?.to_vec())),
            payload_headers: self.bytes.get(place.headers.clone()).and_then(headers::to_json),
            source: Some((self.topics.get(place.topic)?.clone(), place.partition, place.offset)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_kept_once_and_messages_come_out_whole() {
        let mut kept = Kept::default();
        let head: Arc<[u8]> =
            [br#"{"schema":{"a":"#.as_slice(), &[b' '; 500], b"1},"].concat().into();
        let with_head = |payload: &str| [&head[..], payload.as_bytes()].concat();
        let messages =
            [with_head(r#""payload":1}"#), br#"{"op":"c"}"#.to_vec(), with_head(r#""payload":2}"#)];
        for (offset, value) in (0..).zip(&messages) {
            let incoming = Incoming {
                topic: "t",
                partition: 0,
                offset,
                key: Some(b"k"),
                value: Some(value),
                headers: &[],
                timestamp_ms: None,
                fingerprint: None,
            };
            kept.push(&incoming, TableId(0), Some(&head));
        }
        assert!(kept.byte_count() < head.len() + 50, "{}", kept.byte_count());
        let another: Arc<[u8]> = Arc::from(&head[..]);
        assert_eq!((kept.head(&head), kept.head(&another)), (0, 1));
        assert!(kept.byte_count() >= 2 * head.len(), "what is held counts");
        let values: Vec<_> = kept.places.iter().filter_map(|place| kept.value(place)).collect();
        assert_eq!(values, messages);
    }
}
