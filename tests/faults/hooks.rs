//! The process dies at a named point, the first time that it comes by, a later and a much later
//! time; another one goes on, and in the end nothing is lost, invented or wrong.

use std::time::Duration;

use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::{
    broker::Broker,
    oracle,
    suite::trial,
    world::{LIMIT, World},
};

/// The points of apply and stream, the fault that each stands for, and the times at which the
/// process dies there.
const POINTS: &[(&str, &str, [u32; 3])] = &[
    ("decode.in", "", [1, 7, 150]),
    ("reduce.out", "", [1, 4, 15]),
    ("apply.before_begin", "f01_", [1, 3, 12]),
    ("apply.after_begin", "f01_", [1, 3, 12]),
    ("apply.after_stage", "f02_", [1, 4, 15]),
    ("apply.after_delete", "f02_", [1, 3, 9]),
    ("apply.after_upsert", "f03_", [1, 4, 15]),
    ("apply.before_state", "f03_", [1, 3, 12]),
    ("apply.after_state", "f04_", [1, 3, 12]),
    ("apply.before_commit", "f04_", [1, 3, 12]),
    ("apply.in_commit", "f05_", [1, 3, 12]),
    ("apply.after_commit", "f06_", [1, 3, 12]),
    ("apply.after_telemetry", "f06_", [1, 3, 12]),
    ("park.before", "", [1, 3, 5]),
    ("park.after", "", [1, 3, 5]),
    ("park.release", "", [1, 3, 5]),
    ("rebalance.assign", "f10_", [1, 2, 3]),
    ("rebalance.revoke", "f10_", [1, 2, 3]),
];

/// A dead process is forgotten soon, or each kill would cost as long as a session.
pub(crate) const HASTY: (&str, &str) = ("FICUS_KAFKA_SESSION_TIMEOUT_MS", "500");

/// A process that has not come to its point by then was left alone by the in-process broker.
const STUCK: Duration = Duration::from_secs(30);

/// After so long a dead process is out of its group.
const FORGOTTEN: Duration = Duration::from_millis(700);

/// One test for each point. Those of a rebalance need a real broker: the in-process one now and
/// then ends its process, by an assertion of its own, when members die while they are joining.
pub(crate) fn add(trials: &mut Vec<Trial>, real: &mut Vec<Trial>) {
    for (seed, (point, fault, times)) in (1..).zip(POINTS) {
        let name = format!("{fault}killed_at_{}", point.replace('.', "_"));
        if point.starts_with("rebalance") {
            let name = format!("kafka::{name}");
            real.push(trial(&name, move || killed_at(point, *times, (seed, Broker::real))));
        } else {
            let name = format!("hooks::{name}");
            trials.push(trial(&name, move || killed_at(point, *times, (seed, Broker::mock))));
        }
    }
}

async fn killed_at(point: &'static str, times: [u32; 3], (seed, broker): (u64, fn() -> Broker)) {
    let mut world = World::start(broker(), seed).await;
    for time in times {
        let at = format!("{point}:{time}");
        let mut doomed = world.consume(&[("FICUS_KILL_AT", &at), HASTY]);
        let mut tries_left = 2;
        loop {
            world.produce(20).await;
            if point.starts_with("rebalance") {
                stir(&world).await;
            }
            let limit = doomed.started.elapsed();
            assert!(limit < LIMIT, "{at} was not passed:\n{}", doomed.words());
            if limit > STUCK && tries_left > 0 {
                // Left without an answer, see below: as good as dead, so another one tries.
                tries_left -= 1;
                drop(doomed);
                tokio::time::sleep(FORGOTTEN).await;
                doomed = world.consume(&[("FICUS_KILL_AT", &at), HASTY]);
                continue;
            }
            if let Some(status) = doomed.ended() {
                use std::os::unix::process::ExitStatusExt as _;
                // SIGABRT: it died there, and did not end for another reason.
                assert_eq!(status.signal(), Some(6), "{at}: {status}\n{}", doomed.words());
                if at == "apply.in_commit:1" {
                    // Nobody has heard the answer, and nothing was committed before.
                    let steps = "select count(*) from ficus.partition where last_batch is not null";
                    let committed = async || {
                        let steps = sqlx::query_scalar(steps).fetch_one(&world.pool).await;
                        steps.is_ok_and(|steps: i64| steps > 0)
                    };
                    world.eventually("the server has committed", None, committed).await;
                }
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The in-process broker was seen to leave one without an answer that joins while it still
        // counts a dead member in.
        tokio::time::sleep(FORGOTTEN).await;
    }
    world.produce_the_rest().await;
    let mut healthy = world.consume(&[HASTY]);
    world.caught_up(&mut healthy).await;
    oracle::assert_rows(&world).await;
    healthy.stop().await;
    oracle::assert_accounts(&world, 1).await;
    world.stop().await;
}

/// Another member comes and goes: the group hands out its partitions twice.
async fn stir(world: &World) {
    let mut config = world.broker.config();
    config.set("group.id", &world.group).set("session.timeout.ms", "500");
    config.set("heartbeat.interval.ms", "100").set("partition.assignment.strategy", "roundrobin");
    let topic = world.heartbeat_topic();
    let visiting = tokio::task::spawn_blocking(move || {
        let member: BaseConsumer = config.create().expect("a client");
        member.subscribe(&[&topic]).expect("a topic");
        let since = std::time::Instant::now();
        // It has joined once the group has told it what it gets, even if that is nothing.
        while member.group_metadata().is_none() || since.elapsed() < Duration::from_millis(1_200) {
            drop(member.poll(Duration::from_millis(50)));
            if since.elapsed() > Duration::from_secs(10) {
                break;
            }
        }
    });
    visiting.await.expect("the visitor");
}
