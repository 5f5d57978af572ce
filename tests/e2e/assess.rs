//! `ficus assess`, the binary, on a legacy server alone.

use std::{path::Path, process::Stdio};

use spacehub::lab;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::world::LIMIT;

fn ficus(url: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ficus"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("FICUS_LEGACY_URL", url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Exit code, standard output, standard error.
async fn ended(mut command: Command) -> (Option<i32>, String, String) {
    let output = timeout(LIMIT, command.output()).await.expect("in time").expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_database_is_assessed_and_saved_for_offline_work() {
    let legacy = lab::Legacy::start(&lab::Options::test(500, 7)).await.expect("the legacy system");
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| ended(ficus(&legacy.url(), folder.path(), arguments));

    let files = ["--json", "a.json", "--html", "a.html", "--save-catalog", "catalog.json"];
    let (code, report, notes) =
        run(&[&["assess", "--zone", "Asia/Ulaanbaatar"], &files[..]].concat()).await;
    assert_eq!(code, Some(1), "blocking hazards: {notes}");
    assert!(report.starts_with("Spacehub23 (Cyrillic_General_CI_AS), read at "), "{report}");
    assert!(notes.contains("19 of 19: dbo."), "{notes}");
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).expect("a file");
    assert!(read("a.html").starts_with("<!doctype html>"));

    // The same as on standard output, and the catalogue is as good as the server.
    let (code, json, _) = run(&["assess", "--zone", "Asia/Ulaanbaatar", "--json", "-"]).await;
    assert_eq!(code, Some(1));
    let tables = |text: &str| {
        let json: serde_json::Value = serde_json::from_str(text).expect("JSON");
        json["tables"].clone()
    };
    assert_eq!(tables(&json), tables(&read("a.json")));
    let saved = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(saved(&read("catalog.json")), saved(&read("a.json"))["catalog"]);
    let mut check = ficus(
        "mssql://nobody@127.0.0.1:1/none?trust=true",
        folder.path(),
        &["mapping", "check", "--offline"],
    );
    check.env("FICUS_LEGACY_CATALOG", "catalog.json");
    check.env("FICUS_PRODUCT_MAPPINGS", "embedded:spacehub");
    let (code, checked, notes) = ended(check).await;
    assert_eq!(code, Some(0), "{checked}{notes}");

    let (code, report, _) = run(&["assess", "PermissionPolicyRole"]).await;
    assert_eq!(code, Some(0), "nothing blocks roles: {report}");
    for (arguments, why) in [
        (&["assess", "Contrct"][..], "did you mean dbo.Contract?"),
        (&["assess", "--zone", "Asia/Ulanbaatar"], "did you mean Asia/Ulaanbaatar?"),
        (&["assess", "--html", "no/such/folder"], "can't write no/such/folder"),
        (&["assess", "--sample", "0"], "0 is not in 1.."),
        (&["assess", "--html", "-"], "--html needs a file"),
    ] {
        let (code, _, notes) = run(arguments).await;
        assert_eq!(code, Some(64), "{arguments:?}: {notes}");
        assert!(notes.contains(why), "{arguments:?}: {notes}");
    }
    let nowhere = "mssql://nobody@127.0.0.1:1/none?trust=true";
    let (code, _, notes) = ended(ficus(nowhere, folder.path(), &["assess"])).await;
    assert_eq!(code, Some(3), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_an_assessment_with_what_it_found() {
    let legacy =
        lab::Legacy::start(&lab::Options::test(3_000, 7)).await.expect("the legacy system");
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["assess", "--rows-per-second", "20", "--json", "a.json"];
    let mut child = ficus(&legacy.url(), folder.path(), &arguments).spawn().expect("it starts");
    // The first table is read; all of them take minutes at that pace.
    let mut lines = BufReader::new(child.stderr.take().expect("standard error")).lines();
    let line = timeout(LIMIT, lines.next_line()).await.expect("in time").expect("a line");
    assert!(line.is_some_and(|line| line.starts_with("1 of 19: ")));
    let id = child.id().expect("it runs").to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().await.expect("kill");
    assert!(killed.success());
    let output = timeout(LIMIT, child.wait_with_output()).await.expect("in time").expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("The run ended before its time: it was told to stop."), "{report}");
    assert!(folder.path().join("a.json").exists());
}
