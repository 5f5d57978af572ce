//! Changes that CDC's clean-up removed before they were read.

use std::time::Duration;

use cdc_consumer::{Capture, Settings, gap::Instance};
use mapping::{catalog::LegacyTable, position::Lsn};
use target::{Batch, Checkpoint, batch::ChunkProgress, chunk::ChunkPlan, domain::Decision};
use tokio::sync::watch;

use super::world::World;
use crate::fixture::{At, Contract, PAYMENTS, Record, TOPIC};

fn lsn(number: u32) -> Lsn {
    Lsn::parse(&At { lsn: number, order: None }.lsn()).unwrap()
}

/// CDC has changes of both tables from these LSNs on, and none above what is applied.
fn capture(contracts: u32, payments: u32) -> Option<Capture> {
    let instance = |name: &str, min: u32| Instance {
        table: LegacyTable::new("dbo", name),
        min_lsn: Some(lsn(min)),
        last_lsn: None,
    };
    let instances = vec![instance("Contract", contracts), instance("Payment", payments)];
    Some(Capture { max_lsn: Some(lsn(5_000)), instances })
}

fn asked(world: &World, first: Option<Capture>) -> (watch::Sender<Option<Capture>>, Settings) {
    let sender = watch::Sender::new(first);
    let capture = Some(sender.subscribe());
    (sender, Settings { capture, ..world.settings() })
}

pub(super) async fn send(world: &World, number: u32, at: u32) {
    let at = At { lsn: at, order: Some(1) };
    let row = Contract::new(&format!("N{number}"), 1, Some("terms"));
    world.send(TOPIC, 0, &Record::insert(&row, at)).await;
    world.send(PAYMENTS, 0, &Record::payment(number, 1, at)).await;
}

pub(super) async fn paid(world: &World, count: usize) {
    world
        .eventually("the payments are there", async |world| world.payments().await.len() == count)
        .await;
}

pub(super) async fn is(world: &World, state: &str) {
    world.eventually(state, async |world| world.state_of("Contract").await == state).await;
}

/// A copy of a table, as a backfill leaves it.
pub(super) async fn copy(world: &World, table: &str, low: u32, done: bool) {
    let table = world.table(table);
    let target = &world.target;
    let run = target.start_run(&serde_json::Value::Null).await.unwrap().id;
    let plan = ChunkPlan { table, number: 0, after: None, up_to: None };
    target.plan_chunks(run, &[plan]).await.unwrap();
    read(world, run, low, done).await;
}

/// The newest copy is made anew, as `--restart` does.
pub(super) async fn copy_again(world: &World, table: &str, low: u32) {
    let run = world.target.latest_run().await.unwrap().unwrap().id;
    world.target.reset_chunks(run, Some(world.table(table))).await.unwrap();
    read(world, run, low, true).await;
}

async fn read(world: &World, run: i64, low: u32, done: bool) {
    let target = &world.target;
    let claim =
        target.claim_chunk(run, None, "me", Duration::from_secs(60)).await.unwrap().unwrap();
    target.begin_chunk(&claim, Some(lsn(low))).await.unwrap();
    let checkpoint = Checkpoint::Chunk(ChunkProgress {
        chunk: claim.chunk,
        epoch: claim.epoch,
        last_key: None,
        rows: 1,
        done,
        high_watermark: Some(lsn(low)),
    });
    target.apply(Batch { checkpoint, ..Batch::default() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_16_a_gap_stops_its_table_until_it_is_copied_again() {
    let world = World::start("gap").await;
    let (_asked, settings) = asked(&world, None);
    let consumer = world.consume(settings);
    send(&world, 1, 10).await;
    paid(&world, 1).await;
    world.eventually("all", async |world| world.contents_with_positions().await.len() == 1).await;
    consumer.stop().await.unwrap();

    // The connector was away, CDC removed contracts up to 20, and it went on with what it found.
    send(&world, 2, 30).await;
    let (answers, settings) = asked(&world, capture(20, 10));
    let consumer = world.consume(settings);
    paid(&world, 2).await;
    assert_eq!(world.state_of("Contract").await, "stopped gap");
    assert_eq!(world.contents_with_positions().await.len(), 1);
    let states = world.target.table_states().await.unwrap();
    let state = states.into_iter().find(|state| state.table == "dbo.Contract").unwrap();
    assert!(state.detail.contains(&lsn(10).to_string()), "{}", state.detail);
    assert!(state.remedy.contains("ficus backfill contracts --restart"), "{}", state.remedy);

    // Half a copy heals nothing, and neither does an old one.
    copy(&world, "Contract", 35, false).await;
    answers.send_replace(capture(25, 10));
    send(&world, 3, 40).await;
    paid(&world, 3).await;
    assert_eq!(world.state_of("Contract").await, "stopped gap");
    copy(&world, "Contract", 35, true).await;
    answers.send_replace(capture(25, 10));
    is(&world, "following").await;
    world.eventually("all", async |world| world.contents_with_positions().await.len() == 3).await;
    // The clean-up goes on, and nothing is wrong with it.
    answers.send_replace(capture(4_000, 4_000));
    send(&world, 4, 4_500).await;
    paid(&world, 4).await;
    assert_eq!(world.state_of("Contract").await, "following");
    consumer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_16_a_first_start_behind_what_was_removed_reads_nothing() {
    let world = World::start("gap_first").await;
    copy(&world, "Contract", 15, true).await;
    copy(&world, "Payment", 25, true).await;
    send(&world, 1, 30).await;
    let (_asked, settings) = asked(&world, capture(20, 20));
    let consumer = world.consume(settings);
    paid(&world, 1).await;
    assert_eq!(world.state_of("Contract").await, "stopped gap");
    assert!(world.contents_with_positions().await.is_empty());
    consumer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_16_a_gap_is_met_while_it_runs_and_may_be_accepted() {
    let world = World::start("gap_runs").await;
    let (answers, settings) = asked(&world, capture(5, 5));
    let consumer = world.consume(settings);
    send(&world, 1, 10).await;
    paid(&world, 1).await;
    world.eventually("all", async |world| world.contents_with_positions().await.len() == 1).await;
    // The table is not captured any more.
    let mut without = capture(5, 5).unwrap();
    without.instances.remove(0);
    answers.send_replace(Some(without));
    is(&world, "stopped gap").await;
    let me = Decision { actor: "me", reason: "it was empty" };
    world.target.resume_table(world.table("Contract"), me).await.unwrap();
    answers.send_replace(capture(12, 5));
    send(&world, 2, 20).await;
    world.eventually("all", async |world| world.contents_with_positions().await.len() == 2).await;
    assert_eq!(world.state_of("Contract").await, "following");
    consumer.stop().await.unwrap();
}
