use std::collections::BTreeMap;

use cdc_consumer::status::{Drift, PartitionProgress};
use target::{
    Counts,
    follow::{Follow, TableState},
    stream::PartitionPace,
};

use super::*;

fn progress() -> Progress {
    let mut progress = Progress { state: State::Following, batches: 7, ..Progress::default() };
    progress.messages.data = 12;
    let counts = Counts { read: 12, applied: 9, stale: 1, folded: 1, quarantined: 1, ignored: 0 };
    progress.tables = BTreeMap::from([(TableId(0), counts)]);
    let at = PartitionProgress { next: 10, end: 14, waits: false };
    progress.partitions = BTreeMap::from([(("p.Db.dbo.Contract".to_owned(), 1), at)]);
    let mut drift = Drift::default();
    drift.unknown.insert("odd \"name\"\n".to_owned(), 3);
    progress.drift = BTreeMap::from([(TableId(0), drift)]);
    progress.unmapped.insert("dbo.Else".to_owned(), 2);
    progress
}

fn plan() -> Plan {
    let catalog = spacehub::catalog().unwrap();
    Plan::compile(&spacehub::mappings(), &catalog).unwrap()
}

/// Every name that is served is in the document, and the other way round.
#[test]
fn the_document_lists_every_metric() {
    let document = include_str!("../../../../../../docs/metrics.md");
    let mut progress = progress();
    progress.pending = Some(cdc_consumer::status::Pending {
        transaction: mapping::position::Lsn::ZERO,
        here: 1,
        needed: None,
        bytes: 5,
    });
    let page = render(&plan(), &progress, Some(&Picture::default()), Some(1));
    let served: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    for name in &served {
        assert!(document.contains(&format!("| `{name}`")), "docs/metrics.md: {name}");
    }
    let told = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    for name in told {
        assert!(served.contains(&name), "docs/metrics.md names {name}, which nobody serves");
    }
}

#[test]
fn the_page_is_what_prometheus_reads() {
    let pace = PartitionPace {
        group: "g".to_owned(),
        topic: "t".to_owned(),
        partition: 0,
        table: Some("dbo.Contract".to_owned()),
        next_offset: 10,
        end_offset: Some(14),
        commit_lsn: None,
        owner: String::new(),
        messages_per_second: Some(2.0),
        legacy_to_kafka_ms: Some(1_250),
        kafka_to_applied_ms: Some(35),
        behind_ms: Some(60_000),
        told_ms_ago: Some(1),
    };
    let state = TableState {
        table: "dbo.Payment".to_owned(),
        state: Follow::Stopped,
        reason: "gap".to_owned(),
        detail: String::new(),
        remedy: String::new(),
        since_ms: 0,
        verified: None,
        gap_accepted: false,
    };
    let picture = Picture {
        stream: Stream::of(&[pace], &[state], Vec::new()),
        quarantine: vec![QuarantineCount {
            table: None,
            rule: "message.json".to_owned(),
            open: 1,
            settled: 4,
        }],
        parked: vec![ParkedCount { table: "dbo.Contract".to_owned(), parked: 2 }],
    };
    let page = render(&plan(), &progress(), Some(&picture), Some(1_048_576));
    insta::assert_snapshot!(page);
    let away = render(&plan(), &progress(), None, None);
    assert!(away.contains("ficus_stream_postgres_up 0\n") && !away.contains("ficus_quarantine"));
}
