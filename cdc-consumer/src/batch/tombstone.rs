//! Tombstones: messages without a value, which tell Kafka's compaction that a key is gone.
//!
//! Debezium sends one right behind the delete of its row, with the same key. It has no place in
//! the legacy log, so it never deletes: a late one would take away a row that came back since. One
//! that stands alone says that a delete was lost (or compacted away unread), and is told.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{Batcher, Incoming};
use crate::decode::Op;

impl Batcher {
    /// Takes note of a change, for the tombstone that may come next.
    pub(super) fn note_delete(&mut self, incoming: &Incoming<'_>, op: Op) {
        let deleted = (op == Op::Delete).then(|| digest(incoming.key));
        self.offsets.note_last(incoming.topic, incoming.partition, deleted);
    }

    /// Counts a tombstone that stands alone; the first one is told.
    pub(super) fn meet_tombstone(&mut self, incoming: &Incoming<'_>) {
        let Incoming { topic, partition, offset, .. } = *incoming;
        if !self.offsets.is_lone(topic, partition, digest(incoming.key)) {
            return;
        }
        if self.seen.messages.lone_tombstone == 0 {
            tracing::warn!(
                topic,
                partition,
                offset,
                "a tombstone came without the delete of its row: `ficus reconcile` tells which \
                 rows the target has too many"
            );
        }
        self.seen.messages.lone_tombstone += 1;
    }
}

/// Tells a message's key from others, within this process.
fn digest(key: Option<&[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
