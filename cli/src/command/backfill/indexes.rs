//! `--defer-indexes`: secondary indexes go before a load and come after it.

use std::collections::BTreeSet;

use mapping::plan::{EntityId, EntityPlan};
use target::{Pool, Role, Target};

use crate::{args::BackfillArgs, out, parts, settings::Settings};

/// Drops those of the selected tables that are empty.
pub(super) async fn defer(
    args: &BackfillArgs,
    settings: &Settings,
    target: &Target,
) -> anyhow::Result<()> {
    let owner = owner(settings).await?;
    let entities: Vec<EntityId> = selected(args, target).map(|entity| entity.id).collect();
    let deferred = target.defer_indexes(&owner, &entities).await?;
    if !deferred.is_empty() {
        out::note(format!("{} indexes are built after the load", deferred.len()));
    }
    Ok(())
}

/// Builds those of the selected tables that are written down, whoever dropped them.
pub(super) async fn build(
    args: &BackfillArgs,
    settings: &Settings,
    target: &Target,
) -> anyhow::Result<()> {
    let tables: BTreeSet<(String, String)> = selected(args, target)
        .map(|entity| (entity.target_schema.clone(), entity.target_table.clone()))
        .collect();
    let mut deferred = target.deferred_indexes().await?;
    deferred.retain(|index| tables.contains(&index.table));
    if deferred.is_empty() {
        return Ok(());
    }
    let owner = owner(settings).await?;
    for index in &deferred {
        let began = std::time::Instant::now();
        target.build_index(&owner, index).await?;
        let (table, seconds) = (&index.table.1, began.elapsed().as_secs_f64());
        out::note(format!("index {} of {table} is built, in {seconds:.1} s", index.name));
    }
    Ok(())
}

/// Only the owner of a table may make and drop its indexes.
async fn owner(settings: &Settings) -> anyhow::Result<Pool> {
    Ok(target::connect(&parts::postgres(settings, Role::Owner)?).await?)
}

fn selected<'a>(
    args: &'a BackfillArgs,
    target: &'a Target,
) -> impl Iterator<Item = &'a EntityPlan> {
    let is_named = |entity: &&EntityPlan| {
        args.names.is_empty()
            || args.names.iter().any(|name| *name == entity.name || *name == entity.domain)
    };
    target.plan().entities.iter().filter(is_named)
}
