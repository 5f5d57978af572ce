//! Tables that are not followed: their partitions are paused, and go on where they were.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use mapping::plan::{Plan, TableId};
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer, error::KafkaResult};
use target::{
    Target,
    follow::{Follow, StopReason, TableState},
};

use super::{
    growth,
    reader::Reader,
    shared::{Held, Shared},
    topics,
};

/// How often Postgres is asked which tables are followed.
const LOOK: Duration = Duration::from_millis(500);

/// Keeps the shared state up with Postgres, until the run ends. While Postgres is away, what was
/// known last holds.
pub(super) async fn watch(shared: Arc<Shared>, target: Arc<Target>, plan: Arc<Plan>) {
    while !shared.is_stopping() {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shared.stop.cancelled() => return,
        }
        match target.table_states().await {
            Ok(states) => {
                if states.iter().any(|state| state.reason == StopReason::Partitions.as_str())
                    && let Err(error) = growth::heal(&target).await
                {
                    tracing::debug!(%error, "asking which tables were copied again");
                }
                shared.know_held(held(&plan, states));
            }
            Err(error) => tracing::debug!(%error, "asking which tables are followed"),
        }
        if let Some(until) = shared.settings.until
            && !shared.is_proven()
            && target.has_fence(&shared.settings.group, until).await.unwrap_or(false)
        {
            shared.prove();
        }
    }
}

/// Those that are not followed, by the plan's numbers.
pub(super) fn held(plan: &Plan, states: Vec<TableState>) -> Held {
    let named: BTreeMap<String, TableId> =
        plan.tables.iter().map(|table| (table.table.to_string(), table.id)).collect();
    let held = states.into_iter().filter(|state| state.state != Follow::Following);
    held.filter_map(|state| Some((*named.get(&state.table)?, state))).collect()
}

impl Reader {
    /// Takes over what Postgres says, where it says anything new.
    pub(super) fn heed_held(&mut self) {
        if self.whole.is_some() {
            return self.heed_held_whole();
        }
        if !self.held.has_changed().unwrap_or(false) {
            return;
        }
        let held: BTreeSet<TableId> = self.held.borrow_and_update().keys().copied().collect();
        for (topic, partition, next) in self.batcher.heed(&held) {
            tracing::info!(topic, partition, next, "going on with a partition");
            if let Err(error) = self.go_on(&topic, partition, next) {
                // A new assignment begins at what Postgres has, too.
                tracing::warn!(%error, topic, partition, "a partition could not be sought");
                self.shared.fence(self.generation);
                return;
            }
        }
        self.shared.know_waiting(self.batcher.waiting_partitions());
    }

    /// What was fetched meanwhile was passed over, so reading has to go back.
    fn go_on(&self, topic: &str, partition: i32, next: i64) -> KafkaResult<()> {
        self.client.seek(topic, partition, Offset::Offset(next), topics::ASK)?;
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        self.client.resume(&list)
    }

    /// Tells the client not to fetch what nobody takes.
    pub(super) fn pause_what_waits(&mut self) {
        if !self.batcher.take_waiting_change() {
            return;
        }
        let waiting = self.batcher.waiting_partitions();
        let mut list = TopicPartitionList::new();
        for (topic, partition) in &waiting {
            list.add_partition(topic, *partition);
        }
        if let Err(error) = self.client.pause(&list) {
            tracing::debug!(%error, "pausing partitions");
        }
        self.shared.know_waiting(waiting);
        // What stopped a table is told with the batch.
        if !self.batcher.is_empty() {
            self.opened.get_or_insert_with(std::time::Instant::now);
        }
    }
}
