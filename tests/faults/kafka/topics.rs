//! What a broker or its administrator does to a topic: deletes unread messages, compacts, makes it
//! anew, gives it more partitions.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use rdkafka::{
    Offset, TopicPartitionList,
    admin::NewPartitions,
    consumer::{BaseConsumer, Consumer as _},
};
use rustix::process::Signal;

use super::GAPS;
use crate::{
    broker::{Broker, options},
    ledger::Table,
    oracle,
    process::Process,
    suite::trial,
    world::{LIMIT, World},
};

pub(super) fn add(trials: &mut Vec<Trial>) {
    trials.extend([
        trial("kafka::f13_a_log_that_ends_before_our_offset_is_a_hard_stop", truncated),
        trial("kafka::f14_a_topic_made_anew_is_a_hard_stop", || made_anew(40)),
        trial("kafka::f14_a_longer_topic_made_anew_is_a_hard_stop", || made_anew(900)),
        trial("kafka::f14_a_topic_made_anew_under_a_reader_is_a_hard_stop", made_anew_under),
        trial("kafka::f15_retention_while_nobody_reads_is_a_hard_stop", retention),
        trial("kafka::f15_retention_ahead_of_a_slow_reader_is_a_hard_stop", overtaken),
        trial("kafka::f18_more_partitions_in_mid_run_stop_what_may_lose_a_value", more_partitions),
        trial("kafka::a_compacted_topic_is_read_with_leave", compacted),
    ]);
}

/// Exit code 3, and the words.
async fn fails(process: &mut Process, words: &[&str]) {
    let status = process.wait().await;
    let said = process.words();
    assert_eq!(status.code(), Some(3), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in:\n{said}");
    }
}

async fn consumed_some(world: &mut World) {
    let mut process = world.consume(&[]);
    world.produce(100).await;
    world.caught_up(&mut process).await;
    process.stop().await;
}

async fn truncated() {
    let mut world = World::start(Broker::real(), 11).await;
    consumed_some(&mut world).await;
    sqlx::query("update ficus.partition set next_offset = 10000 where topic = $1")
        .bind(world.topic(Table::Party))
        .execute(&world.pool)
        .await
        .expect("an accident");
    let mut process = world.consume(&[]);
    fails(&mut process, &["ends at offset", "10000", "reconcile"]).await;
    world.stop().await;
}

/// The same name, offsets from 0 again: also where the new one is longer than the old one was.
async fn made_anew(transactions: u32) {
    let mut world = World::start(Broker::real(), 12).await;
    consumed_some(&mut world).await;
    let topic = world.topic(Table::Contract);
    let admin = world.broker.admin();
    admin.delete_topics(&[&topic], &options()).await.expect("an answer");
    let gone = async || world.partitions(&topic) == 0;
    world.eventually("the topic is gone", None, gone).await;
    world.broker.create_topics(&[(topic.clone(), 2)], &[]).await;
    world.forget(Table::Contract);
    world.produce(transactions).await;
    let before = world.consumed().await;
    let mut process = world.consume(&[]);
    fails(&mut process, &[&topic, "made anew"]).await;
    assert_eq!(world.consumed().await, before, "nothing was read of it");
    world.stop().await;
}

async fn made_anew_under() {
    let mut world = World::start(Broker::real(), 18).await;
    let mut process = world.consume(&[]);
    world.produce(100).await;
    world.caught_up(&mut process).await;
    let topic = world.topic(Table::Contract);
    let positions = async |world: &World| {
        let mut positions = world.positions(&world.group).await;
        positions.retain(|(name, _), _| *name == topic);
        positions
    };
    let before = positions(&world).await;
    let admin = world.broker.admin();
    admin.delete_topics(&[&topic], &options()).await.expect("an answer");
    let gone = async || world.partitions(&topic) == 0;
    world.eventually("the topic is gone", None, gone).await;
    world.broker.create_topics(&[(topic.clone(), 2)], &[]).await;
    world.forget(Table::Contract);
    world.produce(900).await;
    fails(&mut process, &[&topic, "made anew"]).await;
    assert_eq!(positions(&world).await, before, "nothing was read of it");
    // Who starts it again is told so again.
    let mut process = world.consume(&[]);
    fails(&mut process, &[&topic, "made anew"]).await;
    world.stop().await;
}

/// Retention moves the log's beginning; so does this call, at once.
async fn delete_unread(world: &World) {
    let mut list = TopicPartitionList::new();
    for partition in 0..2 {
        let place =
            list.add_partition_offset(&world.topic(Table::Contract), partition, Offset::End);
        place.expect("a place");
    }
    world.broker.admin().delete_records(&list, &options()).await.expect("an answer");
}

async fn retention() {
    let mut world = World::start(Broker::real(), 13).await;
    consumed_some(&mut world).await;
    world.produce(100).await;
    delete_unread(&world).await;
    world.produce(20).await;
    let mut process = world.consume(&[]);
    let words =
        ["were deleted by the broker before they were read", "kafka.lost_offsets", "backfill"];
    fails(&mut process, &words).await;
    // The tables are read again, then the loss is accepted once.
    let records = world.ledger.read_all();
    world.send(records).await;
    let mut process = world.consume(&[("FICUS_KAFKA_LOST_OFFSETS", "accept")]);
    world.caught_up(&mut process).await;
    let missing = oracle::differences_of(&world).await;
    // A deletion that nobody read is what a copy can't bring; nothing else may be wrong.
    assert!(missing.iter().all(|line| line.ends_with("is invented")), "{missing:#?}");
    process.stop().await;
    world.stop().await;
}

async fn overtaken() {
    let mut world = World::start(Broker::real(), 14).await;
    let mut process = world.consume(&[]);
    world.produce(100).await;
    world.caught_up(&mut process).await;
    process.signal(Signal::STOP);
    world.produce(400).await;
    delete_unread(&world).await;
    world.produce(20).await;
    process.signal(Signal::CONT);
    fails(&mut process, &["were deleted by the broker before they were read"]).await;
    world.stop().await;
}

/// Keys move to other partitions, so what is older may come later.
async fn more_partitions() {
    let mut world = World::start(Broker::real(), 15).await;
    let mut process = world.consume(&[]);
    world.produce(300).await;
    world.caught_up(&mut process).await;
    let topics = Table::ALL.map(|table| world.topic(table));
    let wanted: Vec<NewPartitions<'_>> =
        topics.iter().map(|topic| NewPartitions::new(topic, 5)).collect();
    let made = world.broker.admin().create_partitions(&wanted, &options()).await;
    for result in made.expect("an answer") {
        result.expect("partitions");
    }
    for topic in &topics {
        let grown = async || world.partitions(topic) == 5;
        world.eventually("the partitions are there", None, grown).await;
    }
    world.set_partitions(5);
    // A producer learns of them by itself, but late.
    world.set_producer(world.broker.producer());
    world.produce(300).await;
    world.produce_the_rest().await;
    // Those that have large values wait; leaves of parties have none.
    let stopped = async || stopped(&world).await == ["dbo.Contract", "dbo.Party"];
    world.eventually("the tables are stopped", Some(&mut process), stopped).await;
    assert!(process.words().contains("restart the connector"), "{}", process.words());
    let resume = world.ficus(&["stream", "resume"]).output().expect("an answer");
    let said = String::from_utf8_lossy(&resume.stderr).into_owned();
    assert_eq!(resume.status.code(), Some(64), "{said}");
    assert!(said.contains("backfill") && said.contains("--reason"), "{said}");
    // Everything is read again behind what is out of order, as an incremental snapshot does.
    let records = world.ledger.read_all();
    world.send(records).await;
    let resume = ["stream", "resume", "--reason", "read again by an incremental snapshot"];
    let resumed = world.ficus(&resume).status().expect("an answer");
    assert_eq!(resumed.code(), Some(0));
    world.caught_up(&mut process).await;
    oracle::assert_rows(&world).await;
    process.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}

async fn stopped(world: &World) -> Vec<String> {
    sqlx::query_scalar(
        "select source_table from ficus.stream_table
         where state = 'stopped' and reason = 'partitions' order by 1",
    )
    .fetch_all(&world.pool)
    .await
    .expect("states")
}

/// Older versions of rows are gone, and offsets with them; so are the deletes, of which only the
/// tombstones are left.
async fn compacted() {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "1000"),
    ];
    let mut world = World::start_with(Broker::real(), 16, &settings).await;
    world.produce(400).await;
    // What an update left out is in an older version, and those are gone: so everything is read
    // again, as an incremental snapshot does.
    let records = world.ledger.read_all();
    world.send(records).await;
    let sent = i64::try_from(world.sent()).expect("few");
    // A segment is closed when a message comes that is so much younger.
    let since = Instant::now();
    while left(&world) > sent / 2 {
        assert!(since.elapsed() < LIMIT, "it is not compacted");
        let records = world.ledger.nothing();
        world.send(records).await;
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }
    let mut process = world.consume(&[]);
    fails(&mut process, &["expected", "kafka.offset_gaps"]).await;
    let mut process = world.consume(&[GAPS]);
    world.at_the_end(&mut process).await;
    oracle::assert_rows(&world).await;
    process.stop().await;
    world.stop().await;
}

/// Messages that are left in the tables' topics.
fn left(world: &World) -> i64 {
    tokio::task::block_in_place(|| {
        let mut config = world.broker.config();
        config.set("group.id", "counts").set("enable.partition.eof", "true");
        let client: BaseConsumer = config.create().expect("a client");
        let mut list = TopicPartitionList::new();
        for topic in Table::ALL.map(|table| world.topic(table)) {
            for partition in 0..2 {
                list.add_partition_offset(&topic, partition, Offset::Beginning).expect("a place");
            }
        }
        client.assign(&list).expect("partitions");
        let (mut count, mut ends) = (0, 0);
        while ends < list.count() {
            match client.poll(Duration::from_secs(1)) {
                Some(Ok(_)) => count += 1,
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ends += 1,
                _ => {}
            }
        }
        count
    })
}
