//! How far the stream is, and how long each hop takes.

use std::time::{SystemTime, UNIX_EPOCH};

use target::{Checkpoint, batch::OffsetAdvance, stream::PartitionLag};

use crate::lab::{Lab, at, contract, lsn};

const TOPIC: &str = "lab.Lab.dbo.Contract";

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("in range")
}

async fn advance(lab: &Lab, expected: i64, next: i64, times: Option<(i64, i64)>) {
    let claim = lab.target.claim_partition("g", TOPIC, 0, "me").await.expect("a claim");
    let advance = OffsetAdvance {
        topic: TOPIC.to_owned(),
        partition: 0,
        expected,
        next,
        epoch: claim.epoch,
        commit_lsn: times.map(|_| lsn(10)),
        source_ts_ms: times.map(|(source, _)| source),
        kafka_ts_ms: times.map(|(_, kafka)| kafka),
        fingerprint: None,
    };
    let checkpoint = Checkpoint::Offsets { group: "g".to_owned(), advances: vec![advance] };
    let row = contract("A", next, "x");
    let position = at(u64::try_from(next).expect("positive"));
    lab.batch().upsert("Contract", row, position).checkpoint(checkpoint).apply(&lab.target).await;
}

#[tokio::test]
async fn each_hop_of_the_newest_change_is_told() {
    let lab = Lab::new().await;
    let now = now_ms();
    advance(&lab, 0, 5, Some((now - 9_000, now - 2_000))).await;
    let pace = lab.target.pace().await.expect("a pace").remove(0);
    assert_eq!((pace.end_offset, pace.behind(), pace.table), (None, None, None));
    assert_eq!(pace.legacy_to_kafka_ms, Some(7_000));
    let hop = pace.kafka_to_applied_ms.expect("a hop");
    assert!((1_900..120_000).contains(&hop), "{hop}");
    assert!(pace.behind_ms.expect("it may be behind") >= 8_900);

    let lag = |end_offset| PartitionLag {
        topic: TOPIC.to_owned(),
        partition: 0,
        table: Some("dbo.Contract".to_owned()),
        end_offset,
        messages_per_second: 12.5,
    };
    lab.target.tell_lag("g", &[lag(8)]).await.expect("told");
    let pace = lab.target.pace().await.expect("a pace").remove(0);
    assert_eq!((pace.behind(), pace.messages_per_second), (Some(3), Some(12.5)));
    assert_eq!(pace.table.as_deref(), Some("dbo.Contract"));
    // A batch without a change (a tombstone) moves the offset, and no clock.
    advance(&lab, 5, 8, None).await;
    let pace = lab.target.pace().await.expect("a pace").remove(0);
    assert_eq!((pace.behind(), pace.behind_ms), (Some(0), Some(0)));
    assert_eq!((pace.legacy_to_kafka_ms, pace.kafka_to_applied_ms), (Some(7_000), Some(hop)));
    // An end that was told before more was applied is not below it.
    advance(&lab, 8, 12, Some((now - 1_000, now - 1_500))).await;
    let pace = lab.target.pace().await.expect("a pace").remove(0);
    assert_eq!((pace.end_offset, pace.behind()), (Some(12), Some(0)));
    assert_eq!(pace.legacy_to_kafka_ms, Some(0), "clocks differ");
}
