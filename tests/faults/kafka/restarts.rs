//! The broker dies and comes back, alone and together with everything else.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use libtest_mimic::Trial;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sandbox::postgres::{Options, Postgres, SUPERUSER};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    broker::{Broker, script},
    kills::{kill_again_and_again, restart_postgres, seed, tell},
    oracle,
    suite::trial,
    world::{World, migrate},
};

pub(super) fn add(trials: &mut Vec<Trial>) {
    trials.extend([
        trial("kafka::f11_the_broker_dies_and_comes_back", broker_dies),
        trial("kafka::f12_the_broker_is_away_for_long", broker_is_away),
        trial("kafka::f07_killed_50_times_while_everything_restarts", everything),
    ]);
}

/// A broker of a test's own, for it does not survive.
struct OwnBroker {
    home: TempDir,
    address: String,
}

fn call(home: &Path, what: &str) -> String {
    let mut command = Command::new(script());
    command.arg(what).env("FICUS_KAFKA_HOME", home).env("FICUS_KAFKA_HEAP", "-Xms64m -Xmx256m");
    let output = command.output().expect("the script runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "broker {what}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits for the script beside the runtime's own work.
async fn say(home: PathBuf, what: &'static str) -> String {
    tokio::task::spawn_blocking(move || call(&home, what)).await.expect("the script's end")
}

impl OwnBroker {
    async fn start() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let address = say(home.path().to_path_buf(), "start").await;
        Self { home, address }
    }

    fn home(&self) -> PathBuf {
        self.home.path().to_path_buf()
    }

    fn broker(&self) -> Broker {
        Broker::Real(self.address.clone())
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        // A test that fails must not leave it behind.
        tokio::task::block_in_place(|| call(self.home.path(), "stop"));
    }
}

async fn broker_dies() {
    let own = OwnBroker::start().await;
    let mut world = World::start(own.broker(), 9).await;
    let mut process = world.consume(&[]);
    for _ in 0..3 {
        world.produce(300).await;
        // Some of it is consumed by now, and some is not.
        tokio::time::sleep(Duration::from_millis(150)).await;
        say(own.home(), "kill").await;
        say(own.home(), "start").await;
        world.produce(100).await;
        world.caught_up(&mut process).await;
    }
    world.produce_the_rest().await;
    world.caught_up(&mut process).await;
    oracle::assert_rows(&world).await;
    process.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}

/// As long as a test can wait: the process neither ends nor grows, says what it waits for, and
/// goes on by itself.
async fn broker_is_away() {
    let own = OwnBroker::start().await;
    let mut world = World::start(own.broker(), 10).await;
    let mut process = world.consume(&[]);
    world.produce(300).await;
    world.caught_up(&mut process).await;
    say(own.home(), "kill").await;
    let before = process.megabytes();
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert!(process.ended().is_none(), "it waits:\n{}", process.words());
    assert!(process.words().contains("waiting: kafka"), "{}", process.words());
    let after = process.megabytes();
    assert!(after < before + 30, "{before} MB before, {after} MB now");
    say(own.home(), "start").await;
    world.produce(100).await;
    world.produce_the_rest().await;
    world.caught_up(&mut process).await;
    oracle::assert_rows(&world).await;
    process.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}

/// Kills the broker now and then.
async fn restart_broker(home: PathBuf, seed: u64, peace: CancellationToken) {
    let mut random = StdRng::seed_from_u64(seed ^ 0x5555);
    loop {
        let pause = Duration::from_millis(random.random_range(4_000..9_000));
        if tokio::time::timeout(pause, peace.cancelled()).await.is_ok() {
            return;
        }
        say(home.clone(), "kill").await;
        say(home.clone(), "start").await;
    }
}

/// F07 on a real broker, which is killed as Postgres is. A process that has a name of its own gets
/// its partitions back at once.
async fn everything() {
    const LANES: u32 = 2;
    const KILLS: u32 = 25;
    let seed = seed();
    let own = OwnBroker::start().await;
    let postgres = Arc::new(Postgres::start(&Options::default()).await.expect("Postgres"));
    let mut worlds = Vec::new();
    for lane in 0..LANES {
        let name = format!("lane_{lane}");
        migrate(&postgres, &name).await;
        let url = postgres.url(SUPERUSER, &name);
        let seed = seed.wrapping_add(u64::from(lane));
        worlds.push(World::start_at(own.broker(), seed, &url, &[]).await);
    }
    let peace = CancellationToken::new();
    let nemeses = [
        tokio::spawn(restart_postgres(Arc::clone(&postgres), seed, peace.clone())),
        tokio::spawn(restart_broker(own.home(), seed, peace.clone())),
    ];
    let named = [("FICUS_KAFKA_INSTANCE", "one"), ("FICUS_KAFKA_SESSION_TIMEOUT_MS", "6000")];
    let (two, one) = (worlds.pop().expect("two"), worlds.pop().expect("one"));
    let (one, two) = tokio::join!(
        kill_again_and_again(one, seed, KILLS, &named),
        kill_again_and_again(two, seed.wrapping_add(1), KILLS, &named)
    );
    peace.cancel();
    for nemesis in nemeses {
        nemesis.await.expect("everything is back");
    }
    let (one, two) = tokio::join!(one.finish(&named), two.finish(&named));
    let kills = usize::try_from(LANES * KILLS).expect("few");
    tell([one, two].concat(), kills);
}
