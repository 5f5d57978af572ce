//! Progress for programs: what happens, one JSON object a line on standard output.

use backfill::{Event, Progress};
use serde_json::{Value, json};

use super::meter::Meter;
use crate::out;

/// The lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    meter: Meter,
}

impl Progress for Lines {
    fn event(&self, event: Event<'_>) {
        let known = self.meter.take(&event).map(|(_, table)| table);
        let mut line = told(&event);
        let counted = matches!(event, Event::Committed { .. });
        if let (Value::Object(fields), Some(table), true) = (&mut line, known, counted) {
            fields.insert("rowsRead".to_owned(), table.rows_read().into());
            fields.insert("rowsPerSecond".to_owned(), table.rate().into());
            let left = table.left().map(|left| left.as_secs());
            fields.insert("secondsLeftEstimate".to_owned(), left.into());
        }
        if !line.is_null() {
            out::line(line.to_string());
        }
    }
}

fn told(event: &Event<'_>) -> Value {
    match event {
        Event::Planned { table, rows_estimate, rows_before, chunks_done, chunks_total } => json!({
            "event": "planned", "table": table.to_string(), "rowsEstimate": rows_estimate,
            "rowsBefore": rows_before, "chunksDone": chunks_done, "chunksTotal": chunks_total,
        }),
        Event::Reading { table } => json!({ "event": "reading", "table": table.to_string() }),
        Event::Committed { table, rows, quarantined } => json!({
            "event": "committed", "table": table.to_string(), "rows": rows,
            "quarantined": quarantined,
        }),
        Event::ChunkDone { table, chunks_done, chunks_total } => json!({
            "event": "chunkDone", "table": table.to_string(), "chunksDone": chunks_done,
            "chunksTotal": chunks_total,
        }),
        Event::ChunkSplit { table, chunks_total } => json!({
            "event": "chunkSplit", "table": table.to_string(), "chunksTotal": chunks_total,
        }),
        Event::Retrying { table, attempt, pause, reason } => json!({
            "event": "retrying", "table": table.to_string(), "attempt": attempt,
            "pauseMs": u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "reason": reason,
        }),
        Event::Failed { table, reason } => json!({
            "event": "failed", "table": table.to_string(), "reason": reason,
        }),
        Event::Holding { hold } => json!({ "event": "holding", "reason": hold.to_string() }),
        Event::GoingOn => json!({ "event": "goingOn" }),
        Event::Warning { text } => json!({ "event": "warning", "text": text }),
        _ => Value::Null,
    }
}

/// The last line.
pub(super) fn report(report: &backfill::Report) -> Value {
    let tables: Vec<Value> = report
        .tables
        .iter()
        .map(|table| {
            let counts = &table.counts;
            json!({
                "table": table.table.to_string(), "read": counts.read, "applied": counts.applied,
                "stale": counts.stale, "folded": counts.folded, "ignored": counts.ignored,
                "quarantined": counts.quarantined, "chunksDone": table.chunks_done,
                "chunksTotal": table.chunks_total, "retries": table.retries,
                "failure": table.failure, "keysMissingInLines": table.keys_missing,
            })
        })
        .collect();
    json!({
        "event": "report", "complete": report.is_complete(), "cancelled": report.cancelled,
        "rowsRead": report.rows_read(), "rowsQuarantined": report.rows_quarantined(),
        "elapsedMs": u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        "warnings": report.warnings, "tables": tables,
    })
}
