//! A verdict, what is done about it, who is told, and whether anybody changed what was said.

use std::process::Stdio;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use crate::world::{LIMIT, World};

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_differ_are_reported_told_and_healed() {
    let world = World::start(2_000, 7).await;
    let mut consumer = world.spawn(&["consume"]);
    world.run(&["backfill"]).await.success();
    let (hook, mut told) = webhook().await;

    // The first slot is made up for; all is well, and nobody is told.
    let schedule = ["schedule", "--once"];
    let text = scheduled(&world, &schedule, &hook).await;
    assert_eq!(text.0, Some(0), "{}", text.1);
    assert!(text.1.contains("(full): equal"), "{}", text.1);
    assert!(told.try_recv().is_err());
    let again = scheduled(&world, &schedule, &hook).await;
    assert_eq!((again.0, again.1.as_str()), (Some(0), ""), "a slot is run once");

    world
        .sql("update payments set amount = amount + 1 where id in (select id from payments order by id limit 3)")
        .await;
    world
        .sql("delete from invoices where id in (select id from invoices order by id limit 2)")
        .await;
    world.sql("update ficus.schedule_slot set due = due - interval '2 years'").await;
    let found = scheduled(&world, &schedule, &hook).await;
    assert_eq!(found.0, Some(1), "{}", found.1);
    let missed = told.recv().await.expect("a missed run is told");
    assert!(missed.contains("1 run was of `full` missed"), "{missed}");
    let different = told.recv().await.expect("a difference is told");
    assert!(
        different.contains("\"kind\":\"different\"") && different.contains("5 rows differ"),
        "{different}"
    );

    let planned =
        world.run(&["reconcile", "payments", "invoices", "--repair", "plan"]).await.code(1);
    assert!(planned.contains("what a repair would do (5 rows)"), "{planned}");
    let applied =
        world.run(&["reconcile", "payments", "invoices", "--repair", "apply"]).await.success();
    assert!(applied.contains("compared again after the repair"), "{applied}");

    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (page, csv) = (path("page.html"), path("rows.csv"));
    world.run(&["report", "show", "2", "--html", &page, "--csv", &csv]).await.code(1);
    let page = std::fs::read_to_string(page).expect("the page");
    assert!(page.contains("<h1>The two sides differ</h1>") && page.contains("<svg"), "{page}");
    assert_eq!(std::fs::read_to_string(csv).expect("the rows").lines().count(), 1 + 5);
    world.run(&["report", "show"]).await.success();
    let list = world.run(&["report", "list"]).await.success();
    assert_eq!(list.lines().filter(|line| line.contains("different")).count(), 1 + 3, "{list}");

    let whole = world.run(&["report", "verify"]).await.success();
    assert!(whole.contains("5 reports") && whole.contains("the chain is whole"), "{whole}");
    let archive = path("archive");
    world.run(&["report", "export", &archive]).await.success();
    world.run(&["report", "verify", &archive]).await.success();
    world
        .sql("update ficus.reconcile_run set body = replace(body, 'different', 'equal') where id = 2")
        .await;
    let broken = world.run(&["report", "verify"]).await.code(1);
    assert!(broken.contains("report 2 was changed"), "{broken}");
    world.run(&["report", "verify", &archive]).await.success();

    other_tiers(&world).await;

    consumer.kill().await.expect("the consumer ends");
    world.stop().await;
}

/// What reads less, what goes on, and what makes no sense.
async fn other_tiers(world: &World) {
    let quick = world.run(&["reconcile", "--quick"]).await.success();
    assert!(quick.contains("opens no gate"), "{quick}");
    world.run(&["reconcile", "--resume"]).await.success();
    let since = world.run(&["reconcile", "--since"]).await.success();
    assert!(since.contains("Since run") && since.contains("opens no gate"), "{since}");
    let list = world.run(&["report", "list"]).await.success();
    for tier in [" quick ", " since ", " full "] {
        assert!(list.contains(tier), "{tier}: {list}");
    }
    for nonsense in [
        ["--quick", "--since"],
        ["--resume", "--since"],
        ["--quick", "--paranoid"],
        ["--since=yes", "payments"],
    ] {
        let told = world.run(&["reconcile", nonsense[0], nonsense[1]]).await;
        assert_eq!(told.exit_code(), Some(64), "{nonsense:?}: {}", told.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_makes_no_sense_is_told_before_anything_is_tried() {
    let world = World::start(500, 7).await;
    for (key, value, expect) in [
        ("FICUS_SCHEDULE_FULL", "every day", "is no cron expression"),
        ("FICUS_SCHEDULE_FULL", "99 5 * * *", "is no cron expression"),
        ("FICUS_SCHEDULE_ZONE", "Mars/Base", "is no time zone"),
        ("FICUS_SCHEDULE_WEBHOOK", "ftp://secret@x", "no http or https address"),
        ("FICUS_SCHEDULE_NAMES", "payments, nonsense", "`nonsense`"),
        ("FICUS_SCHEDULE_SAMPLE_PERCENT", "200", "schedule.sample_percent"),
    ] {
        let mut command = world.ficus(&["schedule", "--once"]);
        command.env("FICUS_SCHEDULE_FULL", "0 5 * * *").env(key, value);
        let output = command.output().await.expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{key}={value}: {text}");
        assert!(text.contains(expect) && !text.contains("secret"), "{key}={value}: {text}");
    }
    let nothing = world.run(&["schedule"]).await;
    assert_eq!(nothing.exit_code(), Some(64), "{}", nothing.text());
    world.stop().await;
}

/// Runs a scheduled command: its exit code and what it printed.
async fn scheduled(world: &World, arguments: &[&str], hook: &str) -> (Option<i32>, String) {
    let mut command = world.ficus(arguments);
    command
        .env("FICUS_SCHEDULE_FULL", "0 0 1 1 *")
        .env("FICUS_SCHEDULE_WEBHOOK", hook)
        .stderr(Stdio::inherit());
    let output = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends");
    let output = output.expect("the binary runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Takes what is posted, and answers each with 204.
async fn webhook() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut bytes = vec![0; 64 << 10];
                let mut length = 0;
                while let Ok(read @ 1..) =
                    stream.read(bytes.get_mut(length..).unwrap_or_default()).await
                {
                    length += read;
                    let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default())
                        .into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let wanted = head.lines().find_map(|line| {
                        line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
                    });
                    if wanted == Some(body.len()) {
                        drop(sender.send(body.to_owned()));
                        let answer = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(answer).await.expect("an answer");
                        length = 0;
                    }
                }
            });
        }
    });
    (url, receiver)
}
