//! `ficus status`.

mod copying;
pub(crate) mod stream;

use target::{Counts, Target, status::TableCounts};

use self::stream::Stream;
use crate::{exit::Exit, out, parts, settings::Settings};

/// The columns of [`counts_row`].
pub(crate) const COUNTS_HEADER: &[&str] =
    &["table", "by", "read", "applied", "stale", "folded", "ignored", "quarantined"];

/// Prints states, positions and counts.
pub(crate) async fn run(json: bool, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    let target = parts::target(settings, &plan).await?;
    let group = settings.text("kafka.group");
    let stream = Stream::read(&target, group.as_deref()).await?;
    if json {
        out::line(serde_json::to_string_pretty(&as_json(&target, &stream).await?)?);
    } else {
        out::line(as_text(&target, &stream).await?);
    }
    Ok(Exit::Success)
}

/// Counts as cells; they add up from left to right.
pub(crate) fn counts_row(table: String, by: String, counts: &Counts) -> Vec<String> {
    let numbers = [
        counts.read,
        counts.applied,
        counts.stale,
        counts.folded,
        counts.ignored,
        counts.quarantined,
    ];
    [table, by].into_iter().chain(numbers.into_iter().map(out::thousands)).collect()
}

/// Law 4, for every line.
fn counts_add_up(counts: &[TableCounts]) -> bool {
    counts.iter().all(|line| {
        let c = &line.counts;
        c.read == c.applied + c.stale + c.folded + c.ignored + c.quarantined
    })
}

async fn as_text(target: &Target, stream: &Stream) -> anyhow::Result<String> {
    let mut text = String::new();
    let domains: Vec<Vec<String>> = target
        .domains()
        .await?
        .into_iter()
        .map(|domain| vec![domain.name, domain.state.to_string()])
        .collect();
    text.push_str(&out::table(&["domain", "state"], &domains));
    text.push('\n');
    let counts: Vec<Vec<String>> = target
        .counts()
        .await?
        .into_iter()
        .map(|line| counts_row(line.table, line.origin, &line.counts))
        .collect();
    text.push_str(&out::table(COUNTS_HEADER, &counts));
    text.push('\n');
    text.push_str(&stream.text());
    if let Some(passed) = target.last_passed().await? {
        text.push_str(&format!(
            "\n  the stream has passed {}, {} ms ago\n",
            passed.lsn, passed.age_ms
        ));
    }
    let parked: u64 = target.parked_counts().await?.iter().map(|line| line.parked).sum();
    let open: u64 = target.quarantine_counts().await?.iter().map(|line| line.open).sum();
    text.push_str(&format!("  quarantine: {open} open; parked partial images: {parked}\n"));
    let again = target.reselect_count().await?;
    if again > 0 {
        text.push_str(&format!("  to be read again from the legacy database: {again} rows\n"));
    }
    text.push_str(&copying::Copying::read(target).await?.text());
    let adds_up = counts_add_up(&target.counts().await?);
    text.push_str(&format!(
        "  read = applied + stale + folded + ignored + quarantined: {}\n",
        if adds_up { "yes, for every table" } else { "NO" }
    ));
    Ok(text)
}

async fn as_json(target: &Target, stream: &Stream) -> anyhow::Result<serde_json::Value> {
    let domains: Vec<_> = target
        .domains()
        .await?
        .into_iter()
        .map(|d| serde_json::json!({ "name": d.name, "state": d.state.to_string() }))
        .collect();
    let tables: Vec<_> = target
        .counts()
        .await?
        .into_iter()
        .map(|line| {
            let c = line.counts;
            serde_json::json!({
                "table": line.table, "by": line.origin, "read": c.read, "applied": c.applied,
                "stale": c.stale, "folded": c.folded, "ignored": c.ignored,
                "quarantined": c.quarantined, "ignoredByRule": line.ignored,
            })
        })
        .collect();
    let partitions: Vec<_> = target
        .pace()
        .await?
        .into_iter()
        .map(|p| {
            serde_json::json!({
                "group": p.group, "topic": p.topic, "partition": p.partition, "table": p.table,
                "nextOffset": p.next_offset, "endOffset": p.end_offset, "owner": p.owner,
                "commitLsn": p.commit_lsn.map(|lsn| lsn.to_string()),
                "behindMessages": p.behind(), "behindMs": p.behind_ms,
                "legacyToKafkaMs": p.legacy_to_kafka_ms,
                "kafkaToAppliedMs": p.kafka_to_applied_ms,
                "messagesPerSecond": p.messages_per_second, "toldMsAgo": p.told_ms_ago,
            })
        })
        .collect();
    let quarantine: Vec<_> = target
        .quarantine_counts()
        .await?
        .into_iter()
        .map(|line| {
            serde_json::json!({
                "table": line.table, "rule": line.rule, "open": line.open, "settled": line.settled,
            })
        })
        .collect();
    let parked: Vec<_> = target
        .parked_counts()
        .await?
        .into_iter()
        .map(|line| serde_json::json!({ "table": line.table, "parked": line.parked }))
        .collect();
    let (followed, drift) = stream.json();
    let passed = target.last_passed().await?;
    Ok(serde_json::json!({
        "domains": domains, "tables": tables, "stream": followed, "drift": drift,
        "partitions": partitions, "quarantine": quarantine, "parked": parked,
        "reselect": target.reselect_count().await?,
        "backfill": copying::Copying::read(target).await?.json(),
        "countsAddUp": counts_add_up(&target.counts().await?),
        "passedLsn": passed.map(|p| p.lsn.to_string()),
    }))
}
