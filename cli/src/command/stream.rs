//! `ficus stream`: lets the stream wait with a table, and go on.

use std::collections::BTreeSet;

use mapping::plan::{Plan, TableId, TableRole};
use target::{
    domain::Decision,
    follow::{Follow, StopReason, TableState},
};

use crate::{
    args::StreamCommand,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// Pauses or resumes tables. Consumers that run heed it within a second.
pub(crate) async fn run(command: &StreamCommand, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    let (names, reason) = match command {
        StreamCommand::Pause { names, reason } | StreamCommand::Resume { names, reason } => {
            (names, reason)
        }
    };
    let tables = chosen(&plan, names)?;
    let target = parts::target(settings, &plan).await?;
    let actor = super::quarantine::actor();
    let states = target.table_states().await?;
    if let (StreamCommand::Resume { .. }, None) = (command, reason) {
        accept_knowingly(&plan, &tables, &states)?;
    }
    for table in tables {
        let name = table_name(&plan, table);
        let known = states.iter().find(|state| state.table == name);
        let told = match command {
            StreamCommand::Pause { .. } => {
                let reason = reason.as_deref().unwrap_or("ficus stream pause");
                let paused = target.pause_table(table, Decision { actor: &actor, reason }).await?;
                if paused { format!("{name} is paused") } else { unchanged(&name, known) }
            }
            StreamCommand::Resume { .. } => {
                let reason = reason.as_deref().unwrap_or("ficus stream resume");
                let before = target.resume_table(table, Decision { actor: &actor, reason }).await?;
                match before {
                    Follow::Following if names.is_empty() => continue,
                    Follow::Following => format!("{name} is followed already"),
                    Follow::Paused => format!("{name} goes on"),
                    Follow::Stopped => format!("{name} goes on; {}", was(known)),
                }
            }
        };
        out::line(told);
    }
    Ok(Exit::Success)
}

/// To go on where only a new copy heals is to accept what is lost; without a word nobody does.
fn accept_knowingly(
    plan: &Plan,
    tables: &BTreeSet<TableId>,
    states: &[TableState],
) -> anyhow::Result<()> {
    let names: Vec<String> = tables.iter().map(|table| table_name(plan, *table)).collect();
    let needs_copy = |state: &&TableState| {
        [StopReason::Gap, StopReason::Partitions].iter().any(|r| r.as_str() == state.reason)
    };
    let lossy = states.iter().filter(needs_copy).find(|s| names.contains(&s.table));
    let Some(state) = lossy else { return Ok(()) };
    Err(usage(format!(
        "{}; {}. To go on without, and so to accept the loss, say why with --reason",
        state.detail, state.remedy
    )))
}

fn unchanged(name: &str, known: Option<&TableState>) -> String {
    match known {
        Some(state) => format!("{name} is {} already: {}", state.state, state.detail),
        None => format!("{name} is paused already"),
    }
}

fn was(known: Option<&TableState>) -> String {
    known.map_or_else(String::new, |state| format!("it was stopped: {}", state.detail))
}

/// Tables by their own names, or those of entities and domains; all that are followed when none
/// is named.
fn chosen(plan: &Plan, names: &[String]) -> anyhow::Result<BTreeSet<TableId>> {
    let followed =
        plan.tables.iter().filter(|table| !matches!(table.role, TableRole::Ignored { .. }));
    if names.is_empty() {
        return Ok(followed.map(|table| table.id).collect());
    }
    let mut tables = BTreeSet::new();
    for name in names {
        let mut found: Vec<TableId> =
            followed.clone().filter(|table| is_named(table, name)).map(|t| t.id).collect();
        let entities = plan.entities.iter().filter(|e| e.name == *name || e.domain == *name);
        found.extend(entities.flat_map(|entity| entity.parts.iter().map(|part| part.table)));
        if found.is_empty() {
            return Err(usage(format!(
                "there is no table, entity or domain `{name}` that the stream follows; \
                 `ficus status` lists the tables"
            )));
        }
        tables.extend(found);
    }
    Ok(tables)
}

fn is_named(table: &mapping::plan::TablePlan, name: &str) -> bool {
    table.table.to_string().eq_ignore_ascii_case(name)
        || table.table.name.eq_ignore_ascii_case(name)
}

fn table_name(plan: &Plan, id: TableId) -> String {
    let found = plan.tables.iter().find(|table| table.id == id);
    found.map(|table| table.table.to_string()).unwrap_or_default()
}
