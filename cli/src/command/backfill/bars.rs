//! Progress that a person wants to look at: a bar for each table.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backfill::{Event, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::meter::{Meter, Table, duration};

/// A bar for each table; what else is to be said goes above them.
pub(crate) struct Bars {
    all: MultiProgress,
    meter: Meter,
    tables: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    /// No bars yet.
    pub(crate) fn new() -> Self {
        Self { all: MultiProgress::new(), meter: Meter::default(), tables: Mutex::default() }
    }

    /// Leaves the finished bars on the screen.
    pub(crate) fn finish(&self) {
        for bar in self.tables.lock().unwrap_or_else(PoisonError::into_inner).values() {
            bar.abandon();
        }
    }

    /// A line above the bars.
    fn say(&self, text: &str) {
        if let Err(error) = self.all.println(text) {
            tracing::debug!(%error, text, "the terminal does not take it");
        }
    }

    fn bar(&self, name: &str, table: &Table) -> ProgressBar {
        let mut bars = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let bar = match table.estimate {
                0 => ProgressBar::no_length(),
                estimate => ProgressBar::new(estimate),
            };
            let bar = self.all.add(bar);
            let style = ProgressStyle::with_template(
                "  {prefix:<36} {bar:20} {human_pos:>10} of about {human_len} {wide_msg}",
            );
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        };
        bars.entry(name.to_owned()).or_insert_with(new).clone()
    }
}

/// What stands behind the bar.
fn message(table: &Table) -> String {
    let left = table.left().filter(|_| !table.is_done());
    let left = left.map(|left| format!(", ~{} left (estimate)", duration(left)));
    format!(
        "{} rows/s{}, {}/{} chunks{}",
        crate::out::thousands(table.rate()),
        left.unwrap_or_default(),
        table.chunks_done,
        table.chunks_total,
        table.troubles()
    )
}

impl Progress for Bars {
    fn event(&self, event: Event<'_>) {
        if let Some((name, table)) = self.meter.take(&event) {
            let bar = self.bar(&name, &table);
            bar.set_position(table.rows_read());
            bar.set_message(message(&table));
            if table.is_done() && matches!(event, Event::ChunkDone { .. } | Event::Planned { .. }) {
                bar.set_length(table.rows_read());
                bar.abandon();
            }
        }
        match event {
            Event::Retrying { table, attempt, reason, .. } => {
                self.say(&format!("  {table}: attempt {attempt} failed: {reason}"));
            }
            Event::Failed { table, reason } => {
                self.say(&format!("  {table} is given up: {reason}"));
            }
            Event::Holding { hold } => self.say(&format!("  waiting: {hold}")),
            Event::GoingOn => self.say("  going on"),
            Event::Warning { text } => self.say(&format!("  note: {text}")),
            _ => {}
        }
    }
}
