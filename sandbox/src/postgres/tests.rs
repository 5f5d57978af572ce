use std::{fs, path::Path};

use sqlx::{Connection, PgConnection, Row};

use super::*;

fn in_folder(folder: &Path) -> Options {
    Options { data_parent: Some(folder.to_path_buf()), ..Options::default() }
}

fn open_temp_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

async fn text(url: &str, statement: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(statement).fetch_one(&mut connection).await.unwrap().get(0)
}

#[tokio::test]
async fn a_server_starts_answers_and_leaves_nothing() {
    let folder = open_temp_folder();
    let postgres = Postgres::start(&in_folder(folder.path())).await.unwrap();
    assert!(
        postgres.source().starts_with("embedded 16") || postgres.source().starts_with("system")
    );
    postgres.create_database("with \"quotes\" & blanks").await.unwrap();
    let url = postgres.url(SUPERUSER, "with \"quotes\" & blanks");
    assert_eq!(text(&url, "select current_database()::text").await, "with \"quotes\" & blanks");
    assert_eq!(text(&url, "show listen_addresses").await, "");
    assert_eq!(text(&url, "show fsync").await, "off");
    postgres.stop().await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_data_and_ends_the_sessions() {
    let folder = open_temp_folder();
    let settings = vec!["max_connections=20".to_owned()];
    let options = Options { settings, ..in_folder(folder.path()) };
    let postgres = Postgres::start(&options).await.unwrap();
    let url = postgres.url(SUPERUSER, "postgres");
    assert_eq!(text(&url, "show max_connections").await, "20");
    for (how, name) in [(Shutdown::Fast, "fast"), (Shutdown::Immediate, "immediate")] {
        let mut session = PgConnection::connect(&url).await.unwrap();
        postgres.create_database(name).await.unwrap();
        // Nothing is flushed by itself here, and an immediate shutdown flushes nothing.
        sqlx::raw_sql("checkpoint").execute(&mut session).await.unwrap();
        postgres.restart(how, Duration::from_millis(50)).await.unwrap();
        assert!(sqlx::raw_sql("select 1").execute(&mut session).await.is_err());
        let kept = text(&postgres.url(SUPERUSER, name), "select current_database()::text").await;
        assert_eq!(kept, name);
    }
    postgres.stop().await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_durable_server_keeps_every_promise() {
    let folder = open_temp_folder();
    let options = Options { durable: true, ..in_folder(folder.path()) };
    let postgres = Postgres::start(&options).await.unwrap();
    let url = postgres.url(SUPERUSER, "postgres");
    for setting in ["show fsync", "show synchronous_commit", "show full_page_writes"] {
        assert_eq!(text(&url, setting).await, "on");
    }
    drop(postgres);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn two_servers_live_side_by_side_and_do_not_sweep_each_other() {
    let folder = open_temp_folder();
    let options = in_folder(folder.path());
    let (one, two) = tokio::join!(Postgres::start(&options), Postgres::start(&options));
    let (one, two) = (one.unwrap(), two.unwrap());
    one.create_database("same").await.unwrap();
    two.create_database("same").await.unwrap();
    assert_ne!(one.url("a", "b"), two.url("a", "b"));
}

#[tokio::test]
async fn leftovers_of_a_dead_process_are_swept() {
    let folder = open_temp_folder();
    let dead = folder.path().join("ficus-pg-dead");
    fs::create_dir_all(dead.join("data")).unwrap();
    fs::write(dead.join("lock"), "").unwrap();
    let foreign = folder.path().join("somebody-else");
    fs::create_dir(&foreign).unwrap();
    let _postgres = Postgres::start(&in_folder(folder.path())).await.unwrap();
    assert!(!dead.exists());
    assert!(foreign.exists());
}

#[tokio::test]
async fn a_long_data_folder_gets_its_socket_elsewhere() {
    let folder = open_temp_folder();
    let long = folder.path().join("x".repeat(90));
    let postgres = Postgres::start(&in_folder(&long)).await.unwrap();
    assert!(!postgres.sockets.starts_with(&long));
    let sockets = postgres.sockets.clone();
    drop(postgres);
    assert!(!sockets.exists());
    assert_eq!(fs::read_dir(&long).unwrap().count(), 0);
}

#[tokio::test]
async fn databases_of_the_shared_server_are_apart() {
    let (one, two) = tokio::join!(fresh_database("apart"), fresh_database("apart"));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.name, two.name);
    assert_eq!(text(&one.url(SUPERUSER), "select current_database()::text").await, one.name);
    assert!(std::ptr::eq(one.server, two.server));
}

#[tokio::test]
async fn a_database_that_exists_is_one_clear_sentence() {
    let database = fresh_database("taken").await.unwrap();
    let error = database.server.create_database(&database.name).await.unwrap_err();
    assert_eq!(error.to_string(), format!("can't create the database `{}`", database.name));
}

#[tokio::test]
async fn a_cache_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = open_temp_folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let options = Options { cache: Some(folder.path().to_path_buf()), ..Options::default() };
    match Postgres::start(&options).await {
        Ok(postgres) => assert!(postgres.source().starts_with("system"), "{}", postgres.source()),
        Err(error) => assert!(matches!(error, Error::UntrustedCache(_)), "{error}"),
    }
}

#[test]
fn addresses_are_percent_encoded() {
    assert_eq!(percent_encoded("/tmp/a b"), "%2Ftmp%2Fa%20b");
    assert_eq!(percent_encoded("Гэрээ"), "%D0%93%D1%8D%D1%80%D1%8D%D1%8D");
}
