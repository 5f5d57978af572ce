//! F07: SIGKILL at random instants under load, at least fifty times, while Postgres and the broker
//! restart, a connector repeats itself, and a second group reads everything from offset 0. In the
//! end zero rows are lost, invented or wrong, and the counts add up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sandbox::postgres::{Options, Postgres, SUPERUSER, Shutdown};

use tokio_util::sync::CancellationToken;

use crate::{
    broker::Broker,
    hooks::HASTY,
    oracle,
    process::Process,
    suite::trial,
    world::{World, migrate},
};

/// Installations that are killed side by side: most of a kill's time is waiting.
const LANES: u32 = 3;
/// Kills of each.
const KILLS: u32 = 17;
/// The setting of a second group, which reads everything once more.
const AGAIN: &str = "FICUS_KAFKA_GROUP";

/// The tests.
pub(crate) fn add(trials: &mut Vec<Trial>) {
    trials.push(trial("kills::f07_killed_51_times_at_random_instants", in_process));
}

/// The seed of this run: printed, and settable to see the same instants again.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("FICUS_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("FICUS_TEST_SEED={seed}");
    seed
}

async fn in_process() {
    let seed = seed();
    let postgres = Arc::new(Postgres::start(&Options::default()).await.expect("Postgres"));
    for lane in 0..LANES {
        migrate(&postgres, &format!("lane_{lane}")).await;
    }
    let peace = CancellationToken::new();
    let nemesis = tokio::spawn(restart_postgres(Arc::clone(&postgres), seed, peace.clone()));
    let lane = async |lane: u32| {
        let url = postgres.url(SUPERUSER, &format!("lane_{lane}"));
        let seed = seed.wrapping_add(u64::from(lane));
        let world = World::start_at(Broker::mock(), seed, &url, &[]).await;
        kill_again_and_again(world, seed, KILLS, &[HASTY]).await
    };
    let (a, b, c) = tokio::join!(lane(0), lane(1), lane(2));
    peace.cancel();
    nemesis.await.expect("Postgres is back");
    let (a, b, c) = tokio::join!(a.finish(&[HASTY]), b.finish(&[HASTY]), c.finish(&[HASTY]));
    let kills = usize::try_from(LANES * KILLS).expect("few");
    tell([a, b, c].concat(), kills);
}

/// Prints how soon a new process committed, and checks that most kills met one at work.
pub(crate) fn tell(mut pauses: Vec<Duration>, kills: usize) {
    pauses.sort();
    let at = |part: usize| pauses.get(pauses.len() * part / 100).copied().unwrap_or_default();
    let (median, most) = (at(50), pauses.last().copied().unwrap_or_default());
    println!(
        "{kills} kills, {} of processes that had committed; start to first commit: median {median:?}, longest {most:?}",
        pauses.len(),
    );
    assert!(pauses.len() * 2 >= kills, "too many kills met processes that had not begun");
}

/// Restarts Postgres now and then, in order or as after a crash.
pub(crate) async fn restart_postgres(postgres: Arc<Postgres>, seed: u64, peace: CancellationToken) {
    let mut random = StdRng::seed_from_u64(!seed);
    loop {
        let pause = Duration::from_millis(random.random_range(2_500..6_000));
        if tokio::time::timeout(pause, peace.cancelled()).await.is_ok() {
            return;
        }
        let how = if random.random() { Shutdown::Fast } else { Shutdown::Immediate };
        let away = Duration::from_millis(random.random_range(0..400));
        postgres.restart(how, away).await.expect("Postgres comes back");
    }
}

/// An installation that was killed often enough.
pub(crate) struct Survivor {
    world: World,
    /// How long each process took from its start to its first commit.
    pauses: Vec<Duration>,
}

/// Kills one installation so many times.
pub(crate) async fn kill_again_and_again(
    mut world: World,
    seed: u64,
    kills: u32,
    settings: &[(&str, &str)],
) -> Survivor {
    let mut random = StdRng::seed_from_u64(seed);
    let mut pauses = Vec::new();
    let mut second: Option<Process> = None;
    for kill in 0..kills {
        world.produce(30).await;
        let mut process = world.consume(settings).supervised();
        // One in four dies somewhere in its start, the others at work.
        if kill % 4 == 3 {
            let limit = Duration::from_millis(random.random_range(0..900));
            load_for(&mut world, &mut random, limit).await;
        } else {
            pauses.push(load_until_it_commits(&mut world, &mut process).await);
            let limit = Duration::from_millis(random.random_range(0..400));
            load_for(&mut world, &mut random, limit).await;
        }
        process.kill().await;
        disturb(&mut world, &mut random, kill).await;
        // The replay from offset 0 is killed and started again at other times.
        if random.random_range(0..4) == 0 {
            match second.take() {
                Some(process) => process.kill().await,
                None => {
                    let group = again(&world);
                    let settings = [settings, &[(AGAIN, &group)]].concat();
                    second = Some(world.consume(&settings).supervised());
                }
            }
        }
    }
    Survivor { world, pauses }
}

fn again(world: &World) -> String {
    format!("{}-again", world.group)
}

impl Survivor {
    /// Lets both groups read to the end, and compares.
    pub(crate) async fn finish(self, settings: &[(&str, &str)]) -> Vec<Duration> {
        let Self { mut world, pauses } = self;
        world.produce_the_rest().await;
        let mut first = world.consume(settings);
        let group = again(&world);
        let mut second = world.consume(&[settings, &[(AGAIN, &group)]].concat());
        world.caught_up(&mut first).await;
        world.group_caught_up(&mut second, &group).await;
        oracle::assert_rows(&world).await;
        first.stop().await;
        second.stop().await;
        oracle::assert_accounts(&world, 2).await;
        world.stop().await;
        pauses
    }
}

/// Goes on writing for a while.
async fn load_for(world: &mut World, random: &mut StdRng, limit: Duration) {
    let since = Instant::now();
    while since.elapsed() < limit {
        world.produce(random.random_range(1..15)).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(1..20))).await;
    }
}

/// Goes on writing until the process has committed something; how long that took.
async fn load_until_it_commits(world: &mut World, process: &mut Process) -> Duration {
    let before = world.consumed().await;
    loop {
        world.produce(2).await;
        if world.consumed().await > before {
            return process.started.elapsed();
        }
        let ended = process.ended();
        assert!(ended.is_none(), "{ended:?}\n{}", process.words());
        let waited = process.started.elapsed();
        assert!(waited < crate::world::LIMIT, "it commits nothing:\n{}", process.words());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What else happens: repeated deliveries, and a broker that is away for a moment.
async fn disturb(world: &mut World, random: &mut StdRng, kill: u32) {
    if kill.is_multiple_of(3) {
        world.repeat(random.random_range(1..40)).await;
    }
    if kill % 5 == 2
        && let Broker::Mock(kafka) = &world.broker
    {
        kafka.set_down(true).expect("a fault");
        tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
        kafka.set_down(false).expect("a fault");
    }
}
