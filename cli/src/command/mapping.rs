//! `ficus mapping`.

use mapping::plan::{Plan, TableRole};

use crate::{args::MappingCommand, exit::Exit, out, parts, settings::Settings};

/// Checks the mapping files, or tells what may stand in them.
pub(crate) async fn run(command: &MappingCommand, settings: &Settings) -> anyhow::Result<Exit> {
    match command {
        MappingCommand::Check => check(settings).await,
        MappingCommand::Schema => {
            out::line(mapping::file::json_schema().trim_end());
            Ok(Exit::Success)
        }
    }
}

async fn check(settings: &Settings) -> anyhow::Result<Exit> {
    let files = parts::mapping_files(settings)?;
    let catalog = parts::catalog(settings).await?;
    match Plan::compile(&files, &catalog) {
        Ok(plan) => {
            report(&plan, &catalog);
            Ok(Exit::Success)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                out::line(mistake.to_string());
            }
            out::note(format!("{} mistakes in {} files", mistakes.len(), files.len()));
            Ok(Exit::Undecided)
        }
    }
}

fn report(plan: &Plan, catalog: &mapping::catalog::Catalog) {
    out::line(format!(
        "{} entities of {} domains from {} tables; version {}",
        plan.entities.len(),
        plan.domains().len(),
        plan.tables.len(),
        plan.version
    ));
    for table in &plan.tables {
        if let TableRole::Ignored { reason } = &table.role {
            out::line(format!("left out: {}: {reason}", table.table));
        }
    }
    for table in &plan.tables {
        for left in table.left_out() {
            out::line(format!("left out: {}.{}: {}", table.table, left.column, left.reason));
        }
    }
    for table in &plan.tables {
        for filter in table.row_filters() {
            out::line(format!(
                "left out: rows of {} for {}, but where {filter}",
                table.table, filter.entity
            ));
        }
    }
    for table in plan.unnamed_tables(catalog) {
        out::line(format!("named nowhere: {table}"));
    }
}
