//! `ficus backfill --grants`: for whoever may grant rights on the legacy server.

use std::collections::BTreeSet;

use backfill::Selection;
use mapping::plan::Plan;

use crate::{args::BackfillArgs, exit::usage, parts, settings::Settings};

/// The T-SQL. It needs the catalogue, and so a login that may read it, or a saved one.
pub(super) async fn script(args: &BackfillArgs, settings: &Settings) -> anyhow::Result<String> {
    let (reader, marker) = (parts::legacy(settings)?, parts::marker(settings)?);
    let files = parts::mapping_files(settings)?;
    let catalog = parts::catalog(settings).await?;
    let plan = Plan::compile(&files, &catalog).map_err(|mistakes| {
        usage(format!("the mapping files have {} mistakes: `ficus mapping check`", mistakes.len()))
    })?;
    let selection = Selection::named(&plan, &args.names)?;
    let read: BTreeSet<_> = plan
        .tables
        .iter()
        .filter(|table| selection.tables().contains(&table.id))
        .map(|table| &table.table)
        .collect();
    let grants = legacy::Grants {
        database: &reader.database,
        reader: &reader.user,
        marker: &marker.user,
        tables: catalog.tables.iter().filter(|table| read.contains(&table.table)).collect(),
    };
    Ok(grants.script())
}
