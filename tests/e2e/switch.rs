//! A domain changes sides under load: requests go on, on every server, there and back and there
//! again; and the commands say beforehand what they would do.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use spacehub::demo::writer;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    task::JoinSet,
};
use uuid::Uuid;

use crate::world::{LIMIT, World};

/// How long a server may take to follow a switch that was committed.
const FOLLOW_LIMIT: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_changes_sides_under_load_and_no_request_fails() {
    let world = World::start(1_000, 13).await;
    // The demo's planted rows would keep a gate red.
    writer::repair_contracts(&world.legacy.database, &world.legacy.demo).expect("repairs");
    let mut consumer = world.spawn(&["consume"]);
    world.run(&["backfill"]).await.success();
    world.run(&["reconcile"]).await.success();
    let (mut first, one) = serve(&world).await;
    let (mut second, two) = serve(&world).await;
    let load = Load::start(&world, [one.clone(), two]).await;
    load.is_served_by("legacy", FOLLOW_LIMIT).await;

    let planned = world.run(&["domain", "cutover", "contracts", "--dry-run"]).await.success();
    for action in ["would hold contracts", "would switch GET /v2/contracts/{id} to Postgres"] {
        assert!(planned.contains(action), "{planned}");
    }
    assert_eq!(state(&world).await, "verified", "a dry run changes nothing");

    for round in 0..2 {
        world.run(&["domain", "cutover", "contracts"]).await.success();
        load.is_served_by("ficus", FOLLOW_LIMIT).await;
        world.run(&["domain", "cutover", "contracts"]).await.success();
        let dry = world.run(&["domain", "cutover", "contracts", "--dry-run"]).await.success();
        assert!(dry.contains("nothing would be done"), "{dry}");
        tokio::time::sleep(Duration::from_millis(500)).await;

        let dry = world.run(&["domain", "rollback", "contracts", "--dry-run"]).await.success();
        assert!(dry.contains("to the legacy application"), "{dry}");
        assert_eq!(state(&world).await, "cut_over");
        world.run(&["domain", "rollback", "contracts"]).await.success();
        load.is_served_by("legacy", FOLLOW_LIMIT).await;
        world.run(&["domain", "rollback", "contracts"]).await.success();
        let red = world.run(&["domain", "cutover", "contracts", "--dry-run"]).await.code(1);
        assert!(red.contains("RED"), "{red}");
        if round == 0 {
            world.run(&["backfill", "contracts", "--restart"]).await.success();
            world.run(&["reconcile"]).await.success();
        }
    }
    routes(&world, &one).await;
    let answers = load.stop().await;
    for side in ["ficus GET 200", "legacy GET 200", "ficus POST 200", "legacy POST 200"] {
        assert!(answers.get(side).is_some_and(|count| *count > 0), "no {side}: {answers:?}");
    }
    for answer in answers.keys() {
        let is_declared = answer.ends_with("200") || answer == "ficus POST 409";
        assert!(is_declared, "a request failed: {answers:?}");
    }
    assert_eq!(steps(&world).await, ["cut_over", "rolled_back", "cut_over", "rolled_back"]);
    for server in [&mut first, &mut second, &mut consumer] {
        server.kill().await.expect("it ends");
    }
    world.stop().await;
}

/// `ficus routes`, of a server and of the states, and garbage.
async fn routes(world: &World, server: &str) {
    let of_states = world.run(&["routes"]).await.success();
    let contract = of_states.lines().find(|line| line.contains("GET /v2/contracts/{id} "));
    assert!(contract.is_some_and(|line| line.contains("legacy")), "{of_states}");
    assert!(
        of_states.contains("routes (") && of_states.contains("are served by ficus"),
        "{of_states}"
    );
    let of_server = world.run(&["routes", server]).await.success();
    assert!(of_server.contains("GET /v2/contracts/{id}"), "{of_server}");
    let json = world.run(&["routes", server, "--json"]).await.success();
    assert!(json.contains("\"requestsHere\""), "{json}");
    world.run(&["routes", "garbage"]).await.code(64);
    world.run(&["routes", "http://127.0.0.1:1"]).await.code(3);
}

async fn state(world: &World) -> String {
    let sql = "select state from ficus.domain where name = 'contracts'";
    sqlx::query_scalar(sql).fetch_one(&world.pool).await.expect("a state")
}

/// The steps that the audit has, of the two that change sides.
async fn steps(world: &World) -> Vec<String> {
    let sql = "select detail->>'to' from ficus.audit \
               where subject = 'contracts' and detail->>'to' in ('cut_over', 'rolled_back') order by id";
    sqlx::query_scalar(sql).fetch_all(&world.pool).await.expect("the audit")
}

async fn serve(world: &World) -> (Child, String) {
    let mut server =
        world.ficus(&["serve", "--listen", "127.0.0.1:0"]).spawn().expect("the server starts");
    let mut lines = BufReader::new(server.stderr.take().expect("standard error")).lines();
    loop {
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await.expect("it listens");
        let line = line.expect("a line").expect("a line");
        if let Some((_, url)) = line.split_once("listening on ") {
            let url = url.to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (server, url);
        }
    }
}

/// Readers and writers that do not pause, on both servers.
struct Load {
    answers: Arc<Mutex<BTreeMap<String, u32>>>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
    client: reqwest::Client,
    urls: [String; 2],
}

impl Load {
    async fn start(world: &World, urls: [String; 2]) -> Self {
        let token = staff_token(world).await;
        let headers = [("authorization".parse(), format!("Bearer {token}").parse())];
        let headers = headers.into_iter().map(|(n, v)| (n.expect("a name"), v.expect("a value")));
        let client = reqwest::Client::builder().default_headers(headers.collect()).timeout(LIMIT);
        let client = client.build().expect("a client");
        let ids: Vec<Uuid> = sqlx::query_scalar("select id from contracts order by id limit 20")
            .fetch_all(&world.pool)
            .await
            .expect("contracts");
        let (answers, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let mut load = Self { answers, stop, tasks: JoinSet::new(), client, urls };
        for url in load.urls.clone() {
            let one = |id: &Uuid| format!("{url}/v2/contracts/{id}");
            load.repeat(ids.iter().map(one).collect(), None);
            load.repeat(vec![format!("{url}/v2/contracts?limit=5")], None);
            for to in ["active", "suspended"] {
                let steps = ids.iter().map(|id| format!("{}/transitions", one(id)));
                load.repeat(steps.collect(), Some(to));
            }
        }
        load
    }

    fn repeat(&mut self, urls: Vec<String>, to: Option<&'static str>) {
        let (client, stop) = (self.client.clone(), Arc::clone(&self.stop));
        let answers = Arc::clone(&self.answers);
        self.tasks.spawn(async move {
            for url in urls.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let request = match to {
                    None => client.get(url),
                    Some(to) => client
                        .post(url)
                        .header("content-type", "application/json")
                        .body(format!("{{\"to\":\"{to}\"}}")),
                };
                let method = if to.is_none() { "GET" } else { "POST" };
                let answer = match request.send().await {
                    Ok(answer) => {
                        format!("{} {method} {}", side(&answer), answer.status().as_u16())
                    }
                    Err(error) => format!("{method} {error:?}"),
                };
                *answers.lock().expect("the answers").entry(answer).or_default() += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }

    /// Both servers give their answers from this side, within the limit.
    async fn is_served_by(&self, wanted: &str, limit: Duration) {
        let started = Instant::now();
        for url in &self.urls {
            loop {
                let path = format!("{url}/v2/contracts?limit=1");
                let answer = self.client.get(path).send().await.expect("an answer");
                if side(&answer) == wanted {
                    break;
                }
                assert!(started.elapsed() < limit, "{url} is not served by {wanted}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn stop(mut self) -> BTreeMap<String, u32> {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        std::mem::take(&mut *self.answers.lock().expect("the answers"))
    }
}

fn side(answer: &reqwest::Response) -> &'static str {
    let is_legacy = answer.headers().get("x-served-by").is_some_and(|side| side == "legacy");
    if is_legacy { "legacy" } else { "ficus" }
}

async fn staff_token(world: &World) -> String {
    // Sessions of users who are disabled or gone end.
    let sql = "select id from users where is_active and deleted_at is null order by id limit 1";
    let user_id: Uuid =
        sqlx::query_scalar(sql).fetch_one(&world.pool).await.expect("an active user");
    let staff = api::identity::Identity { user_id, owner_id: None, role: "staff".to_owned() };
    let hour = Duration::from_secs(3600);
    api::identity::open_session(&world.pool, &staff, hour).await.expect("a session")
}
