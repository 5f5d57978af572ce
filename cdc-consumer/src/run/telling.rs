//! Tells Postgres what only a consumer knows of Kafka, for `ficus status`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use mapping::plan::Plan;
use target::{Target, stream::PartitionLag};

use super::shared::Shared;
use crate::topics::Topics;

/// How often it is told.
const TELL: Duration = Duration::from_secs(2);

/// Offsets applied, by topic and partition, at some moment.
type Before = BTreeMap<(String, i32), i64>;

/// Tells until the run ends, and once more then.
pub(super) async fn tell(shared: Arc<Shared>, target: Arc<Target>, plan: Arc<Plan>) {
    let topics = Topics::new(&shared.settings, &plan);
    let (mut before, mut since) = (Before::new(), Instant::now());
    loop {
        let is_over = tokio::select! {
            () = tokio::time::sleep(TELL) => false,
            () = shared.stop.cancelled() => true,
        };
        let elapsed = since.elapsed();
        since = Instant::now();
        let lags = lags(&shared, &topics, &plan, (&mut before, elapsed));
        if !lags.is_empty()
            && let Err(error) = target.tell_lag(&shared.settings.group, &lags).await
        {
            tracing::debug!(%error, "telling how far the stream is behind");
        }
        if is_over {
            return;
        }
    }
}

fn lags(
    shared: &Shared,
    topics: &Topics,
    plan: &Plan,
    (before, elapsed): (&mut Before, Duration),
) -> Vec<PartitionLag> {
    let table = |topic: &str| {
        let index = topics.tables_of(topic).first()?.0;
        plan.tables.get(usize::from(index)).map(|table| table.table.to_string())
    };
    let progress = shared.progress.borrow();
    let lags = progress.partitions.iter().map(|((topic, partition), at)| {
        let last = before.get(&(topic.clone(), *partition)).copied().unwrap_or(at.next);
        let applied = u32::try_from(at.next - last).unwrap_or(0);
        PartitionLag {
            topic: topic.clone(),
            partition: *partition,
            table: table(topic),
            end_offset: at.end.max(at.next),
            messages_per_second: f64::from(applied) / elapsed.as_secs_f64().max(0.001),
        }
    });
    let lags = lags.collect();
    *before = progress.partitions.iter().map(|(place, at)| (place.clone(), at.next)).collect();
    lags
}
