//! `ficus quarantine`.

mod reread;
mod retry;

use mapping::plan::{Plan, TableId};
use target::quarantine::{Entry, Filter, FullEntry};

use crate::{
    args::QuarantineCommand,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

/// Lists, shows, tries again or discards entries.
pub(crate) async fn run(command: &QuarantineCommand, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    let target = parts::writing_target(settings, &plan).await?;
    match command {
        QuarantineCommand::List { limit, table, rule, state } => {
            let filter = Filter {
                state: (state != "any").then(|| state.clone()),
                table: table.as_deref().map(|name| self::table(&plan, name)).transpose()?,
                rule: rule.clone(),
                after: 0,
                limit: *limit,
            };
            let entries = target.quarantine_list(&filter).await?;
            out::line(listing(&entries));
        }
        QuarantineCommand::Show { id } => show(&target.quarantine_get(*id).await?),
        QuarantineCommand::Retry(args) => {
            return Box::pin(retry::run(args, settings, (&target, &plan))).await;
        }
        QuarantineCommand::Discard { id, reason } => {
            target.quarantine_discard(*id, &actor(), reason).await?;
            out::line(format!("entry {id} is discarded"));
        }
    }
    Ok(Exit::Success)
}

/// The whole entry: where it came from, and what was received.
fn show(full: &FullEntry) {
    let entry = &full.entry;
    out::line(listing(std::slice::from_ref(entry)));
    let mut facts = vec![
        ("state", entry.state.clone()),
        ("position", entry.position.to_string()),
        ("origin", entry.origin.clone()),
        ("tried again", format!("{} times", entry.retries)),
    ];
    if let Some((topic, partition, offset)) = &entry.source {
        facts.push(("message", format!("{topic}/{partition} offset {offset}")));
    }
    if let Some(resolution) = &entry.resolution {
        facts.push(("resolution", resolution.clone()));
    }
    let text =
        |bytes: &Option<Vec<u8>>| bytes.as_deref().map(|b| String::from_utf8_lossy(b).into_owned());
    facts.extend(text(&full.payload_headers).map(|headers| ("headers", headers)));
    facts.extend(text(&full.payload_key).map(|key| ("key", key)));
    for (name, value) in facts {
        out::line(format!("  {name:<12} {value}"));
    }
    out::line(String::from_utf8_lossy(&full.payload));
}

/// A table by its name, with or without the schema.
fn table(plan: &Plan, name: &str) -> anyhow::Result<TableId> {
    let is_named = |table: &&mapping::plan::TablePlan| {
        table.table.to_string().eq_ignore_ascii_case(name)
            || table.table.name.eq_ignore_ascii_case(name)
    };
    let found = plan.tables.iter().find(is_named).map(|table| table.id);
    found.ok_or_else(|| usage(format!("no mapping file names a table `{name}`")))
}

/// Entries as a table.
pub(crate) fn listing(entries: &[Entry]) -> String {
    let row = |entry: &Entry| {
        vec![
            entry.id.to_string(),
            entry.table.clone().unwrap_or_else(|| "-".to_owned()),
            entry.key.as_ref().map_or("-".to_owned(), ToString::to_string),
            entry.column.clone(),
            entry.rule.clone(),
            entry.detail.clone(),
        ]
    };
    if entries.is_empty() {
        return "quarantine is empty".to_owned();
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    out::table(&["id", "table", "key", "column", "rule", "what"], &rows)
}

/// Who acts, for the audit.
pub(crate) fn actor() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    user.unwrap_or_else(|_| match std::fs::metadata("/proc/self") {
        Ok(process) => format!("uid {}", std::os::unix::fs::MetadataExt::uid(&process)),
        Err(_) => "unknown".to_owned(),
    })
}
