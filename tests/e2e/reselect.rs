//! `unchanged = "reselect"`, with the real binary: rows that the stream brings without a large value.

use std::{path::Path, time::Duration};

use mapping::{catalog::LegacyTable, value::LegacyValue};

use crate::world::{LIMIT, World};

const TABLE: &str = "dbo.Contract";

/// Spacehub's mapping files, with contracts that are read again for their terms.
fn mappings(folder: &Path) {
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/../spacehub/mappings");
    for entry in std::fs::read_dir(from).expect("the folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a file");
        let terms = r#"{ from = "Terms", as = "text", lob = "inline""#;
        let text = text.replace(terms, &format!(r#"{terms}, unchanged = "reselect""#));
        let name = path.file_name().expect("a name");
        std::fs::write(folder.join(name), text).expect("a file");
    }
}

/// Sets a column of the contracts whose rows are taken; how many there are.
fn set(
    world: &World,
    column: &str,
    value: &LegacyValue<'static>,
    takes: impl Fn(&[LegacyValue<'static>]) -> bool,
) -> usize {
    let database = &world.legacy.database;
    let catalog = database.catalog();
    let table = catalog.table(&LegacyTable::new("dbo", "Contract")).expect("the table");
    let place = |name: &str| {
        table.columns.iter().position(|column| column.name == name).expect("the column")
    };
    let (keys, at) = (table.primary_key.iter().map(|name| place(name)), place(column));
    let keys: Vec<usize> = keys.collect();
    let rows = database.rows(TABLE).expect("the rows");
    let taken: Vec<_> = rows.iter().filter(|row| takes(row)).collect();
    database
        .transaction(|transaction| {
            for row in &taken {
                let key: Vec<_> = keys.iter().map(|at| row[*at].clone()).collect();
                transaction.update(TABLE, &key, |row| row[at] = value.clone())?;
            }
            Ok(())
        })
        .expect("a transaction");
    taken.len()
}

async fn count(world: &World, sql: &'static str) -> usize {
    let count: i64 = sqlx::query_scalar(sql).fetch_one(&world.pool).await.expect("a count");
    usize::try_from(count).expect("positive")
}

async fn eventually(world: &World, sql: &'static str, wanted: usize) {
    for _ in 0..LIMIT.as_secs() * 10 {
        if count(world, sql).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} and not {wanted}: {sql}", count(world, sql).await);
}

/// Waits until so many rows are in one of two states.
async fn together(world: &World, first: &'static str, second: &'static str, wanted: usize) {
    for _ in 0..LIMIT.as_secs() * 10 {
        if count(world, first).await + count(world, second).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{first}, and {second}: not {wanted} together");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_stream_brings_without_their_terms_are_read_again() {
    let world = World::start(1_000, 9).await;
    let folder = tempfile::tempdir().expect("a folder");
    mappings(folder.path());
    let saved = folder.path().join("catalog.json");
    world.run(&["catalog", "save", saved.to_str().expect("UTF-8")]).await.success();
    let words = folder.path().join("words");
    let consume = || {
        let mut command = world.ficus(&["consume"]);
        let words = std::fs::File::create(&words).expect("a file");
        command.env("FICUS_PRODUCT_MAPPINGS", folder.path());
        command.stdout(std::process::Stdio::null()).stderr(words);
        command
    };
    // One that can't read the legacy database says so, and leaves them to one that can.
    let mut offline = consume();
    offline.env_remove("FICUS_LEGACY_URL").env("FICUS_LEGACY_CATALOG", &saved);
    let mut consumer = offline.spawn().expect("it starts");
    let catalog = world.legacy.database.catalog();
    let table = catalog.table(&LegacyTable::new("dbo", "Contract")).expect("the table");
    let terms = table.columns.iter().position(|column| column.name == "Terms").expect("terms");
    let has_terms = |row: &[LegacyValue<'static>]| matches!(row[terms], LegacyValue::Text(_));
    // Nothing is copied, so the stream has only partial images of rows that are not there.
    let changed = set(&world, "OptimisticLockField", &LegacyValue::Int(77), has_terms);
    assert!(changed > 20, "{changed}");
    let asked = "select count(*) from ficus.reselect";
    let refused = "select count(*) from ficus.quarantine where source_table = 'dbo.Contract'";
    together(&world, asked, refused, changed).await;
    let waiting = count(&world, asked).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&world, asked).await, waiting);
    assert!(waiting > 20, "{waiting}");
    consumer.start_kill().expect("it is killed");
    consumer.wait().await.expect("it is dead");
    let said = std::fs::read_to_string(&words).expect("words");
    assert!(said.contains("legacy.url is not set: rows that a mapping wants read again"), "{said}");
    let mut consumer = consume().spawn().expect("it starts");
    let there = "select count(*) from contracts where version = 77 and terms is not null";
    together(&world, there, refused, changed).await;
    let found = count(&world, there).await;
    assert_eq!(found, waiting);
    eventually(&world, asked, 0).await;
    eventually(&world, "select count(*) from ficus.parked", 0).await;

    set(&world, "Terms", &LegacyValue::Null, has_terms);
    eventually(&world, there, 0).await;
    eventually(&world, "select count(*) from contracts where version = 77", found).await;
    let status = world.run(&["status"]).await.success();
    assert!(status.contains("quarantined: yes, for every table"), "{status}");
    consumer.start_kill().expect("it is killed");
    consumer.wait().await.expect("it is dead");
    world.stop().await;
}
