//! Topics that get more partitions.

use super::{
    gaps::{copy, copy_again, is, paid, send},
    world::World,
};
use crate::fixture::{PAYMENTS, TOPIC};

/// As if the topics had had fewer partitions when they were read last.
async fn grow(world: &World) {
    let shrunk = sqlx::query("update ficus.topic set partitions = 1 where topic = any ($1)")
        .bind([TOPIC, PAYMENTS])
        .execute(&world.admin)
        .await
        .unwrap();
    assert_eq!(shrunk.rows_affected(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_more_partitions_stop_a_table_with_large_values_until_it_is_copied_again() {
    let world = World::start("growth").await;
    let consumer = world.consume(world.settings());
    send(&world, 1, 10).await;
    paid(&world, 1).await;
    world.eventually("all", async |world| world.contents_with_positions().await.len() == 1).await;
    consumer.stop().await.unwrap();
    copy(&world, "Contract", 15, true).await;

    grow(&world).await;
    let consumer = world.consume(world.settings());
    send(&world, 2, 20).await;
    // Payments have no large values.
    paid(&world, 2).await;
    assert_eq!(world.state_of("Contract").await, "stopped partitions");
    assert_eq!(world.contents_with_positions().await.len(), 1);
    let states = world.target.table_states().await.unwrap();
    let state = states.into_iter().find(|state| state.table == "dbo.Contract").unwrap();
    assert!(state.detail.contains("has 3 partitions, and had 1"), "{}", state.detail);
    assert!(state.remedy.contains("restart the connector"), "{}", state.remedy);
    assert!(state.remedy.contains("ficus backfill contracts --restart"), "{}", state.remedy);

    // An old copy heals nothing, and neither does half a new one; a restart forgets nothing.
    copy(&world, "Contract", 25, false).await;
    consumer.stop().await.unwrap();
    let consumer = world.consume(world.settings());
    send(&world, 3, 30).await;
    paid(&world, 3).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(world.state_of("Contract").await, "stopped partitions");
    copy_again(&world, "Contract", 25).await;
    is(&world, "following").await;
    world.eventually("all", async |world| world.contents_with_positions().await.len() == 3).await;
    // It is known now.
    consumer.stop().await.unwrap();
    let consumer = world.consume(world.settings());
    send(&world, 4, 40).await;
    paid(&world, 4).await;
    assert_eq!(world.state_of("Contract").await, "following");
    consumer.stop().await.unwrap();
}

/// Two processes see the new partitions at once: it is one stop, whoever is first.
#[tokio::test(flavor = "multi_thread")]
async fn f18_growth_is_met_once_by_all_processes() {
    let world = World::start("growth_twice").await;
    let consumer = world.consume(world.settings());
    send(&world, 1, 10).await;
    paid(&world, 1).await;
    consumer.stop().await.unwrap();
    grow(&world).await;
    let consumers = [world.consume(world.settings()), world.consume(world.settings())];
    is(&world, "stopped partitions").await;
    send(&world, 2, 20).await;
    paid(&world, 2).await;
    let steps: i64 =
        sqlx::query_scalar("select count(*) from ficus.audit where action = 'stream.stopped'")
            .fetch_one(&world.admin)
            .await
            .unwrap();
    assert_eq!(steps, 1);
    for consumer in consumers {
        consumer.stop().await.unwrap();
    }
}
