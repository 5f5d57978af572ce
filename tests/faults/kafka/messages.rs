//! Messages in every form that a producer may give them.

use libtest_mimic::Trial;

use crate::{broker::Broker, oracle, suite::trial, world::World};

pub(super) fn add(trials: &mut Vec<Trial>) {
    trials.extend([
        trial("kafka::every_compression_is_read", compressed),
        trial("kafka::a_message_of_20_megabytes_is_applied_in_bounded_memory", long),
    ]);
}

async fn compressed() {
    let mut world = World::start(Broker::real(), 5).await;
    let mut process = world.consume(&[]);
    for codec in ["gzip", "snappy", "lz4", "zstd", "none"] {
        world.set_producer(world.broker.compressing(codec));
        world.produce(60).await;
    }
    world.produce_the_rest().await;
    world.caught_up(&mut process).await;
    oracle::assert_rows(&world).await;
    process.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}

async fn long() {
    let megabytes: u64 = 20;
    let bytes = usize::try_from(megabytes << 20).expect("a length");
    let settings = [("max.message.bytes", "67000000")];
    let mut world = World::start_with(Broker::real(), 6, &settings).await;
    world.produce(50).await;
    for _ in 0..5 {
        let records = world.ledger.long_terms(bytes);
        world.send(records).await;
        world.produce(50).await;
    }
    world.produce_the_rest().await;
    let mut process = world.consume(&[]);
    world.caught_up(&mut process).await;
    oracle::assert_rows(&world).await;
    let peak = process.peak_megabytes();
    println!("peak memory with messages of {megabytes} MB: {peak} MB");
    assert!(peak < 25 * megabytes, "{peak} MB for messages of {megabytes} MB");
    process.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}
