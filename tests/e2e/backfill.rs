//! `ficus backfill` as its user has it: killed anywhere, asked for parts, told to wait, and with
//! servers and mappings that are not as they should be.

use std::{os::unix::process::ExitStatusExt as _, time::Duration};

use mapping::value::LegacyValue;
use sandbox::{
    legacy::Values,
    tds::{Options, Server, Tls},
};
use serde_json::Value;
use spacehub::model::Model;
use tokio::process::{Child, Command};

use crate::{
    oracle,
    world::{LIMIT, World},
};

/// Points of RELIABILITY's F61 in the order in which a copy comes by, and the time at which it dies there:
/// plan, claim, first row, in a COPY, at its end, the checkpoint's row, its commit, between two
/// statements, at the end of a chunk, and around the indexes.
const POINTS: &[&str] = &[
    "backfill.deferred:1",
    "backfill.planned:1",
    "backfill.planned:3",
    "backfill.claimed:1",
    "backfill.claimed:4",
    "backfill.first_row:2",
    "apply.mid_copy:1",
    "apply.mid_copy:5",
    "apply.after_stage:4",
    "apply.before_state:3",
    "apply.after_state:3",
    "apply.in_commit:4",
    "apply.after_commit:3",
    "backfill.read:2",
    "backfill.step_done:2",
    "backfill.chunk_done:3",
    "backfill.index:1",
    "backfill.indexed:1",
    "backfill.analyzed:1",
    "backfill.index:2",
];

/// A short chunk and a small batch, so that there is much to be killed in the middle of.
const SMALL: [(&str, &str); 3] = [
    ("FICUS_BACKFILL_CHUNK_ROWS", "200"),
    ("FICUS_BACKFILL_BATCH_ROWS", "50"),
    ("FICUS_KAFKA_SESSION_TIMEOUT_MS", "500"),
];

/// Secondary indexes of Spacehub's tables, as one text.
async fn indexes(world: &World) -> String {
    let all = "select string_agg(indexdef, e'\n' order by indexname) from pg_indexes
               where schemaname = 'public' and indexdef not like '%UNIQUE%'";
    sqlx::query_scalar::<_, Option<String>>(all)
        .fetch_one(&world.pool)
        .await
        .expect("indexes")
        .unwrap_or_default()
}

async fn count(world: &World, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&world.pool).await.expect(sql)
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_killed_at_each_point_it_goes_on_and_no_index_is_lost() {
    let world = World::start(3_000, 61).await;
    let before = indexes(&world).await;
    let writing = world.start_writer(61, 100, 300);
    for point in POINTS {
        let mut command = world.ficus(&["backfill", "--defer-indexes"]);
        command.envs(SMALL).env("FICUS_KILL_AT", point);
        if point.starts_with("backfill.step") {
            command
                .env("FICUS_BACKFILL_STATEMENT_MS", "1")
                .env("FICUS_BACKFILL_ROWS_PER_SECOND", "20000");
        }
        let ended = tokio::time::timeout(LIMIT, command.output()).await;
        let output = ended.unwrap_or_else(|_| panic!("{point}: it hangs")).expect("it runs");
        // SIGABRT: it died there, and did not end for another reason.
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(6), "{point}: {}\n{words}", output.status);
        // Whoever looks meanwhile is told.
        world.run(&["status"]).await.success();
    }
    // An index that was left half built.
    let half = "update pg_index set indisvalid = false where indexrelid = (
                  select i.oid from pg_class i join ficus.deferred_index d on d.index_name = i.relname limit 1)";
    sqlx::raw_sql(half).execute(&world.pool).await.expect("a catalogue that may be spoilt");
    let mut consumer = world.spawn(&["consume"]);
    world.run(&["backfill"]).await.success();
    assert_eq!(indexes(&world).await, before);
    assert_eq!(count(&world, "select count(*) from ficus.deferred_index").await, 0);
    assert_eq!(count(&world, "select count(*) from pg_index where not indisvalid").await, 0);
    writing.stop().await;
    tokio::time::timeout(LIMIT, world.run(&["reconcile"])).await.expect("a verdict").success();
    let model = Model::of(&world.legacy.database).expect("the model");
    oracle::assert_target_is(&world.pool, &model).await;
    oracle::assert_accounts_are_in_order(&world.pool, &model).await;
    consumer.kill().await.expect("it is killed");
    world.stop().await;
}

/// Starts a copy and waits until it has read something.
async fn started(world: &World, arguments: &[&str], settings: &[(&str, &str)]) -> Child {
    let mut command = world.ficus(arguments);
    let child = command.envs(settings.iter().copied()).spawn().expect("it starts");
    let limit = std::time::Instant::now() + LIMIT;
    while count(world, "select coalesce(sum(rows), 0)::int8 from ficus.backfill_chunk").await == 0 {
        assert!(std::time::Instant::now() < limit, "it never begins");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child
}

async fn ended(child: Child) -> (Option<i32>, String) {
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("it ends");
    let output = output.expect("it ran");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_when_it_is_told_to_and_says_how_to_go_on() {
    let world = World::start(3_000, 62).await;
    let slow = [("FICUS_BACKFILL_ROWS_PER_SECOND", "400"), ("FICUS_BACKFILL_BATCH_ROWS", "50")];
    let child = started(&world, &["backfill"], &slow).await;
    let told = world.run(&["backfill", "pause", "--reason", "month's end"]).await.success();
    assert!(told.contains("within a second"), "{told}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rows = "select coalesce(sum(rows), 0)::int8 from ficus.backfill_chunk";
    let before = count(&world, rows).await;
    let status = world.run(&["status"]).await.success();
    assert!(status.contains("paused by") && status.contains("month's end"), "{status}");
    assert!(status.contains("readers waits: paused by"), "{status}");
    assert!(status.contains("is not copied to its end"), "{status}");
    let status: Value =
        serde_json::from_str(&world.run(&["status", "--json"]).await.success()).expect("JSON");
    assert_eq!(status["backfill"]["paused"]["reason"], "month's end");
    assert_eq!(count(&world, rows).await, before);
    world.run(&["backfill", "resume"]).await.success();
    assert!(world.run(&["backfill", "resume"]).await.success().contains("not paused"));
    let limit = std::time::Instant::now() + LIMIT;
    while count(&world, rows).await == before {
        assert!(std::time::Instant::now() < limit, "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let id = child.id().expect("an id").to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().await;
    assert!(sent.expect("a signal").success());
    let (code, words) = ended(child).await;
    assert_eq!(code, Some(130), "{words}");
    assert!(words.contains("chunks done: the same command goes on where it was"), "{words}");
    assert!(words.contains("waiting: paused by") && words.contains("going on"), "{words}");
    let running = "select count(*) from ficus.backfill_chunk where state = 'running'";
    assert_eq!(count(&world, running).await, 0, "the chunks are given back");

    let lines = world.run(&["backfill", "--json"]).await.success();
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    for name in ["planned", "committed", "chunkDone", "report"] {
        assert!(events.iter().any(|event| event["event"] == name), "{name}: {lines}");
    }
    let report = events.last().expect("a report");
    assert_eq!(
        (report["complete"].as_bool(), report["cancelled"].as_bool()),
        (Some(true), Some(false))
    );
    let committed = events.iter().find(|event| event["event"] == "committed").expect("rows");
    assert!(committed["rowsPerSecond"].is_u64() && committed["rowsRead"].is_u64(), "{committed}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_rights_and_windows_are_asked_for_on_the_command_line() {
    let world = World::start(1_500, 63).await;
    world.run(&["backfill"]).await.success();
    let key = "select replace(company_no, '/', '~1') || '/' || replace(contract_no, '/', '~1')
               from contracts limit 1";
    let key: String = sqlx::query_scalar(key).fetch_one(&world.pool).await.expect("a contract");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.txt");
    std::fs::write(&file, format!("{key}\nNO/SUCH\n")).expect("a file");
    let path = file.to_str().expect("a path");
    let ended = world.run(&["backfill", "contracts", "--only-keys", path]).await;
    let told = ended.code(1);
    assert!(told.contains("has no row for"), "{told}");
    let part =
        world.run(&["backfill", "dbo.Contract", "--where", "[MonthlyTotal] >= 0 --all"]).await;
    assert!(part.success().contains("dbo.Contract"), "{}", part.text());
    for (arguments, code, words) in [
        (&["backfill", "contracts", "--where", "[Nope] = 1"][..], 3, "an object is missing"),
        (&["backfill", "contracts", "--where", " "], 64, "--where needs a condition"),
        (&["backfill", "tenants", "--where", "1 = 1"], 64, "is made of several tables"),
        (&["backfill", "contracts", "--only-keys", "/no/such/file"], 64, "can't read the keys"),
        (&["backfill", "nobody"], 64, "there is no domain or entity `nobody`"),
        (&["backfill", "--between", "22:00-05:00"], 64, "with the zone"),
        (&["backfill", "--between", "22:00-05:00 Mars/Olympus"], 64, "no such time zone"),
    ] {
        let ended = world.run(arguments).await;
        assert_eq!(ended.exit_code(), Some(code), "{arguments:?}: {}", ended.text());
        assert!(ended.text().contains(words), "{arguments:?}: {}", ended.text());
    }
    let grants = world.run(&["backfill", "contracts", "--grants"]).await.success();
    assert!(grants.contains("GRANT SELECT ON [dbo].[Contract] TO [ficus];"), "{grants}");
    assert!(grants.contains("GRANT SELECT ON [cdc].[dbo_Contract_CT] TO [ficus];"), "{grants}");
    assert!(!grants.contains("[dbo].[Invoice]"), "{grants}");
    world.stop().await;
}

/// The most memory that a copy of everything takes, in KiB.
async fn peak(world: &World) -> u64 {
    let mut command = world.ficus(&["backfill", "--parallel", "2"]);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("it starts");
    let status = format!("/proc/{}/status", child.id().expect("an id"));
    let mut most = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = most.max(now.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("a child") {
            assert!(ended.success(), "{ended}");
            return most;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What is in memory is a few batches, and the ids that were met lately, whatever the tables hold.
#[tokio::test(flavor = "multi_thread")]
async fn peak_memory_does_not_grow_with_the_tables() {
    let mut peaks = Vec::new();
    let mut megabytes = Vec::new();
    for rows in [5_000, 20_000] {
        let world = World::start(rows, 65).await;
        let legacy = &world.legacy.database;
        let columns = legacy.catalog();
        let contract = mapping::catalog::LegacyTable::new("dbo", "Contract");
        let contract = columns.table(&contract).expect("contracts");
        let terms = contract.columns.iter().position(|c| c.name == "Terms").expect("a large text");
        let keys: Vec<_> = contract
            .primary_key
            .iter()
            .filter_map(|name| contract.columns.iter().position(|c| c.name == *name))
            .collect();
        let contracts = legacy.rows("dbo.Contract").expect("rows");
        let long = LegacyValue::Text("a long text ".repeat(4_000).into());
        for row in &contracts {
            let key: Vec<_> = keys.iter().map(|&index| row[index].clone()).collect();
            let set = |row: &mut Values| row[terms] = long.clone();
            let update = legacy.transaction(|t| t.update("dbo.Contract", &key, set).map(drop));
            update.expect("a longer text");
        }
        megabytes.push(contracts.len() * 48_000 / 1_000_000);
        peaks.push(peak(&world).await);
        world.stop().await;
    }
    println!("{peaks:?} KiB for {megabytes:?} MB of text");
    assert!(megabytes[1] > megabytes[0] + 60, "{megabytes:?} MB");
    assert!(peaks[1] < peaks[0] + 30 * 1024, "{peaks:?} KiB");
}

/// One sentence, what to do, and the code that docs/backfill.md says.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_legacy_side_is_one_sentence_with_its_exit_code() {
    let world = World::start(1_500, 64).await;
    let good = world.legacy.url();
    let plain = Server::start(
        world.legacy.database.clone(),
        Options { login: "ficus".to_owned(), password: "x".to_owned(), tls: Tls::Off, port: 0 },
    )
    .await
    .expect("a server");
    let no_tls = format!("mssql://ficus:x@{}/Spacehub23?encrypt=required", plain.address());
    for (url, words) in [
        (good.replace("sandbox-only", "guessed"), "refused the login `ficus`"),
        (good.replace("Spacehub23", "Nowhere"), "database `Nowhere` can't be opened"),
        (
            "mssql://ficus:x@127.0.0.1:1/Spacehub23?trust=true".to_owned(),
            "no connection to the legacy server",
        ),
        (no_tls, "encryption level"),
    ] {
        let mut command = world.ficus(&["backfill"]);
        let output = command.env("FICUS_LEGACY_URL", &url).output().await.expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{url}: {told}");
        assert!(told.contains(words), "{url}: {told}");
        assert_eq!(told.lines().filter(|line| line.starts_with("ficus: ")).count(), 1, "{told}");
    }
    plain.stop().await;
    // In the middle: the table is given up, the others are copied.
    let faults = world.legacy.server.faults();
    for (number, words) in [(208, "mapping check"), (207, "mapping check"), (229, "grant SELECT")] {
        faults.fail_statements("FROM [dbo].[Invoice] ", number);
        let ended = world.run(&["backfill", "--restart"]).await;
        faults.mend();
        assert_eq!(ended.exit_code(), Some(3), "{}", ended.text());
        let told = ended.text();
        assert!(told.contains("dbo.Invoice was given up") && told.contains(words), "{told}");
        let open = "select count(*) from ficus.backfill_chunk
                    where state <> 'done' and source_table <> 'dbo.Invoice'";
        assert_eq!(count(&world, open).await, 0);
    }
    world.run(&["backfill"]).await.success();
    world.stop().await;
}
