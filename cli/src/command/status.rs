//! `ficus status`.

use target::{Counts, Target};

use crate::{exit::Exit, out, parts, settings::Settings};

/// The columns of [`counts_row`].
pub(crate) const COUNTS_HEADER: &[&str] =
    &["table", "by", "read", "applied", "stale", "folded", "ignored", "quarantined"];

/// Prints states, positions and counts.
pub(crate) async fn run(json: bool, settings: &Settings) -> anyhow::Result<Exit> {
    let plan = parts::plan(settings).await?;
    let target = parts::target(settings, &plan).await?;
    if json {
        out::line(serde_json::to_string_pretty(&as_json(&target).await?)?);
    } else {
        out::line(as_text(&target).await?);
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

async fn as_text(target: &Target) -> anyhow::Result<String> {
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
    let positions: Vec<Vec<String>> = target
        .positions()
        .await?
        .into_iter()
        .map(|p| {
            let lsn = p.commit_lsn.map_or("-".to_owned(), |lsn| lsn.to_string());
            let quiet = out::thousands(u64::try_from(p.now_ms - p.updated_at_ms).unwrap_or(0));
            vec![format!("{}/{}", p.topic, p.partition), p.next_offset.to_string(), lsn, quiet]
        })
        .collect();
    text.push_str(&out::table(&["partition", "next offset", "commit LSN", "quiet ms"], &positions));
    if let Some(passed) = target.last_passed().await? {
        text.push_str(&format!(
            "\n  the stream has passed {}, {} ms ago\n",
            passed.lsn, passed.age_ms
        ));
    }
    let parked: u64 = target.parked_counts().await?.iter().map(|line| line.parked).sum();
    let open: u64 = target.quarantine_counts().await?.iter().map(|line| line.open).sum();
    text.push_str(&format!("  quarantine: {open} open; parked partial images: {parked}\n"));
    Ok(text)
}

async fn as_json(target: &Target) -> anyhow::Result<serde_json::Value> {
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
        .positions()
        .await?
        .into_iter()
        .map(|p| {
            serde_json::json!({
                "group": p.group, "topic": p.topic, "partition": p.partition,
                "nextOffset": p.next_offset, "epoch": p.epoch,
                "commitLsn": p.commit_lsn.map(|lsn| lsn.to_string()),
                "updatedAtMs": p.updated_at_ms,
            })
        })
        .collect();
    let passed = target.last_passed().await?;
    Ok(serde_json::json!({
        "domains": domains, "tables": tables, "partitions": partitions,
        "passedLsn": passed.map(|p| p.lsn.to_string()),
    }))
}
