//! Fences and goals: how far everything up to an LSN reaches.

use std::time::Instant;

use target::batch::Fence;

use super::reader::{ASK_AGAIN, Reader};

impl Reader {
    /// A marker is a fence once the ends of all partitions are known; asked for after the
    /// marker came, they are above everything that was published before it.
    pub(super) fn ask_for_fence(&mut self) {
        self.marker = self.marker.max(self.batcher.take_marker());
        self.look_for_goal();
        let Some(lsn) = self.marker else { return };
        let now = Instant::now();
        if now < self.clock.ask {
            return;
        }
        match self.topics.ends(&self.client) {
            Ok(ends) => {
                self.marker = None;
                self.batcher.add_fence(Fence { lsn, ends });
                self.opened.get_or_insert(now);
            }
            Err(error) => {
                tracing::debug!(%error, "asking for the ends of the topics");
                self.clock.ask = now + ASK_AGAIN;
            }
        }
    }

    /// With `until`: any change above it proves, as a marker does, that everything up to it is
    /// below the present ends. A partition whose next change is above it has less to reach. The
    /// proof is a fence for the other processes, which may never meet one of their own.
    fn look_for_goal(&mut self) {
        let Some(until) = self.shared.settings.until else { return };
        for (topic, partition, next) in self.batcher.past_until() {
            self.shared.lower_goal(topic, partition, next);
        }
        let passed = self.batcher.last_lsn().is_some_and(|lsn| lsn > until)
            || self.marker.is_some_and(|lsn| lsn >= until)
            || self.shared.is_proven();
        let now = Instant::now();
        if !passed || self.shared.has_goal() || now < self.clock.ask {
            return;
        }
        match self.topics.ends(&self.client) {
            Ok(ends) => {
                self.batcher.add_fence(Fence { lsn: until, ends: ends.clone() });
                self.opened.get_or_insert(now);
                self.shared.set_goal(
                    ends.into_iter().map(|(topic, number, end)| ((topic, number), end)).collect(),
                );
            }
            Err(_) => self.clock.ask = now + ASK_AGAIN,
        }
    }
}
