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
    value: Range<usize>,
    key: Option<Range<usize>>,
    headers: Range<usize>,
}

/// Messages by their number in the batch; one allocation for all of them.
#[derive(Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
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

    pub(super) fn push(&mut self, incoming: &Incoming<'_>, table: TableId) {
        // Messages come in runs of one topic.
        let known = self.topics.iter().rposition(|topic| topic == incoming.topic);
        let topic = known.unwrap_or_else(|| {
            self.topics.push(incoming.topic.to_owned());
            self.topics.len() - 1
        });
        let value = self.add(incoming.value.unwrap_or_default());
        let key = incoming.key.map(|key| self.add(key));
        let headers = self.add(incoming.headers);
        let (partition, offset) = (incoming.partition, incoming.offset);
        self.places.push(Place { topic, partition, offset, table, value, key, headers });
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
        let value = self.bytes.get(place.value.clone())?;
        let payload = mask::mask(value, table.sensitive_columns(), &self.placeholder);
        Some(SourceRow {
            payload: payload.into_owned(),
            payload_key: place.key.clone().and_then(|key| Some(self.bytes.get(key)?.to_vec())),
            payload_headers: self.bytes.get(place.headers.clone()).and_then(headers::to_json),
            source: Some((self.topics.get(place.topic)?.clone(), place.partition, place.offset)),
        })
    }
}
