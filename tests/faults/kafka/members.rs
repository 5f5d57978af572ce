//! Several processes share the partitions: they come and go, and one is stopped for so long that
//! the others take over what it had.

use std::time::Duration;

use libtest_mimic::Trial;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::Signal;

use crate::{broker::Broker, oracle, process::Process, suite::trial, world::World};

pub(super) fn add(trials: &mut Vec<Trial>) {
    trials.extend([
        trial("kafka::f10_three_processes_join_and_leave", join_and_leave),
        trial("kafka::a_second_process_of_one_name_ends_the_first", namesakes),
        trial("kafka::f09_a_process_that_was_stopped_can_not_commit", zombie),
    ]);
}

/// The least that the broker allows.
const SHORT: (&str, &str) = ("FICUS_KAFKA_SESSION_TIMEOUT_MS", "1500");

async fn join_and_leave() {
    let mut world = World::start(Broker::real(), 7).await;
    let mut random = StdRng::seed_from_u64(7);
    let mut members: Vec<Process> = (0..3).map(|_| world.consume(&[SHORT])).collect();
    for round in 0..12 {
        for _ in 0..10 {
            world.produce(10).await;
            tokio::time::sleep(Duration::from_millis(random.random_range(1..60))).await;
        }
        let leaves = members.remove(random.random_range(0..members.len()));
        // Every third one does not say goodbye.
        if round % 3 == 2 {
            leaves.kill().await;
        } else {
            leaves.stop().await;
        }
        members.push(world.consume(&[SHORT]));
    }
    world.produce_the_rest().await;
    world.caught_up(&mut members[0]).await;
    oracle::assert_rows(&world).await;
    for member in members {
        member.stop().await;
    }
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}

async fn zombie() {
    let mut world = World::start(Broker::real(), 8).await;
    for _ in 0..2 {
        let mut first = world.consume(&[SHORT]);
        let before = world.consumed().await;
        world.produce(100).await;
        world
            .eventually("it commits", Some(&mut first), async || world.consumed().await > before)
            .await;
        world.produce(200).await;
        first.signal(Signal::STOP);
        // While it stands still, its partitions go to another one, which goes on.
        let mut second = world.consume(&[SHORT]);
        world.produce(100).await;
        world.caught_up(&mut second).await;
        world.produce(50).await;
        first.signal(Signal::CONT);
        world.produce(50).await;
        world.caught_up(&mut first).await;
        first.stop().await;
        second.stop().await;
    }
    world.produce(10).await;
    world.produce_the_rest().await;
    let mut last = world.consume(&[SHORT]);
    world.caught_up(&mut last).await;
    oracle::assert_rows(&world).await;
    last.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}

/// The name in the group is for one process at a time: who comes later is the successor.
async fn namesakes() {
    let mut world = World::start(Broker::real(), 17).await;
    let named = [("FICUS_KAFKA_INSTANCE", "one")];
    let mut first = world.consume(&named);
    world.produce(50).await;
    world.caught_up(&mut first).await;
    let mut second = world.consume(&named);
    world.produce(50).await;
    world.caught_up(&mut second).await;
    let status = first.wait().await;
    assert_eq!(status.code(), Some(3), "{}", first.words());
    assert!(first.words().contains("group.instance.id"), "{}", first.words());
    world.produce_the_rest().await;
    world.caught_up(&mut second).await;
    oracle::assert_rows(&world).await;
    second.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}
