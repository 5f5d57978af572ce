//! Progress where no person watches: a line now and then, and one for whatever a person should know.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use backfill::{Event, Progress};

use super::meter::{Meter, Table};
use crate::out;

/// Between two lines about a table.
const PAUSE: Duration = Duration::from_secs(5);

/// Lines on standard error.
#[derive(Debug, Default)]
pub(super) struct Lines {
    meter: Meter,
    told: Mutex<BTreeMap<String, Instant>>,
}

impl Lines {
    fn is_due(&self, name: &str, table: &Table) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let last = told.entry(name.to_owned()).or_insert(now);
        let due = now.duration_since(*last) >= PAUSE || table.is_done();
        if due {
            *last = now;
        }
        due
    }
}

impl Progress for Lines {
    fn event(&self, event: Event<'_>) {
        let known = self.meter.take(&event);
        match (&event, known) {
            (Event::Committed { .. } | Event::ChunkDone { .. }, Some((name, table))) => {
                let ended = matches!(event, Event::ChunkDone { .. }) && table.is_done();
                if ended || (!table.is_done() && self.is_due(&name, &table)) {
                    out::note(table.line(&name));
                }
            }
            (Event::ChunkSplit { table, .. }, _) => {
                out::note(format!("{table}: a statement took too long, its chunk is split"));
            }
            (Event::Retrying { table, attempt, pause, reason }, _) => out::note(format!(
                "{table}: attempt {attempt} failed, the next is in {:.1} s: {reason}",
                pause.as_secs_f64()
            )),
            (Event::Failed { table, reason }, _) => {
                out::note(format!("{table} is given up: {reason}"));
            }
            (Event::Holding { hold }, _) => out::note(format!("waiting: {hold}")),
            (Event::GoingOn, _) => out::note("going on"),
            (Event::Warning { text }, _) => out::note(format!("note: {text}")),
            _ => {}
        }
    }
}
