//! The real loop: an in-process Kafka on one side, a real Postgres on the other.

mod atomic;
mod gaps;
mod growth;
mod holds;
mod postgres;
mod tail;
pub(crate) mod world;

use std::time::Duration;

use cdc_consumer::{Error, Settings, status::Ended};
use mapping::position::{Lsn, Position};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use world::{MARKER, PARTITIONS, World};

use crate::fixture::{At, Contract, Record, TOPIC, event};

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_to_postgres_and_the_counts_add_up() {
    let mut world = World::start("follow").await;
    let consumer = world.consume(world.settings());
    world.produce(2_000).await;
    world.caught_up(&consumer).await;
    // What Postgres can't know by itself is told to it.
    world
        .eventually("the lag is told", async |world| {
            let paces = world.target.pace().await.unwrap();
            let contracts: Vec<_> =
                paces.iter().filter(|p| p.table.as_deref() == Some("dbo.Contract")).collect();
            contracts.len() == usize::try_from(PARTITIONS).unwrap()
                && contracts.iter().all(|p| {
                    p.behind() == Some(0)
                        && p.behind_ms == Some(0)
                        && p.legacy_to_kafka_ms.is_some()
                        && p.kafka_to_applied_ms.is_some()
                })
        })
        .await;
    let report = consumer.stop().await.unwrap();
    assert_eq!(report.ended, Ended::Cancelled);
    assert_eq!(report.progress.lag(), 0);
    assert_eq!(report.progress.read(), 2_000);
    assert_eq!(report.progress.messages.tombstone, world.tombstones());
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_a_restart_goes_on_from_what_postgres_says() {
    let mut world = World::start("restart").await;
    for round in 0..3 {
        let consumer = world.consume(Settings { batch_rows_max: 50, ..world.settings() });
        world.produce(500).await;
        if round == 1 {
            // In the middle of it, whatever is collected is finished or dropped.
            tokio::time::sleep(Duration::from_millis(150)).await;
        } else {
            world.caught_up(&consumer).await;
        }
        consumer.stop().await.unwrap();
    }
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_a_replay_from_offset_0_changes_nothing() {
    let mut world = World::start("replay").await;
    let consumer = world.consume(world.settings());
    world.produce(600).await;
    world.caught_up(&consumer).await;
    consumer.stop().await.unwrap();
    let before = world.contents_with_positions().await;
    let consumer = world.consume(Settings { group: "again".into(), ..world.settings() });
    world.caught_up(&consumer).await;
    let report = consumer.stop().await.unwrap();
    let applied: u64 = report.progress.tables.values().map(|counts| counts.applied).sum();
    assert_eq!(applied, 0, "{:?}", report.progress.tables);
    assert_eq!(world.contents_with_positions().await, before);
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_members_come_and_go() {
    let mut world = World::start("members").await;
    let settings = Settings { batch_rows_max: 40, ..world.settings() };
    let first = world.consume(settings.clone());
    world.produce(400).await;
    first.until("it has partitions", |progress| !progress.partitions.is_empty()).await;
    let second = world.consume(settings.clone());
    world.produce(400).await;
    let both = usize::try_from(PARTITIONS).unwrap() + 1;
    second.until("it has partitions", |progress| !progress.partitions.is_empty()).await;
    first.until("it shares", |progress| progress.partitions.len() < both).await;
    world.produce(400).await;
    first.stop().await.unwrap();
    world.produce(400).await;
    world.caught_up(&second).await;
    second.stop().await.unwrap();
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f09_an_older_owner_cannot_commit() {
    let mut world = World::start("fenced").await;
    let consumer = world.consume(world.settings());
    world.produce(200).await;
    world.caught_up(&consumer).await;
    // Another process claims a partition behind the group's back.
    for partition in 0..PARTITIONS {
        world.target.claim_partition("g", TOPIC, partition, "zombie").await.unwrap();
    }
    world.produce(200).await;
    world.caught_up(&consumer).await;
    let report = consumer.stop().await.unwrap();
    assert!(report.progress.assignments >= 2, "{}", report.progress.assignments);
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_broker_that_goes_away_comes_back() {
    let mut world = World::start("broker").await;
    let consumer = world.consume(world.settings());
    world.produce(300).await;
    world.caught_up(&consumer).await;
    world.kafka.set_down(true).unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    world.kafka.set_down(false).unwrap();
    let errors = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT; 3];
    world.kafka.fail(RDKafkaApiKey::Fetch, errors).unwrap();
    world.produce(300).await;
    world.caught_up(&consumer).await;
    consumer.stop().await.unwrap();
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_a_log_that_ends_too_early_is_not_read() {
    let mut world = World::start("truncated").await;
    world.produce(50).await;
    world.set_offset(0, 10_000).await;
    let error = world.consume(world.settings()).ended().await.unwrap_err();
    assert!(matches!(error, Error::Truncated { expected: 10_000, .. }), "{error}");
    assert!(!error.hint().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn f15_messages_that_the_broker_deleted_unread_are_missed() {
    let mut world = World::start("retention").await;
    let consumer = world.consume(world.settings());
    // The first batch stores where reading began, although there is nothing to read.
    consumer.until("its start is stored", |progress| progress.batches > 0).await;
    consumer.stop().await.unwrap();
    // The in-process Kafka keeps no more than 5 MB of a partition.
    world.flood(8 << 20).await;
    let error = world.consume(world.settings()).ended().await.unwrap_err();
    assert!(matches!(error, Error::Retention { expected: 0, partition: 0, .. }), "{error}");
    assert!(error.hint().contains("backfill"));
}

/// The delete of B is lost on its way, its tombstone is not.
#[tokio::test(flavor = "multi_thread")]
async fn f24_a_lone_tombstone_leaves_its_row_and_is_told() {
    let world = World::start("lone").await;
    let consumer = world.consume(world.settings());
    let [a, b] = ["A", "B"].map(|number| Contract::new(number, 1, Some("terms")));
    let at = |lsn| At { lsn, order: Some(1) };
    for record in [
        Record::insert(&a, at(10)),
        Record::insert(&b, at(11)),
        Record::delete(&a, at(12)),
        Record::insert(&Contract::new("C", 1, None), at(13)),
        Record::tombstone(&b),
        Record::insert(&Contract::new("D", 1, None), at(14)),
    ] {
        world.send(TOPIC, 0, &record).await;
    }
    world
        .eventually("D is there", async |world| world.numbers().await.ends_with(&["D".into()]))
        .await;
    assert_eq!(world.numbers().await, ["B", "C", "D"]);
    let messages = consumer.stop().await.unwrap().progress.messages;
    assert_eq!((messages.tombstone, messages.lone_tombstone), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_came_back_is_a_fence() {
    let mut world = World::start("marker").await;
    let consumer = world.consume(world.settings());
    world.produce(300).await;
    let at = At { lsn: 900_000, order: Some(1) };
    let marker = event("ficus_marker", "c", None, Some(r#"{"token":"x","at":1}"#), at);
    world.send(MARKER, 0, &Record::of(&marker)).await;
    let lsn = Lsn::parse(&at.lsn()).unwrap();
    world
        .eventually("the fence is passed", async |world| world.target.passed(lsn).await.unwrap())
        .await;
    world.check().await;
    let report = consumer.stop().await.unwrap();
    assert_eq!(report.progress.messages.marker, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fences_that_are_passed_are_forgotten() {
    let world = World::start("fences").await;
    let consumer = world.consume(world.settings());
    for number in 1..=6 {
        let at = At { lsn: 900_000 + number, order: Some(1) };
        let marker = event("ficus_marker", "c", None, Some(r#"{"token":"x","at":1}"#), at);
        world.send(MARKER, 0, &Record::of(&marker)).await;
        let lsn = Lsn::parse(&at.lsn()).unwrap();
        world
            .eventually("it is passed", async |world| world.target.passed(lsn).await.unwrap())
            .await;
    }
    consumer.stop().await.unwrap();
    let fences: i64 = sqlx::query_scalar("select count(distinct lsn) from ficus.fence")
        .fetch_one(world.target.pool())
        .await
        .unwrap();
    assert!(fences <= 2, "{fences}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_row_postgres_refuses_is_kept() {
    let world = World::start("refused").await;
    let consumer = world.consume(world.settings());
    let at = |lsn| At { lsn, order: Some(1) };
    for (number, status) in [("A", 1), ("B", -77), ("C", 2)] {
        let row = Contract::new(number, status, Some("terms"));
        world.send(TOPIC, 0, &Record::insert(&row, at(10))).await;
    }
    let open = async |world: &World| -> i64 {
        sqlx::query_scalar("select count(*) from ficus.quarantine where state = 'open'")
            .fetch_one(world.target.pool())
            .await
            .unwrap()
    };
    world.eventually("it is in quarantine", async |world| open(world).await == 1).await;
    let filter = target::quarantine::Filter { limit: 10, ..Default::default() };
    let id = world.target.quarantine_list(&filter).await.unwrap()[0].id;
    let full = world.target.quarantine_get(id).await.unwrap();
    assert_eq!(full.entry.rule, "postgres.23514");
    assert_eq!(full.entry.source, Some((TOPIC.to_owned(), 0, 1)));
    let payload = String::from_utf8(full.payload).unwrap();
    assert!(payload.contains(r#""op":"c""#) && !payload.contains("s3cret"), "{payload}");
    world.send(TOPIC, 0, &Record::insert(&Contract::new("B", 3, Some("terms")), at(11))).await;
    world.eventually("it is settled", async |world| open(world).await == 0).await;
    consumer.stop().await.unwrap();
    assert_eq!(world.contents_with_positions().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_by_itself_once_an_lsn_is_passed() {
    let mut world = World::start("until").await;
    world.produce(300).await;
    let until = Lsn::parse(&At { lsn: 250, order: None }.lsn()).unwrap();
    let settings = Settings { until: Some(until), ..world.settings() };
    let report = world.consume(settings).ended().await.unwrap();
    assert_eq!(report.ended, Ended::ReachedLsn);
    // Exactly up to there: what comes later is left where it is.
    let highest: Vec<u8> =
        sqlx::query_scalar("select source_position from contracts order by 1 desc limit 1")
            .fetch_one(world.target.pool())
            .await
            .unwrap();
    let highest = Position::from_slice(&highest).unwrap();
    assert!(highest.lsn() <= until, "{highest}");
    // From there it goes on, until all is applied.
    let settings = Settings { until: None, ..world.settings() };
    let consumer = world.consume(settings);
    world.caught_up(&consumer).await;
    consumer.stop().await.unwrap();
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_one_sentence() {
    let world = World::start("settings").await;
    let error = world.consume(Settings::new("", "g", "p")).ended().await.unwrap_err();
    assert_eq!(error.to_string(), "setting `bootstrap_servers`: it is empty");
}
