//! `ficus quarantine`.

use target::quarantine::{Entry, Filter};

use crate::{args::QuarantineCommand, exit::Exit, out, parts, settings::Settings};

/// Lists, shows or discards entries.
pub(crate) async fn run(command: &QuarantineCommand, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    let target = parts::target(settings, &plan).await?;
    match command {
        QuarantineCommand::List { limit } => {
            let filter =
                Filter { state: Some("open".to_owned()), limit: *limit, ..Filter::default() };
            let entries = target.quarantine_list(&filter).await?;
            out::line(listing(&entries));
        }
        QuarantineCommand::Show { id } => {
            let full = target.quarantine_get(*id).await?;
            out::line(listing(std::slice::from_ref(&full.entry)));
            out::line(String::from_utf8_lossy(&full.payload));
        }
        QuarantineCommand::Discard { id, reason } => {
            target.quarantine_discard(*id, &actor(), reason).await?;
            out::line(format!("entry {id} is discarded"));
        }
    }
    Ok(Exit::Success)
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
