//! SIGKILL at random instants, in the copy and in the stream: the end is the same.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use spacehub::model::Model;

use crate::{
    oracle,
    world::{LIMIT, World},
};

/// Kills of the copy; of the stream, every third time.
const KILLS: u32 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_instants_it_ends_in_the_same_state() {
    let seed = std::env::var("FICUS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("FICUS_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::start(6_000, 8).await;
    let writing = world.start_writer(12, 100, 300);

    // A short chunk and a small batch, so that there is much to be killed in the middle of.
    // A short session, or a consumer would only ever be killed while its predecessor is missed.
    let small = [
        ("FICUS_BACKFILL_CHUNK_ROWS", "200"),
        ("FICUS_BACKFILL_BATCH_ROWS", "50"),
        ("FICUS_KAFKA_SESSION_TIMEOUT_MS", "500"),
    ];
    for kill in 0..KILLS {
        // A copy that is done has nothing to be killed in the middle of.
        let again = ["backfill", "--restart"];
        let copy = if kill % 10 == 9 { &again[..] } else { &again[..1] };
        for arguments in [copy, &["consume"]] {
            if arguments[0] == "consume" && kill % 3 != 0 {
                continue;
            }
            let mut child = world.ficus(arguments).envs(small).spawn().expect("it starts");
            tokio::time::sleep(Duration::from_millis(random.random_range(50..1_200))).await;
            child.start_kill().expect("it is killed");
            child.wait().await.expect("it is dead");
        }
    }

    let mut consumer = world.spawn(&["consume"]);
    world.run(&["backfill"]).await.success();
    writing.stop().await;
    let verdict = tokio::time::timeout(LIMIT, world.run(&["reconcile"])).await.expect("a verdict");
    verdict.success();
    let model = Model::of(&world.legacy.database).expect("the model");
    oracle::assert_target_is(&world.pool, &model).await;
    oracle::assert_accounts_are_in_order(&world.pool, &model).await;
    consumer.kill().await.expect("it is killed");
    world.stop().await;
}
