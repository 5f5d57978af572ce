//! The page itself.

use cdc_consumer::{Progress, status::State};
use mapping::plan::{Plan, TableId};
use show::metrics::{Page, Seconds};
use target::{
    Target,
    status::{ParkedCount, QuarantineCount},
};

use crate::command::status::stream::Stream;

/// What comes from Postgres.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Picture {
    pub(crate) stream: Stream,
    pub(crate) quarantine: Vec<QuarantineCount>,
    pub(crate) parked: Vec<ParkedCount>,
}

impl Picture {
    pub(crate) async fn read(target: &Target, group: &str) -> anyhow::Result<Self> {
        Ok(Self {
            stream: Stream::read(target, Some(group)).await?,
            quarantine: target.quarantine_counts().await?,
            parked: target.parked_counts().await?,
        })
    }
}

/// Everything, in Prometheus's text format.
pub(crate) fn render(
    plan: &Plan,
    progress: &Progress,
    picture: Option<&Picture>,
    resident_bytes: Option<u64>,
) -> String {
    let mut page = Page::default();
    process(&mut page, progress, resident_bytes);
    messages(&mut page, progress);
    events(&mut page, plan, progress);
    partitions(&mut page, progress);
    page.family("ficus_stream_postgres_up", "gauge", "1 when Postgres answered for this page.");
    page.sample("ficus_stream_postgres_up", &[], u8::from(picture.is_some()));
    if let Some(picture) = picture {
        tables(&mut page, &picture.stream);
        aside(&mut page, picture);
    }
    page.into_string()
}

fn process(page: &mut Page, progress: &Progress, resident_bytes: Option<u64>) {
    page.family("ficus_stream_state", "gauge", "1 for what the process is doing.");
    let states = [
        (State::Joining, "joining"),
        (State::Following, "following"),
        (State::Waiting, "waiting"),
        (State::Stopped, "stopped"),
    ];
    for (state, name) in states {
        let is = u8::from(progress.state == state);
        page.sample("ficus_stream_state", &[("state", name)], is);
    }
    let counters = [
        ("ficus_stream_batches_total", "Batches committed.", progress.batches),
        ("ficus_stream_retries_total", "Attempts that failed and were repeated.", progress.retries),
        (
            "ficus_stream_assignments_total",
            "Rebalances that gave this process partitions.",
            progress.assignments,
        ),
    ];
    for (name, help, value) in counters {
        page.family(name, "counter", help);
        page.sample(name, &[], value);
    }
    if let Some(pending) = &progress.pending {
        page.family(
            "ficus_stream_pending_bytes",
            "gauge",
            "With --atomic: bytes that wait for their transaction.",
        );
        page.sample("ficus_stream_pending_bytes", &[], pending.bytes);
    }
    if let Some(bytes) = resident_bytes {
        page.family("process_resident_memory_bytes", "gauge", "Resident memory.");
        page.sample("process_resident_memory_bytes", &[], bytes);
    }
}

fn messages(page: &mut Page, progress: &Progress) {
    let messages = &progress.messages;
    page.family("ficus_stream_messages_total", "counter", "Messages read, by kind.");
    let kinds = [
        ("data", messages.data),
        ("tombstone", messages.tombstone),
        ("heartbeat", messages.heartbeat),
        ("transaction", messages.transaction),
        ("schema_change", messages.schema_change),
        ("marker", messages.marker),
        ("foreign", messages.foreign),
        ("duplicate", messages.duplicate),
    ];
    for (kind, count) in kinds {
        page.sample("ficus_stream_messages_total", &[("kind", kind)], count);
    }
    page.family(
        "ficus_stream_lone_tombstones_total",
        "counter",
        "Tombstones without their delete: each may have left a row behind.",
    );
    page.sample("ficus_stream_lone_tombstones_total", &[], messages.lone_tombstone);
    page.family(
        "ficus_stream_unmapped_events_total",
        "counter",
        "Events of tables that no mapping file names.",
    );
    for (table, count) in &progress.unmapped {
        page.sample("ficus_stream_unmapped_events_total", &[("table", table)], count);
    }
}

fn events(page: &mut Page, plan: &Plan, progress: &Progress) {
    let name = |id: TableId| {
        let found = plan.tables.iter().find(|table| table.id == id);
        found.map(|table| table.table.to_string()).unwrap_or_default()
    };
    page.family("ficus_stream_events_read_total", "counter", "Data events read.");
    for (table, counts) in &progress.tables {
        let labels = [("table", name(*table))];
        page.sample("ficus_stream_events_read_total", &borrowed(&labels), counts.read);
    }
    page.family(
        "ficus_stream_events_total",
        "counter",
        "Data events by what became of them; over all outcomes they are those that were read.",
    );
    for (table, counts) in &progress.tables {
        let table = name(*table);
        let outcomes = [
            ("applied", counts.applied),
            ("stale", counts.stale),
            ("folded", counts.folded),
            ("ignored", counts.ignored),
            ("quarantined", counts.quarantined),
        ];
        for (outcome, count) in outcomes {
            let labels = [("table", table.as_str()), ("outcome", outcome)];
            page.sample("ficus_stream_events_total", &labels, count);
        }
    }
    page.family(
        "ficus_stream_drift_events_total",
        "counter",
        "Events with a column that surprised, by how.",
    );
    for (table, drift) in &progress.drift {
        let table = name(*table);
        let kinds =
            [("unknown", &drift.unknown), ("missing", &drift.missing), ("retyped", &drift.retyped)];
        for (kind, columns) in kinds {
            for (column, count) in columns {
                let labels = [("table", table.as_str()), ("column", column), ("kind", kind)];
                page.sample("ficus_stream_drift_events_total", &labels, count);
            }
        }
    }
}

fn partitions(page: &mut Page, progress: &Progress) {
    page.family(
        "ficus_stream_lag_messages",
        "gauge",
        "Messages not applied, of the partitions of this process.",
    );
    for ((topic, partition), at) in &progress.partitions {
        let partition = partition.to_string();
        let labels = [("topic", topic.as_str()), ("partition", &partition)];
        page.sample("ficus_stream_lag_messages", &labels, (at.end - at.next).max(0));
    }
}

fn tables(page: &mut Page, stream: &Stream) {
    page.family("ficus_stream_table_state", "gauge", "1 for the state of the table.");
    for table in &stream.tables {
        for state in ["following", "paused", "stopped"] {
            let labels = [("table", table.table.as_str()), ("state", state)];
            let is = u8::from(table.state.as_str() == state);
            page.sample("ficus_stream_table_state", &labels, is);
        }
    }
    page.family(
        "ficus_stream_hop_seconds",
        "gauge",
        "How long the newest applied change took: from its commit to Kafka, and from there to Postgres.",
    );
    for table in &stream.tables {
        let hops = [
            ("legacy_to_kafka", table.legacy_to_kafka_ms),
            ("kafka_to_applied", table.kafka_to_applied_ms),
        ];
        for (hop, ms) in hops {
            let Some(ms) = ms else { continue };
            let labels = [("table", table.table.as_str()), ("hop", hop)];
            page.sample("ficus_stream_hop_seconds", &labels, Seconds(ms));
        }
    }
    page.family(
        "ficus_stream_behind_seconds",
        "gauge",
        "Age of the newest applied change while there are newer ones; 0 when there are none.",
    );
    for table in &stream.tables {
        if let Some(ms) = table.behind_ms {
            let labels = [("table", table.table.as_str())];
            page.sample("ficus_stream_behind_seconds", &labels, Seconds(ms));
        }
    }
    page.family("ficus_stream_behind_messages", "gauge", "Messages of the table not applied.");
    for table in &stream.tables {
        if let Some(behind) = table.behind {
            let labels = [("table", table.table.as_str())];
            page.sample("ficus_stream_behind_messages", &labels, behind);
        }
    }
}

fn aside(page: &mut Page, picture: &Picture) {
    page.family("ficus_quarantine_open", "gauge", "Open entries of the quarantine.");
    for line in &picture.quarantine {
        let labels =
            [("table", line.table.as_deref().unwrap_or_default()), ("rule", line.rule.as_str())];
        page.sample("ficus_quarantine_open", &labels, line.open);
    }
    page.family("ficus_parked_changes", "gauge", "Changes that wait for their row.");
    for line in &picture.parked {
        page.sample("ficus_parked_changes", &[("table", &line.table)], line.parked);
    }
}

fn borrowed<'a>(labels: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    labels.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[cfg(test)]
mod tests;
