//! A message out of the quarantine, read and mapped again as today's mapping does. Pure.

use std::sync::Arc;

use mapping::plan::{ObjectTypes, Plan};
use target::Batch;

use crate::{
    batch::{Batcher, Headers, Incoming, Owned},
    settings::{DriftPolicies, DriftPolicy, Settings},
};

/// A message as it was stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Topic, partition and offset.
    pub place: (&'a str, i32, i64),
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; empty for none.
    pub value: &'a [u8],
    /// Its headers, as JSON.
    pub headers: Option<&'a [u8]>,
}

/// Reads stored messages again.
#[derive(Debug)]
pub struct Rereader {
    batcher: Batcher,
}

impl Rereader {
    /// Of the settings, the connector's modes, the marker's table and the policies for drift
    /// matter; a table is never stopped by a retry.
    #[must_use]
    pub fn new(settings: &Settings, plan: Arc<Plan>, object_types: ObjectTypes) -> Self {
        let mut settings =
            Settings { until: None, quarantine_in_a_row_max: u64::MAX, ..settings.clone() };
        settings.drift = settings.drift.without_stops();
        let mut batcher = Batcher::new(&settings, plan, object_types);
        batcher.expect_hidden_values();
        Self { batcher }
    }

    /// What the message becomes now: rows, or an entry for the quarantine, or nothing. Its own
    /// position is the one that it had. `now_us` is the clock, microseconds since 1970 UTC.
    #[must_use]
    pub fn read(&mut self, stored: &Stored<'_>, now_us: i64) -> Batch {
        let (topic, partition, offset) = stored.place;
        self.batcher.assign(vec![Owned {
            topic: topic.to_owned(),
            partition,
            epoch: 0,
            expected: offset,
            next: offset,
            first: false,
            commit_lsn: None,
        }]);
        let headers = stored.headers.map(Headers::from_json).unwrap_or_default();
        let incoming = Incoming {
            topic,
            partition,
            offset,
            key: stored.key,
            value: (!stored.value.is_empty()).then_some(stored.value),
            headers: headers.as_bytes(),
            timestamp_ms: None,
            fingerprint: None,
        };
        // A single message at the expected offset leaves no gap.
        if self.batcher.push(&incoming, now_us).is_err() {
            return Batch::default();
        }
        let batch = self.batcher.take().unwrap_or_default();
        Batch {
            rows: batch.rows,
            quarantine: batch.quarantine,
            left_out: batch.left_out,
            tables: batch.tables,
            read: batch.read,
            object_types: batch.object_types,
            sources: batch.sources,
            ..Batch::default()
        }
    }
}

impl DriftPolicies {
    /// The same, with quarantine where a table would be stopped.
    fn without_stops(&self) -> Self {
        self.replacing(DriftPolicy::Stop, DriftPolicy::Quarantine)
    }
}
