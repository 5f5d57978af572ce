//! Drafts by the real binary, from a saved catalogue, in a folder of their own.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Output},
};

use sqlx::PgPool;

use crate::world::{LIMIT, World};

fn ficus(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ficus"));
    command.current_dir(folder).args(arguments).env_clear();
    command.env("FICUS_LEGACY_CATALOG", "catalog.json");
    command.env("FICUS_PRODUCT_MAPPINGS", "draft/mappings");
    command.env("FICUS_PRODUCT_MIGRATIONS", "draft/migrations");
    command.output().expect("it runs")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_draft_is_written_checked_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = spacehub::catalog().expect("the fixture");
    let saved = serde_json::to_string(&catalog).expect("JSON");
    std::fs::write(folder.path().join("catalog.json"), saved).expect("a file");

    let unknown = ficus(folder.path(), &["mapping", "scaffold", "Contrct", "--out", "draft"]);
    assert_eq!(unknown.status.code(), Some(64), "{}", told(&unknown));
    assert!(told(&unknown).contains("did you mean `dbo.Contract`?"), "{}", told(&unknown));
    assert!(!folder.path().join("draft").exists());

    let all = ["mapping", "scaffold", "--all", "--out", "draft"];
    let written = ficus(folder.path(), &all);
    assert_eq!(written.status.code(), Some(0), "{}", told(&written));
    assert!(told(&written).contains("draft/mappings/contracts.toml:"), "{}", told(&written));
    let checked = ficus(folder.path(), &["mapping", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));

    let contracts = folder.path().join("draft/mappings/contracts.toml");
    std::fs::write(&contracts, "edited").expect("a file");
    let refused = ficus(folder.path(), &all);
    assert_eq!(refused.status.code(), Some(64), "{}", told(&refused));
    assert_eq!(std::fs::read_to_string(&contracts).expect("a file"), "edited");
    let forced = ficus(folder.path(), &[&all[..], &["--force"]].concat());
    assert_eq!(forced.status.code(), Some(0), "{}", told(&forced));
    let migrations = std::fs::read_dir(folder.path().join("draft/migrations")).expect("a folder");
    let again = String::from_utf8_lossy(&forced.stdout).matches("/migrations/").count();
    assert_eq!(migrations.count(), again, "every migration kept its number");
}

#[test]
fn a_draft_of_one_table_refers_to_what_is_mapped_already() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalog = spacehub::catalog().expect("the fixture");
    let saved = serde_json::to_string(&catalog).expect("JSON");
    std::fs::write(folder.path().join("catalog.json"), saved).expect("a file");
    let first = ["mapping", "scaffold", "Contract", "--out", "draft"];
    assert_eq!(ficus(folder.path(), &first).status.code(), Some(0));
    let second = ["mapping", "scaffold", "ContractItem", "--domain", "items", "--out", "draft"];
    let second = ficus(folder.path(), &second);
    assert_eq!(second.status.code(), Some(0), "{}", told(&second));
    assert!(folder.path().join("draft/migrations/1002_items.sql").exists());
    let checked = ficus(folder.path(), &["mapping", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
    let items = std::fs::read_to_string(folder.path().join("draft/mappings/items.toml"));
    assert!(items.expect("a file").contains("to = \"contracts\""));
}

#[test]
fn an_assessment_is_enough_to_draft_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let assessed = assess::assessment::Assessment {
        taken_at: "2025-03-01T09:00:00Z".into(),
        catalog: spacehub::catalog().expect("the fixture"),
        cdc: assess::assessment::CdcState { enabled: false, max_lsn: None },
        tables: Vec::new(),
        reading: assess::assessment::Reading::default(),
    };
    let saved = serde_json::to_string(&assessed).expect("JSON");
    std::fs::write(folder.path().join("assessed.json"), saved).expect("a file");
    let far = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ficus"));
        let words = ["mapping", "scaffold", "Contract", "--assessment"];
        command.current_dir(folder.path()).env_clear().args(words).args(arguments);
        command.output().expect("it runs")
    };
    let drafted = far(&["assessed.json", "--zone", "Asia/Ulaanbaatar"]);
    assert_eq!(drafted.status.code(), Some(0), "{}", told(&drafted));
    let text = String::from_utf8_lossy(&drafted.stdout).into_owned();
    assert!(text.contains("==> mappings/contracts.toml <=="), "{text}");
    assert!(text.contains("zone = \"Asia/Ulaanbaatar\""), "{text}");
    for (arguments, why) in [
        (&["missing.json"][..], "can't read missing.json"),
        (&["assessed.json", "--zone", "Ulaan"], "`Ulaan` is no time zone"),
        (&["assessed.json", "--domain", "../x"], "is no name of a domain"),
    ] {
        let refused = far(arguments);
        assert_eq!(refused.status.code(), Some(64), "{}", told(&refused));
        assert!(told(&refused).contains(why), "{}", told(&refused));
    }
}

/// Assessed, drafted and not edited: what the demo planted goes to quarantine, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_unedited_draft_carries_the_demo() {
    let world = World::start(3_000, 5).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let url = world.target_url().replacen("/e2e", "/draft", 1);
    sqlx::raw_sql("create database draft").execute(&world.pool).await.expect("a database");
    let run = async |arguments: &[&str]| {
        let mut command = world.ficus(arguments);
        command.env("FICUS_TARGET_URL", &url);
        command.env("FICUS_PRODUCT_MAPPINGS", path("draft/mappings"));
        command.env("FICUS_PRODUCT_MIGRATIONS", path("draft/migrations"));
        let ended = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends");
        let ended = ended.expect("it runs");
        assert!(
            ended.status.code().is_some_and(|code| code <= 1),
            "{arguments:?}: {}",
            told(&ended)
        );
    };
    let (assessed, draft) = (path("assessed.json"), path("draft"));
    run(&["assess", "--json", &assessed, "--zone", "Asia/Ulaanbaatar"]).await;
    let said =
        ["--zone", "Asia/Ulaanbaatar", "--currency", "MNT", "--digits", "2", "--out", &draft];
    let scaffold = ["mapping", "scaffold", "--all", "--assessment", &assessed];
    run(&[&scaffold[..], &said].concat()).await;
    run(&["migrate"]).await;
    run(&["backfill"]).await;

    let pool = PgPool::connect(&url).await.expect("a pool");
    let rules = "select distinct rule from ficus.quarantine";
    let rules: Vec<String> = sqlx::query_scalar(rules).fetch_all(&pool).await.expect("rules");
    let planted = ["file.length", "money.inexact", "null", "type.unknown", "zone.gap"];
    let rules: BTreeSet<&str> = rules.iter().map(String::as_str).collect();
    assert!(rules.is_subset(&BTreeSet::from(planted)), "{rules:?}");
    let waiting: i64 = sqlx::query_scalar("select count(*) from ficus.quarantine")
        .fetch_one(&pool)
        .await
        .expect("a count");
    assert!((1..60).contains(&waiting), "{waiting} rows wait");
    for table in ["owners", "tenants", "contracts", "contract_items", "invoices", "user_roles"] {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let count: i64 = sqlx::query_scalar(count).fetch_one(&pool).await.expect("a count");
        assert!(count > 5, "{count} rows of {table}");
    }
    pool.close().await;
    world.stop().await;
}
