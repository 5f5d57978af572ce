//! Tables that wait while the others go on.

use cdc_consumer::{Progress, Settings, status::Ended};
use target::{domain::Decision, follow::Follow};

use super::world::World;
use crate::fixture::{At, Contract, PAYMENTS, Record, TOPIC, event};

const ME: Decision<'_> = Decision { actor: "me", reason: "a test" };

fn at(lsn: u32) -> At {
    At { lsn, order: Some(1) }
}

async fn pay(world: &World, id: u32, lsn: u32) {
    world.send(PAYMENTS, 0, &Record::payment(id, i64::from(id), at(lsn))).await;
    let count = usize::try_from(id).unwrap();
    world
        .eventually("the payment is there", async |world| world.payments().await.len() == count)
        .await;
}

fn waits(progress: &Progress, topic: &str) -> bool {
    let mut partitions = progress.partitions.iter().filter(|((name, _), _)| name == topic);
    partitions.all(|(_, at)| at.waits)
}

async fn stops(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from ficus.audit where action = 'stream.stopped'")
        .fetch_one(world.target.pool())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_table_waits_and_goes_on_where_it_was() {
    let mut world = World::start("paused").await;
    let consumer = world.consume(world.settings());
    world.produce(300).await;
    world.caught_up(&consumer).await;
    let contracts = world.table("Contract");
    assert!(world.target.pause_table(contracts, ME).await.unwrap());
    consumer.until("it waits", |progress| waits(progress, TOPIC)).await;
    assert!(consumer.progress().held.contains_key(&contracts));
    let before = world.contents_with_positions().await;
    world.produce(300).await;
    pay(&world, 1, 900_000).await;
    assert_eq!(world.contents_with_positions().await, before);
    assert_eq!(world.state_of("Contract").await, "paused operator");

    // A restart changes nothing.
    consumer.stop().await.unwrap();
    let consumer = world.consume(world.settings());
    pay(&world, 2, 900_001).await;
    assert_eq!(world.contents_with_positions().await, before);

    assert_eq!(world.target.resume_table(contracts, ME).await.unwrap(), Follow::Paused);
    world.caught_up(&consumer).await;
    assert_eq!(world.state_of("Contract").await, "following");
    consumer.stop().await.unwrap();
    world.check().await;
    let audit: Vec<String> = sqlx::query_scalar(
        "select actor || ' ' || action || ' ' || subject from ficus.audit order by id",
    )
    .fetch_all(world.target.pool())
    .await
    .unwrap();
    assert_eq!(audit, ["me stream.paused dbo.Contract", "me stream.following dbo.Contract"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f52_a_vanished_column_stops_its_table_and_no_other() {
    let world = World::start("vanished").await;
    let settings = world.settings();
    let consumer = world.consume(settings.clone());
    let row = |number| Contract::new(number, 1, Some("terms"));
    let without = row("B").row(true).replace(r#""Status":1,"#, "");
    world.send(TOPIC, 0, &Record::insert(&row("A"), at(1))).await;
    world.send(TOPIC, 0, &Record::of(&event("Contract", "c", None, Some(&without), at(2)))).await;
    world.send(TOPIC, 0, &Record::insert(&row("C"), at(3))).await;
    world
        .eventually("it is stopped", async |world| {
            world.state_of("Contract").await == "stopped drift"
        })
        .await;
    // In the other partitions, too, and after a restart.
    world.send(TOPIC, 1, &Record::insert(&row("D"), at(4))).await;
    pay(&world, 1, 5).await;
    let numbers = async |world: &World| -> Vec<String> {
        world.contents_with_positions().await.into_iter().map(|row| row.0).collect()
    };
    assert_eq!(numbers(&world).await, ["A"]);
    consumer.stop().await.unwrap();
    let consumer = world.consume(settings.clone());
    pay(&world, 2, 6).await;
    assert_eq!(numbers(&world).await, ["A"]);
    let contracts = world.table("Contract");
    let state = &world.target.table_states().await.unwrap()[0];
    assert!(state.detail.contains("column `Status`"), "{}", state.detail);
    assert!(state.remedy.contains("ficus stream resume dbo.Contract"), "{}", state.remedy);

    // Resumed without being mended, it stops at the same event.
    assert_eq!(world.target.resume_table(contracts, ME).await.unwrap(), Follow::Stopped);
    world.eventually("it is stopped again", async |world| stops(world).await == 2).await;
    consumer.stop().await.unwrap();

    let drift = "Contract:missing=quarantine".parse().unwrap();
    let settings = Settings { drift, ..settings };
    let consumer = world.consume(settings);
    world.target.resume_table(contracts, ME).await.unwrap();
    world.eventually("it goes on", async |world| numbers(world).await == ["A", "C", "D"]).await;
    let report = consumer.stop().await.unwrap();
    assert!(report.progress.held.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_waits_does_not_hold_up_the_end() {
    let mut world = World::start("until_held").await;
    world.produce(100).await;
    let contracts = world.table("Contract");
    world.target.pause_table(contracts, ME).await.unwrap();
    world.send(PAYMENTS, 0, &Record::payment(1, 1, at(50))).await;
    world.send(PAYMENTS, 0, &Record::payment(2, 2, at(900))).await;
    let until = mapping::position::Lsn::parse(&at(500).lsn()).unwrap();
    let settings = Settings { until: Some(until), ..world.settings() };
    let report = world.consume(settings).ended().await.unwrap();
    assert_eq!(report.ended, Ended::ReachedLsn);
    assert!(report.progress.held.contains_key(&contracts));
    assert_eq!(world.payments().await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn f44_rows_that_postgres_refuses_stop_their_table_and_nothing_is_skipped() {
    let world = World::start("flood").await;
    let consumer = world.consume(Settings { batch_rows_max: 20, ..world.settings() });
    for number in 0..600 {
        // The target has a check against this status.
        let row = Contract::new(&format!("N{number}"), -77, Some("terms"));
        world.send(TOPIC, 0, &Record::insert(&row, at(number))).await;
    }
    world
        .eventually("it is stopped", async |world| {
            world.state_of("Contract").await == "stopped flood"
        })
        .await;
    pay(&world, 1, 900).await;
    assert!(world.contents_with_positions().await.is_empty());
    sqlx::query("alter table contracts drop constraint contracts_status_check")
        .execute(&world.admin)
        .await
        .unwrap();
    world.target.resume_table(world.table("Contract"), ME).await.unwrap();
    // What went to quarantine before the flood was noticed is still there, and nothing else is.
    world
        .eventually("all are accounted for", async |world| {
            let counts = world.target.counts().await.unwrap();
            let found = counts.iter().find(|line| line.table == "dbo.Contract");
            found.is_some_and(|line| line.counts.read == 600)
        })
        .await;
    let rows = world.contents_with_positions().await.len();
    let open: i64 =
        sqlx::query_scalar("select count(*) from ficus.quarantine where state = 'open'")
            .fetch_one(world.target.pool())
            .await
            .unwrap();
    assert_eq!(rows + usize::try_from(open).unwrap(), 600);
    // A hundred in a row are a flood; the few batches of twenty that were under way by then go
    // there too.
    assert!((100..=200).contains(&open), "{open}");
    assert_eq!(world.state_of("Contract").await, "following");
    consumer.stop().await.unwrap();
}
