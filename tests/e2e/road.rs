//! The whole road, walked with the real binary while a writer keeps changing the legacy side.

use std::time::Duration;

use spacehub::{demo::writer, model::Model};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{
    oracle,
    world::{LIMIT, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_living_legacy_system_is_carried_over_and_served() {
    let world = World::start(6_000, 7).await;
    let mut consumer = world.spawn(&["consume"]);
    let writing = world.start_writer(11, 150, 200);
    world.run(&["backfill"]).await.success();
    tokio::time::sleep(Duration::from_secs(2)).await;

    // A verdict on a moving system may leave rows in flight, but never a false difference.
    let moving = world.run(&["reconcile"]).await;
    assert_ne!(moving.exit_code(), Some(1), "{}", moving.text());

    let written = writing.stop().await;
    assert!(written.transactions > 200, "{written:?}");
    writer::repair_contracts(&world.legacy.database, &world.legacy.demo).expect("repairs");
    world.run(&["reconcile"]).await.success();

    let model = Model::of(&world.legacy.database).expect("the model");
    oracle::assert_target_is(&world.pool, &model).await;
    oracle::assert_accounts_are_in_order(&world.pool, &model).await;

    // What is copied already is not copied again.
    let again = world.run(&["backfill"]).await.success();
    assert!(again.contains("0 rows in"), "{again}");

    for domain in ["property-owners", "contracts"] {
        world.run(&["domain", "cutover", domain]).await.success();
        world.run(&["domain", "cutover", domain]).await.success();
    }
    serve(&world).await;

    terminate(&mut consumer).await;
    world.stop().await;
}

/// The API serves what is handed over, and passes everything else on.
async fn serve(world: &World) {
    let mut command = world.ficus(&["serve", "--listen", "127.0.0.1:0"]);
    let mut server = command.spawn().expect("the server starts");
    let mut lines = BufReader::new(server.stderr.take().expect("standard error")).lines();
    let line = tokio::time::timeout(LIMIT, lines.next_line()).await.expect("it listens");
    let line = line.expect("a line").expect("a line");
    let address = line.rsplit("http://").next().expect("an address").to_owned();
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });

    let get = |path: &str| {
        let url = format!("http://{address}{path}");
        async move { crate::http::get(&url).await }
    };
    let refused = get("/v2/contracts").await;
    assert_eq!(refused.0, 401, "{}", refused.1);
    assert!(refused.1.contains("\"code\":\"FORBIDDEN\""), "{}", refused.1);
    let passed_on = get("/v2/payments?limit=1").await;
    assert_eq!(passed_on.0, 200, "{}", passed_on.1);
    assert!(passed_on.1.contains("legacy"), "{}", passed_on.1);
    let routes = get("/ops/routes.json").await.1;
    assert!(
        routes.contains("\"servedBy\":\"ficus\"") && routes.contains("\"servedBy\":\"legacy\"")
    );
    server.kill().await.expect("the server ends");
}

/// SIGTERM, and a clean end.
async fn terminate(child: &mut tokio::process::Child) {
    let id = child.id().expect("it still runs");
    let killed = std::process::Command::new("kill").arg(id.to_string()).status();
    assert!(killed.expect("kill").success());
    let status =
        tokio::time::timeout(LIMIT, child.wait()).await.expect("it ends").expect("it ends");
    assert_eq!(status.code(), Some(0), "a consumer ends cleanly on SIGTERM");
}
