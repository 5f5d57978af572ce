//! Transactions of the producer: what is aborted is not applied, and the records that end a
//! transaction hold nothing up.

use std::time::Duration;

use libtest_mimic::Trial;

use super::GAPS;
use crate::{
    broker::Broker,
    event::{At, envelope},
    ledger::{Contract, Record, Table},
    oracle,
    suite::trial,
    world::{End, World},
};

pub(super) fn add(trials: &mut Vec<Trial>) {
    trials.extend([
        trial("kafka::aborted_transactions_are_not_applied", aborted),
        trial("kafka::a_fence_behind_control_records_is_passed", fence),
        trial("kafka::an_open_transaction_is_waited_for", open),
        trial("kafka::a_transaction_without_leave_stops_with_the_setting", without_leave),
    ]);
}

/// An insert that nobody may ever see.
fn phantom(world: &World, number: u32) -> Record {
    let contract =
        Contract { tenant: 1, slot: 1, total: 1, terms: Some("aborted".into()), revision: 1 };
    let at = At { lsn: world.ledger.lsn() + 1_000_000, order: Some(1) };
    let row = contract.row(number, true);
    Record {
        table: Table::Contract,
        number,
        key: format!(r#"{{"No":"C-{number}"}}"#),
        value: Some(envelope("Contract", 'c', None, Some(&row), at)),
    }
}

async fn aborted() {
    let mut world = World::start(Broker::real(), 1).await;
    let mut process = world.consume(&[GAPS]);
    for round in 0..8 {
        let phantoms = vec![phantom(&world, 900 + round), phantom(&world, 1 + round)];
        world.send_in_transaction(phantoms, End::Abort).await;
        let records = (0..15).flat_map(|_| world.ledger.transaction()).collect();
        world.send_in_transaction(records, End::Commit).await;
    }
    world.produce_the_rest().await;
    world.at_the_end(&mut process).await;
    oracle::assert_rows(&world).await;
    process.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}

/// The topics end in control records, and nothing comes after the marker.
async fn fence() {
    let mut world = World::start(Broker::real(), 2).await;
    let mut process = world.consume(&[GAPS]);
    let records = (0..40).flat_map(|_| world.ledger.transaction()).collect();
    world.send_in_transaction(records, End::Commit).await;
    let phantoms = vec![phantom(&world, 900), phantom(&world, 901)];
    world.send_in_transaction(phantoms, End::Abort).await;
    let lsn = world.mark().await;
    world
        .eventually("the fence is passed", Some(&mut process), async || {
            sqlx::query_scalar(
                "select count(*) > 0 and bool_and(coalesce(p.next_offset, 0) >= f.end_offset) \
                 from ficus.fence f left join ficus.partition p \
                 using (consumer_group, topic, partition)",
            )
            .fetch_one(&world.pool)
            .await
            .expect("an answer")
        })
        .await;
    process.stop().await;
    // Who comes later ends by itself, for it finds the LSN passed.
    let output = world.ficus(&["consume", "--until", &lsn]).env(GAPS.0, GAPS.1).output();
    assert_eq!(output.expect("it runs").status.code(), Some(0));
    world.stop().await;
}

/// What may still become a message is not passed over.
async fn open() {
    let mut world = World::start(Broker::real(), 3).await;
    let mut process = world.consume(&[GAPS]);
    world.produce(20).await;
    world.caught_up(&mut process).await;
    let records: Vec<Record> = (0..10).flat_map(|_| world.ledger.transaction()).collect();
    world.send_in_transaction(records, End::Commit).await;
    let records: Vec<Record> = (0..10).flat_map(|_| world.ledger.transaction()).collect();
    // Longer than a partition stands still before somebody looks whether it is empty.
    world.send_in_transaction(records, End::CommitAfter(Duration::from_secs(6))).await;
    world.produce_the_rest().await;
    world.at_the_end(&mut process).await;
    oracle::assert_rows(&world).await;
    process.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}

/// Offsets that are missing stop the consumer, with the setting that allows them.
async fn without_leave() {
    let mut world = World::start(Broker::real(), 4).await;
    for _ in 0..2 {
        let records = (0..10).flat_map(|_| world.ledger.transaction()).collect();
        world.send_in_transaction(records, End::Commit).await;
    }
    let mut process = world.consume(&[]);
    let status = process.wait().await;
    assert_eq!(status.code(), Some(3), "{}", process.words());
    assert!(process.words().contains(r#"kafka.offset_gaps = "allow""#), "{}", process.words());
    world.stop().await;
}
