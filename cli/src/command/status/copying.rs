//! The copy's part of `ficus status`: how far it is, who works on it, and what it waits for.

use serde_json::{Value, json};
use target::{
    Target,
    chunk::TableProgress,
    defer::DeferredIndex,
    hold::{Pause, Process},
};

use crate::out;

/// What is known of it.
pub(super) struct Copying {
    /// Tables that are not copied to their end.
    open: Vec<(String, TableProgress)>,
    pause: Option<Pause>,
    processes: Vec<Process>,
    indexes: Vec<DeferredIndex>,
}

impl Copying {
    /// Asks Postgres.
    pub(super) async fn read(target: &Target) -> anyhow::Result<Self> {
        let progress = match target.latest_run().await? {
            Some(run) => target.progress(run.id).await?,
            None => Vec::new(),
        };
        let name = |progress: TableProgress| {
            let table = target.plan().tables.get(usize::from(progress.table.0))?;
            Some((table.table.to_string(), progress))
        };
        Ok(Self {
            open: progress
                .into_iter()
                .filter(|table| table.chunks_done < table.chunks)
                .filter_map(name)
                .collect(),
            pause: target.backfill_pause().await?,
            processes: target.backfill_processes().await?,
            indexes: target.deferred_indexes().await?,
        })
    }

    /// Lines; none when there is nothing to tell.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(Pause { reason, actor, age_ms }) = &self.pause {
            text.push_str(&format!(
                "  backfills are paused by {actor} for {} s: {reason}; `ficus backfill resume` goes on\n",
                age_ms / 1000
            ));
        }
        for process in &self.processes {
            let holding = match process.holding.as_str() {
                "" => "copies".to_owned(),
                holding => format!("waits: {holding}"),
            };
            text.push_str(&format!(
                "  backfill on {} with {} readers {holding}\n",
                process.owner, process.readers
            ));
        }
        for (table, progress) in &self.open {
            text.push_str(&format!(
                "  {table} is not copied to its end: {} of {} chunks, {} rows\n",
                progress.chunks_done,
                progress.chunks,
                out::thousands(progress.rows)
            ));
        }
        for index in &self.indexes {
            text.push_str(&format!(
                "  index {} of {} is built when the table is copied: `ficus backfill` does it\n",
                index.name, index.table.1
            ));
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let open: Vec<Value> = self
            .open
            .iter()
            .map(|(table, progress)| {
                json!({
                    "table": table, "chunks": progress.chunks,
                    "chunksDone": progress.chunks_done, "rows": progress.rows,
                })
            })
            .collect();
        let processes: Vec<Value> = self
            .processes
            .iter()
            .map(|process| {
                json!({
                    "owner": process.owner, "run": process.run, "readers": process.readers,
                    "holding": process.holding,
                })
            })
            .collect();
        let pause = self.pause.as_ref().map(
            |pause| json!({ "actor": pause.actor, "reason": pause.reason, "ageMs": pause.age_ms }),
        );
        let indexes: Vec<&str> = self.indexes.iter().map(|index| index.name.as_str()).collect();
        json!({
            "paused": pause, "processes": processes, "unfinished": open, "indexesToBuild": indexes,
        })
    }
}
