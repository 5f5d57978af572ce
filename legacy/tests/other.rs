//! The same questions to another TDS server: `FICUS_TEST_LEGACY_URL`, such as
//! `mssql://sa@host/ficus_test?trust=true`, with the password in `FICUS_TEST_LEGACY_PASSWORD`.
//!
//! Its database must be one for tests: every table in it is dropped. What only the sandbox can do
//! (faults, changes behind the engine's back) is tried there and not on it.

use std::{io::Write as _, time::Duration};

use legacy::{Session, Settings};
use sandbox::legacy::Database;
use secrecy::SecretString;
use tokio::sync::OnceCell;

/// Whether there is one.
pub(crate) fn is_there() -> bool {
    url().is_some()
}

fn url() -> Option<String> {
    std::env::var("FICUS_TEST_LEGACY_URL").ok().filter(|url| !url.is_empty())
}

/// A server that was filled.
pub(crate) struct Other {
    pub(crate) settings: Settings,
    /// What it would not make: indexes and foreign keys that it has no words for.
    pub(crate) refused: Vec<String>,
}

/// The other server, filled once for all tests.
pub(crate) async fn server(model: &Database) -> &'static Other {
    static FILLED: OnceCell<Other> = OnceCell::const_new();
    FILLED.get_or_init(|| fill(model)).await
}

/// Seen also where a test passes: what libtest catches is not told.
pub(crate) fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED on FICUS_TEST_LEGACY_URL: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

async fn fill(model: &Database) -> Other {
    let url = url().expect("FICUS_TEST_LEGACY_URL is set");
    let mut settings: Settings = url.parse().expect("FICUS_TEST_LEGACY_URL is an address");
    if let Ok(password) = std::env::var("FICUS_TEST_LEGACY_PASSWORD") {
        settings.password = SecretString::from(password);
    }
    assert!(
        settings.database.to_lowercase().starts_with("ficus_test"),
        "tables are dropped there: the database's name must begin with ficus_test"
    );
    let mut session = Session::connect(&settings).await.expect("the other server");
    let mut old = session.catalog().await.expect("its catalogue").tables;
    // Those that refer to others first.
    old.sort_by_key(|table| table.foreign_keys.is_empty());
    let drop = |table: &mapping::catalog::Table| {
        format!("DROP TABLE [{}].[{}]", table.table.schema, table.table.name)
    };
    let mut refused = Vec::new();
    for statement in old.iter().map(drop).chain(model.script().unwrap()) {
        let sent = session.ask(&statement, Duration::from_secs(120)).await;
        let Err(error) = sent else { continue };
        let start: String = statement.chars().take(200).collect();
        assert!(
            ["ALTER TABLE", "CREATE UNIQUE"].iter().any(|word| start.starts_with(word)),
            "{error}: {error:?}\n{start}"
        );
        skipped(&start, &format!("{error}: {:?}", std::error::Error::source(&error)));
        refused.push(statement);
    }
    Other { settings, refused }
}
