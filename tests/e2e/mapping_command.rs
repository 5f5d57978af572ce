//! `ficus mapping check` and `explain`, as their users run them.

use std::{path::Path, process::Output};

use mapping::key::CanonicalKey;
use sqlx::{AssertSqlSafe, Row as _};

use crate::world::World;

/// The binary with these variables and no others of ours.
fn ficus(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ficus"));
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FICUS_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).output().expect("it runs")
}

/// Standard output, after its exit code was the expected one.
fn ended(output: &Output, code: i32) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    stdout
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The catalogue that the checked-in DDL makes, with the marker table.
fn saved_catalogue(folder: &Path) -> String {
    let mut catalog = spacehub::catalog().expect("the DDL");
    let database = spacehub::demo::empty_database().expect("the DDL");
    let marker = |table: &&mapping::catalog::Table| table.table.name == "ficus_marker";
    let with_marker = database.catalog();
    if !catalog.tables.iter().any(|table| marker(&table)) {
        catalog.tables.extend(with_marker.tables.iter().filter(marker).cloned());
    }
    let path = folder.join("catalogue.json");
    std::fs::write(&path, serde_json::to_string(&catalog).expect("JSON")).expect("written");
    path.display().to_string()
}

/// `file:line:column` of the first place of a text in a mapping file.
fn place(file: &str, what: &str) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(file);
    let text = std::fs::read_to_string(path).expect("a mapping file");
    let mut lines = text.lines().zip(1..);
    let found = lines.find_map(|(line, number)| {
        let before = line.get(..line.find(what)?)?;
        Some(format!("{file}:{number}:{}", before.chars().count() + 1))
    });
    found.expect(what)
}

/// CI's own line: Spacehub's mapping against the checked-in DDL, without any connection.
#[test]
fn spacehubs_mapping_has_nothing_to_warn_of_offline() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = saved_catalogue(folder.path());
    let variables = [("FICUS_LEGACY_CATALOG", catalogue.as_str())];
    let arguments = ["mapping", "check", "--deny-warnings", "--offline"];
    let text = ended(&ficus(&arguments, &variables), 0);
    assert!(text.contains("\n0 errors, 0 warnings, 2 accepted\n"), "{text}");
    assert!(text.contains("target schema: skipped: --offline"), "{text}");
    assert!(text.contains("saved catalogue: skipped: --offline"), "{text}");
    assert!(text.contains("left out: dbo.ModuleInfo: "), "{text}");
    // Without the flag nothing is configured either.
    let text = ended(&ficus(&arguments[..3], &variables), 0);
    assert!(text.contains("target schema: skipped: target.url is not set"), "{text}");
    assert!(text.contains("saved catalogue: skipped: legacy.url is not set"), "{text}");
    let nothing = ficus(&arguments[..2], &[]);
    ended(&nothing, 64);
    assert!(stderr(&nothing).contains("there is no legacy catalogue to check against"));
}

/// A copy of Spacehub's mapping files, one of them changed.
fn changed_files(folder: &Path, name: &str, from: &str, to: &str) -> String {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../spacehub/mappings"));
    for entry in std::fs::read_dir(source).expect("a folder").flatten() {
        let mut text = std::fs::read_to_string(entry.path()).expect("a file");
        if entry.file_name() == name {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        std::fs::write(folder.join(entry.file_name()), text).expect("written");
    }
    folder.display().to_string()
}

#[test]
fn a_finding_is_a_line_with_its_place_and_a_line_of_help() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = saved_catalogue(folder.path());
    let run = |files: &str, arguments: &[&str]| {
        let variables =
            [("FICUS_LEGACY_CATALOG", catalogue.as_str()), ("FICUS_PRODUCT_MAPPINGS", files)];
        ficus(&[&["mapping", "check"], arguments].concat(), &variables)
    };
    let typo = tempfile::tempdir().expect("a folder");
    let files = changed_files(typo.path(), "contracts.toml", "\"EndDate\"", "\"EndDaet\"");
    let text = ended(&run(&files, &[]), 2);
    let place = place(&format!("{files}/contracts.toml"), "\"EndDaet\"");
    let line = format!(
        "{place}: error: there is no legacy column `EndDaet` in `contracts` [mistake]\n    did you \
         mean `EndDate`?\n"
    );
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("target schema: skipped: the mapping files have mistakes"), "{text}");
    assert!(text.contains("2 errors, 0 warnings, 0 accepted"), "{text}");

    let unaccepted = tempfile::tempdir().expect("a folder");
    let accept = "null-rejected.kind = \"without a type nobody can say whose user it is; XPO always writes one\"\n";
    let files = changed_files(
        unaccepted.path(),
        "users.toml",
        accept,
        "null-rejected.user_name = \"no\"\n",
    );
    assert_eq!(ended(&run(&files, &[]), 0).matches(": warning: ").count(), 2);
    ended(&run(&files, &["--deny-warnings"]), 1);
    let json = ended(&run(&files, &["--json"]), 0);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["format"], &json["errors"], &json["warnings"]),
        (&1.into(), &0.into(), &2.into())
    );
    let rules: Vec<&str> = json["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|f| f["rule"].as_str())
        .collect();
    assert_eq!(rules, ["accept-idle", "null-rejected"]);
    let finding = &json["findings"][1];
    assert_eq!(finding["file"], format!("{files}/users.toml"));
    let place = self::place(&format!("{files}/users.toml"), "kind   ");
    assert_eq!(format!("{files}/users.toml:{}:{}", finding["line"], finding["column"]), place);
    assert_eq!(finding["severity"], "warning");
    assert!(finding["help"].as_str().is_some_and(|help| help.contains("[entity.accept]")));
    assert_eq!(json["parts"][2]["state"], "skipped", "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_installation_is_checked_and_its_rows_explained() {
    let world = World::start(3_000, 7).await;
    check(&world).await;
    world.run(&["backfill"]).await.success();
    explain(&world).await;
    explain_what_is_not_there(&world).await;
    world.stop().await;
}

async fn sql(world: &World, statement: &str) {
    let run = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&world.pool).await;
    run.expect(statement);
}

async fn check(world: &World) {
    let clean = world.run(&["mapping", "check", "--deny-warnings"]).await.success();
    assert!(clean.contains("0 errors, 0 warnings"), "{clean}");
    assert!(clean.contains("target schema: checked: in Postgres"), "{clean}");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("saved.json");
    let file = path.to_str().expect("UTF-8");
    world.run(&["catalog", "save", file]).await.success();
    let saved = std::fs::read_to_string(&path).expect("a catalogue");
    let mut catalog: mapping::catalog::Catalog = serde_json::from_str(&saved).expect("a catalogue");
    let contract = catalog.tables.iter_mut().find(|t| t.table.name == "Contract").expect("there");
    contract.columns.iter_mut().find(|c| c.name == "Status").expect("there").nullable = false;
    std::fs::write(&path, serde_json::to_string(&catalog).expect("JSON")).expect("written");
    sql(world, "alter table contracts alter column status set not null, drop column terms").await;

    let mut command = world.ficus(&["mapping", "check"]);
    let output = command.env("FICUS_LEGACY_CATALOG", file).output().await.expect("it runs");
    let text = ended(&output, 2);
    let contracts = |what| place("spacehub/mappings/contracts.toml", what);
    for line in [
        format!(
            "{}: warning: the saved catalogue is out of date: `dbo.Contract.Status` is int not null \
             there, and int null on the server [catalogue-differs]",
            contracts("\"dbo.Contract\"")
        ),
        format!(
            "{}: error: there is no column `contracts.terms` in Postgres [target-column-missing]\n    \
             alter table \"public\".\"contracts\" add column \"terms\" text;",
            contracts("terms  ")
        ),
        "1 error, 1 warning, ".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(!text.contains("target-not-null"), "NULL becomes draft: {text}");

    // Before the first migration there are no roles and no tables, and that is what is told.
    sql(world, "create database unmigrated").await;
    let mut command = world.ficus(&["mapping", "check"]);
    let empty = world.target_url().replacen("/e2e", "/unmigrated", 1);
    let output = command.env("FICUS_TARGET_URL", empty).output().await.expect("it runs");
    let text = ended(&output, 2);
    assert_eq!(text.matches("[target-table-missing]\n    create table ").count(), 18, "{text}");

    // What can't be reached does not hide the rest.
    let mut command = world.ficus(&["mapping", "check"]);
    command.env("FICUS_TARGET_URL", "postgres://nobody@127.0.0.1:1/nothing");
    command.env("FICUS_LEGACY_CATALOG", file);
    let output = command.output().await.expect("it runs");
    let text = ended(&output, 3);
    assert!(text.contains("[catalogue-differs]"), "{text}");
    assert!(text.contains("target schema: failed: reading the target's schema"), "{text}");
    assert!(stderr(&output).contains("check the target's address"), "{}", stderr(&output));
    sql(world, "alter table contracts alter column status drop not null, add column terms text")
        .await;
}

/// What changes from run to run: minted ids, log positions, the clock.
fn stable(text: &str) -> String {
    let mut stable = String::new();
    for line in text.lines() {
        let line = match line.split_once(" at 0000") {
            Some((before, _)) if line.contains("part dbo.") => format!("{before} at <position>"),
            Some((before, after)) if line.contains("quarantine entry") => {
                let rest = after.split_once(": ").map_or("", |(_, rest)| rest);
                let before = before.split_once(" (").map_or(before, |(_, state)| state);
                format!("  quarantine entry <number> ({before} at <position>: {rest}")
            }
            _ => line.to_owned(),
        };
        let line = match line.split_once("source position: ") {
            Some((before, _)) => format!("{before}source position: <position>"),
            None => line,
        };
        let words =
            line.split(' ').map(|word| match word.len() == 36 && word.matches('-').count() == 4 {
                true => "<id>",
                false => word,
            });
        stable.push_str(&words.collect::<Vec<_>>().join(" "));
        stable.push('\n');
    }
    stable
}

/// The first row of an entity that fulfils a condition: its id, and its key as a command takes it.
async fn first(world: &World, entity: &str, condition: &str) -> (String, String) {
    let sql = format!(
        "select k.id::text as id, k.key from ficus.key_map k join ficus.entity e on e.id = k.entity
         join {entity} t on t.id = k.id where e.name = '{entity}' and {condition}
         order by k.key limit 1"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&world.pool).await.expect(entity);
    let key: Vec<u8> = row.get("key");
    (row.get("id"), CanonicalKey::from_bytes(&key).to_text())
}

async fn explain(world: &World) {
    let (id, key) =
        first(world, "contracts", "tenant_id is not null and end_date is not null").await;
    let contract = world.run(&["mapping", "explain", "contracts", "--key", &key]).await.success();
    insta::assert_snapshot!("a_contract", stable(&contract));
    let by_id = world.run(&["mapping", "explain", "--id", &id]).await.success();
    assert_eq!(by_id, contract, "the same row by its id");

    let (_, key) = first(world, "property_owners", "email is null").await;
    let owner =
        world.run(&["mapping", "explain", "property_owners", "--key", &key]).await.success();
    insta::assert_snapshot!("an_owner_of_two_tables", stable(&owner));

    let (_, key) = first(world, "space_rates", "valid_from is not null").await;
    assert_eq!(key.split('/').count(), 3, "a time in the key: {key}");
    let rate = world.run(&["mapping", "explain", "space_rates", "--key", &key]).await.success();
    insta::assert_snapshot!("a_space_rate", stable(&rate));

    let mut planted = world.legacy.demo.planted.iter();
    let planted = planted.find(|p| p.table == "Invoice" && p.rule == "money.inexact");
    let planted = planted.expect("a planted invoice");
    let key = spacehub::model::key_text(&planted.key);
    let rejected = world.run(&["mapping", "explain", "invoices", "--key", &key]).await.code(1);
    insta::assert_snapshot!("a_rejected_invoice", stable(&rejected));

    // Somebody wrote past the one way in.
    let (id, key) = first(world, "users", "password_hash is not null").await;
    sql(
        world,
        &format!("update users set user_name = 'root', password_hash = 'x' where id = '{id}'"),
    )
    .await;
    let user = world.run(&["mapping", "explain", "users", "--key", &key, "--json"]).await.code(1);
    let user: serde_json::Value = serde_json::from_str(&user).expect("JSON");
    assert_eq!((&user["entity"], &user["id"]), (&"users".into(), &id.as_str().into()));
    let differences = user["target"]["differences"].as_array().expect("differences");
    let columns: Vec<&str> = differences.iter().filter_map(|d| d["column"].as_str()).collect();
    assert_eq!(columns, ["user_name", "password_hash"]);
    assert_eq!(differences[0]["target"], "root");
    assert_eq!(
        (&differences[1]["target"], &differences[1]["mapped"]),
        (&"(masked)".into(), &"(masked)".into())
    );
}

async fn explain_what_is_not_there(world: &World) {
    let minted = || async {
        let count: i64 = sqlx::query_scalar("select count(*) from ficus.key_map")
            .fetch_one(&world.pool)
            .await
            .expect("a count");
        count
    };
    let before = minted().await;
    let check = |arguments: &'static [&'static str], code: i32, expect: &'static str| async move {
        let ended = world.run(&[&["mapping", "explain"], arguments].concat()).await;
        assert!(ended.text().contains(expect), "{arguments:?}: {}", ended.text());
        assert_eq!(ended.exit_code(), Some(code), "{}", ended.text());
    };
    check(&["contrcts", "--key", "a/b"], 64, "did you mean contracts?").await;
    check(
        &["contracts", "--key", "a"],
        64,
        "has 2 parts (CompanyNo, ContractNo), and the text has 1",
    )
    .await;
    check(&["space_rates", "--key", "1/A/soon"], 64, "no value of type datetime").await;
    check(&["contracts", "--key", "no/where"], 1, "id: not minted yet").await;
    check(&["contracts", "--key", "no/where"], 1, "there is no row with this key").await;
    check(&["--id", "00000000-0000-0000-0000-000000000001"], 1, "no legacy key has the id").await;
    check(&["contracts"], 64, "required").await;
    assert_eq!(minted().await, before, "reading mints nothing");

    let (_, key) = first(world, "contracts", "true").await;
    let mut command = world.ficus(&["mapping", "explain", "contracts", "--key", &key]);
    command.env("FICUS_TARGET_URL", "postgres://nobody@127.0.0.1:1/nothing");
    let output = command.output().await.expect("it runs");
    let text = ended(&output, 3);
    assert!(text.contains("company_no text"), "the legacy side is explained all the same: {text}");
    assert!(stderr(&output).contains("asking the target about the row"), "{}", stderr(&output));

    let mut command = world.ficus(&["mapping", "explain", "contracts", "--key", &key]);
    let output = command.env_remove("FICUS_TARGET_URL").output().await.expect("it runs");
    let text = ended(&output, 0);
    assert!(text.contains("id: skipped: no target is configured (target.url)"), "{text}");

    let mut command = world.ficus(&["mapping", "explain", "contracts", "--key", &key]);
    command.env("FICUS_LEGACY_URL", "mssql://a:b@127.0.0.1:1/x?encrypt=off");
    let output = command.output().await.expect("it runs");
    ended(&output, 3);
    assert!(stderr(&output).contains("no connection to the legacy server"), "{}", stderr(&output));
}

/// A row from a file needs no server at all: a plain object, or an event of the real connector.
#[test]
fn a_row_is_explained_offline() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = saved_catalogue(folder.path());
    let explain = |entity: &str, row: &str| {
        let path = folder.path().join("row.json");
        std::fs::write(&path, row).expect("written");
        let path = path.to_str().expect("UTF-8");
        let arguments = ["mapping", "explain", entity, "--offline", "--row", path];
        ficus(&arguments, &[("FICUS_LEGACY_CATALOG", catalogue.as_str())])
    };
    let row = r#"{"CompanyNo": "уб ", "ContractNo": "1/7", "Status": 1, "MonthlyTotal": "12.5"}"#;
    let text = ended(&explain("contracts", row), 0);
    assert!(text.starts_with("contracts УБ/1~17\n  id: skipped: --offline\n"), "{text}");
    assert!(text.contains("MonthlyTotal money = 12.5000\n"), "{text}");
    let bank = r#"{"OID": 3, "BankAccount": "MN12 3456"}"#;
    let text = ended(&explain("property_owners", bank), 0);
    assert!(text.contains("from dbo.Owner"), "the part that has the column: {text}");
    assert!(text.contains("= (masked)") && !text.contains("3456"), "{text}");
    for (row, code, expect) in [
        ("[\"secret\"]", 64, "neither a change event nor a JSON object (line 1"),
        ("{\"Nope\": 1}", 64, "dbo.Contract has no column `Nope` that is mapped"),
        ("{\"Status\": \"secret\"}", 64, "`Status` is int, and is given as something else"),
        ("{\"Status\": 1}", 1, ""),
    ] {
        let output = explain("contracts", row);
        ended(&output, code);
        assert!(stderr(&output).contains(expect), "{row}: {}", stderr(&output));
        assert!(!stderr(&output).contains("secret"), "{}", stderr(&output));
    }
}

/// As the connector writes it: a time in milliseconds, money in base64, a LOB that is not carried.
#[test]
fn a_change_event_is_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let catalogue = saved_catalogue(folder.path());
    let event = |table: &str| {
        format!(
            r#"{{"before": null, "op": "u", "ts_ms": 1, "transaction": null,
            "source": {{"version": "3.6.1.Final", "connector": "sqlserver", "name": "spacehub",
              "ts_ms": 1, "snapshot": "false", "db": "Spacehub23", "schema": "dbo", "table": "{table}",
              "change_lsn": "00000027:00000090:0002", "commit_lsn": "00000027:00000090:0003",
              "event_serial_no": 2}},
            "after": {{"CompanyNo": "УБ", "ContractNo": "7", "Tenant": null, "SignedOn": 1577872800000,
              "StartDate": null, "EndDate": null, "Status": 1, "CurrencyCode": "MNT",
              "MonthlyTotal": "AehI", "VatRate": 0.1, "Terms": null, "OptimisticLockField": 3}}}}"#
        )
    };
    let explain = |table: &str| {
        let path = folder.path().join("event.json");
        std::fs::write(&path, event(table)).expect("written");
        let path = path.to_str().expect("UTF-8");
        let arguments = ["mapping", "explain", "contracts", "--offline", "--row", path];
        ficus(&arguments, &[("FICUS_LEGACY_CATALOG", catalogue.as_str())])
    };
    let text = ended(&explain("Contract"), 0);
    for lines in [
        "SignedOn datetime = 2020-01-01T10:00:00\n    - wall time of Asia/Ulaanbaatar, at +08:00\n",
        "MonthlyTotal money = 12.5000\n",
        "Terms nvarchar(max) = (not in the event)\n    - the target keeps what it has\n",
    ] {
        assert!(text.contains(lines), "{lines}\n{text}");
    }
    let other = explain("Invoice");
    ended(&other, 64);
    let said = stderr(&other);
    assert!(
        said.contains("the event is of dbo.Invoice, and contracts comes from dbo.Contract"),
        "{said}"
    );
}
