//! Topics that get more partitions while they are followed.
//!
//! The keys of rows move then, among the old partitions, too, and not when the topic grows but when
//! the connector hears of it. Until then an update that leaves a large value out may be applied
//! before the older change that set it, which is stale afterwards: the value would be lost. So the
//! tables that may lose one are stopped until they were copied again, by a connector that knows the
//! new partitions. The others go on: positions sort them.

use std::collections::BTreeMap;

use mapping::plan::Plan;
use target::{
    Target,
    domain::Decision,
    follow::{StopReason, TableStop},
    topic::Grown,
};

use super::{gaps, holds, shared::Shared};
use crate::topics::Topics;

/// Who acts, for the audit.
const ENGINE: Decision<'_> =
    Decision { actor: "ficus consume", reason: "the table was copied again" };

/// Looks whether topics have more partitions than anybody of the group has seen so far.
pub(super) async fn look(
    shared: &Shared,
    target: &Target,
    counts: &BTreeMap<String, i32>,
) -> Result<(), target::Error> {
    let plan = target.plan();
    let topics = Topics::new(&shared.settings, plan);
    let stops = |grown: &Grown| stops(plan, &topics, grown);
    let grown = target.note_partitions(&shared.settings.group, counts, stops).await?;
    if grown.is_empty() {
        return Ok(());
    }
    for grown in &grown {
        let Grown { topic, before, now } = grown;
        tracing::warn!(topic, before, now, "the topic has more partitions");
        for stop in stops(grown) {
            let TableStop { detail, remedy, .. } = stop;
            tracing::error!(topic, detail, remedy, "a table is stopped");
        }
    }
    shared.know_held(holds::held(plan, target.table_states().await?));
    Ok(())
}

/// Goes on with what was copied again.
pub(super) async fn heal(target: &Target) -> Result<(), target::Error> {
    for table in target.go_on_with_copied(ENGINE).await? {
        tracing::info!(table, "copied again: the stream goes on with the table");
    }
    Ok(())
}

/// The tables of a topic that may lose a value.
fn stops(plan: &Plan, topics: &Topics, grown: &Grown) -> Vec<TableStop> {
    let Grown { topic, before, now } = grown;
    let ids = topics.tables_of(topic);
    let tables = plan.tables.iter().filter(|table| ids.contains(&table.id));
    tables
        .filter(|table| plan.needs_order(table))
        .map(|table| {
            let name = &table.table;
            let detail = format!(
                "the topic {topic} has {now} partitions, and had {before}: changes of one row may come \
                 out of their order, and an update of {name} does not carry every large value"
            );
            let remedy = format!(
                "restart the connector, so that it knows all partitions; then {}",
                gaps::copy_again(plan, table)
            );
            TableStop { table: table.id, reason: StopReason::Partitions, detail, remedy }
        })
        .collect()
}
