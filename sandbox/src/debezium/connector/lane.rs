//! Topics and their partitions, as the sender counts them.

use std::{collections::VecDeque, sync::Arc};

use super::partition;

/// A partition's bytes: sent in all, acknowledged by offset, and reached by the group.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) sent: u64,
    pub(super) acknowledged: VecDeque<(i64, u64)>,
    pub(super) reached: u64,
}

pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) lanes: Vec<Lane>,
    pub(super) next_without_key: i32,
    pub(super) is_followed: bool,
}

impl Topic {
    /// Java's client sends records without a key to partitions in turn.
    pub(super) fn partition(&self, key: Option<&str>) -> i32 {
        let partitions = i32::try_from(self.lanes.len()).unwrap_or(i32::MAX);
        match key {
            Some(key) => partition::of_key(key.as_bytes(), partitions),
            None => self.next_without_key.rem_euclid(partitions),
        }
    }

    pub(super) fn lane(&mut self, partition: i32) -> Option<&mut Lane> {
        usize::try_from(partition).ok().and_then(|partition| self.lanes.get_mut(partition))
    }
}
