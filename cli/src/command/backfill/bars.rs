//! Progress that a person wants to look at; a plain log where nobody watches.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backfill::{Event, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::out;

/// A bar for each table.
pub(crate) struct Bars {
    all: Option<MultiProgress>,
    tables: Mutex<BTreeMap<String, Table>>,
}

struct Table {
    bar: ProgressBar,
    quarantined: u64,
}

impl Bars {
    /// Bars on a terminal, lines elsewhere.
    pub(crate) fn new() -> Self {
        let all = out::is_watched().then(MultiProgress::new);
        Self { all, tables: Mutex::default() }
    }

    /// Leaves the finished bars on the screen.
    pub(crate) fn finish(&self) {
        for table in self.tables.lock().unwrap_or_else(PoisonError::into_inner).values() {
            table.bar.abandon();
        }
    }

    fn start(&self, name: String, estimate: u64, before: u64) {
        let bar = match &self.all {
            Some(all) => all.add(ProgressBar::new(estimate)),
            None => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template(
            "  {prefix:<46} {bar:24} {human_pos:>10} of about {human_len} {per_sec:>14} {msg}",
        );
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_prefix(name.clone());
        bar.set_position(before);
        bar.enable_steady_tick(Duration::from_millis(200));
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.insert(name, Table { bar, quarantined: 0 });
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Table)) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get_mut(name) {
            change(table);
        }
    }
}

impl Progress for Bars {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Planned { table, rows_estimate, rows_before, .. } => {
                self.start(table.to_string(), rows_estimate, rows_before);
            }
            Event::Committed { table, rows, quarantined } => {
                self.change(&table.to_string(), |shown| {
                    shown.bar.inc(rows);
                    shown.quarantined += quarantined;
                    if shown.quarantined > 0 {
                        shown.bar.set_message(format!("{} quarantined", shown.quarantined));
                    }
                });
            }
            Event::ChunkDone { table, chunks_done, chunks_total } => {
                let done = chunks_done == chunks_total;
                tracing::info!(%table, chunks_done, chunks_total, "chunk done");
                self.change(&table.to_string(), |shown| {
                    if done {
                        shown.bar.set_length(shown.bar.position());
                        shown.bar.abandon();
                    }
                });
            }
            Event::Retrying { table, attempt, pause, reason } => {
                tracing::warn!(%table, attempt, ?pause, reason, "trying again");
            }
            Event::Failed { table, reason } => tracing::error!(%table, reason, "given up"),
            Event::Warning { text } => tracing::warn!("{text}"),
            _ => {}
        }
    }
}
